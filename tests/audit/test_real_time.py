"""A real-time session after a day-ahead one: what wasn't used rolls over by itself, what was sold stands, and who lies about
it loses the bond."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offchain.audit.challenge import Challenger
from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.cli import app
from offchain.protocol.leaves import OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferOption, OfferStatus
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import clear_session
from oracles.clearing.facts import clear_from_chain
from oracles.grid.facts import anchored_grid, nets_of_day
from oracles.session_facts import ahead_result, book_documents
from tests.audit.test_lying_oracle import ORACLE, changed
from tests.chain.real_time_day import SECOND_SESSION, RealTimeDay, before_opening, with_fresh_offer
from tests.chain.small_market import CAST, TERMS, pod
from tests.market.desk import Desk, open_desk, played


def play_both(desk: Desk) -> None:
    """Until the second real-time session's market outcome is due."""
    day = with_fresh_offer(RealTimeDay(desk))
    day.book_ahead()
    day.validate(TERMS)
    day.roll_over()
    day.book_real_time()


@pytest.fixture
def desk(original: Path, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(played(original, "both-booked", play_both, before_opening), tmp_path) as opened:
        yield opened


@pytest.fixture
def day(desk: Desk) -> RealTimeDay:
    """The second real-time session when its market outcome is due."""
    return with_fresh_offer(RealTimeDay(desk))


def offers_in_book(day: RealTimeDay) -> list[tuple[int, int, int, int]]:
    """Number of the PoD, slot, price and options of each offer of the real-time book, by position."""
    numbers = {pod(number): number for number in range(4)}
    return [
        (
            numbers[leaf.word("pod")],
            leaf.integer("slot"),
            leaf.integer("priceUeurPerKw"),
            leaf.integer("options"),
        )
        for _, document in book_documents(day.market.view, day.market.documents, SECOND_SESSION)
        if document is not None and document.lists[0].kind is OFFER
        for leaf in document.list_of(OFFER).records()
    ]


def replayed(day: RealTimeDay, session: int) -> list[str]:
    said: list[str] = []
    reader = ChainClient(day.market.chain.url, day.market.manifest)
    run(SessionReplay(reader, day.market.documents, session), said.append)
    return said


def challenged(day: RealTimeDay, auditor: ChainClient) -> tuple[bool, list[str]]:
    said: list[str] = []
    right = Challenger(auditor, day.market.documents, SECOND_SESSION, said.append).run()
    return right, said


def post(day: RealTimeDay, document: ListDocument) -> None:
    """Post a market outcome of real time as the clearing oracle."""
    market = day.market
    raw = document.to_bytes()
    cid = market.documents.put(raw)
    outcome = posted_outcome(document, cid, market.view.seed(SECOND_SESSION))
    receipts = market.stores.receipts(raw, cid, day.terms, joint=False)
    market.speaking_as(ORACLE).send("OutcomeBoard", "postMarketOutcome", outcome, receipts)


def struck_for(auditor: ChainClient) -> list[str]:
    events = auditor.events("OutcomeBoard", "ResultStruck", session=SECOND_SESSION)
    return [bytes(event.args["fault"]).rstrip(b"\0").decode() for event in events]


def test_what_wasnt_used_rolls_over_and_is_taken_and_an_auditor_replays_both(
    day: RealTimeDay, auditor: ChainClient, original: Path
) -> None:
    """PoD 2's unmarked offer stays, and so do those of PoDs that were sold in their slot."""
    rolled = int(OfferOption.REAL_TIME)
    assert sorted(offers_in_book(day)) == [
        (0, 4, 10_000, 0),
        (0, 5, 42_000, rolled),
        (1, 4, 80_000, rolled),
        (3, 5, 50_000, rolled),
    ]
    day.validate(day.terms)
    market = day.market
    cleared = clear_from_chain(market.view, market.documents, day.terms, ORACLE.address)
    taken = {
        (entry.offer.pod, entry.request.slot): entry.accepted_w for entry in cleared.clearing.acceptances
    }
    assert taken == {(pod(1), 4): 6_000, (pod(0), 5): 8_000, (pod(3), 5): 4_000}
    # What the measured state is compared with: nominated in real time, less what was sold day ahead and now.
    nets = nets_of_day(market.view, market.documents, TERMS)
    places = {
        (0, 20): -10_000,
        (2, 20): -5_000,
        (1, 20): 14_000,
        (0, 21): 12_000,
        (3, 21): 16_000,
        (2, 22): 20_000,
    }
    assert {(number, slot): nets[pod(number), slot].power_w for number, slot in places} == places
    for session in (TERMS.session, SECOND_SESSION):
        said = replayed(day, session)
        assert said[-1] == "PASS", said
    assert any("4 offers, 3 accepted quantities, 0 in reserve" in line for line in said)
    assert any("2 places were sold day ahead" in line for line in said)
    assert challenged(day, auditor)[0]
    assert struck_for(auditor) == []

    sold = offers_in_book(day).index((0, 4, 10_000, 0))
    leaf = cleared.market.list_of(OUTCOME_BY_OFFER).records()[sold]
    assert OfferStatus(leaf.integer("status")) is OfferStatus.COM_SOLD
    places = ["--manifest", str(original / "manifest.json"), "--documents", str(market.folder / "documents")]
    arguments = ["why", str(SECOND_SESSION), str(sold), "--rpc", market.chain.url, *places]
    answered = CliRunner().invoke(app, arguments)
    assert (
        "10 kW up of its PoD were sold day ahead in slot 4: entry 0 of session 1, which stands"
        in answered.output
    )


def test_who_takes_what_was_sold_loses_its_bond(day: RealTimeDay, auditor: ChainClient) -> None:
    """Its outcome is right in everything else: it doesn't look at the day-ahead result."""
    view, documents = day.market.view, book_documents(day.market.view, day.market.documents, SECOND_SESSION)
    pods, seed = view.pods_at_gate(day.terms), view.seed(SECOND_SESSION)
    bonded_ueur = auditor.call("Vault", "bonded", ORACLE.address)
    post(day, clear_session(documents, pods, seed, day.terms, ORACLE.address).market)
    right, said = challenged(day, auditor)
    assert not right
    assert struck_for(auditor) == ["SoldTwice"], said
    assert auditor.call("Vault", "bonded", ORACLE.address) == bonded_ueur, "the day-ahead's bonds"


@pytest.mark.parametrize("because", [0, 1, 99])
def test_who_calls_sold_what_wasnt_loses_its_bond(
    day: RealTimeDay, auditor: ChainClient, because: int
) -> None:
    market = day.market
    truth = clear_from_chain(market.view, market.documents, day.terms, ORACLE.address).market
    index = offers_in_book(day).index((3, 5, 50_000, int(OfferOption.REAL_TIME)))
    lie = truth
    for name, value in {
        "status": OfferStatus.COM_SOLD,
        "because": because,
        "acceptedW": 0,
        "firstByRequest": 0,
    }.items():
        lie = changed(lie, OUTCOME_BY_OFFER, name, int(value), index)
    post(day, lie)
    right, said = challenged(day, auditor)
    assert not right
    assert struck_for(auditor) == ["FalselySold"], said


def test_the_day_ahead_result_is_read_as_it_was_posted(day: RealTimeDay) -> None:
    """Its document, or nothing: without it real time isn't cleared, rather than falsely."""
    found = ahead_result(day.market.view, day.market.documents, day.terms)
    assert found is not None
    assert found.terms == TERMS
    assert len(found.document.list_of(OUTCOME_BY_REQUEST)) == 2
    later = replace(day.terms, documentsDeadline=TERMS.validatedOutcomeDeadline - 1)
    assert ahead_result(day.market.view, day.market.documents, later) is None
    assert ahead_result(day.market.view, day.market.documents, TERMS) is None


def test_the_grids_forecast_of_real_time_holds_what_was_sold_day_ahead(day: RealTimeDay) -> None:
    """PoDs 0 and 2 were sold in slot 4, 10 and 5 kW up, without a day-ahead baseline; elsewhere 20 kW are nominated."""
    grid = anchored_grid(day.market.view, day.market.documents, day.terms, CAST.oracles["grid"].address)
    node_of = grid.forecast.node_of_pod
    places = {(0, 4): -10_000, (2, 4): -5_000, (0, 5): 20_000, (1, 4): 20_000, (2, 6): 20_000}
    found = {(number, slot): grid.forecast.p_w[slot, node_of[pod(number)]] for number, slot in places}
    assert found == places
