"""A player asks why: every status has its words, from the posted leaves and the book."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offchain.audit.explanation import NothingToExplain, Teller, explain
from offchain.audit.verify import SessionReplay
from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.cli import app
from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.products import OfferStatus
from oracles.clearing.core.session import clear_session, validate_session
from oracles.clearing.daemon import ClearingDaemon
from tests.audit.test_lying_oracle import ORACLE
from tests.chain.small_market import TERMS as SMALL_TERMS
from tests.market.desk import Desk
from tests.oracles.clearing.books import ORACLE as AUTHOR
from tests.oracles.clearing.books import SEED, TERMS, area, book_of, offer, registry
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_honest_outcomes import refusal_row, refusals_document
from tests.oracles.clearing.test_orders import EVERYONE, needs

PODS = registry(64, limit_w=3000)


def told(documents: Documents, position: int, *refused_w: int, noted: bool = True) -> tuple[OfferStatus, str]:
    """What is said of an offer where the DSO refuses so much of each entry, if anything is given, and notes why."""
    cleared = clear_session(documents, PODS, SEED, TERMS, AUTHOR)
    outcome, refusals = cleared.market, []
    if refused_w:
        entries = cleared.market.lists[1].records()
        rows = [refusal_row(place, w, entries[place].values) for place, w in enumerate(refused_w) if w]
        notes = {"elements": ["line 7"], "slots": [3], "sensitivityPerMw": [1500]} if noted else {}
        refusals = [
            replace(refusals_document(rows), notes={name: each * len(rows) for name, each in notes.items()})
        ]
        outcome = validate_session(cleared, refusals[0], AUTHOR)
    status, lines = Teller(documents, outcome, cleared.market, refusals, PODS, TERMS).tell(position)
    return status, "\n".join(lines)


def one(entry: OfferEntry, *others: OfferEntry, relief_w: int = 1000, cap: int = 10**9) -> Documents:
    return book_of([entry, *others], dso=[needs(relief_w, cap=cap)])


def test_for_whom_at_which_price_and_place() -> None:
    documents = book_of(
        [offer(0, 500, 10_000), offer(2, 2000, 20_000)], dso=[needs(1000)], tso=[area(1500, EVERYONE)]
    )
    status, said = told(documents, 1)
    assert status is OfferStatus.PARTLY_ACCEPTED
    assert said.splitlines() == [
        "offer 1: 2 kW up at 0.02 € per kW, PARTLY_ACCEPTED, 1 kW taken",
        "0.5 kW in slot 0 for the DSO's request 0, 2 of 2 in its list, at 0.02 €",
        "0.5 kW in slot 0 for the TSO's request 9, 1 of 1 in its list, at 0.02 €",
    ]
    documents = book_of([offer(0, 500, 10_000)], dso=[area(1000, EVERYONE, fees={0: 5_000})])
    assert told(documents, 0)[1].endswith("1 of 1 in its list, at 0.01 € and 0.005 € of grid fees")


def test_how_far_collateral_covers_it() -> None:
    documents = one(offer(0, 1000, 10_000))
    documents[1] = (replace(documents[1][0], coverage_ueur=TERMS.penaltyUeurPerKw // 2), documents[1][1])
    assert "collateral covers 0.5 kW of it" in told(documents, 0)[1]
    documents[1] = (replace(documents[1][0], coverage_ueur=0), documents[1][1])
    status, said = told(documents, 0)
    assert status is OfferStatus.UNCOVERED
    assert "nothing of the aggregator's collateral was left for its penalty" in said


@pytest.mark.parametrize(
    ("documents", "position", "status", "words"),
    [
        (
            one(offer(0, 1000, 10_000), offer(2, 1000, 20_000)),
            1,
            OfferStatus.COM_DEARER,
            "instead costs 0.01 €",
        ),
        (
            book_of(
                [offer(0, 1000, 10_000), offer(2, 1000, 20_000)], dso=[area(1000, EVERYONE, fees={0: 15_000})]
            ),
            0,
            OfferStatus.COM_DEARER,
            "the dearest that was taken instead costs 0.02 €\n"
            "for the DSO's request 0 moving a kW of its PoD costs 0.015 € of grid fees, beside its price",
        ),
        (
            book_of(
                [offer(0, 1000, 10_000), offer(2, 1000, 20_000)], dso=[area(1000, EVERYONE, fees={0: 5_000})]
            ),
            1,
            OfferStatus.COM_DEARER,
            "instead costs 0.01 € and 0.005 € of grid fees",
        ),
        (
            book_of([offer(0, 1000, 10_000)], dso=[area(1000, EVERYONE, cap=10_000, fees={0: 1_000})]),
            0,
            OfferStatus.COM_NOT_NEEDED,
            "at a price cap that takes it\n"
            "for the DSO's request 0 moving a kW of its PoD costs 0.001 € of grid fees, beside its price",
        ),
        (one(offer(0, 1000, 10_001), cap=10_000), 0, OfferStatus.COM_NOT_NEEDED, "no request names its PoD"),
        (
            one(offer(0, 2000, 10_000, minimum_w=2000)),
            0,
            OfferStatus.COM_MINIMUM,
            "less was still needed than its minimum of 2 kW",
        ),
        (
            one(offer(0, 3000, 10_000), offer(0, 1000, 20_000), relief_w=9000),
            1,
            OfferStatus.COM_EXCLUDED,
            "offer 0 was taken instead",
        ),
        (
            book_of(
                [offer(0, 1000, 10_000, slot=1), replace(offer(0, 1000, 10_000), linked_to=0)],
                dso=[needs(1000, 0)],
            ),
            1,
            OfferStatus.COM_EXCLUDED,
            "offer 0, to which it is linked, wasn't taken",
        ),
        (
            one(offer(0, 3001, 10_000)),
            0,
            OfferStatus.VOID,
            "offer 0 is void: powerW = 3001: must be above 0 and within",
        ),
        (
            one(offer(0, 1, 1), offer(2, 1, 1, slot=96)),
            0,
            OfferStatus.VOID,
            "its document isn't one of the session's",
        ),
    ],
)
def test_why_it_wasnt_taken(documents: Documents, position: int, status: OfferStatus, words: str) -> None:
    found, said = told(documents, position)
    assert found is status
    assert words in said


def test_what_the_dso_refused_and_by_which_element() -> None:
    documents = one(offer(0, 1000, 10_000))
    status, said = told(documents, 0, 400)
    assert status is OfferStatus.PARTLY_ACCEPTED
    assert (
        "the DSO refused 0.4 kW: line 7 would be 0.001 % of loading beyond its limit in slot 3, which moves by 1.5 % of loading "
        "per MW of it, by grid model 0x00" in said
    )
    assert "0.6 kW in slot 0" in said
    assert told(documents, 0, 1000)[0] is OfferStatus.TEC
    bare = told(documents, 0, 400, noted=False)[1]
    assert " would be 0.001 % of loading beyond its limit, by grid model 0x00" in bare


def test_that_a_linked_one_went_with_the_other() -> None:
    offers = [offer(0, 1000, 10_000), replace(offer(0, 1000, 20_000), linked_to=0)]
    status, said = told(one(*offers, relief_w=2000), 1, 1000)
    assert status is OfferStatus.TEC
    assert "the DSO refused 1 kW, for the offer that it is linked to" in said


def test_a_position_that_the_book_hasnt() -> None:
    with pytest.raises(NothingToExplain, match="offer 7: the session's book has 1"):
        told(one(offer(0, 1000, 10_000)), 7)


def test_from_chain_and_store(revealed: Desk, original: Path) -> None:
    market = revealed.market
    reader = ChainClient(market.chain.url, market.manifest)
    replay = SessionReplay(reader, market.documents, SMALL_TERMS.session)
    with pytest.raises(NothingToExplain, match="no market outcome is posted"):
        explain(replay, MarketView(reader), 0)
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    found = explain(replay, MarketView(reader), 0)
    assert (found.stage, found.status) == (Stage.MARKET, OfferStatus.PARTLY_ACCEPTED)
    places = ["--manifest", str(original / "manifest.json"), "--documents", str(market.folder / "documents")]
    answered = CliRunner().invoke(app, ["why", "1", "0", "--rpc", market.chain.url, *places])
    assert answered.output.splitlines() == list(found.lines)
    assert "3.75 kW taken" in answered.output


def reserve_of(*prices: int) -> Documents:
    """Offers of 3 kW at PoDs 0, 2, ..., of which 1 kW is needed and 3 kW more in reserve."""
    needs_margin = area(1000, EVERYONE, reserve_permille=3000)
    return book_of([offer(2 * place, 3000, price) for place, price in enumerate(prices)], dso=[needs_margin])


def test_what_is_in_reserve_and_at_which_price() -> None:
    status, said = told(reserve_of(10_000, 20_000), 1)
    assert status is OfferStatus.RESERVED
    assert (
        "1 kW in slot 0 in reserve beyond the DSO's request 0: moves only on an order, then at 0.02 €" in said
    )
    assert "instead costs 0.01 €" in said
    status, said = told(reserve_of(10_000, 20_000), 0)
    assert status is OfferStatus.PARTLY_ACCEPTED
    assert "2 kW in slot 0 in reserve beyond" in said


def test_what_the_reserve_kept_out() -> None:
    steps = [offer(0, 3000, 10_000), offer(2, 2000, 20_000), offer(2, 1500, 30_000), offer(2, 1, 40_000)]
    documents = book_of(steps, dso=[area(3000, EVERYONE, reserve_permille=2000)])
    status, said = told(documents, 3)
    assert status is OfferStatus.RESERVE_EXCLUDED
    assert "the reserve has offer 1 of its PoD instead" in said


def test_what_went_with_a_refusal_of_its_pod() -> None:
    documents = book_of(
        [offer(0, 1000, 10_000), offer(0, 1000, 20_000)],
        dso=[area(1000, EVERYONE, reserve_permille=1000)],
    )
    assert "in reserve until" not in told(documents, 1)[1]
    status, said = told(documents, 1, 1)
    assert status is OfferStatus.RESERVED
    assert "it was in reserve until the DSO refused something of its PoD in that slot" in said
