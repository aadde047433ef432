"""The DSO's player asks once a session, whatever it would ask when asked again."""

import pytest

from offchain.market.sealed_requests import SealedRequests
from offchain.protocol.book_documents import Area, Relief
from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Product, Side
from tests.chain.small_market import CAST, TERMS, pod
from tests.market.desk import Desk, leaf_salt
from tests.market.test_relayers import HALF_WAY_S, drop_commitments


def area(*pods: int) -> Area:
    return Area(
        element=keccak256(b"line 1"),
        product=Product.ACTIVE_UP,
        grid_model=bytes(32),
        reliefs=[Relief(0, 15_000, 90_000)],
        effectiveness=[(pod(number), 1000) for number in pods],
    )


def player(desk: Desk) -> SealedRequests:
    """The DSO's, just started."""
    return SealedRequests(desk.client(CAST.dso), Side.DSO_REQUEST, lambda _: leaf_salt)


def standing(desk: Desk) -> list[str]:
    return [entry.player for entry in desk.market.view.commitments(TERMS.session) if entry.standing]


def test_nothing_is_asked_where_a_commitment_stands(desk: Desk) -> None:
    """A PoD was replaced meanwhile: the areas are others, and so would be the document."""
    player(desk).submit(TERMS, [area(0, 1, 2, 3)])
    player(desk).submit(TERMS, [area(0, 1, 2, 4)])
    player(desk).submit(TERMS, [area(0, 1, 2, 3)])
    assert standing(desk) == [CAST.dso.address]


def test_a_commitment_that_isnt_deep_enough_yet_counts(desk: Desk) -> None:
    asking = player(desk)
    asking.client._chain._confirmations = 5
    asking.submit(TERMS, [area(0)])
    asking.submit(TERMS, [area(0, 1)])
    assert standing(desk) == [CAST.dso.address]


def test_who_took_its_request_back_asks_again(desk: Desk) -> None:
    asking = player(desk)
    asking.submit(TERMS, [area(0)])
    (made,) = desk.market.view.commitments(TERMS.session)
    desk.market.speaking_as(CAST.dso).send("CommitmentBook", "retract", TERMS.session, made.sealed_hash)
    asking.submit(TERMS, [area(0, 1)])
    assert standing(desk) == [CAST.dso.address]
    assert len(desk.market.view.commitments(TERMS.session)) == 2


def test_nothing_else_is_asked_while_the_relayer_may_bring_what_it_promised(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-way to the gate it commits by itself, to what it sealed first."""
    drop_commitments(monkeypatch)
    asking = player(desk)
    asking.submit(TERMS, [area(0)])
    assert standing(desk) == []
    desk.market.chain.advance_to(HALF_WAY_S)
    player(desk).submit(TERMS, [area(0, 1)])
    assert standing(desk) == [CAST.dso.address]
    player(desk).submit(TERMS, [area(0, 1)])
    assert standing(desk) == [CAST.dso.address]
