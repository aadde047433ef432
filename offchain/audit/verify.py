"""Replay of a session: every document held to the chain, clearing, assessment and settlement computed again.

The first thing that differs ends the replay: what the chain has, what the replay gives, and where.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import (
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REFUSAL,
    SETTLEMENT,
    LeafKind,
)
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.rounds import MOST_ROUNDS
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome, TechnicalOutcome, seed_share
from offchain.store.documents import DocumentStore
from offchain.store.lists import fetch_list_document
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.posted import WorseThanPossible
from oracles.clearing.core.service_program import RuleBroken
from oracles.clearing.core.session import (
    ClearedSession,
    as_posted,
    clear_again,
    is_worthwhile,
    validate_session,
)
from oracles.clearing.facts import as_standing_or_own, clear_from_chain
from oracles.grid.core.posted import FalseAssessment
from oracles.grid.facts import assess_from_chain
from oracles.session_facts import baseline_documents, genuine_of, reading_batches
from oracles.settlement.core.session import posted_settlement
from oracles.settlement.facts import settle_from_chain
from oracles.turns import last_part_s

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LATER_ROUNDS = (Stage.MARKET_2, Stage.TECHNICAL_2, Stage.MARKET_3, Stage.TECHNICAL_3)


class ReplayDiffers(FlexledgerError):
    """The chain says something else than the replay."""

    def __init__(self, where: str, posted: object, replayed: object) -> None:
        super().__init__(f"{where}: the chain has {_shown(posted)}, the replay gives {_shown(replayed)}")


class FalseResult(FlexledgerError):
    """A posted result isn't what the replay gives, nor another one as good: its document as posted, and as replayed."""

    def __init__(
        self, difference: FlexledgerError, stage: Stage, posted: ListDocument, replayed: ListDocument
    ) -> None:
        super().__init__(str(difference))
        self.stage = stage
        self.posted = posted
        self.replayed = replayed


class HiddenResult(FlexledgerError):
    """A posted result's document can't be had, or isn't what was posted."""

    def __init__(self, cause: FlexledgerError, stage: Stage) -> None:
        super().__init__(str(cause))
        self.stage = stage


@dataclass(frozen=True)
class AssessedRound:
    """A round that stands with its assessment. `stage`: of the technical outcome."""

    stage: Stage
    market: Outcome
    technical: TechnicalOutcome


@dataclass(frozen=True)
class Check:
    """A step of the replay that held, and what it looked at."""

    name: str
    detail: str


class SessionReplay:
    """Replays one session; `checks` yields what holds and raises FlexledgerError at the first that doesn't.

    A result that isn't what the replay gives is a FalseResult, one whose document can't be had a HiddenResult.
    """

    def __init__(self, chain: ChainClient, documents: DocumentStore, session: int) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._session = session
        self._terms: SessionTerms | None = None

    @property
    def terms(self) -> SessionTerms:
        """The session's terms. FlexledgerError if the deployment has no such session."""
        if self._terms is None:
            self.require_session()
            self._terms = self._view.terms(self._session)
        return self._terms

    def require_session(self) -> None:
        """FlexledgerError if the deployment has no such session."""
        if self._session not in self._view.session_ids():
            raise FlexledgerError(f"session {self._session}: the deployment has none of that number")

    def checks(self) -> Iterator[Check]:
        """All checks in the order of the market day."""
        yield self._baselines(self.terms)
        yield self._book()
        for stage in Stage:
            if stage is Stage.SETTLEMENT:
                yield self._readings(self.terms)
            is_posted = any(self._view.posting(self._session, stage).hash)
            is_needed = stage not in LATER_ROUNDS
            if is_posted or is_needed:
                yield self.result(stage)
            if is_needed and not is_posted:
                return

    def result(self, stage: Stage) -> Check:
        """The check of one result, held to the posted results that it rests on."""
        if stage.is_market:
            check = self._market_outcome(self.terms, stage)
        elif stage.is_technical:
            check = self._technical_outcome(self.terms, stage)
        else:
            check = (
                self._validated_outcome(self.terms)
                if stage is Stage.VALIDATED
                else self._settlement(self.terms)
            )
        return check or Check(stage.title, "none posted")

    def _baselines(self, terms: SessionTerms) -> Check:
        documents = baseline_documents(self._view, self._documents, terms)
        leaves = sum(document.leaf_count for _, document in documents)
        return Check("baselines", f"{len(documents)} documents, {leaves} leaves, anchored before the gate")

    def _book(self) -> Check:
        seed, book = 0, self._view.book(self._session)
        for entry in self._view.reveals(self._session):
            seed ^= int.from_bytes(seed_share(entry.opening.player, entry.opening.salt), "big")
        for document in book:
            self._documents.get(document.cid)
        posted = self._view.seed(self._session)
        _same("session seed", posted, seed.to_bytes(32, "big"))
        return Check("book", f"{len(book)} documents, each with the revealed root; seed of all salts")

    def _market_outcome(self, terms: SessionTerms, stage: Stage) -> Check | None:
        posted = self._view.market_outcome(self._session, stage.round)
        if posted is None:
            return None
        document = self.outcome_document(stage, posted)
        assessed = self.assessed_rounds()[: stage.round - 1]
        replayed = self._cleared(terms, document.author, assessed)
        basis = assessed[-1].technical.hash() if assessed else self._view.seed(self._session)
        cid = Cid(posted.cidCodec, posted.cidDigest)
        with _false(stage, document, replayed.market):
            cleared = as_posted(replayed, document)
            _same_lists(stage.title, document, cleared.market)
            _same_fields(stage.title, posted, posted_outcome(cleared.market, cid, basis))
        how = (
            "leaf for leaf as replayed"
            if cleared is replayed
            else "another result than the replay's: keeps to every rule, within 0.1 % of the optimum"
        )
        accepted, reserved = (
            len(cleared.market.list_of(kind)) for kind in (OUTCOME_BY_REQUEST, OUTCOME_RESERVE)
        )
        offers = len(cleared.book.offers)
        sold = f"; {len(cleared.book.sold)} places were sold day ahead" if terms.marketType else ""
        detail = f"{offers} offers, {accepted} accepted quantities, {reserved} in reserve, {how}{sold}"
        return Check(_of_round("clearing", stage), detail)

    def _technical_outcome(self, terms: SessionTerms, stage: Stage) -> Check | None:
        market, posted = (
            self._view.market_outcome(self._session, stage.round),
            self._view.technical_outcome(self._session, stage.round),
        )
        if market is None or posted is None:
            return None
        document = self.refusals(stage, posted)
        market_document = self.outcome_document(Stage.market_of(stage.round), market)
        poster = self._view.posting(self._session, stage).poster
        assessed = assess_from_chain(self._view, self._documents, terms, market_document, poster)
        refused_w = sum(document.list_of(REFUSAL).integers("refusedW"))
        with _false(stage, document, assessed.document):
            _same(f"{stage.title}: marketOutcomeHash", posted.marketOutcomeHash, market.hash())
            _same(f"{stage.title}: gridModel", posted.gridModel, assessed.model_hash)
            assessed.require_as_good(document)
            _same(f"{stage.title}: refusalLength", posted.refusalLength, len(document.list_of(REFUSAL)))
            _same(f"{stage.title}: refusedWSlots", posted.refusedWSlots, refused_w)
        refused = len(document.list_of(REFUSAL))
        return Check(_of_round("assessment", stage), f"{refused} refusals, power flow on the anchored model")

    def _validated_outcome(self, terms: SessionTerms) -> Check | None:
        rounds, posted = self.assessed_rounds(), self._view.validated_outcome(self._session)
        if not rounds or posted is None:
            return None
        document = self.outcome_document(Stage.VALIDATED, posted)
        technical = rounds[-1].technical
        own = self._cleared(terms, document.author, rounds[:-1])
        cleared = as_standing_or_own(self._documents, own, rounds[-1].market)
        refusals = self.refusals(rounds[-1].stage, technical)
        replayed = validate_session(cleared, refusals, document.author)
        cid = Cid(posted.cidCodec, posted.cidDigest)
        with _false(Stage.VALIDATED, document, replayed):
            _same_lists("validated outcome", document, replayed)
            _same_fields("validated outcome", posted, posted_outcome(replayed, cid, technical.hash()))
            self._require_last_round(terms, cleared, refusals)
        paid = f"{posted.totalUeur} µ€ for {posted.byRequestLength} accepted quantities"
        return Check("validated outcome", paid)

    def _require_last_round(
        self, terms: SessionTerms, cleared: ClearedSession, refusals: ListDocument
    ) -> None:
        """ReplayDiffers if the validated outcome came while another round was in time and would have served more."""
        standing = len(self._view.rounds(self._session))
        posted_s = self._view.posting(self._session, Stage.VALIDATED).posted_at_s
        if cleared.round < standing or standing == MOST_ROUNDS or posted_s >= last_part_s(terms):
            return
        if len(refusals.list_of(REFUSAL)) and is_worthwhile(
            clear_again(cleared, refusals), cleared, refusals
        ):
            _same("validated outcome: rounds", standing, standing + 1)

    def _cleared(self, terms: SessionTerms, author: str, assessed: Sequence[AssessedRound]) -> ClearedSession:
        rounds = [(each.market, each.technical) for each in assessed]
        return clear_from_chain(self._view, self._documents, terms, author, rounds)

    def _readings(self, terms: SessionTerms) -> Check:
        genuine, batches = genuine_of(self._chain), reading_batches(self._view, self._documents, terms)
        held = [is_genuine for document in batches for is_genuine in genuine(document)]
        ignored = f"; {held.count(False)} that aren't don't count" if not all(held) else ""
        return Check(
            "readings",
            f"{held.count(True)} readings in {len(batches)} batches, each signed by its PoD's Light Node{ignored}",
        )

    def _settlement(self, terms: SessionTerms) -> Check | None:
        found, validated = (
            self._view.settlement(self._session),
            self._view.validated_outcome(self._session),
        )
        if found is None or validated is None:
            return None
        posted, pairs = found
        cid = Cid(posted.cidCodec, posted.cidDigest)
        document = self._list_document(
            Stage.SETTLEMENT, "settlement", cid, {SETTLEMENT: posted.settlementRoot}
        )
        result = settle_from_chain(self._chain, self._documents, terms, validated, document.author)
        with _false(Stage.SETTLEMENT, document, result.document):
            _same_lists("settlement", document, result.document)
            _same("settlement: pairs", pairs, list(result.pairs))
            _same_fields("settlement", posted, posted_settlement(result, cid, validated.hash()))
        paid = sum(pair.paymentUeur for pair in pairs)
        return Check("settlement", f"{paid} µ€ paid, {posted.rewardsUeur} token units to customers")

    @property
    def documents(self) -> DocumentStore:
        """Where documents are read."""
        return self._documents

    def assessed_rounds(self) -> list[AssessedRound]:
        """The session's rounds that are assessed, in order. A validated outcome rests on the last."""
        return [
            AssessedRound(Stage.technical_of(each.number), each.market, each.technical)
            for each in self._view.rounds(self._session)
            if each.technical is not None
        ]

    def last_outcomes(self) -> tuple[Stage, Outcome | None, Outcome | None]:
        """The last market outcome that counts, with its stage: the one that the validated outcome rests on, if that stands; and
        the validated one. None where none stands."""
        validated, rounds = self._view.validated_outcome(self._session), self._view.rounds(self._session)
        if validated is not None:
            rounds = [each for each in rounds if each.technical is not None]
        if not rounds:
            return Stage.MARKET, None, None
        return Stage.market_of(rounds[-1].number), rounds[-1].market, validated

    def outcome_document(self, stage: Stage, posted: Outcome) -> ListDocument:
        """Document of a market or validated outcome. HiddenResult if it can't be had."""
        roots = {
            OUTCOME_BY_OFFER: posted.byOfferRoot,
            OUTCOME_BY_REQUEST: posted.byRequestRoot,
            OUTCOME_RESERVE: posted.reserveRoot,
        }
        cid = Cid(posted.cidCodec, posted.cidDigest)
        return self._list_document(stage, stage.title, cid, roots)

    def refusals(self, stage: Stage, posted: TechnicalOutcome) -> ListDocument:
        """Document of a technical outcome. HiddenResult if it can't be had."""
        cid, roots = Cid(posted.cidCodec, posted.cidDigest), {REFUSAL: posted.refusalRoot}
        return self._list_document(stage, stage.title, cid, roots)

    def _list_document(self, stage: Stage, what: str, cid: Cid, roots: dict[LeafKind, bytes]) -> ListDocument:
        try:
            return fetch_list_document(self._documents, what, cid, roots)
        except FlexledgerError as problem:
            raise HiddenResult(problem, stage) from None


def _of_round(what: str, stage: Stage) -> str:
    return f"{what}, round {stage.round}" if stage.round > 1 else what


@contextmanager
def _false(stage: Stage, posted: ListDocument, replayed: ListDocument) -> Iterator[None]:
    """A difference found inside makes the result a false one."""
    try:
        yield
    except (ReplayDiffers, RuleBroken, WorseThanPossible, FalseAssessment) as difference:
        raise FalseResult(difference, stage, posted, replayed) from None


def _same(where: str, posted: object, replayed: object) -> None:
    if posted != replayed:
        raise ReplayDiffers(where, posted, replayed)


def _same_fields(where: str, posted: "DataclassInstance", replayed: "DataclassInstance") -> None:
    theirs, ours = asdict(posted), asdict(replayed)
    for name in theirs:
        _same(f"{where}: {name}", theirs[name], ours[name])


def _same_lists(where: str, posted: ListDocument, replayed: ListDocument) -> None:
    for theirs, ours in zip(posted.lists, replayed.lists, strict=True):
        _same(f"{where}: {theirs.kind.name}: length", len(theirs), len(ours))
        _same_leaves(where, theirs, ours)


def _same_leaves(where: str, posted: LeafList, replayed: LeafList) -> None:
    index = posted.first_difference(replayed)
    if index is None:
        return
    for field, theirs, ours in zip(posted.kind.fields, posted.row(index), replayed.row(index), strict=True):
        _same(f"{where}: {posted.kind.name}[{index}].{field.name}", theirs, ours)


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def run(replay: SessionReplay, say: Callable[[str], None]) -> bool:
    """Replay and say each check, then PASS or FAIL with the first difference; whether it passed."""
    try:
        for check in replay.checks():
            say(f"  {check.name}: {check.detail}")
    except FlexledgerError as difference:
        say(f"FAIL {difference}")
        return False
    say("PASS")
    return True
