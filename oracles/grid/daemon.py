"""The grid oracle's daemon, at the DSO: anchors grid model and forecast, requests flexibility, assesses outcomes."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.chain.sessions import for_each_session
from offchain.protocol.book_documents import Area, Relief
from offchain.protocol.cid import Cid
from offchain.protocol.documents.reference_prices import PodReference
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.products import Product
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import NoticeKind, Outcome, TechnicalOutcome
from offchain.store.documents import DocumentStore
from offchain.store.lists import fetch_list_document
from offchain.store.receipts import Stores
from oracles.grid.alarms import AlarmDesk, session_alarms, with_watched
from oracles.grid.core.documents import (
    Forecast,
    ForecastBasis,
    document_hash,
    forecast_bytes,
    grid_model_bytes,
)
from oracles.grid.core.expected import Expected
from oracles.grid.core.network import Document, Integers, grid_model_from_document
from oracles.grid.core.plausible import most_va, sizes_of, without_which_it_solves
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.request import Area as SizedArea
from oracles.grid.core.request import RequestSettings, size_request
from oracles.grid.core.violations import AlarmSettings
from oracles.grid.customer_forecast import CustomerForecast, CustomersExpected
from oracles.grid.customer_readings import CustomerReadings
from oracles.grid.facts import (
    AnchoredGrid,
    anchored_grid,
    assess_from_chain,
    expected_from_chain,
    nets_of_day,
)
from oracles.grid.field_state import GRACE_S, FieldState, Usual
from oracles.grid.flows import FlowDesk, session_flows, window_states
from oracles.grid.helping import CouldGive
from oracles.grid.own_means import OwnMeansFirst
from oracles.grid.reference_prices import flexible_pod, published_references
from oracles.grid.switched_network import with_expected
from oracles.grid.trained import DAY_AHEAD
from oracles.grid.watched_grids import WatchedGrids
from oracles.on_dask import parts_on
from oracles.turns import Clock, clock_of, is_my_turn

logger = logging.getLogger(__name__)

AWAY = (FlexledgerError, OSError, sqlite3.Error)
"""What a desk or a database that can't be asked now raises."""


class Network(Protocol):
    """The DSO's network: its model, where PoDs are, and what everybody outside the market is expected to absorb."""

    def document(self) -> Document:
        """The grid model's document."""

    def node_of(self, pod: bytes) -> int:
        """Node to which a PoD of the market is connected, by its pseudonym."""

    def background(self, terms: SessionTerms) -> tuple[Integers, Integers]:
        """Net W and var absorbed at each node by everybody who isn't in the market, in the delivery window and
        FORECAST_BEYOND_SLOTS after it: (slots, nodes)."""


class RequestDesk(Protocol):
    """The DSO's player: commits to a request and reveals it."""

    def submit(self, terms: SessionTerms, areas: Sequence[Area]) -> None:
        """Commit to a request for these areas, unless that is done."""


@dataclass(frozen=True)
class GridDaemonSettings:
    """What a kW (kvar) at effectiveness 1000 and quarter-hour may cost the DSO at most, grid fees included, and how it sizes
    requests.

    `grid_fees_ueur_per_kw`: what moving a kW at a PoD costs in grid fees, where it costs any. What has no published reference price
    is sized at the cap, so that without any all prices are equal.
    Errors: of themselves (per mille), a quantile of what forecasts a day and four hours ahead missed by; the reserve for
    that is asked for at the availability price.
    """

    price_cap_ueur_per_kw: int
    sizing: RequestSettings = RequestSettings()
    grid_fees_ueur_per_kw: Mapping[bytes, int] = field(default_factory=dict)
    day_ahead_error_permille: int = 0
    real_time_error_permille: int = 0
    availability_price_ueur_per_kw: int = 0
    alarms: AlarmSettings = AlarmSettings()


class GridDaemon:
    """Posts with the chain's account, which must be a registered grid oracle. `step` may be killed at any instant.

    `scheduler`: address of a Dask scheduler whose workers assess slots that nothing joins; without one, threads of this
    process do.
    `own_means`: whose network, as the operator decides for each session, is anchored in place of `network` as it stands.
    `alarm_desk`: who is told of what the forecast brings near a limit or beyond it, `flow_desk`: who is shown its power flows.
    `field`: what is measured, for real time; its readings are what the network's forecast reads.
    `readings`, `customers`: fetch the flexible customers' certified readings, and forecast who has no baseline from them.
    `watched`: grids below the network's, which the operator is told of, too.
    """

    def __init__(
        self,
        chain: ChainClient,
        documents: DocumentStore,
        stores: Stores,
        network: Network,
        desk: RequestDesk,
        settings: GridDaemonSettings,
        scheduler: str | None = None,
        own_means: OwnMeansFirst | None = None,
        alarm_desk: AlarmDesk | None = None,
        flow_desk: FlowDesk | None = None,
        field: FieldState | None = None,
        readings: CustomerReadings | None = None,
        customers: CustomerForecast | None = None,
        watched: WatchedGrids = WatchedGrids(),
    ) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._stores = stores
        self._network = network
        self._desk = desk
        self._settings = settings
        self._map_parts = parts_on(scheduler)
        self._own_means = own_means
        self._alarm_desk = alarm_desk
        self._watched = watched
        self._flow_desk = flow_desk
        self._field = field
        self._told: set[int] = set()
        self._estimated: set[int] = set()
        self._readings = readings
        self._customers = customers

    def step(self) -> None:
        """Fetch readings, and look at every session: do what is due. A session's fault is raised when all have been looked at."""
        if self._readings is not None:
            try:
                self._readings.step()
            except (OSError, sqlite3.Error) as problem:
                logger.error("no readings are kept now: %r", problem)
        for_each_session(self._view.session_ids(), self._look_at)

    def _look_at(self, session: int) -> None:
        terms, clock = self._view.terms(session), clock_of(self._chain, session)
        if terms.baselineGate <= clock.market_s < terms.gateOpening and self._is_ahead_fixed(terms):
            if not self._is_anchored(terms):
                self._anchor(terms, clock)
            if self._is_anchored(terms):
                self._tell_operator(terms)
        if terms.gateOpening <= clock.market_s < terms.gateClosure and not clock.paused:
            self._request(terms)
        if terms.documentsDeadline <= clock.market_s < terms.validatedOutcomeDeadline:
            self._assess_last_round(terms, clock)

    def _is_ahead_fixed(self, terms: SessionTerms) -> bool:
        """Whether the day-ahead result on which the session rests, if any, can't change any more."""
        ahead = self._view.day_ahead_of(terms)
        return ahead is None or self._view.market_time_s(ahead.session) >= ahead.validatedOutcomeDeadline

    def _is_anchored(self, terms: SessionTerms) -> bool:
        """Whether a forecast is there, and so the model for which it is, which is anchored before it. They stay, whatever changes
        until the gate opens: the first forecast counts."""
        known = self._view.notices(NoticeKind.FORECAST, terms.session)
        return any(notice.author == self._chain.address for notice in known)

    def _tell_operator(self, terms: SessionTerms) -> None:
        """Show power flows and alarms, once, as what is anchored stays; that it can't be done keeps nothing else from being done."""
        if terms.session in self._told or (self._alarm_desk is None and self._flow_desk is None):
            return
        try:
            settings = self._settings.alarms
            grid = anchored_grid(self._view, self._documents, terms, self._chain.address)
            could = self._could(terms, grid, expected_from_chain(self._view, self._documents, terms))
            states = window_states(terms, grid)
            if self._flow_desk is not None:
                self._flow_desk.show_flows(session_flows(terms, grid, states))
            if self._alarm_desk is not None:
                alarms = session_alarms(terms, grid, states, self._watched.above(settings), could)
                self._alarm_desk.alarm(alarms)
                if self._watched.grids:
                    self._alarm_desk.alarm(with_watched(alarms, terms, grid, states, self._watched, settings))
            self._told.add(terms.session)
        except AWAY as problem:
            logger.error("session %d: no alarms: %s", terms.session, problem)

    def _could(self, terms: SessionTerms, grid: AnchoredGrid, expected: Expected) -> list[CouldGive]:
        """What the market's PoDs are expected to be able to give, beside what is sold."""
        pods = self._view.pods()
        out = []
        for pod, node in sorted(grid.forecast.node_of_pod.items()):
            if pod in pods and pod not in grid.forecast.set_aside:
                most_w = available(pods[pod], expected.power_w(pod, terms.slots))
                for product, limit_w in most_w.items():
                    limit_w[expected.is_sold(pod, product, terms.slots)] = 0
                out.append(CouldGive(pod, node, most_w))
        return out

    def _estimate(self, terms: SessionTerms, clock: Clock) -> bool:
        """Estimate the state before a real-time session's forecast, once; False while readings may still be on their way. That it
        can't be done keeps nothing else from being done."""
        field = self._field
        if field is None or terms.marketType == DAY_AHEAD or terms.session in self._estimated:
            return True
        if clock.market_s < terms.baselineGate + GRACE_S:
            return False
        usual: dict[int, Usual | None] = {}
        for start_s in field.quarter_hours(terms):
            ahead = self._view.day_ahead_at(start_s)
            day = 0 if ahead is None else ahead.session
            if day not in usual:
                usual[day] = None if ahead is None else self._usual(field, ahead)
            try:
                network = field.network
                if self._own_means is not None:
                    network = self._own_means.network_at(terms.session, start_s)
                field.look(terms.session, start_s, usual[day], network)
            except AWAY as problem:
                logger.error("session %d: quarter-hour %d: no state: %s", terms.session, start_s, problem)
        self._estimated.add(terms.session)
        return True

    def _usual(self, field: FieldState, ahead: SessionTerms) -> Usual | None:
        try:
            known = Expected(nets_of_day(self._view, self._documents, ahead), frozenset())
            nets, _, _ = self._meant(ahead, known)
            return Usual(ahead, nets, field.network.at_buses(ahead, nets))
        except FlexledgerError as problem:
            logger.error("session %d: no state can be estimated: %s", ahead.session, problem)
            return None

    def _anchor(self, terms: SessionTerms, clock: Clock) -> None:
        if not self._estimate(terms, clock):
            return
        known = expected_from_chain(self._view, self._documents, terms)
        expected, basis, set_aside = self._meant(terms, known)
        network: Network | None = self._network
        if self._own_means is not None:
            try:
                network = self._own_means.decided_network(terms, expected, clock.market_s)
            except (OSError, sqlite3.Error) as problem:
                raise FlexledgerError(f"the control room can't be asked: {problem!r}") from problem
        if network is None:
            return
        model_raw = grid_model_bytes(network.document())
        forecast = replace(
            self._forecast(terms, document_hash(model_raw), network, expected),
            basis=basis,
            set_aside=set_aside,
        )
        for kind, raw in (
            (NoticeKind.GRID_MODEL, model_raw),
            (NoticeKind.FORECAST, forecast_bytes(forecast)),
        ):
            if self._chain.call(
                "DataNotary", "notarisedAt", kind, terms.session, self._chain.address, document_hash(raw)
            ):
                continue
            cid = self._documents.put(raw)
            arguments = (kind, terms.session, document_hash(raw), cid.digest, cid.codec)
            self._chain.send("DataNotary", "notarise", *arguments)
            logger.info("session %d: %s anchored", terms.session, kind.name)

    def _meant(
        self, terms: SessionTerms, known: Expected
    ) -> tuple[dict[PodSlot, Net], ForecastBasis | None, frozenset[bytes]]:
        """What is expected of each PoD, once: what can be meant of what is known, and of who has nothing such what its readings
        say, if that can be meant; with what that was forecast, and who was set aside."""
        set_aside = self._set_aside(terms, known.nets)
        nominated = _without(known.nets, set_aside)
        others = self._without_baseline(terms, replace(known, nets=nominated))
        expected = {**others.nets, **nominated}
        if not others.nets:
            return expected, others.basis, set_aside
        absurd = self._set_aside(terms, expected)
        return _without(expected, absurd), others.basis, set_aside | absurd

    def _without_baseline(self, terms: SessionTerms, known: Expected) -> CustomersExpected:
        """What is expected of PoDs of which nothing is known in some slot, but for where something was sold of them, or of whom
        they replace: there that stands."""
        if self._customers is None:
            return CustomersExpected({}, None)
        slots = range(terms.slots)
        lacking = [pod for pod in self._view.pods() if any((pod, slot) not in known.nets for slot in slots)]
        found = self._customers.expected(terms, lacking)
        sold = {(pod, slot) for pod, slot, _ in known.sold}
        return replace(found, nets={place: net for place, net in found.nets.items() if place not in sold})

    def _forecast(
        self, terms: SessionTerms, model_hash: bytes, network: Network, expected: Mapping[PodSlot, Net]
    ) -> Forecast:
        """What the market's PoDs are expected to absorb on top of what the others are."""
        node_of_pod = dict(self._placed(network, expected))
        placed = {place: net for place, net in expected.items() if place[0] in node_of_pod}
        p_w, q_var = with_expected(network.background(terms), placed, node_of_pod)
        return Forecast(terms.session, model_hash, p_w, q_var, node_of_pod)

    def _set_aside(self, terms: SessionTerms, nets: Mapping[PodSlot, Net]) -> frozenset[bytes]:
        """PoDs whose baselines can't be meant on the network as it stands: more than their connections bear, or so much together
        that the forecast has no solution."""
        model = grid_model_from_document(self._network.document())
        node_of_pod = dict(self._placed(self._network, nets))
        placed = {place: net for place, net in nets.items() if place[0] in node_of_pod}
        sizes = sizes_of(placed, node_of_pod, most_va(model))
        absurd = frozenset(pod for pod, size in sizes.items() if size > 1)
        background = self._network.background(terms)

        def solves(others: frozenset[bytes]) -> bool:
            p_w, q_var = with_expected(background, _without(placed, absurd | others), node_of_pod)
            return bool(solve_power_flow(model, p_w, q_var).converged.all())

        suspects = sorted(sizes.keys() - absurd, key=lambda pod: (-sizes[pod], pod))
        out = absurd | without_which_it_solves(suspects, solves)
        for pod in sorted(out):
            said = (terms.session, pod.hex(), 100 * sizes[pod])
            logger.warning("session %d: baseline of 0x%s set aside: %.0f %% of what can be meant", *said)
        return out

    def _placed(self, network: Network, expected: Mapping[PodSlot, Net]) -> Iterator[tuple[bytes, int]]:
        """The market's PoDs, those of which something is expected though they have left it among them, and their nodes; but for
        those that the network doesn't know or supply: nobody relieves an element with those, and one of them keeps nobody's
        session from its forecast."""
        for pod in sorted({*self._view.pods(), *(pod for pod, _ in expected)}):
            try:
                yield pod, network.node_of(pod)
            except InvalidInput as problem:
                logger.warning("left out of the forecast: %s", problem)

    def _request(self, terms: SessionTerms) -> None:
        grid = anchored_grid(self._view, self._documents, terms, self._chain.address)
        expected = expected_from_chain(self._view, self._documents, terms)
        settings = self._settings
        references = published_references(self._view, self._documents, terms, self._view.pods())
        flexible = []
        for each in self._could(terms, grid, expected):
            reference = references.get(each.pod, PodReference())
            fee, cap = settings.grid_fees_ueur_per_kw.get(each.pod, 0), settings.price_cap_ueur_per_kw
            flexible.append(flexible_pod(each.pod, each.node, each.most_w, reference, cap, fee))
        p_w, q_var = grid.forecast.p_w[: terms.slots], grid.forecast.q_var[: terms.slots]
        request = size_request(grid.model, p_w, q_var, flexible, self._sizing(terms))
        if request.areas:
            self._desk.submit(terms, [self._area(area, grid.model_hash) for area in request.areas])
            said = terms.session, len(request.areas), 100 * request.gap
            logger.info("session %d: request for %d areas, %.2f %% of its cost unproven", *said)

    def _sizing(self, terms: SessionTerms) -> RequestSettings:
        settings = self._settings
        day_ahead = terms.marketType == DAY_AHEAD
        error_permille = settings.day_ahead_error_permille if day_ahead else settings.real_time_error_permille
        return replace(settings.sizing, forecast_error_permille=error_permille)

    def _area(self, area: SizedArea, model_hash: bytes) -> Area:
        cap = self._settings.price_cap_ueur_per_kw
        return Area(
            element=keccak256(area.element.key.encode()),
            product=area.product,
            grid_model=model_hash,
            reliefs=[Relief(slot, relief_w, cap) for slot, relief_w in enumerate(area.relief_w) if relief_w],
            effectiveness=[(member.pod, member.effectiveness_permille) for member in area.members],
            grid_fees_ueur_per_kw=self._settings.grid_fees_ueur_per_kw,
            reserve_permille=area.reserve_permille,
            availability_price_ueur_per_kw=self._settings.availability_price_ueur_per_kw,
            name=area.element.key,
        )

    def _assess_last_round(self, terms: SessionTerms, clock: Clock) -> None:
        """Assess the last round that stands, unless that is done or it was passed over."""
        session = terms.session
        if any(self._view.posting(session, Stage.VALIDATED).hash):
            return
        rounds = self._view.rounds(session)
        if not rounds:
            return
        stage = Stage.technical_of(rounds[-1].number)
        if is_my_turn(terms, stage, self._view.posting(session, stage), clock, self._chain.address):
            self._assess(terms, rounds[-1].market)

    def _assess(self, terms: SessionTerms, market: Outcome) -> None:
        author, assessed = self._chain.address, self._market_document(market)
        found = assess_from_chain(self._view, self._documents, terms, assessed, author, self._map_parts)
        document = found.document
        raw = document.to_bytes()
        cid = self._documents.put(raw)
        refusals = document.list_of(REFUSAL)
        outcome = TechnicalOutcome(
            session=terms.session,
            marketOutcomeHash=market.hash(),
            refusalRoot=refusals.root,
            refusalLength=len(refusals),
            gridModel=found.model_hash,
            cidDigest=cid.digest,
            cidCodec=cid.codec,
            refusedWSlots=sum(refusals.integers("refusedW")),
        )
        receipts = self._stores.receipts(raw, cid, terms, joint=False)
        self._chain.send("OutcomeBoard", "postTechnicalOutcome", outcome, receipts)
        logger.info("session %d: technical outcome with %d refusals", terms.session, len(refusals))

    def _market_document(self, market: Outcome) -> ListDocument:
        cid = Cid(market.cidCodec, market.cidDigest)
        return fetch_list_document(
            self._documents, "market outcome", cid, {OUTCOME_BY_REQUEST: market.byRequestRoot}
        )


def _without(nets: Mapping[PodSlot, Net], pods: frozenset[bytes]) -> dict[PodSlot, Net]:
    return {place: net for place, net in nets.items() if place[0] not in pods}


def available(facts: PodFacts, net_w: Integers) -> dict[Product, Integers]:
    """What a PoD is expected to be able to give (W or var by slot), from its baseline, registered limits and products.

    Who injects can inject less (down); who absorbs can absorb less (up) or more (down). Reactive power goes by the
    registered limits alone. What else a PoD could do its aggregator may offer, but the DSO doesn't count on it.
    """
    registered = {product: facts.limit_w(product) for product in Product if facts.may_offer(product)}
    most_w = {product: np.full(len(net_w), limit_w) for product, limit_w in registered.items()}
    if Product.ACTIVE_UP in most_w:
        most_w[Product.ACTIVE_UP] = np.minimum(most_w[Product.ACTIVE_UP], np.maximum(net_w, 0))
    if Product.ACTIVE_DOWN in most_w:
        injected_w = np.where(net_w < 0, -net_w, registered[Product.ACTIVE_DOWN])
        most_w[Product.ACTIVE_DOWN] = np.minimum(most_w[Product.ACTIVE_DOWN], injected_w)
    return most_w
