"""A session with a reserve, played by daemons on a chain: replayed, told, and struck where its oracle lies about it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from offchain.audit.accusations.assessment import RoundResults
from offchain.audit.accusations.reserve import ReserveAccusations
from offchain.audit.book import BookPages
from offchain.audit.challenge import Challenger
from offchain.audit.verify import FalseResult, SessionReplay
from offchain.chain.client import ChainClient, ChainRefused
from offchain.chain.market_view import Stage
from offchain.protocol.book_documents import Area, OfferEntry, Relief, request_document
from offchain.protocol.cid import RAW
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_RESERVE, REFUSAL, LeafKind, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferStatus, Product
from offchain.protocol.roles import Role
from offchain.protocol.typed_data import NoticeKind, TechnicalOutcome
from oracles.clearing.core.outcome import after_refusals, outcome_document, posted_outcome, refusals_of
from oracles.clearing.core.session import ClearedSession, clear_session
from oracles.clearing.core.state import Clearing
from oracles.clearing.daemon import ClearingDaemon
from oracles.session_facts import book_documents
from tests.audit.conftest import play_to_clearing
from tests.audit.test_lying_oracle import ORACLE, changed, post, replayed, true_outcome
from tests.chain.small_market import CAST, FIRST, TERMS, SmallMarket, pod
from tests.market.desk import Desk, leaf_salt, offers, open_desk, played, receipts_for

GRID_MODEL = keccak256(b"grid model")
GRID = CAST.oracles["grid"]
Change = Callable[[Clearing], Clearing]


def with_margin(permille: int = 500) -> ListDocument:
    """The DSO's request of 45 kW in slot 0 from all four PoDs."""
    area = Area(
        element=keccak256(b"line 1"),
        product=Product.ACTIVE_UP,
        grid_model=bytes(32),
        reliefs=[Relief(0, 45_000, 90_000)],
        effectiveness=[(pod(number), 1000) for number in range(4)],
        reserve_permille=permille,
        availability_price_ueur_per_kw=1_000,
    )
    return request_document(TERMS.session, CAST.dso.address, [area], leaf_salt)


STEPS = [(0, 30_000, 10_000), (0, 30_000, 20_000), (2, 30_000, 30_000), (2, 5_000, 60_000)]
"""PoD, W and price of the first aggregator's; the second has 10 kW at 40 000 of each of its two."""


def notarise_model(market: SmallMarket) -> None:
    arguments = (int(NoticeKind.GRID_MODEL), TERMS.session, GRID_MODEL, GRID_MODEL, RAW)
    market.speaking_as(GRID).send("DataNotary", "notarise", *arguments)


def play_with_reserve(desk: Desk) -> None:
    entries = [OfferEntry(pod(number), 0, Product.ACTIVE_UP, w, price) for number, w, price in STEPS]
    play_to_clearing(desk, of_first=offers(FIRST, entries), of_dso=with_margin())


@pytest.fixture
def reserving(original: Path, tmp_path: Path) -> Iterator[Desk]:
    """A market whose outcome, due now, has a reserve: 15 kW of PoD 0, 7.5 of PoD 2. A grid model was notarised."""
    with open_desk(played(original, "reserving", play_with_reserve, notarise_model), tmp_path) as opened:
        yield opened


@pytest.fixture
def auditor(reserving: Desk) -> ChainClient:
    market, person = reserving.market, CAST.auditor
    market.operator.send("ParticipantRegistry", "register", person.address, Role.AUDITOR.mask, person.name)
    return market.speaking_as(person)


def struck(desk: Desk, auditor: ChainClient) -> list[str]:
    """For what the result is struck when the auditor looks at it."""
    Challenger(auditor, desk.market.documents, TERMS.session, lambda _: None).run()
    return faults(auditor)


def faults(auditor: ChainClient) -> list[str]:
    """For what results were struck."""
    events = auditor.events("OutcomeBoard", "ResultStruck", session=TERMS.session)
    return [bytes(event.args["fault"]).rstrip(b"\0").decode() for event in events]


def truth(desk: Desk) -> ClearedSession:
    view = desk.market.view
    book = book_documents(view, desk.market.documents, TERMS.session)
    return clear_session(book, view.pods_at_gate(TERMS), view.seed(TERMS.session), TERMS, ORACLE.address)


def test_the_daemons_reserve_is_the_replays_and_nothing_speaks_against_it(
    reserving: Desk, auditor: ChainClient
) -> None:
    market = reserving.market
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    posted = market.view.market_outcome(TERMS.session)
    assert posted is not None
    assert posted.reserveLength == 2
    passed, said = replayed(reserving)
    assert passed, said
    assert any("2 in reserve" in line for line in said)
    assert struck(reserving, auditor) == []
    # And of what the DSO refuses of PoD 0 its reserve goes along.
    technical = post_technical(reserving, 0, 500)
    market.chain.advance_to(TERMS.validatedOutcomeDeadline - TERMS.takeoverS)
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    validated = market.view.validated_outcome(TERMS.session)
    assert validated is not None
    assert (validated.basis, validated.reserveLength) == (technical.hash(), 1)
    SessionReplay(auditor, market.documents, TERMS.session).result(Stage.VALIDATED)


def post_technical(desk: Desk, entry: int, refused_w: int) -> TechnicalOutcome:
    """Post a technical outcome that refuses W of an entry by request. Its power flow is nobody's here."""
    market = desk.market
    posted = market.view.market_outcome(TERMS.session)
    assert posted is not None
    of = truth(desk).market.lists[1].records()[entry]
    copied = [of.integer(name) for name in ("offerPosition", "slot", "product")]
    row: list[Value] = [0, 1, entry, *copied, refused_w, refused_w, keccak256(b"line"), 1, 0, GRID_MODEL]
    leaves = LeafList.of_rows(REFUSAL, [[*row, bytes(32)]])
    document = ListDocument(TERMS.session, GRID.address, (leaves,))
    cid = market.documents.put(document.to_bytes())
    made = TechnicalOutcome(
        session=TERMS.session,
        marketOutcomeHash=posted.hash(),
        refusalRoot=leaves.root,
        refusalLength=1,
        gridModel=GRID_MODEL,
        cidDigest=cid.digest,
        cidCodec=cid.codec,
        refusedWSlots=refused_w,
    )
    market.speaking_as(GRID).send(
        "OutcomeBoard", "postTechnicalOutcome", made, receipts_for(market, document, cid)
    )
    return made


@pytest.mark.parametrize(
    ("kind", "index", "field", "value", "fault"),
    [
        (OUTCOME_RESERVE, 0, "priceUeurPerKw", 19_999, "MalformedReserve"),
        (OUTCOME_RESERVE, 1, "priceUeurPerKw", 30_001, "NotAsOffered"),
        (OUTCOME_RESERVE, 1, "offerPosition", 99, "NotInBook"),
        (OUTCOME_RESERVE, 1, "requestPosition", 1, "NotARequest"),
        (OUTCOME_RESERVE, 1, "requestRunningWPermille", 22_500_001, "NotAsRequested"),
        (OUTCOME_RESERVE, 0, "effectivenessPosition", 2, "WrongEffectiveness"),
        (OUTCOME_RESERVE, 0, "effectivenessPosition", 0, "NotAnEffectiveness"),
        (OUTCOME_RESERVE, 0, "gridFeeUeurPerKw", 1, "WrongEffectiveness"),
        (OUTCOME_RESERVE, 0, "podRunningW", 45_001, "MalformedReserve"),
        (OUTCOME_RESERVE, 0, "previousForPod", 1, "PodChainBroken"),
        (OUTCOME_RESERVE, 1, "podTotalW", 1, "MalformedReserve"),
        (OUTCOME_RESERVE, 1, "runningUeur", 1, "SumBroken"),
        (OUTCOME_RESERVE, 1, "documentUeur", 10**12, "EscrowExceeded"),
        (OUTCOME_RESERVE, 0, "nextForOffer", 4, "OfferChainBroken"),
        (OUTCOME_BY_OFFER, 2, "because", 1, "FalselyReserved"),
        (OUTCOME_BY_OFFER, 2, "status", int(OfferStatus.RESERVE_EXCLUDED), "ReserveBeyondOffer"),
        (OUTCOME_BY_OFFER, 2, "status", int(OfferStatus.COM_DEARER), "ReserveBeyondOffer"),
        (OUTCOME_BY_OFFER, 3, "status", int(OfferStatus.RESERVE_EXCLUDED), "FalselyKeptOut"),
        (OUTCOME_BY_OFFER, 3, "status", int(OfferStatus.RESERVED), "FalselyReserved"),
    ],
)
def test_a_false_leaf_costs_the_bond(
    reserving: Desk, auditor: ChainClient, kind: LeafKind, index: int, field: str, value: int, fault: str
) -> None:
    post(reserving, changed(true_outcome(reserving), kind, field, value, index))
    assert struck(reserving, auditor) == [fault]


def swapped_for_a_dearer(clearing: Clearing) -> Clearing:
    """The dearest offer of the book stands in the reserve instead of the cheaper of the two."""
    first, second = clearing.reserve
    dearest = replace(second, offer=dearest_of(clearing), accepted_w=5_000, price_ueur_per_kw=60_000)
    status, because = list(clearing.status), list(clearing.because)
    status[2], because[2] = OfferStatus.COM_DEARER, 0
    status[3], because[3] = OfferStatus.RESERVED, 2
    return replace(clearing, reserve=(first, dearest), status=tuple(status), because=tuple(because))


def dearest_of(clearing: Clearing) -> Any:
    (_, second) = clearing.reserve
    return replace(second.offer, position=3, offer_position=3, price_ueur_per_kw=60_000)


def with_more(clearing: Clearing) -> Clearing:
    first, second = clearing.reserve
    return replace(clearing, reserve=(first, replace(second, accepted_w=second.accepted_w + 1)))


def with_more_of_the_first(clearing: Clearing) -> Clearing:
    first, second = clearing.reserve
    first = replace(first, accepted_w=first.accepted_w + 1)
    return replace(clearing, reserve=(first, replace(second, accepted_w=second.accepted_w - 1)))


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (swapped_for_a_dearer, "CheaperLeftOut"),
        (with_more, "NotAsRequested"),
        (with_more_of_the_first, "ReserveBeyondOffer"),
    ],
)
def test_a_reserve_that_adds_up_and_is_false_costs_the_bond(
    reserving: Desk, auditor: ChainClient, lie: Change, fault: str
) -> None:
    cleared = truth(reserving)
    post(reserving, outcome_document(cleared.book, lie(cleared.clearing), TERMS.session, ORACLE.address))
    assert struck(reserving, auditor) == [fault]


def kept_though_refused(cleared: ClearedSession, refusals: ListDocument) -> ListDocument:
    """All of the market outcome's reserve, beside what the refusal leaves of the rest."""
    kept = after_refusals(cleared.clearing, refusals_of(refusals, cleared.market))
    kept = replace(kept, reserve=cleared.clearing.reserve)
    return outcome_document(cleared.book, kept, TERMS.session, ORACLE.address)


def with_another_amount(cleared: ClearedSession, refusals: ListDocument) -> ListDocument:
    """A W less of what stays, everywhere."""
    kept = after_refusals(cleared.clearing, refusals_of(refusals, cleared.market))
    (left,) = kept.reserve
    kept = replace(kept, reserve=(replace(left, accepted_w=left.accepted_w - 1),))
    return outcome_document(cleared.book, kept, TERMS.session, ORACLE.address)


def with_another_offer(cleared: ClearedSession, refusals: ListDocument) -> ListDocument:
    """The offer beyond it, which the market outcome's reserve hasn't."""
    kept = after_refusals(cleared.clearing, refusals_of(refusals, cleared.market))
    (left,) = kept.reserve
    offer = cleared.book.offers[3]
    dearest = replace(left, offer=offer, accepted_w=5_000, price_ueur_per_kw=offer.price_ueur_per_kw)
    kept = replace(
        kept, reserve=(dearest,), status=(*kept.status[:3], OfferStatus.RESERVED, *kept.status[4:])
    )
    return outcome_document(cleared.book, kept, TERMS.session, ORACLE.address)


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (kept_though_refused, "ReserveOfRefused"),
        (with_another_amount, "ReserveChanged"),
        (with_another_offer, "ReserveInvented"),
    ],
)
def test_a_validated_reserve_that_doesnt_follow_costs_the_bond(
    reserving: Desk,
    auditor: ChainClient,
    lie: Callable[[ClearedSession, ListDocument], ListDocument],
    fault: str,
) -> None:
    market = reserving.market
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    technical = post_technical(reserving, 0, 500)
    cleared = truth(reserving)
    refusals = SessionReplay(auditor, market.documents, TERMS.session).refusals(Stage.TECHNICAL, technical)
    document = lie(cleared, refusals)
    cid = market.documents.put(document.to_bytes())
    made = posted_outcome(document, cid, technical.hash())
    receipts = receipts_for(market, document, cid)
    market.speaking_as(ORACLE).send("OutcomeBoard", "postValidatedOutcome", made, receipts)
    with pytest.raises(FalseResult) as found:
        SessionReplay(auditor, market.documents, TERMS.session).result(Stage.VALIDATED)
    posted = market.view.market_outcome(TERMS.session)
    assert posted is not None
    book = BookPages(market.view, market.documents, TERMS.session)
    assessed = RoundResults(Stage.TECHNICAL, posted, cleared.market, technical, refusals)
    for accusation in ReserveAccusations(found.value, made, book, assessed):
        with suppress(ChainRefused):
            auditor.send(accusation.contract, accusation.function, *accusation.arguments)
            break
    assert faults(auditor) == [fault]
