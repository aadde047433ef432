"""Technical validation and final outcomes at the DSO's platform.

The market asks over REST for an outcome to be validated, and the final outcomes come on the DSO's topic. Both are held to what stands
on chain before anybody relies on them. The grid oracle assesses what stands there whether the market asks or not; the platform tells
the market what came of it.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from offchain.chain.market_view import Round
from offchain.dso.validation_records import AskedValidation, FinalOutcome, FinalState, ValidationStatus
from offchain.dso.validation_store import ValidationStore
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.outcome import MarketOutcome, TechnicalOutcome, ValidatedOutcome
from offchain.protocol.documents.time_frame import ServiceType
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.outcome_documents import outcome_id, part_document, require_alike
from offchain.protocol.products import Side
from offchain.protocol.terms import SessionTerms
from offchain.rest.client import PlatformClient, PlatformRefused
from offchain.rest.refusals import Conflict
from offchain.store.outcomes import AnchoredOutcomes

logger = logging.getLogger(__name__)

PATIENCE_S = 3600
"""How long a final outcome that isn't on chain, as far as this node sees, is looked for before it is refused."""


class MarketPlatform(Protocol):
    """Who asks for validation."""

    def answer(self, technical: TechnicalOutcome) -> None:
        """Tell what came of it; the same again is no harm. Raises PlatformUnavailable or PlatformRefused."""


class MarketPlatformClient:
    """The market platform's REST API, as far as the DSO's platform uses it (D2.3, Table 27)."""

    def __init__(self, platform: PlatformClient) -> None:
        self._platform = platform

    def answer(self, technical: TechnicalOutcome) -> None:
        """See MarketPlatform."""
        self._platform.post("/technicalOutcome", technical)


class ValidationDesk:
    """`outcomes`: what stands on chain. `clock`: UTC Unix seconds."""

    def __init__(
        self,
        store: ValidationStore,
        outcomes: AnchoredOutcomes,
        market: MarketPlatform,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._outcomes = outcomes
        self._market = market
        self._clock = clock

    def ask(self, told: MarketOutcome) -> None:
        """Take a market outcome for validation; the same again changes nothing.

        Raises InvalidInput at the first field in which it isn't a market outcome that stands on chain, Conflict for one that is
        to be validated no more. What can't be checked now isn't taken: FlexledgerError then.
        """
        terms, rounds = self._rounds_of(told)
        named = [each for each in rounds if outcome_id(each.market.hash()) == told.id]
        if not named:
            rule = f"must be a market outcome of session {terms.session} that stands on chain"
            raise InvalidInput("_id", told.id, rule)
        (round_,) = named
        require_alike(told, self._outcomes.market_document(terms, round_))
        shown = outcome_id(round_.market.hash())
        if self._store.asked(shown) is not None:
            return
        if round_ != rounds[-1]:
            raise Conflict(f"_id = {shown!r}: round {rounds[-1].number} stands after round {round_.number}")
        if self._outcomes.validated(terms.session) is not None or self._is_over(terms):
            raise Conflict(f"_id = {shown!r}: the validation of session {terms.session} is over")
        asked = AskedValidation(shown, terms.session, round_.number, told, self._clock())
        self._store.add(asked, terms.deliveryStart, terms.delivery_end_s)

    def _rounds_of(self, told: MarketOutcome) -> tuple[SessionTerms, list[Round]]:
        known = {str(session): session for session in self._outcomes.session_ids()}
        if told.market_session not in known:
            raise InvalidInput("marketSession", told.market_session, "must be the number of a session")
        session = known[told.market_session]
        return self._outcomes.terms(session), self._outcomes.rounds(session)

    def _is_over(self, terms: SessionTerms) -> bool:
        return self._outcomes.market_time_s(terms.session) >= terms.validatedOutcomeDeadline

    def validations(self, from_s: int, to_s: int) -> list[tuple[AskedValidation, ValidationStatus]]:
        """What was asked for, of deliveries that overlap [from_s, to_s), and where it is."""
        return [(asked, asked.status) for asked in self._store.asked_between(from_s, to_s)]

    def on_outcome(self, payload: bytes) -> None:
        """Keep what came on the DSO's topic, to be checked by `step`; the same again changes nothing."""
        self._store.add_final(payload, self._clock())

    def finals(self, from_s: int, to_s: int) -> list[FinalOutcome]:
        """Final outcomes of deliveries that overlap [from_s, to_s), and what came that couldn't be placed."""
        return self._store.finals(from_s, to_s)

    def step(self) -> None:
        """Tell the market what has been assessed, check the final outcomes that have come. What fails is tried again at the next
        step and keeps nothing else from being done."""
        for asked in self._store.open():
            try:
                self._go_on(asked)
            except FlexledgerError as problem:
                logger.warning("market outcome %s waits: %s", asked.outcome, problem)
        for number, payload, received_s in self._store.unchecked():
            try:
                self._check(number, payload, received_s)
            except FlexledgerError as problem:
                logger.warning("a final outcome waits to be checked: %s", problem)

    def _go_on(self, asked: AskedValidation) -> None:
        terms = self._outcomes.terms(asked.session)
        is_over = self._is_over(terms)
        rounds = self._outcomes.rounds(asked.session)
        named = [each for each in rounds if outcome_id(each.market.hash()) == asked.outcome]
        answer = self._outcomes.technical_document(terms, named[0]) if named else None
        if answer != asked.answer:
            self._store.put_answer(asked.outcome, answer)
        if answer is not None and (answer != asked.answer or asked.told_s is None):
            try:
                self._market.answer(answer)
            except PlatformRefused as problem:
                logger.error("market outcome %s: the market refuses the answer: %s", asked.outcome, problem)
            else:
                self._store.mark_told(asked.outcome, self._clock())
        if is_over:
            self._store.close_asked(asked.outcome)

    def _check(self, number: int, payload: bytes, received_s: int) -> None:
        """Hold a final outcome to the chain. Raises FlexledgerError where that can't be done now."""
        try:
            told = parse(ValidatedOutcome, payload)
        except InvalidInput as refusal:
            self._store.judge_final(number, None, FinalState.REFUSED, str(refusal))
            return
        for session in reversed(self._outcomes.session_ids()):
            posted = self._outcomes.validated(session)
            if posted is None or outcome_id(posted.hash()) != told.market_outcome:
                continue
            terms = self._outcomes.terms(session)
            part = self._outcomes.validated_parts(terms, posted)[Side.DSO_REQUEST]
            try:
                require_alike(told, part_document(terms, posted.hash(), part, ServiceType.DSO_REQUEST))
            except InvalidInput as refusal:
                self._store.judge_final(number, terms, FinalState.REFUSED, str(refusal))
            else:
                self._store.judge_final(number, terms, FinalState.CONFIRMED, None)
            return
        if self._clock() >= received_s + PATIENCE_S:
            rule = (
                f"marketOutcome = {told.market_outcome!r}: must be a validated outcome that stands on chain"
            )
            self._store.judge_final(number, None, FinalState.REFUSED, rule)
