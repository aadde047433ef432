"""Lies in the market outcome about blocks, groups and links."""

from tests.contracts.lies.play import ANSWER, ENTRY, Play, Shown, answer, first_offer, of_outcome
from tests.contracts.orders import BLOCK, FIRST, LINKED, SECOND, entries_of


def block_entry(place: int) -> Shown:
    return lambda made, _: made.entry(entries_of(made.document, BLOCK)[place])


def answered(index: int) -> Shown:
    return lambda made, book: (made.answer(index), book.offer(0, index))


TAKEN = {"acceptedW": 1, "status": 1, "firstByRequest": 1}
ORDER_LIES: dict[str, Play] = {
    "blockBroken": of_outcome(
        "blockBroken",
        ENTRY,
        lambda honest: entries_of(honest, BLOCK)[0],
        {"acceptedW": 1},
        *(answer(BLOCK), first_offer(BLOCK), block_entry(0)),
    ),
    "blockSplit": of_outcome(
        "blockSplit",
        ENTRY,
        lambda honest: entries_of(honest, BLOCK)[1],
        {"slot": 9},
        *(first_offer(BLOCK), block_entry(0), block_entry(1)),
    ),
    "groupBroken": of_outcome(
        "groupBroken", ANSWER, lambda _: SECOND, TAKEN, *(answered(FIRST), answered(SECOND))
    ),
    "linkBroken": of_outcome(
        "linkBroken", ANSWER, lambda _: FIRST, {"acceptedW": 0}, *(answered(LINKED), answer(FIRST))
    ),
}
