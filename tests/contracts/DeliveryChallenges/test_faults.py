"""Every delivery that isn't what was anchored is struck by its proof, and no honest one is (SPECIFICATION.md 24.x)."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import BASELINE, READING
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.outcomes import PODS, PRICES
from tests.contracts.play import SETTLEMENT as STAGE
from tests.contracts.results import (
    Results,
    Settled,
    baselines_document,
    fault_word,
    notarise_baseline,
    play_to_clearing,
    play_to_settlement,
)

NO_BASELINE: tuple[Any, ...] = ((0, 0, bytes(32), 0, 0, 0, bytes(32)), [])


@pytest.fixture
def results(market: Any, terms: SessionTerms) -> Results:
    """A session with honest outcomes and readings; its settlement is due."""
    return play_to_settlement(market, terms)


def accuse(settled: Settled, name: str, *proofs: Any, sender: Any) -> Any:
    return getattr(settled.results.market.DeliveryChallenges, name)(settled.posted, *proofs, {"from": sender})


def is_struck(settled: Settled, tx: Any, fault: str) -> None:
    assert tx.events["ResultStruck"]["fault"] == fault_word(fault)
    board, session = settled.results.market.OutcomeBoard, settled.results.session
    assert bytes(board.outcomeHash(session, STAGE)) == bytes(32)


def is_innocent(settled: Settled, name: str, fault: str, *proofs: Any, sender: Any) -> None:
    with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
        accuse(settled, name, *proofs, sender=sender)


def root_of(document: Any) -> bytes:
    kind = READING if any(leaves.kind is READING for leaves in document.lists) else BASELINE
    return bytes(document.list_of(kind).root)


def test_a_baseline_that_nobody_anchored(results: Results, auditor: Any) -> None:
    settled = results.lie(0, baselineRoot=keccak256(b"made up"))
    tx = accuse(settled, "baselineNotAnchored", settled.judged(0), sender=auditor)
    is_struck(settled, tx, "BaselineNotAnchored")


def test_anothers_baseline(results: Results, auditor: Any, other_aggregator: Any) -> None:
    root = root_of(results.baselines[other_aggregator.address])
    settled = results.lie(0, baselineRoot=root)
    tx = accuse(settled, "baselineNotAnchored", settled.judged(0), sender=auditor)
    is_struck(settled, tx, "BaselineNotAnchored")


@pytest.mark.parametrize(("early", "fault"), [(1, "BaselineChanged"), (0, "BaselineNotAnchored")])
def test_a_baseline_changed_after_anchoring(
    market: Any, terms: SessionTerms, auditor: Any, aggregator: Any, early: int, fault: str
) -> None:
    """A second one, before the gate or in its first second, by which more was delivered."""
    results = play_with_second_baseline(
        market, terms, lambda: _second(market, terms, aggregator, terms.baselineGate - early)
    )
    second = baselines_document(results.session, aggregator.address, (0, 1), power_w=9_000)
    settled = results.lie(0, baselineRoot=root_of(second))
    first = root_of(results.baselines[aggregator.address])
    if early:
        is_innocent(settled, "baselineNotAnchored", "BaselineNotAnchored", settled.judged(0), sender=auditor)
        with_first = accuse(settled, "baselineChanged", settled.judged(0), first, sender=auditor)
        is_struck(settled, with_first, fault)
    else:
        is_struck(settled, accuse(settled, "baselineNotAnchored", settled.judged(0), sender=auditor), fault)


@pytest.mark.parametrize("late", [0, 1])
def test_a_pause_before_the_gate_leaves_as_much_time_for_baselines(
    market: Any, terms: SessionTerms, auditor: Any, admin: Any, aggregator: Any, late: int
) -> None:
    """A second one in the last second that the pause left, or in the next: it isn't the first, which is another fault."""

    def pause_and_notarise() -> None:
        next_block_at(terms.baselineGate - 10)
        market.MarketSessions.pause({"from": admin})
        next_block_at(terms.baselineGate + 90)
        market.MarketSessions.resume({"from": admin})
        _second(market, terms, aggregator, terms.baselineGate + 99 + late)

    results = play_with_second_baseline(market, terms, pause_and_notarise)
    second = baselines_document(results.session, aggregator.address, (0, 1), power_w=9_000)
    settled = results.lie(0, baselineRoot=root_of(second))
    if late:
        tx = accuse(settled, "baselineNotAnchored", settled.judged(0), sender=auditor)
        is_struck(settled, tx, "BaselineNotAnchored")
    else:
        is_innocent(settled, "baselineNotAnchored", "BaselineNotAnchored", settled.judged(0), sender=auditor)


def play_with_second_baseline(market: Any, terms: SessionTerms, notarise: Callable[[], None]) -> Results:
    """The same session, but the aggregator notarises a second baseline."""
    results = play_to_clearing(market, terms, before_gate=notarise)
    results.post_market()
    results.post_technical()
    results.post_validated()
    results.anchor_readings()
    return results


def _second(market: Any, terms: SessionTerms, aggregator: Any, at_s: int) -> None:
    travel_to(at_s - 1)
    second = baselines_document(terms.session, aggregator.address, (0, 1), power_w=9_000)
    notarise_baseline(market, second, aggregator, at_s)


@pytest.mark.parametrize("values", [{"baselinePosition": 2}, {"baselinePosition": 4}])
def test_the_baseline_of_another_place(
    results: Results, auditor: Any, aggregator: Any, values: dict[str, Any]
) -> None:
    settled = results.lie(0, **values)
    shown = results.baseline(aggregator, values["baselinePosition"] % 4)
    is_struck(
        settled, accuse(settled, "wrongBaseline", settled.judged(0), shown, sender=auditor), "WrongBaseline"
    )


def test_a_baseline_said_to_be_missing(results: Results, auditor: Any, aggregator: Any) -> None:
    """PoD 0's leaf says that there is none; PoD 1's names the list that has it."""
    settled = results.lie(0, baselineRoot=bytes(32), baselinePosition=0, deliveredW=0)
    shown = (settled.judged(0), settled.judged(1), results.baseline(aggregator, 0))
    is_struck(settled, accuse(settled, "baselineIgnored", *shown, sender=auditor), "BaselineIgnored")


def test_a_batch_anchored_too_late(results: Results, auditor: Any) -> None:
    late = results.batch(((2, 1, 2_000),))
    results.anchor(late, results.terms.readings_deadline_s + 1)
    settled = results.lie(5, readingRoot=root_of(late), status=0)
    tx = accuse(settled, "readingNotAnchored", settled.judged(5), sender=auditor)
    is_struck(settled, tx, "ReadingNotAnchored")


def test_a_batch_anchored_in_the_last_second_counts(results: Results, auditor: Any) -> None:
    last = results.batch(((2, 1, 2_000),))
    results.anchor(last, results.terms.readings_deadline_s)
    settled = results.post(results.settled((*results.batches, last)))
    leaf = settled.judged(5)
    assert leaf[0][9] == 0, "measured"
    is_innocent(settled, "readingNotAnchored", "ReadingNotAnchored", leaf, sender=auditor)


def test_a_batch_that_nobody_anchored(results: Results, auditor: Any) -> None:
    settled = results.lie(5, readingRoot=keccak256(b"made up"), status=0)
    tx = accuse(settled, "readingNotAnchored", settled.judged(5), sender=auditor)
    is_struck(settled, tx, "ReadingNotAnchored")


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_reading_of_another_pod_or_slot(results: Results, auditor: Any, position: int) -> None:
    settled = results.lie(0, readingPosition=position)
    shown = results.reading(0, position % 3)
    tx = accuse(settled, "readingNotGenuine", settled.judged(0), shown, sender=auditor)
    is_struck(settled, tx, "ReadingNotGenuine")


def test_a_reading_that_its_node_didnt_sign(results: Results, auditor: Any, stranger: Any) -> None:
    forged = results.batch(((2, 1, 1_000),), signer=stranger)
    results.anchor(forged)
    results.batches = (*results.batches, forged)
    settled = results.lie(5, readingRoot=root_of(forged), status=0, deliveredW=0)
    shown = (settled.judged(5), results.reading(2, 0))
    is_struck(settled, accuse(settled, "readingNotGenuine", *shown, sender=auditor), "ReadingNotGenuine")


def test_a_reading_by_a_key_revoked_after_it_counts(results: Results, auditor: Any, market: Any) -> None:
    settled = results.post(results.settled())
    aggregator = results.roles.aggregators[0]
    market.PodRegistry.revokeNode(PODS[0], "stolen", {"from": aggregator})
    shown = (settled.judged(0), results.reading(0, 0))
    is_innocent(settled, "readingNotGenuine", "ReadingNotGenuine", *shown, sender=auditor)


def test_a_reading_whose_period_ended_after_its_key_was_revoked(
    market: Any, terms: SessionTerms, auditor: Any
) -> None:
    results = play_to_clearing(market, terms)
    results.post_market()
    results.post_technical()
    results.post_validated()
    travel_to(terms.slot_start_s(8) - 1)
    market.PodRegistry.revokeNode(PODS[0], "stolen", {"from": results.roles.aggregators[0]})
    results.anchor_readings()
    settled = results.post(results.settled())
    shown = (settled.judged(0), results.reading(0, 0))
    is_struck(settled, accuse(settled, "readingNotGenuine", *shown, sender=auditor), "ReadingNotGenuine")


def test_settled_on_another_value_than_was_anchored(results: Results, auditor: Any, aggregator: Any) -> None:
    """PoD 1 is said to have delivered 2 kW, not 1: the operator overpays a kW and is made good."""
    lie = {"deliveredW": 2_000}
    settled = results.lie(1, **lie)
    dso = results.roles.dso
    before = results.market.Vault.free(dso)
    shown = (astuple(results.validated), settled.judged(1), results.entry(1))
    proofs = (*shown, results.baseline(aggregator, 2), results.reading(0, 2))
    tx = accuse(settled, "wrongDelivery", *proofs, sender=auditor)
    is_struck(settled, tx, "WrongDelivery")
    assert tx.events["ResultStruck"]["wronged"] == dso
    assert results.market.Vault.free(dso) == before + 1_000 * PRICES[1] // 1000


def test_delivered_without_a_baseline(results: Results, auditor: Any) -> None:
    settled = results.lie(1, baselineRoot=bytes(32))
    shown = (astuple(results.validated), settled.judged(1), results.entry(1))
    proofs = (*shown, NO_BASELINE, results.reading(0, 2))
    is_struck(settled, accuse(settled, "wrongDelivery", *proofs, sender=auditor), "WrongDelivery")


def test_a_reading_said_to_be_missing(results: Results, auditor: Any) -> None:
    """PoD 2's first leaf says that there is none; PoD 1's second names the batch that has it."""
    values = {"readingRoot": bytes(32), "readingPosition": 0, "status": 1, "deliveredW": 0}
    settled = results.lie(2, **values)
    shown = (settled.judged(2), settled.judged(4), results.reading(1, 2))
    is_struck(settled, accuse(settled, "readingIgnored", *shown, sender=auditor), "ReadingIgnored")


def test_the_higher_of_two_readings(results: Results, auditor: Any) -> None:
    """PoD 0's second slot by the first batch: 5.2 kW, though the second batch says 4."""
    values = {"readingRoot": root_of(results.batches[0]), "readingPosition": 1, "deliveredW": 5_200}
    settled = results.lie(3, **values)
    taken, lower = results.reading(0, 1), results.reading(1, 0)
    shown = (settled.judged(3), taken, settled.judged(4), lower)
    is_struck(settled, accuse(settled, "higherReadingTaken", *shown, sender=auditor), "HigherReadingTaken")


def test_what_was_hidden_from_who_settled_isnt_held_against_him(results: Results, auditor: Any) -> None:
    """A batch that no leaf names: it may have been anchored without its document, to trap an honest oracle."""
    trap = results.batch(((2, 1, 1_000),))
    results.anchor(trap)
    settled = results.post(results.settled())
    results.batches = (*results.batches, trap)
    for witness in range(5):
        shown = (settled.judged(5), settled.judged(witness), results.reading(2, 0))
        with pytest.raises(Exception, match="ProofsNotInList"):
            accuse(settled, "readingIgnored", *shown, sender=auditor)


def test_nothing_in_an_honest_settlement_is_a_fault(
    results: Results, auditor: Any, aggregator: Any, other_aggregator: Any
) -> None:
    settled = results.post(results.settled())
    leaves = [settled.judged(index) for index in range(6)]
    # (leaf, aggregator, baseline, batch, reading)
    judged = [(0, 0, 0, 0, 0), (1, 0, 2, 0, 2), (2, 1, 0, 1, 2), (3, 0, 1, 1, 0), (4, 0, 3, 1, 1)]
    owners = (aggregator, other_aggregator)
    for index, owner, at, batch, place in judged:
        leaf, baseline, reading = (
            leaves[index],
            results.baseline(owners[owner], at),
            results.reading(batch, place),
        )
        first = root_of(results.baselines[owners[owner].address])

        def innocent(name: str, fault: str, *proofs: Any, leaf: Any = leaf) -> None:
            is_innocent(settled, name, fault, leaf, *proofs, sender=auditor)

        innocent("baselineNotAnchored", "BaselineNotAnchored")
        innocent("baselineChanged", "BaselineChanged", first)
        innocent("wrongBaseline", "WrongBaseline", baseline)
        innocent("baselineIgnored", "BaselineIgnored", leaf, baseline)
        innocent("readingNotAnchored", "ReadingNotAnchored")
        innocent("readingNotGenuine", "ReadingNotGenuine", reading)
        innocent("readingIgnored", "ReadingIgnored", leaf, reading)
        innocent("higherReadingTaken", "HigherReadingTaken", reading, leaf, reading)
        proofs = (astuple(results.validated), leaf, results.entry(index), baseline, reading)
        is_innocent(settled, "wrongDelivery", "WrongDelivery", *proofs, sender=auditor)
    # The lower of two was taken: the higher is no fault.
    higher = (leaves[3], results.reading(1, 0), leaves[0], results.reading(0, 1))
    is_innocent(settled, "higherReadingTaken", "HigherReadingTaken", *higher, sender=auditor)
    # Nobody has a reading of PoD 2's second slot.
    is_innocent(settled, "readingNotAnchored", "ReadingNotAnchored", leaves[5], sender=auditor)
    other_slot = (leaves[5], leaves[2], results.reading(1, 2))
    is_innocent(settled, "readingIgnored", "ReadingIgnored", *other_slot, sender=auditor)
