"""The typed view of the contracts."""

from dataclasses import replace

from offchain.protocol.cid import cid_of
from offchain.protocol.typed_data import NoticeKind
from tests.chain.small_market import FIRST, POD_LIMIT_W, PODS_AT_START, SECOND, TERMS, SmallMarket, pod


def test_terms_are_what_the_session_fixed(market: SmallMarket) -> None:
    assert market.view.session_ids() == [1]
    assert market.view.terms(1) == TERMS


def test_pods_with_their_facts(market: SmallMarket) -> None:
    pods = market.view.pods()
    assert set(pods) == {pod(number) for number in range(PODS_AT_START)}
    assert (pods[pod(0)].aggregator, pods[pod(1)].aggregator) == (FIRST.address, SECOND.address)
    assert (pods[pod(0)].max_up_w, pods[pod(0)].max_up_var) == (POD_LIMIT_W, 0)


def test_the_book_is_held_to_the_registry_at_the_gate(market: SmallMarket) -> None:
    market.speaking_as(FIRST).send("PodRegistry", "remove", pod(0))
    before = market.view.pods()
    market.chain.advance_to(TERMS.gateClosure - 60)
    assert market.view.pods_at_gate(TERMS) == before
    market.chain.advance_to(TERMS.gateClosure)
    market.register_pod(7)
    market.speaking_as(FIRST).send("PodRegistry", "remove", pod(2))
    assert market.view.pods_at_gate(TERMS) == before
    assert set(market.view.pods()) == (set(before) | {pod(7)}) - {pod(2)}
    later = replace(TERMS, gateClosure=TERMS.gateClosure + 3600)
    assert market.view.pods_at_gate(later) == market.view.pods(), "a later gate sees what came later"


def test_notices_are_of_one_kind_and_session(market: SmallMarket) -> None:
    cid, chain = cid_of(b"a baseline"), market.speaking_as(FIRST)
    for kind, session in ((NoticeKind.BASELINE, 1), (NoticeKind.OTHER, 1), (NoticeKind.BASELINE, 2)):
        chain.send("DataNotary", "notarise", kind, session, bytes([9] * 32), cid.digest, cid.codec)
    (notice,) = market.view.notices(NoticeKind.BASELINE, 1)
    assert (notice.author, notice.hash, notice.cid) == (FIRST.address, bytes([9] * 32), cid)
    assert notice.at_s <= market.operator.now_s()


def test_nothing_posted_is_nothing(market: SmallMarket) -> None:
    view = market.view
    found = (view.market_outcome(1), view.technical_outcome(1), view.validated_outcome(1), view.settlement(1))
    assert found == (None, None, None, None)
    assert (view.commitments(1), view.reveals(1), view.seed(1)) == ([], [], bytes(32))
    assert view.anchored_batches(TERMS.settlementDeadline) == []
