"""Grid fees from the DSO's document to the outcome, its replay, its challenge and its explanation."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from offchain.audit.explanation import explain
from offchain.audit.verify import SessionReplay
from offchain.chain.client import ChainClient
from offchain.protocol.leaves import EFFECTIVENESS, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferStatus, Side
from oracles.clearing.core.session import clear_session
from oracles.clearing.daemon import ClearingDaemon
from oracles.session_facts import book_documents
from tests.audit.conftest import play_to_clearing
from tests.audit.test_challenge import challenged, struck_for
from tests.audit.test_lying_oracle import ORACLE, changed, post, replayed
from tests.chain.small_market import TERMS
from tests.market.desk import Desk, request

FEES = {0: 5_000, 2: 5_000}
"""In slot 0 offers 0 and 2 are of these PoDs, 4 and 6 of PoDs 1 and 3. All ask the same, each for 10 kW."""


@pytest.fixture
def with_fees(desk: Desk) -> Desk:
    """20 kW are needed, and moving a kW at PoDs 0 and 2 costs grid fees."""
    play_to_clearing(desk, of_dso=request(20_000, fees=FEES))
    return desk


def cleared_with(desk: Desk, fees: Mapping[int, int], relief_w: int = 20_000) -> ListDocument:
    """What an oracle posts that takes other fees for the DSO's."""
    view = desk.market.view
    book = [
        (reveal, document if reveal.side is Side.OFFER else request(relief_w, fees=fees))
        for reveal, document in book_documents(view, desk.market.documents, TERMS.session)
    ]
    return clear_session(
        book, view.pods_at_gate(TERMS), view.seed(TERMS.session), TERMS, ORACLE.address
    ).market


def test_who_is_cheaper_delivered_is_taken_and_the_others_are_told_why(
    with_fees: Desk, auditor: ChainClient
) -> None:
    market = with_fees.market
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    passed, said = replayed(with_fees)
    assert passed, said
    right, said = challenged(with_fees, auditor)
    assert right, said
    replay = SessionReplay(market.operator, market.documents, TERMS.session)
    for position, status in (
        (0, OfferStatus.COM_DEARER),
        (4, OfferStatus.ACCEPTED),
        (6, OfferStatus.ACCEPTED),
    ):
        found = explain(replay, market.view, position)
        assert found.status is status
    lines = explain(replay, market.view, 0).lines
    assert lines[-1].endswith("moving a kW of its PoD costs 0.005 € of grid fees, beside its price")


def test_an_oracle_that_ignores_them_loses_its_bond(with_fees: Desk, auditor: ChainClient) -> None:
    post(with_fees, cleared_with(with_fees, {}))
    right, said = challenged(with_fees, auditor)
    assert not right
    assert struck_for(auditor) == ["WrongEffectiveness"], said


def test_an_oracle_that_copies_them_and_takes_the_dearer_loses_its_bond(
    with_fees: Desk, auditor: ChainClient
) -> None:
    """PoDs 0 and 2 are taken, with their fees said as they are: nothing but the order is false."""
    lie = cleared_with(with_fees, {1: 1, 3: 1})
    assert lie.list_of(OUTCOME_BY_REQUEST).integers("offerPosition") in ([0, 2], [2, 0])
    for index in range(2):
        lie = changed(lie, OUTCOME_BY_REQUEST, "gridFeeUeurPerKw", FEES[0], index)
    post(with_fees, lie)
    right, said = challenged(with_fees, auditor)
    assert not right
    assert struck_for(auditor) == ["CheaperRefused"], said


def test_an_oracle_that_invents_one_loses_its_bond(desk: Desk, auditor: ChainClient) -> None:
    """For a friend: PoDs 1 and 3 are made to look dearer. Their leaves say no fee."""
    play_to_clearing(desk, of_dso=request(30_000))
    post(desk, cleared_with(desk, {1: 5_000, 3: 5_000}, 30_000))
    right, said = challenged(desk, auditor)
    assert not right
    assert struck_for(auditor) == ["WrongEffectiveness"], said


def test_a_request_that_states_two_fees_of_a_pod_is_refused_by_its_own_client(desk: Desk) -> None:
    document = request(fees=FEES)
    relief, effects = document.lists
    rows = [list(effects.row(index)) for index in range(4)]
    rows[3][3] = rows[0][3]
    doubled = replace(document, lists=(relief, type(effects).of_rows(EFFECTIVENESS, rows)))
    with pytest.raises(Exception, match=r"EffectivenessLeaf\[3\]\.gridFeeUeurPerKw"):
        play_to_clearing(desk, of_dso=doubled)
