"""Rounds of clearing and assessment, and how an answer names the refusal of one (Stages.refusal in Solidity)."""

from offchain.protocol.errors import InvalidInput

MOST_ROUNDS = 3
_ROUND_BITS = 30


def refusal_number(round_: int, position: int) -> int:
    """What an offer's leaf gives as `because` for the refusal at a position of a round's technical outcome.

    Raises InvalidInput for a round that there can't be.
    """
    if not 1 <= round_ <= MOST_ROUNDS:
        raise InvalidInput("round", round_, f"must be from 1 to {MOST_ROUNDS}")
    return (round_ - 1 << _ROUND_BITS) + position + 1


def refusal_named(because: int) -> tuple[int, int]:
    """Round and position of the refusal that a `because` names; position -1 where it names none."""
    return (because >> _ROUND_BITS) + 1, (because & (1 << _ROUND_BITS) - 1) - 1
