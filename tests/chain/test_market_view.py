"""The typed view of the contracts."""

from dataclasses import replace

from offchain.protocol.cid import cid_of
from offchain.protocol.typed_data import NoticeKind
from tests.chain.small_market import CAST, FIRST, POD_LIMIT_W, PODS_AT_START, SECOND, TERMS, SmallMarket, pod


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


def test_a_pod_may_be_offered_for_what_both_prequalified_and_while_nobody_suspends_it(
    market: SmallMarket,
) -> None:
    dso, gate = market.speaking_as(CAST.dso), TERMS.gateClosure
    assert market.view.pods()[pod(0)].products == 0b11
    dso.send("PodRegistry", "prequalifyGrid", pod(0), 0b01, "the feeder is weak")
    dso.send("PodRegistry", "suspend", pod(1), "its node is silent")
    assert [market.view.pods()[pod(number)].products for number in (0, 1, 2)] == [0b01, 0, 0b11]
    market.chain.advance_to(gate)
    dso.send("PodRegistry", "reinstate", pod(1))
    assert market.view.pods()[pod(1)].products == 0b11
    assert market.view.pods_at_gate(TERMS)[pod(1)].products == 0, "what comes after the gate doesn't count"


def test_a_node_serves_from_its_registration_until_it_is_revoked(market: SmallMarket) -> None:
    node, view = CAST.person("node 0").address, market.view
    service = view.node_service(pod(0), node)
    assert service.covers(service.from_s)
    assert not service.covers(service.from_s - 1)
    # A quick machine registers and revokes within one second, for which the key then never served.
    market.chain.advance_to(service.from_s + 60)
    market.speaking_as(FIRST).send("PodRegistry", "revokeNode", pod(0), "lost")
    ended = view.node_service(pod(0), node)
    assert (ended.covers(ended.until_s - 1), ended.covers(ended.until_s)) == (True, False)
    assert not view.node_service(pod(1), node).covers(service.from_s)


def test_a_batch_keeps_its_first_time_and_every_place_of_its_document(market: SmallMarket) -> None:
    chain, root = market.speaking_as(CAST.oracles["anchoring"]), bytes([7] * 32)
    false, true = cid_of(b"sent ahead"), cid_of(b"the document")
    chain.send("ReadingAnchor", "anchor", root, false.digest, false.codec)
    first_s = chain.now_s()
    market.chain.advance_to(first_s + 60)
    chain.send("ReadingAnchor", "anchor", root, true.digest, true.codec)
    (batch,) = market.view.anchored_batches(first_s)
    assert (batch.root, batch.at_s, batch.cids) == (root, first_s, (false, true))
    assert market.view.anchored_batches(first_s - 1) == []
