"""Reads the day back: chain, documents, readings and power flow give the figures; nothing is remembered from playing."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from offchain.chain.market_view import MarketView
from offchain.kpi.indicators import flexibility_availability, flexibility_effectiveness, market_liquidity
from offchain.protocol.cid import Cid
from offchain.protocol.documents.own_means import MeansViolation
from offchain.protocol.leaves import (
    EFFECTIVENESS,
    OFFER,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    READING,
    REQUEST,
    SETTLEMENT,
)
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.metering import Readings, readings_of
from offchain.protocol.products import DeliveryStatus, OfferStatus, Product, Side
from offchain.protocol.terms import SLOT_S, Reveal, SessionTerms, request_owner
from oracles.grid.core.network import Integers
from oracles.grid.core.own_means import BusForecast
from oracles.grid.core.switched_grid import Grid, SwitchedGrid, solved, watch_of
from oracles.grid.core.violations import Violation
from oracles.grid.facts import AnchoredGrid, anchored_grid
from oracles.session_facts import genuine_of, reading_batches
from scripts.demo.case import DemoCase
from scripts.demo.control_room import proposed
from scripts.demo.field import Behaviour
from scripts.demo.figures import (
    WH_PER_W_SLOT,
    DayFigures,
    GridDay,
    MeansFigures,
    MoneyFigure,
    OfferFigure,
    PodFigure,
    RealTimeFigures,
    by_slot,
)
from scripts.demo.stage import Stage

SIDES = {Side.DSO_REQUEST: "DSO", Side.TSO_REQUEST: "TSO"}
TOLERATED_PERMILLE = 300

Book = Sequence[tuple[Reveal, ListDocument]]


def collect(
    stage: Stage,
    terms: SessionTerms,
    real_time: SessionTerms,
    pseudonym_of: dict[str, bytes],
    seconds: dict[str, float],
) -> DayFigures:
    """All figures of a finished day. `terms`: the day-ahead session's."""
    view, case = MarketView(stage.operator), stage.case
    validated, found = view.validated_outcome(terms.session), view.settlement(terms.session)
    if validated is None or found is None:
        raise LookupError("the day isn't finished")
    settlement, _ = found
    outcome = _document(stage, validated.cidDigest, validated.cidCodec)
    settled = _document(stage, settlement.cidDigest, settlement.cidCodec).list_of(SETTLEMENT).records()
    book = [
        (entry.reveal, ListDocument.from_bytes(stage.documents.get(entry.cid), joint=True))
        for entry in view.book(terms.session)
    ]
    offers = [
        record for reveal, d in book if reveal.side is Side.OFFER for record in d.list_of(OFFER).records()
    ]
    results = outcome.list_of(OUTCOME_BY_OFFER).records()
    accepted = outcome.list_of(OUTCOME_BY_REQUEST).records()
    reveals = [reveal for reveal, _ in book]
    batches = reading_batches(view, stage.documents, terms)
    readings = readings_of(batches, terms, genuine_of(stage.operator))
    grid = anchored_grid(view, stage.documents, terms, stage.cast.oracles["grid"].address)
    expected = grid.forecast.p_w[: terms.slots], grid.forecast.q_var[: terms.slots]
    before, violated = _grid_day(grid.model, *expected)
    measured = case.measured_at_buses(_measured(case, pseudonym_of, readings))
    in_real_time = anchored_grid(view, stage.documents, real_time, stage.cast.oracles["grid"].address)
    window = _window(stage, real_time)
    after, still_violated = measured_day(grid.model, in_real_time.model, window, measured)
    requested: dict[str, int] = defaultdict(int)
    needed: dict[int, int] = defaultdict(int)
    for reveal, document in book:
        if reveal.side is not Side.OFFER:
            for record in document.list_of(REQUEST).records():
                requested[SIDES[reveal.side]] += record.integer("reliefW")
                needed[record.integer("slot")] += record.integer("reliefW")
    taken: dict[str, int] = defaultdict(int)
    for record in accepted:
        taken[SIDES[request_owner(reveals, record.integer("requestPosition")).side]] += record.integer(
            "acceptedW"
        )
    fees = _grid_fees(book)
    busiest = max(needed, key=lambda slot: needed[slot]) if needed else 0
    names = {person.address: person.name for person in stage.cast.aggregators}
    aggregator_of = {pseudonym_of[pod.pod_id]: pod.aggregator for pod in case.pods}
    gas: dict[str, list[int]] = defaultdict(list)
    for contract, function, used in stage.operator.transactions():
        gas[f"{contract}.{function}"].append(used)
    models = grid.model.models if isinstance(grid.model, SwitchedGrid) else (grid.model,)
    return DayFigures(
        grid=case.case.code,
        day=case.case.day.isoformat(),
        session=terms.session,
        pods=len(case.pods),
        limits={
            "loading_percent": max(float(model.max_loading_percent.max()) for model in models),
            "vm_min_pu": max(float(model.min_vm_pu.max()) for model in models),
            "vm_max_pu": min(float(model.max_vm_pu.min()) for model in models),
        },
        before=before,
        after=after,
        before_summary=_summary(violated),
        after_summary=_summary(still_violated),
        requested_wh=_as_wh(requested),
        offered_wh=sum(record.integer("powerW") for record in offers) // WH_PER_W_SLOT,
        accepted_wh=_as_wh(taken),
        statuses=Counter(OfferStatus(record.integer("status")) for record in results),
        delivered_wh=sum(record.integer("deliveredW") for record in settled) // WH_PER_W_SLOT,
        money=_money(stage, names, case),
        deliveries=Counter(_delivery(record) for record in settled),
        readings=sum(len(batch.list_of(READING)) for batch in batches),
        anchored_batches=len(batches),
        gas=dict(sorted(gas.items())),
        seconds=dict(seconds),
        kpis=_kpis(offers, accepted, settled, book, terms, case, pseudonym_of),
        merit_order=[
            OfferFigure(
                record.integer("priceUeurPerKw") + fees.get(record.word("pod"), 0),
                record.integer("powerW"),
                results[position].integer("acceptedW"),
                aggregator_of[record.word("pod")],
            )
            for position, record in enumerate(offers)
            if record.integer("slot") == busiest and record.integer("product") in _products_of(book, busiest)
        ],
        merit_order_slot=busiest,
        merit_order_needed_w=needed[busiest],
        shown_pods=_shown(case, pseudonym_of, readings, accepted),
        real_time=_real_time(stage, real_time, in_real_time, measured),
        own_means=[
            each for session in (terms.session, real_time.session) for each in means_figures(stage, session)
        ],
    )


def _window(stage: Stage, terms: SessionTerms) -> slice:
    """A real-time session's slots among those of the day."""
    first = (terms.deliveryStart - stage.case.case.slot_starts_s[0]) // SLOT_S
    return slice(first, first + terms.slots)


def means_figures(stage: Stage, session: int) -> list[MeansFigures]:
    """What was proposed of the DSO's own means for a session, and decided: none, or one."""
    out = []
    for known in proposed(stage):
        proposal = known.proposal
        if proposal.session == session:
            best = proposal.plans[0] if proposal.plans else None
            out.append(
                MeansFigures(
                    session=session,
                    violations=_count(proposal.before),
                    plans=len(proposal.plans),
                    removed=_count(best.removes) if best else 0,
                    actions=[action.says for action in best.actions] if best else [],
                    taken=bool(known.plan),
                )
            )
    return out


def _count(violations: Sequence[MeansViolation]) -> int:
    return sum(len(each.slots) for each in violations)


def _real_time(
    stage: Stage, terms: SessionTerms, grid: AnchoredGrid, measured: BusForecast
) -> RealTimeFigures:
    """What the real-time session came to. `measured`: net W and var at the buses over the whole day."""
    view = MarketView(stage.operator)
    validated = view.validated_outcome(terms.session)
    if validated is None:
        raise LookupError("the real-time session isn't finished")
    accepted = _document(stage, validated.cidDigest, validated.cidCodec).list_of(OUTCOME_BY_REQUEST).records()
    window = _window(stage, terms)
    _, before = _grid_day(grid.model, grid.forecast.p_w[: terms.slots], grid.forecast.q_var[: terms.slots])
    _, after = _grid_day(grid.model, *(each[window] for each in measured.at_nodes(grid.model)))
    paid = stage.operator.events("SettlementLedger", "Paid", session=terms.session)
    return RealTimeFigures(
        session=terms.session,
        before_summary=_summary(before),
        after_summary=_summary(after),
        accepted_wh=sum(record.integer("acceptedW") for record in accepted) // WH_PER_W_SLOT,
        paid_ueur=sum(int(event.args["amountUeur"]) for event in paid),
    )


def _document(stage: Stage, digest: bytes, codec: int) -> ListDocument:
    return ListDocument.from_bytes(stage.documents.get(Cid(codec, digest)), joint=False)


def _as_wh(power_w: dict[str, int]) -> dict[str, int]:
    return {name: total // WH_PER_W_SLOT for name, total in sorted(power_w.items())}


def _grid_fees(book: Book) -> dict[bytes, int]:
    """What moving a kW at a PoD costs in grid fees, by the DSO's requests."""
    return {
        record.word("pod"): record.integer("gridFeeUeurPerKw")
        for reveal, document in book
        if reveal.side is Side.DSO_REQUEST
        for record in document.list_of(EFFECTIVENESS).records()
    }


def _products_of(book: Book, slot: int) -> set[int]:
    """Products requested in a slot."""
    return {
        record.integer("product")
        for reveal, document in book
        if reveal.side is not Side.OFFER
        for record in document.list_of(REQUEST).records()
        if record.integer("slot") == slot
    }


def measured_day(
    day_ahead: Grid, real_time: Grid, window: slice, measured: BusForecast
) -> tuple[GridDay, tuple[Violation, ...]]:
    """The day as measured: in the real-time session's window on that one's grid model, for what happened since is in it; in all
    other slots on the day-ahead session's."""
    day, violations = _grid_day(day_ahead, *measured.at_nodes(day_ahead))
    later, of_later = _grid_day(real_time, *(each[window] for each in measured.at_nodes(real_time)))
    for name in GridDay.__dataclass_fields__:
        getattr(day, name)[window] = getattr(later, name)
    elsewhere = (each for each in violations if not window.start <= each.slot < window.stop)
    return day, (*elsewhere, *(replace(each, slot=window.start + each.slot) for each in of_later))


def _grid_day(grid: Grid, p_w: Integers, q_var: Integers) -> tuple[GridDay, tuple[Violation, ...]]:
    watch = watch_of(grid)
    states = solved(watch, p_w, q_var)
    violations = watch.violations(states.values)
    per_slot = [0] * len(p_w)
    for violation in violations:
        per_slot[violation.slot] += 1
    loading_percent, vm_max_pu, vm_min_pu = (np.zeros(len(p_w)) for _ in range(3))
    for slots, flow in states.flows:
        loading_percent[slots] = flow.loading_percent.max(axis=1)
        vm_max_pu[slots], vm_min_pu[slots] = flow.vm_pu.max(axis=1), flow.vm_pu.min(axis=1)
    day = GridDay(
        loading_percent=loading_percent,
        vm_max_pu=vm_max_pu,
        vm_min_pu=vm_min_pu,
        violated=np.array(per_slot, dtype=np.int64),
    )
    return day, violations


def _summary(violations: tuple[Violation, ...]) -> list[str]:
    by_kind: dict[tuple[str, str], list[Violation]] = defaultdict(list)
    for violation in violations:
        by_kind[violation.element.kind, str(violation.element.side)].append(violation)
    out = []
    for (kind, side), some in sorted(by_kind.items()):
        worst = max(some, key=lambda violation: violation.excess)
        value = f"{worst.value / 1e6:.4f} pu" if kind == "bus" else f"{worst.value / 1e3:.1f} %"
        slots, elements = len({v.slot for v in some}), len({v.element.name for v in some})
        out.append(
            f"{kind} {side} its limit in {slots} slots, at {elements} places; worst {value} at {worst.element.name}"
        )
    return out


def _measured(
    case: DemoCase, pseudonym_of: dict[str, bytes], readings: Readings
) -> dict[str, tuple[list[int], list[int]]]:
    """Measured net W and var of every PoD; its profile where no reading came."""
    out = {}
    for pod in case.pods:
        power_w, reactive_var = list(pod.power_w), list(pod.reactive_var)
        for slot in range(case.case.slots):
            nets = readings.get((pseudonym_of[pod.pod_id], slot))
            if nets:
                power_w[slot], reactive_var[slot] = nets[0].net.power_w, nets[0].net.reactive_var
        out[pod.pod_id] = (power_w, reactive_var)
    return out


def _money(stage: Stage, names: dict[str, str], case: DemoCase) -> dict[str, MoneyFigure]:
    """Of all sessions of the day."""
    tokens: Counter[str] = Counter()
    for pod in case.pods:
        wallet = stage.cast.person(f"customer {pod.pod_id}").address
        tokens[pod.aggregator] += int(stage.operator.call("FlexToken", "balanceOf", wallet))
    paid: Counter[str] = Counter()
    penalised: Counter[str] = Counter()
    for event in stage.operator.events("SettlementLedger", "Paid"):
        paid[names[event.args["payee"]]] += int(event.args["amountUeur"])
    for event in stage.operator.events("SettlementLedger", "Penalised"):
        penalised[names[event.args["payee"]]] += int(event.args["amountUeur"])
    return {name: MoneyFigure(paid[name], penalised[name], tokens[name]) for name in sorted(names.values())}


def _delivery(record: Record) -> str:
    if record.integer("status") != DeliveryStatus.MEASURED:
        return "without a reading"
    accepted_w, delivered_w = record.integer("acceptedW"), record.integer("deliveredW")
    if delivered_w == 0:
        return "delivered nothing"
    within = abs(delivered_w - accepted_w) * 1000 <= TOLERATED_PERMILLE * accepted_w
    return "within tolerance" if within else "beyond tolerance"


def _kpis(
    offers: list[Record],
    accepted: list[Record],
    settled: list[Record],
    book: Book,
    terms: SessionTerms,
    case: DemoCase,
    pseudonym_of: dict[str, bytes],
) -> dict[str, float | None]:
    baseline = {
        (pseudonym_of[pod.pod_id], slot): power_w
        for pod in case.pods
        for slot, power_w in enumerate(pod.power_w)
    }
    ordered: Counter[tuple[bytes, int]] = Counter()
    provided: Counter[tuple[bytes, int]] = Counter()
    for record in settled:
        place = (record.word("pod"), record.integer("slot"))
        ordered[place] += record.integer("acceptedW")
        provided[place] += record.integer("deliveredW")
    requests = [
        (record.integer("slot"), Product(record.integer("product")), record.integer("reliefW"))
        for reveal, document in book
        if reveal.side is not Side.OFFER
        for record in document.list_of(REQUEST).records()
    ]
    offered = [(r.integer("slot"), Product(r.integer("product")), r.integer("powerW")) for r in offers]
    out: dict[str, float | None] = {}
    for direction, up in (("up", True), ("down", False)):
        available: Counter[tuple[bytes, int]] = Counter()
        for record in offers:
            if (Product(record.integer("product")).sign > 0) == up:
                available[record.word("pod"), record.integer("slot")] += record.integer("powerW")
        out[f"KPI_PR_03 flexibility availability, {direction}"] = flexibility_availability(
            available, baseline, terms.slots
        )
        out[f"KPI_IT_01 market liquidity, {direction}"] = market_liquidity(
            by_slot(offered, up), by_slot(requests, up)
        )
    out["KPI_PR_04 flexibility effectiveness"] = flexibility_effectiveness(provided, ordered)
    return out


def _shown(
    case: DemoCase, pseudonym_of: dict[str, bytes], readings: Readings, accepted: list[Record]
) -> list[PodFigure]:
    """The PoD of each behaviour that was asked for most."""
    asked: dict[bytes, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for record in accepted:
        sign = Product(record.integer("product")).sign
        asked[record.word("pod")][record.integer("slot")] += sign * record.integer("acceptedW")
    measured = _measured(case, pseudonym_of, readings)
    out = []
    for behaviour in Behaviour:
        mine = [
            pod for pod in case.pods if pod.behaviour is behaviour and asked.get(pseudonym_of[pod.pod_id])
        ]
        if not mine:
            continue
        pod = max(mine, key=lambda entry: sum(map(abs, asked[pseudonym_of[entry.pod_id]].values())))
        moved = asked[pseudonym_of[pod.pod_id]]
        set_points = [
            pod.power_w[slot] - moved[slot] if slot in moved else None for slot in range(case.case.slots)
        ]
        out.append(PodFigure(pod.pod_id, behaviour, pod.power_w, measured[pod.pod_id][0], set_points))
    return out
