"""How divisible offers that tie share what is needed."""

from collections.abc import Sequence

from oracles.clearing.core.ties import Tie


def pro_rata(room_w: Sequence[int], permille: Sequence[int], needed: int, ties: Sequence[Tie]) -> list[int]:
    """Shares of `needed` (W times per mille) in proportion to `room_w`, whole W, the rest in order of `ties`.

    The sum of share times per mille never passes `needed`, and no share passes its room.
    """
    offered = sum(room * effect for room, effect in zip(room_w, permille, strict=True))
    if offered <= needed:
        return list(room_w)
    shares = [room * needed // offered for room in room_w]
    left = needed - sum(share * effect for share, effect in zip(shares, permille, strict=True))
    for index in sorted(range(len(shares)), key=lambda i: ties[i]):
        extra = min(room_w[index] - shares[index], left // permille[index], 1 if len(shares) > 1 else left)
        shares[index] += extra
        left -= extra * permille[index]
    return shares
