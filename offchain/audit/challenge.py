"""What an auditor does about a false result: the first challenge that holds, a demand for what is hidden, or a case.

Whether a challenge holds its contract says: one that doesn't is refused before it is sent, and costs nothing.
"""

import secrets
from collections.abc import Callable, Iterator

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.accusations.assessment import (
    NamedRefusalAccusations,
    RefusalAccusations,
    RoundResults,
    ValidationAccusations,
)
from offchain.audit.accusations.outcome import OutcomeAccusations
from offchain.audit.accusations.real_time import RealTimeAccusations
from offchain.audit.accusations.reserve import ReserveAccusations
from offchain.audit.accusations.settlement import SettledFacts, SettlementAccusations
from offchain.audit.book import BookPages
from offchain.audit.verify import AssessedRound, FalseResult, HiddenResult, SessionReplay
from offchain.chain.client import ChainClient, ChainRefused
from offchain.chain.market_view import MarketView, Stage
from offchain.protocol import canonical_json
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.products import DemandedList
from offchain.protocol.typed_data import Outcome
from offchain.store.documents import DocumentStore
from oracles.session_facts import ahead_result, baseline_documents, reading_batches

NOTHING_FROZEN: list[object] = []
OPEN = 1
"""IDemands.State and IArbiterCases.State of what isn't answered or decided yet."""


class Challenger:
    """Challenges one session's results with the chain's account, which must be an active participant.

    `say` gets a line for each thing found and done. May be run at any time, and again: what is open is ended when its
    time is over, and nothing is accused, demanded or brought to the arbiter twice.
    """

    def __init__(
        self, chain: ChainClient, documents: DocumentStore, session: int, say: Callable[[str], None]
    ) -> None:
        self._chain, self._view = chain, MarketView(chain)
        self._documents, self._session, self._say = documents, session, say
        self._replay = SessionReplay(chain, documents, session)

    def run(self) -> bool:
        """Look at every result that stands; whether all are what the replay gives. FlexledgerError for an unknown session."""
        self._replay.require_session()
        self._end_demands()
        self._end_cases()
        right = True
        for stage in Stage:
            if not any(self._view.posting(self._session, stage).hash):
                continue
            try:
                check = self._replay.result(stage)
                self._say(f"  {check.name}: {check.detail}")
            except HiddenResult as hidden:
                right = False
                self._say(f"HIDDEN {hidden}")
                self._demand(hidden.stage)
            except FalseResult as found:
                right = False
                self._say(f"FALSE {found}")
                self._challenge(found)
        return right

    def _challenge(self, found: FalseResult) -> None:
        stage = found.stage
        hash_ = self._view.posting(self._session, stage).hash
        try:
            self._chain.call("OutcomeBoard", "requireChallengeable", self._session, int(stage), hash_)
        except ChainRefused as refusal:
            self._say(f"  it can't be challenged any more: {refusal}")
            return
        tried = 0
        for accusation in self._accusations(found):
            tried += 1
            try:
                self._chain.send(accusation.contract, accusation.function, *accusation.arguments)
            except ChainRefused:
                continue
            what = "DEMANDED by" if accusation.contract == "Demands" else "STRUCK by"
            self._say(f"{what} {accusation.contract}.{accusation.function}, challenge {tried} of those tried")
            return
        self._say(f"  none of {tried} challenges holds: leaves can't decide this")
        if not self._is_demanded(stage):
            self._open_case(found, hash_)

    def _accusations(self, found: FalseResult) -> Iterator[Accusation]:
        view, session = self._view, self._session
        validated, settled = view.validated_outcome(session), view.settlement(session)
        book = BookPages(view, self._documents, session)
        posted = self._posted_outcome(found.stage)
        rounds = [self._with_documents(each) for each in self._replay.assessed_rounds()]
        if found.stage.is_technical:
            for each in rounds:
                if each.stage is found.stage:
                    yield from RefusalAccusations(found, each)
        elif posted is not None:
            before = [each for each in rounds if each.stage < found.stage]
            is_validated = found.stage is Stage.VALIDATED
            yield from self._real_time(found, posted, book)
            if is_validated:
                yield from ValidationAccusations(found, posted, before[-1])
            named = NamedRefusalAccusations(found, posted, before, book)
            of_outcome = OutcomeAccusations(found, posted, book)
            for accusations in (named, of_outcome) if before else (of_outcome, named):
                yield from accusations
            yield from ReserveAccusations(found, posted, book, before[-1] if is_validated else None)
        if found.stage is Stage.SETTLEMENT and settled is not None and validated is not None:
            terms = self._replay.terms
            facts = SettledFacts(
                terms,
                validated,
                self._replay.outcome_document(Stage.VALIDATED, validated),
                book,
                baseline_documents(view, self._documents, terms),
                reading_batches(view, self._documents, terms),
            )
            yield from SettlementAccusations(found, *settled, facts)

    def _with_documents(self, found: AssessedRound) -> RoundResults:
        return RoundResults(
            found.stage,
            found.market,
            self._replay.outcome_document(Stage.market_of(found.stage.round), found.market),
            found.technical,
            self._replay.refusals(found.stage, found.technical),
        )

    def _real_time(self, found: FalseResult, posted: Outcome, book: BookPages) -> RealTimeAccusations:
        terms = self._replay.terms
        ahead = ahead_result(self._view, self._documents, terms)
        return RealTimeAccusations(found, posted, book, terms, ahead)

    def _posted_outcome(self, stage: Stage) -> Outcome | None:
        if stage.is_market:
            return self._view.market_outcome(self._session, stage.round)
        return self._view.validated_outcome(self._session) if stage is Stage.VALIDATED else None

    def _open_case(self, found: FalseResult, hash_: bytes) -> None:
        """Bring it to the arbiter, with the replay's own result as evidence, unless somebody has."""
        for event in self._chain.events("ArbiterCases", "CaseOpened", session=self._session):
            same = (bytes(event.args["hash"]), int(event.args["stage"])) == (hash_, int(found.stage))
            if same and self._chain.call("ArbiterCases", "caseOf", event.args["id"])[-1] == OPEN:
                self._say(f"  case {event.args['id']} is open about it")
                return
        evidence = {
            "session": self._session,
            "stage": found.stage.name,
            "result": "0x" + hash_.hex(),
            "difference": str(found),
            "replayed": str(self._documents.put(found.replayed.to_bytes())),
        }
        cid = self._documents.put(canonical_json.dumps(evidence))
        about = (self._session, int(found.stage), hash_, cid.digest, cid.codec)
        self._chain.send("ArbiterCases", "open", *about, NOTHING_FROZEN)
        self._say(f"CASE {self._chain.call('ArbiterCases', 'count')} opened, evidence {cid}")

    def _demand(self, stage: Stage) -> None:
        """Demand a leaf at random, unless one is demanded: whoever hides the document must show it, or lose."""
        if self._is_demanded(stage):
            return
        for function, arguments, length in self._demands_of(stage):
            if length == 0:
                continue
            position = secrets.randbelow(length)
            try:
                self._chain.send("Demands", function, *arguments, position)
            except ChainRefused as refusal:
                self._say(f"  leaf {position} can't be demanded: {refusal}")
                return
            self._say(f"DEMANDED leaf {position} of {length}")
            return
        self._say("  it has no leaf to demand")

    def _is_demanded(self, stage: Stage) -> bool:
        for event in self._chain.events("Demands", "LeafDemanded", session=self._session):
            open_ = self._chain.call("Demands", "demand", event.args["id"])[8] == OPEN
            if open_ and int(event.args["stage"]) == stage:
                self._say(f"  leaf {event.args['position']} is demanded")
                return True
        return False

    def _demands_of(self, stage: Stage) -> Iterator[tuple[str, tuple[object, ...], int]]:
        """(function, arguments before the position, length) for each list of a posted result."""
        outcome = self._posted_outcome(stage)
        if outcome is not None:
            for listed, length in (
                (DemandedList.BY_REQUEST, outcome.byRequestLength),
                (DemandedList.BY_OFFER, outcome.byOfferLength),
                (DemandedList.RESERVE, outcome.reserveLength),
            ):
                yield "demandOutcome", (outcome, int(stage), int(listed)), length
        technical = self._view.technical_outcome(self._session, stage.round) if stage.is_technical else None
        if technical is not None:
            yield "demandRefusal", (technical, int(stage)), technical.refusalLength
        settled = self._view.settlement(self._session)
        if stage is Stage.SETTLEMENT and settled is not None:
            settlement, pairs = settled
            arguments = (settlement, pairs, int(DemandedList.SETTLEMENT))
            yield "demandSettlement", arguments, settlement.settlementLength

    def _end_demands(self) -> None:
        """End what nobody answered in time: the result, or the store, pays for it."""
        for event in self._chain.events("Demands", "LeafDemanded", session=self._session):
            number = bytes(event.args["id"])
            self._end("Demands", "expire", number, f"demand 0x{number.hex()[:16]}")

    def _end_cases(self) -> None:
        """End what no arbiter ruled in time: the bonds that it kept are free."""
        for event in self._chain.events("ArbiterCases", "CaseOpened", session=self._session):
            number = int(event.args["id"])
            self._end("ArbiterCases", "lapse", number, f"case {number}")

    def _end(self, contract: str, function: str, number: object, what: str) -> None:
        try:
            self._chain.send(contract, function, number)
        except ChainRefused:
            return
        self._say(f"ENDED {what}: its time was over")


def challenge(challenger: Challenger, say: Callable[[str], None]) -> bool:
    """Run and say how it ended; whether every result that stands is right."""
    try:
        right = challenger.run()
    except FlexledgerError as problem:
        say(f"FAIL {problem}")
        return False
    say("PASS" if right else "CHALLENGED")
    return right
