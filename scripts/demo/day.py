"""The demo day, step by step: each step does what the chain doesn't show as done, so that a killed day goes on."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from offchain.aggregator.dispatch import Baseline
from offchain.aggregator.platform import AggregatorPlatform
from offchain.aggregator.real_time import RealTimeDesk
from offchain.chain.client import ChainRefused
from offchain.chain.market_view import MarketView
from offchain.chain.market_view import Stage as ResultStage
from offchain.customer_database.documents import BaselineNomination, NominatedPower
from offchain.dso.validation_records import FinalState
from offchain.market.sealed_requests import SealedRequests
from offchain.market.service import DocumentKind
from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.book_documents import SaltOf, baseline_document, offers_document
from offchain.protocol.documents.base import Document, build
from offchain.protocol.documents.pod import ActionType, FlexibilityLimits, Pod, max_flexibility_of
from offchain.protocol.documents.time_frame import MarketType
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.keccak import keccak256
from offchain.protocol.market_time import day_start_s
from offchain.protocol.pods import document_key, leaf_salt
from offchain.protocol.products import Product, Side
from offchain.protocol.roles import Role
from offchain.protocol.rounds import MOST_ROUNDS
from offchain.protocol.signatures import address_of
from offchain.protocol.terms import SLOT_S, SessionTerms
from offchain.protocol.typed_data import NO_POD, NoticeKind, Registration
from offchain.protocol.units import eur_per_kwh_to_ueur_per_kw, w_to_kw
from offchain.rest.client import PlatformClient
from offchain.rest.registry import PodRegistration
from offchain.tso.simulator import connection_point_request
from oracles.grid.core.own_means import operable_of
from oracles.grid.core.request import RequestSettings
from oracles.grid.customer_forecast import CustomerForecast
from oracles.grid.customer_readings import CustomerReadings
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.own_means import OwnMeansFirst
from scripts.demo.case import DSO_CAP_UEUR, TSO_CAP_UEUR, CaseNetwork, DemoCase, MarketPod
from scripts.demo.cast import ORACLE_ROLES, Cast, Person
from scripts.demo.collect import collect, means_figures
from scripts.demo.control_room import Operator
from scripts.demo.figures import DayFigures
from scripts.demo.real_time import CasePlans, RealTimeSession, real_time_terms
from scripts.demo.report import console_table, write_report
from scripts.demo.stage import POM, Stage, aggregator_platform, field_and_nodes, forget, set_stage
from scripts.demo.use_case import SCENARIOS, Scenario, UseCase

HOUR_S = 3600
ACTIVE_PRODUCTS = 1 << Product.ACTIVE_UP | 1 << Product.ACTIVE_DOWN
STAKE_UEUR = 100_000_000
FUNDS_UEUR = 5_000_000 * 10**6
FIXED_PRICE_EUR_PER_KWH = Decimal("0.08")
SHARE_BASIS_POINTS = 8_000
ANCHOR_EVERY_SLOTS = 4
DSO_MARGIN_PERCENT, DSO_MARGIN_PU = 8.0, 0.0015
"""Loading and voltage that the DSO asks relief for beyond the limit: not everybody delivers."""


class DemoStuck(FlexledgerError):
    """Something that the day needs next didn't come about."""


@dataclass(frozen=True)
class DemoSettings:
    """What is played, and where it is kept."""

    folder: Path
    use_case: UseCase = UseCase.CONGESTION
    grid: str = ""
    """SimBench code; empty: the use case's own."""
    day: date = date(2026, 6, 1)
    pods: int = 60
    seed: str = "flexledger demo"

    @property
    def scenario(self) -> Scenario:
        """The use case's grid, or another one, with its limits."""
        scenario = SCENARIOS[self.use_case]
        return replace(scenario, grid=self.grid) if self.grid else scenario


@dataclass
class Progress:
    """Says what is done and how long it took; seconds are kept, so that a day killed half-way counts in full."""

    console: Console
    path: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.seconds = json.loads(self.path.read_text())

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named step of the day."""
        self.console.print(f"[bold]{name}[/bold]")
        started = time.monotonic()
        yield
        spent = time.monotonic() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + spent
        self.path.write_text(json.dumps(self.seconds))
        self.console.print(f"  [dim]{spent:.1f} s[/dim]")

    def say(self, text: str) -> None:
        """A line of what has been done."""
        self.console.print(f"  {text}")


def play(settings: DemoSettings, console: Console) -> None:
    """Play the day, or what is left of it; then write report and summary, and leave chain and documents behind."""
    _begin(settings)
    progress = Progress(console, settings.folder / "seconds.json")
    with progress.step("Load the grid"):
        scenario = settings.scenario
        case = DemoCase(scenario.grid, settings.day, settings.pods, scenario.limits)
        progress.say(
            f"{scenario.grid}: {case.case.model.nodes} nodes, {len(case.case.pods)} PoDs, {len(case.pods)} in the market"
        )
    cast = Cast(settings.seed)
    start_s = day_start_s(settings.day)
    genesis_s = start_s - 18 * HOUR_S
    with set_stage(settings.folder, cast, case, genesis_s, progress.say) as stage:
        day = Day(stage, progress, settings)
        figures = day.play()
        figures_path = settings.folder / "summary.json"
        write_report(figures, settings.folder / "report.html")
        figures_path.write_text(json.dumps(figures.summary(), indent=1))
        stage.chain.stop()
    console.print(console_table(figures))
    console.print(f"Report: {settings.folder / 'report.html'}   Summary: {figures_path}")
    console.print(f"Replay it: .venv/bin/flexledger verify {figures.session}")


def _begin(settings: DemoSettings) -> None:
    """Start afresh unless an unfinished day of the same settings, whose chain still runs, is there to go on with."""
    played = [settings.use_case, settings.grid, settings.day.isoformat(), settings.pods, settings.seed]
    wanted = json.dumps(played)
    record = settings.folder / "settings.json"
    unfinished = (
        record.exists() and record.read_text() == wanted and not (settings.folder / "summary.json").exists()
    )
    if not (unfinished and (settings.folder / "chain" / "running.json").exists()):
        forget(settings.folder)
        settings.folder.mkdir(parents=True)
        record.write_text(wanted)


def terms_of(day: date) -> SessionTerms:
    """The demo's session: the day-ahead one, which is the chain's first."""
    return replace(sessions_of_day(day)[SessionKind.DAY_AHEAD], session=1)


class Day:
    """Plays the day on a stage."""

    def __init__(self, stage: Stage, progress: Progress, settings: DemoSettings) -> None:
        self._stage = stage
        self._cast = stage.cast
        self._case = stage.case
        self._progress = progress
        self._settings = settings
        self._terms = terms_of(settings.day)
        self._real_time = real_time_terms(settings.day)
        self._pseudonym_of: dict[str, bytes] = {}

    def play(self) -> DayFigures:
        """The whole day."""
        step = self._progress.step
        with step("Register participants and fund their accounts"):
            self._register_participants()
        with step("Register PoDs with their customers' consent"):
            self._register_pods()
        with step("Create the sessions and anchor baselines"):
            for terms in (self._terms, self._real_time):
                self._create_session(terms)
            self._anchor_baselines()
        network = CaseNetwork(
            self._case, self._pseudonym_of, self._settings.use_case, self._event_s, self._stage.operator.now_s
        )
        dso = self._requests(self._cast.dso, Side.DSO_REQUEST)
        tso = self._requests(self._cast.tso, Side.TSO_REQUEST)
        grid = self._grid_daemon(network, dso)
        with step("Forecast the grid, own means first; anchor model and forecast"):
            self._until(self._terms.baselineGate)
            self._anchor_grid(grid)
        with step("Gate open: sealed requests and offers"):
            self._until(self._terms.gateOpening)
            grid.step()
            self._tso_request(tso)
            self._seal_offers()
        with step("Gate closed: reveal"):
            self._until(self._terms.gateClosure)
            self._reveal([dso, tso])
        with step("Clear"):
            self._until(self._terms.documentsDeadline)
            self._clear()
        with step("Assess against the grid, and validate"):
            self._assess(grid)
            self._validate(grid)
            stage = ResultStage.VALIDATED
            validated = self._stage.operator.call("OutcomeBoard", "outcomeHash", 1, int(stage))
            self._require("validated outcome", validated != bytes(32))
        aggregators = [self._aggregator(person) for person in self._cast.aggregators]
        with step("Publish outcomes to each participant's topic"):
            self._publish(aggregators)
        desks = [self._real_time_desk(person) for person in self._cast.aggregators]
        operator = Operator(self._stage, grid)
        real_time = RealTimeSession(self._stage, self._real_time, desks, dso.client, operator, grid)
        with step("Deliver: set points out, readings in, anchored; and a session in real time"):
            self._deliver(aggregators, real_time)
        with step("Settle, pay and reward"):
            self._settle()
        with step("Read the day back"):
            return collect(
                self._stage, self._terms, self._real_time, self._pseudonym_of, self._progress.seconds
            )

    # Before the gate

    def _register_participants(self) -> None:
        cast, operator = self._cast, self._stage.operator
        wanted = [
            (cast.dso, Role.DSO),
            (cast.tso, Role.TSO),
            (cast.operator, Role.OPERATOR),
            (cast.auditor, Role.AUDITOR),
            (cast.arbiter, Role.ARBITER),
        ]
        wanted += [(person, Role.STORE) for person in cast.stores]
        wanted += [(person, ORACLE_ROLES[kind]) for kind, person in cast.oracles.items()]
        wanted += [(person, Role.AGGREGATOR) for person in cast.aggregators]
        known = {
            event.args["account"] for event in operator.events("ParticipantRegistry", "ParticipantRegistered")
        }
        for person, role in wanted:
            if person.address not in known:
                operator.send("ParticipantRegistry", "register", person.address, role.mask, person.name)
        bonded = (*cast.oracles.values(), *cast.stores, cast.auditor, cast.operator)
        for person in (cast.dso, cast.tso, *cast.aggregators, *bonded):
            chain = self._stage.chain_as(person)
            if not operator.events("Vault", "Deposited", account=person.address):
                operator.send("Euro", "mint", person.address, FUNDS_UEUR)
                chain.send("Euro", "approve", chain.address_of("Vault"), FUNDS_UEUR)
                chain.send("Vault", "deposit", FUNDS_UEUR)
        for person in cast.stores:
            if not operator.events("Availability", "Staked", store=person.address):
                self._stage.chain_as(person).send("Availability", "stake", STAKE_UEUR)
        if not operator.events("RelayStakes", "Staked", relayer=cast.operator.address):
            operator.send("RelayStakes", "stake", STAKE_UEUR)
        self._progress.say(f"{len(wanted)} participants")

    def _register_pods(self) -> None:
        mechanisms = {person.name: self._mechanism(person) for person in self._cast.aggregators}
        for person in self._cast.aggregators:
            self._register_with_customer_database(person)
        for known in self._stage.customer_database.pods(None):
            self._pseudonym_of[known.pod_id] = known.pseudonym
        for person in self._cast.aggregators:
            for pod in self._pods_of(person):
                self._register_on_chain(person, pod, mechanisms[person.name])
        self._stage.customer_database.step()
        self._stage.dso.step()
        dso, pom = self._stage.chain_as(self._cast.dso), keccak256(POM.encode())
        placed = {bytes(event.args["pod"]) for event in dso.events("PodRegistry", "PomSet")}
        for pseudonym in self._pseudonym_of.values():
            if pseudonym not in placed:
                dso.send("PodRegistry", "setPom", pseudonym, pom)
                for step in ("prequalifyGrid", "prequalifyProducts"):
                    dso.send("PodRegistry", step, pseudonym, ACTIVE_PRODUCTS, "")
        poms = {pod.pod_id: pod.pom_id for pod in self._stage.customer_database.pods(None)}
        self._require("PoM of every PoD", all(pom_id == POM for pom_id in poms.values()))
        self._progress.say(
            f"{len(poms)} PoDs of {len(mechanisms)} aggregators, each with its PoM and settlement contract"
        )

    def _mechanism(self, person: Person) -> str:
        """The aggregator's settlement contract: a fixed price of the first, a share of the price of the second."""
        chain = self._stage.chain_as(person)
        made = chain.events("SettlementMechanismFactory", "MechanismCreated", aggregator=person.address)
        if not made:
            if person == self._cast.aggregators[0]:
                price = eur_per_kwh_to_ueur_per_kw("price", FIXED_PRICE_EUR_PER_KWH)
                chain.send(
                    "SettlementMechanismFactory", "createFixedPrice", [[price] * 96] * 7, "fixed price"
                )
            else:
                shares = [[SHARE_BASIS_POINTS] * 96] * 7
                chain.send("SettlementMechanismFactory", "createPercentage", shares, "share of the price")
            made = chain.events("SettlementMechanismFactory", "MechanismCreated", aggregator=person.address)
        return str(made[0].args["mechanism"])

    def _register_with_customer_database(self, person: Person) -> None:
        registrations = [
            build(
                PodRegistration,
                pod=build(
                    Pod,
                    pod_id=pod.pod_id,
                    aggregator_id=person.name,
                    action_type=ActionType.ACTIVATE,
                    max_flexibility=max_flexibility_of(FlexibilityLimits(pod.max_up_w, pod.max_down_w, 0, 0)),
                ),
                customer_wallet=self._cast.person(f"customer {pod.pod_id}").address,
                node_address=self._node(pod).address,
                node_user=pod.node_user,
            )
            for pod in self._pods_of(person)
        ]
        if {pod.pod_id for pod in self._stage.customer_database.pods(person.name)}:
            return
        self._post(person, "/pods", registrations)

    def _register_on_chain(self, person: Person, pod: MarketPod, mechanism: str) -> None:
        chain, customer = self._stage.chain_as(person), self._cast.person(f"customer {pod.pod_id}")
        pseudonym = self._pseudonym_of[pod.pod_id]
        if chain.events("PodRegistry", "PodRegistered", pod=pseudonym):
            return
        consent = Registration(
            pod=pseudonym,
            aggregator=person.address,
            customer=customer.address,
            node=self._node(pod).address,
            mechanism=mechanism,
            maxUpW=pod.max_up_w,
            maxDownW=pod.max_down_w,
            maxUpVar=0,
            maxDownVar=0,
            replaces=NO_POD,
            nonce=0,
            deadline=self._terms.baselineGate,
        )
        chain.send(
            "PodRegistry", "register", consent, consent.sign(chain.domain("PodRegistry"), customer.key)
        )

    def _create_session(self, terms: SessionTerms) -> None:
        operator = self._stage.operator
        if not operator.call("MarketSessions", "sessionAt", terms.marketType, terms.deliveryStart):
            values = [getattr(terms, name) for name in SessionTerms.__dataclass_fields__ if name != "session"]
            operator.send("MarketSessions", "create", tuple(values))
            operator.send("OutcomeBoard", "prepare", terms.session)
        self._progress.say(f"session {terms.session}: {terms.slots} quarter-hours")

    def _anchor_baselines(self) -> None:
        for person in self._cast.aggregators:
            pods = self._pods_of(person)
            nominations = [
                build(
                    BaselineNomination,
                    pod_id=pod.pod_id,
                    day=self._case.case.day.isoformat(),
                    curve=tuple(
                        build(NominatedPower, index=slot, p=w_to_kw(p), q=w_to_kw(q))
                        for slot, (p, q) in enumerate(zip(pod.power_w, pod.reactive_var, strict=True))
                    ),
                )
                for pod in pods
            ]
            self._post(person, "/baselines", nominations)
            document = baseline_document(
                self._terms.session,
                person.address,
                self._case.baseline(pods, self._pseudonym_of),
                self._salt_of("baseline"),
            )
            chain, root = self._stage.chain_as(person), document.lists[0].root
            if not chain.call(
                "DataNotary", "notarisedAt", NoticeKind.BASELINE, self._terms.session, person.address, root
            ):
                cid = self._stage.market_as(person).bring(DocumentKind.BASELINE, document.to_bytes())
                arguments = (NoticeKind.BASELINE, self._terms.session, root, cid.digest, cid.codec)
                chain.send("DataNotary", "notarise", *arguments)
            self._progress.say(f"{person.name}: {document.leaf_count} baseline leaves anchored")

    # The book

    def _requests(self, person: Person, side: Side) -> SealedRequests:
        def salts(terms: SessionTerms) -> SaltOf:
            key = self._cast.secret("request-salt", f"{person.name}/{terms.session}")
            return lambda _, position: leaf_salt(key, position)

        return SealedRequests(self._stage.market_as(person), side, salts)

    def _tso_request(self, tso: SealedRequests) -> None:
        slots, relief_w = self._case.tso_request()
        pods = list(self._pseudonym_of.values())
        area = connection_point_request(POM, Product.ACTIVE_UP, pods, slots, relief_w, TSO_CAP_UEUR)
        tso.submit(self._terms, [area])

    def _seal_offers(self) -> None:
        for person in self._cast.aggregators:
            offers = self._case.offers(self._pods_of(person), self._pseudonym_of)
            document = offers_document(self._terms.session, person.address, offers, self._salt_of("offers"))
            client = self._stage.market_as(person)
            client.commit(document, Side.OFFER, self._terms.gateClosure)
            self._progress.say(f"{person.name}: {len(offers)} offers sealed")

    def _reveal(self, operators: Sequence[SealedRequests]) -> None:
        offering = [self._stage.market_as(person) for person in self._cast.aggregators]
        revealed = 0
        for client in [*(desk.client for desk in operators), *offering]:
            for sealed in client.pending(self._terms.session):
                client.reveal(sealed)
                revealed += 1
        self._progress.say(f"{revealed} documents of requests and offers revealed")

    # Results

    def _anchor_grid(self, grid: GridDaemon) -> None:
        Operator(self._stage, grid).step()
        for own_means in means_figures(self._stage, self._terms.session):
            self._progress.say(f"own means: {own_means.told}")
        told = self._stage.dso.alarms(self._terms.deliveryStart, self._terms.delivery_end_s)
        levels = Counter(
            alarm.level for each in told if each.session == self._terms.session for alarm in each.alarms
        )
        counted = ", ".join(f"{count} {level}" for level, count in sorted(levels.items())) or "none"
        self._progress.say(f"alarms at the DSO's operator: {counted}")

    def _grid_daemon(self, network: CaseNetwork, dso: SealedRequests) -> GridDaemon:
        sizing = RequestSettings(DSO_MARGIN_PERCENT, DSO_MARGIN_PU)
        fees = {self._pseudonym_of[pod.pod_id]: pod.grid_fee_ueur_per_kw for pod in self._case.pods}
        settings = GridDaemonSettings(DSO_CAP_UEUR, sizing, fees)
        chain = self._stage.chain_as(self._cast.oracles["grid"])
        stage = self._stage
        operable = operable_of(network().net)
        if not self._settings.scenario.taps_under_load:
            operable = replace(operable, taps={})
        return GridDaemon(
            chain,
            stage.documents,
            stage.stores,
            network(),
            dso,
            settings,
            own_means=OwnMeansFirst(network, stage.dso, operable=operable),
            alarm_desk=stage.dso,
            flow_desk=stage.dso_flows,
            readings=CustomerReadings(chain, stage.documents, stage.flexible_customers, stage.grid_readings),
            customers=CustomerForecast(stage.grid_readings),
        )

    def _clear(self) -> None:
        self._stage.clearing.step()

    def _assess(self, grid: GridDaemon) -> None:
        self._stage.validate()
        grid.step()
        self._stage.validate()

    def _validate(self, grid: GridDaemon) -> None:
        """Validate, or clear and assess again what refusals left short, round by round."""
        for _ in range(MOST_ROUNDS):
            self._stage.clearing.step()
            self._stage.validate()
            grid.step()
            self._stage.validate()

    # Delivery

    def _aggregator(self, person: Person) -> AggregatorPlatform:
        pods = self._pods_of(person)

        def baseline(_: MarketType, start_s: int) -> Baseline:
            first = (start_s - self._terms.deliveryStart) // SLOT_S
            return {
                ("0x" + self._pseudonym_of[pod.pod_id].hex(), slot - first): (
                    pod.power_w[slot],
                    pod.reactive_var[slot],
                )
                for pod in pods
                for slot in range(first, self._case.case.slots)
            }

        return aggregator_platform(self._stage, person, baseline)

    def _real_time_desk(self, person: Person) -> RealTimeDesk:
        plans = CasePlans(self._case, self._pods_of(person), self._pseudonym_of, self._salt_of)
        chain, client = self._stage.chain_as(person), self._stage.market_as(person)
        return RealTimeDesk(chain, self._stage.documents, client, plans)

    def _publish(self, aggregators: Sequence[AggregatorPlatform]) -> None:
        self._stage.publication.step()
        deadline = time.monotonic() + 30
        while not all(platform.outcomes() for platform in aggregators) or not self._finals():
            self._require("an outcome at each aggregator and the DSO", time.monotonic() < deadline)
            time.sleep(0.05)

    def _finals(self) -> int:
        """How many final outcomes the DSO's platform has found to be what stands on chain."""
        self._stage.dso_validation.step()
        finals = self._stage.dso_validation.finals(self._terms.deliveryStart, self._terms.delivery_end_s)
        return sum(each.state is FinalState.CONFIRMED for each in finals)

    def _deliver(self, aggregators: Sequence[AggregatorPlatform], real_time: RealTimeSession) -> None:
        terms, stage = self._terms, self._stage
        self._until(terms.deliveryStart - HOUR_S)

        def dispatch() -> None:
            for platform in aggregators:
                platform.step()
            stage.dso.step()
            stage.dso_validation.step()

        dispatch()
        self._until(terms.deliveryStart)
        boundary = Boundary(terms.deliveryStart)
        with field_and_nodes(stage, self._pseudonym_of, terms.deliveryStart, boundary) as (field_, fleet):
            while True:
                boundary.now = min(stage.operator.now_s() // SLOT_S * SLOT_S, terms.delivery_end_s)
                field_.advance(boundary.now)
                fleet.step()
                slot = (boundary.now - terms.deliveryStart) // SLOT_S
                if slot % ANCHOR_EVERY_SLOTS == 0:
                    self._take_in(slot)
                if boundary.now >= terms.delivery_end_s:
                    break
                if boundary.now == self._event_s // SLOT_S * SLOT_S:
                    self._progress.say(f"{self._settings.scenario.event}: the DSO asks again")
                real_time.step(boundary.now)
                dispatch()
                self._until(boundary.now + SLOT_S)
        self._progress.say(f"{terms.slots * len(self._case.pods)} readings due; {stage.packets.counts()}")

    def _take_in(self, slot: int) -> None:
        """Anchor what the Light Nodes have published up to a slot, once the broker has handed it over."""
        due, arrived, before = slot * len(self._case.pods), self._arrived(), -1
        deadline = time.monotonic() + 30
        while (arrived < due or arrived != before) and time.monotonic() < deadline:
            time.sleep(0.1)
            before, arrived = arrived, self._arrived()
        self._stage.anchoring.step()
        self._stage.certified.step()
        if slot % (4 * ANCHOR_EVERY_SLOTS) == 0:
            self._progress.say(f"{slot // 4:02d}:00  {arrived} packets in")

    def _arrived(self) -> int:
        return sum(self._stage.packets.counts().values())

    # After delivery

    def _settle(self) -> None:
        terms, settlement = self._terms, self._stage.settlement
        self._until(terms.readings_deadline_s + 1)
        self._post_settlement()
        view = MarketView(self._stage.operator)
        sessions = (terms.session, self._real_time.session)
        posted_s = max(view.posting(session, ResultStage.SETTLEMENT).posted_at_s for session in sessions)
        self._until(posted_s + terms.challengeWindowS + 1)
        settlement.step()
        settlement.step()
        for session in sessions:
            self._close(session)
        for person in self._cast.aggregators:
            chain = self._stage.chain_as(person)
            free_ueur = int(chain.call("Vault", "free", person.address))
            if free_ueur:
                chain.send("Vault", "withdraw", free_ueur)
        self._progress.say("payments withdrawn by the aggregators, tokens in the customers' wallets")

    def _close(self, session: int) -> None:
        """Free what a settled session has bound."""
        operator = self._stage.operator
        self._require(
            f"final settlement of session {session}", operator.call("SettlementLedger", "isFinal", session)
        )
        for account in (self._cast.dso, self._cast.tso, *self._cast.aggregators):
            self._unless_done("SettlementLedger", "releaseCoverage", session, account.address)
        view = MarketView(operator)
        for stage in ResultStage:
            if view.posting(session, stage).bond_ueur:
                operator.send("OutcomeBoard", "releaseBond", session, int(stage))

    def _post_settlement(self) -> None:
        self._stage.settlement.step()

    def _unless_done(self, contract: str, function: str, *arguments: object) -> None:
        try:
            self._stage.operator.send(contract, function, *arguments)
        except ChainRefused as refusal:
            if "Already" not in refusal.error and "NothingToRelease" not in refusal.error:
                raise

    # Small things

    @property
    def _event_s(self) -> int:
        """When something happens on the grid: a while before the real-time session's forecast."""
        return self._real_time.baselineGate - SLOT_S

    def _until(self, instant_s: int) -> None:
        self._stage.chain.advance_to(instant_s)

    def _pods_of(self, person: Person) -> list[MarketPod]:
        return [pod for pod in self._case.pods if pod.aggregator == person.name]

    def _node(self, pod: MarketPod) -> Person:
        key = self._cast.secret("node", pod.pod_id)
        return Person(pod.pod_id, key, address_of(key))

    def _salt_of(self, purpose: str) -> Callable[[bytes, int], bytes]:
        document = keccak256(f"{purpose}/{self._terms.session}".encode())
        secrets = {
            self._pseudonym_of[pod.pod_id]: document_key(self._cast.secret("pod-key", pod.pod_id), document)
            for pod in self._case.pods
        }
        return lambda pod, position: leaf_salt(secrets[pod], position)

    def _post(self, person: Person, path: str, documents: Sequence[Document]) -> None:
        client = PlatformClient(self._stage.customer_database_url, self._stage.token_of(person.name))
        client.post(path, list(documents))
        client.close()

    @staticmethod
    def _require(what: str, holds: bool) -> None:
        if not holds:
            raise DemoStuck(f"the demo can't go on: {what} is missing")


class Boundary:
    """The field's and the nodes' clock: the quarter-hour's boundary that the chain's clock has reached."""

    def __init__(self, now_s: int) -> None:
        self.now = now_s

    def __call__(self) -> int:
        """UTC Unix seconds."""
        return self.now
