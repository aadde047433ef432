"""Own means before the market: proposed to the DSO's platform, decided there, anchored as decided."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandapower
import pytest

from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.market.timetable import sessions_of_day
from offchain.protocol.documents.own_means import MeansPlan
from offchain.protocol.errors import InvalidInput
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S, SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.rest.refusals import Conflict
from oracles.grid import own_means
from oracles.grid.core.documents import (
    FORECAST_BEYOND_SLOTS,
    forecast_of_bytes,
    grid_model_bytes,
    grid_model_of_bytes,
    switched_document,
)
from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.network import Document, Integers, grid_model_from_document
from oracles.grid.core.own_means import Action, MeansKind, Operable
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.switched_grid import SwitchedGrid, solved, watch_of
from oracles.grid.core.violations import AlarmSettings, AlarmThresholds, find_violations
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.facts import anchored_grid
from oracles.grid.own_means import DECISION_S, OwnMeansFirst
from oracles.grid.switched_network import SwitchedNetwork
from tests.chain.real_time_day import NoRequests
from tests.chain.small_market import CAST, TERMS, SmallMarket, pod, prepared, small_market
from tests.chain.workers import shared_folder
from tests.dso.conftest import DEPLOYMENT, Broker, PomDesk
from tests.oracles.grid.switched_grids import loads, two_feeders

BUSES = (2, 3, 4, 5, 6)
BUS_OF_POD = {pod(number): 2 + number for number in range(4)}
BACKGROUND_MW = (2.2, 1.6, 1.9, 0.7, -3.1)
"""Without the market's PoDs the first feeder is too full already."""
SESSIONS = [
    replace(terms, session=1 + number) for number, terms in enumerate(sessions_of_day(date(2027, 6, 1)))
]
DAY_AHEAD, FIRST_REAL_TIME, *_ = SESSIONS
NEXT_DAY = replace(sessions_of_day(date(2027, 6, 2))[0], session=20)
EARLY_S = DAY_AHEAD.baselineGate
LATE_S = DAY_AHEAD.gateOpening - DECISION_S


def network_of(*by_bus_mw: float) -> SwitchedNetwork:
    def background(terms: SessionTerms) -> tuple[Integers, Integers]:
        values, slots = loads(*by_bus_mw), terms.slots + FORECAST_BEYOND_SLOTS
        return np.repeat(values.p_w[:1], slots, axis=0), np.repeat(values.q_var[:1], slots, axis=0)

    return SwitchedNetwork(two_feeders(), BUS_OF_POD, BUSES, background)


@pytest.fixture
def control_room(tmp_path: Path) -> Iterator[DsoService]:
    store = DsoStore(tmp_path / "dso.sqlite")
    yield DsoService(store, Broker(), PomDesk(), {}.get, lambda: 1_800_000_000, DEPLOYMENT)
    store.close()


def means(control_room: DsoService, *by_bus_mw: float) -> OwnMeansFirst:
    network = network_of(*(by_bus_mw or BACKGROUND_MW))
    return OwnMeansFirst(lambda: network, control_room)


def actions_of(plan: MeansPlan) -> list[Action]:
    return [Action(MeansKind(action.kind), action.index, action.to) for action in plan.actions]


def decided(found: OwnMeansFirst, terms: SessionTerms, market_s: int) -> Document | None:
    network = found.decided_network(terms, {}, market_s)
    return network.document() if network else None


def test_the_grid_waits_for_the_operator_and_is_as_it_decides(control_room: DsoService) -> None:
    found = means(control_room)
    assert decided(found, DAY_AHEAD, EARLY_S) is None
    proposal = control_room.proposed(1)
    assert proposal is not None
    assert {each.element for each in proposal.before} == {"line:line 0"}
    assert proposal.before[0].slots == tuple(range(96))
    control_room.decide(1, 2, "operator")
    taken = actions_of(proposal.plans[1])
    assert decided(found, DAY_AHEAD, EARLY_S) == found.network().after(taken).document()
    assert decided(found, DAY_AHEAD, EARLY_S) != found.network().document()
    with pytest.raises(Conflict, match="session = 1: the grid is anchored, as decided before"):
        control_room.decide(1, 0, "operator")


@pytest.mark.parametrize("says", [None, 0])
def test_who_takes_none_or_doesnt_decide_goes_to_the_market(
    control_room: DsoService, says: int | None
) -> None:
    found = means(control_room)
    decided(found, DAY_AHEAD, EARLY_S)
    if says is not None:
        control_room.decide(1, says, "operator")
    assert (decided(found, DAY_AHEAD, LATE_S - 1) is None) is (says is None)
    assert decided(found, DAY_AHEAD, LATE_S) == found.network().document()
    with pytest.raises(Conflict):
        control_room.decide(1, 1, "operator")


def test_a_decision_may_change_until_the_grid_is_anchored(control_room: DsoService) -> None:
    found = means(control_room)
    decided(found, DAY_AHEAD, EARLY_S)
    for plan in (1, 0, 3):
        control_room.decide(1, plan, "operator")
    proposal = control_room.proposed(1)
    assert proposal is not None
    assert (
        decided(found, DAY_AHEAD, EARLY_S) == found.network().after(actions_of(proposal.plans[2])).document()
    )


def test_nobody_is_waited_for_where_nothing_is_violated_or_can_be_done(control_room: DsoService) -> None:
    quiet = means(control_room, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert decided(quiet, DAY_AHEAD, EARLY_S) == quiet.network().document()
    assert decided(means(control_room), DAY_AHEAD, EARLY_S) == quiet.network().document(), (
        "the first proposal stays"
    )


def test_what_the_markets_pods_are_expected_to_absorb_counts(control_room: DsoService) -> None:
    quiet = means(control_room, 0.1, 0.1, 0.1, 0.1, 0.1)
    expected = {(pod(number), slot): Net(2_900_000, 0) for slot in (7, 8) for number in (0, 1)}
    assert quiet.decided_network(DAY_AHEAD, expected, EARLY_S) is None
    proposal = control_room.proposed(1)
    assert proposal is not None
    assert proposal.before[0].slots == (7, 8)
    unknown, nobody = ({(pod(number), 0): Net(1, 1) for number in few} for few in ((9,), ()))
    one, other = quiet.network().at_buses(DAY_AHEAD, unknown), quiet.network().at_buses(DAY_AHEAD, nobody)
    assert one.buses == other.buses
    assert (one.p_w == other.p_w).all(), "one that the DSO doesn't know is left out"


def test_a_pod_that_isnt_supplied_keeps_nobody_from_own_means(control_room: DsoService) -> None:
    net = two_feeders()
    dead = int(pandapower.create_bus(net, 20.0, name="dead"))
    known = network_of(*BACKGROUND_MW)
    network = SwitchedNetwork(net, {**BUS_OF_POD, pod(4): dead}, BUSES, known._background)
    expected = {(pod(4), slot): Net(1_000, 0) for slot in range(DAY_AHEAD.slots)}
    assert OwnMeansFirst(lambda: network, control_room).decided_network(DAY_AHEAD, expected, EARLY_S) is None
    proposal = control_room.proposed(DAY_AHEAD.session)
    assert proposal is not None
    assert proposal.plans


def test_real_time_starts_from_what_was_taken_day_ahead_and_the_next_day_doesnt(
    control_room: DsoService,
) -> None:
    found = means(control_room)
    decided(found, DAY_AHEAD, EARLY_S)
    control_room.decide(1, 1, "operator")
    switched = decided(found, DAY_AHEAD, EARLY_S)
    assert decided(found, FIRST_REAL_TIME, FIRST_REAL_TIME.baselineGate) == switched
    real_time, after = control_room.proposed(FIRST_REAL_TIME.session), control_room.proposed(NEXT_DAY.session)
    assert real_time is not None
    assert (real_time.before, real_time.plans, after) == ((), (), None)
    assert decided(found, NEXT_DAY, NEXT_DAY.baselineGate) is None
    assert decided(found, NEXT_DAY, NEXT_DAY.gateOpening - 1) == found.network().document()


OVERLOADED_MW, HEAVY_MW = (2.2, 1.6, 1.9, 0.7, -3.1), (1.5, 1.5, 1.5, 0.5, 2.0)
RING = Operable(frozenset({4, 6}), {})
"""Moving the ring relieves the first feeder where it is overloaded, and overloads it where it is heavily loaded."""
EVENING = range(72, 84)


def evening_network() -> SwitchedNetwork:
    """Overloaded from six to nine in the evening, heavily loaded for the rest of the day."""
    evening, heavy = loads(*OVERLOADED_MW), loads(*HEAVY_MW)

    def background(terms: SessionTerms) -> tuple[Integers, Integers]:
        first = (terms.deliveryStart - DAY_AHEAD.deliveryStart) // SLOT_S % 96
        slots = range(first, first + terms.slots + FORECAST_BEYOND_SLOTS)
        chosen = [evening if slot % 96 in EVENING else heavy for slot in slots]
        return np.stack([each.p_w[0] for each in chosen]), np.stack([each.q_var[0] for each in chosen])

    return SwitchedNetwork(two_feeders(), BUS_OF_POD, BUSES, background)


def evening_means(control_room: DsoService) -> OwnMeansFirst:
    network = evening_network()
    return OwnMeansFirst(lambda: network, control_room, operable=RING)


def test_what_is_held_for_a_range_is_the_grid_of_its_slots(control_room: DsoService) -> None:
    found = evening_means(control_room)
    assert decided(found, DAY_AHEAD, EARLY_S) is None
    proposal = control_room.proposed(1)
    assert proposal is not None
    (plan,) = proposal.plans
    start_s = DAY_AHEAD.deliveryStart
    assert {(each.start, each.end) for each in plan.actions} == {
        (start_s + 72 * SLOT_S, start_s + 84 * SLOT_S)
    }
    assert (plan.moves, len(plan.actions), plan.leaves) == (4, 2, ())
    control_room.decide(1, 1, "operator")
    network = evening_network()
    normal, ring = network.document(), network.after(actions_of(plan)).document()
    assert decided(found, DAY_AHEAD, EARLY_S) == switched_document(
        [normal, ring], [(72, 0), (12, 1), (20, 0)]
    )
    assert decided(found, DAY_AHEAD, EARLY_S) == decided(found, DAY_AHEAD, LATE_S), "killed and started again"
    terms_of_ranges = {
        4: normal,
        5: switched_document([normal, ring], [(8, 0), (16, 1)]),
        6: switched_document([ring, normal], [(4, 0), (20, 1)]),
    }
    for number, expected in terms_of_ranges.items():
        terms = SESSIONS[number]
        assert decided(found, terms, terms.baselineGate) == expected, "real time starts from it, slot by slot"
        looked_at = control_room.proposed(terms.session)
        assert (looked_at is None) is (number != 4), "no search where the network is switched in the window"


def test_the_daemon_anchors_what_is_held_for_a_range(market: SmallMarket, control_room: DsoService) -> None:
    """The forecast on it violates nothing, alarms are of each slot's grid, and nothing is asked for."""
    chain = market.speaking_as(CAST.oracles["grid"])
    network, found = evening_network(), evening_means(control_room)

    def step() -> None:
        GridDaemon(
            chain,
            market.documents,
            market.stores,
            network,
            NoRequests(),
            GridDaemonSettings(90_000, alarms=AlarmSettings(AlarmThresholds(warning_percent=60.0))),
            own_means=found,
            alarm_desk=control_room,
        ).step()

    step()
    proposal = control_room.proposed(1)
    assert proposal is not None
    assert len(proposal.plans[0].actions) == 2
    control_room.decide(1, 1, "operator")
    step()
    grid = anchored_grid(market.view, market.documents, TERMS, CAST.oracles["grid"].address)
    assert isinstance(grid.model, SwitchedGrid)
    assert grid.model.model_of_slot.tolist() == [int(slot in EVENING) for slot in range(104)]
    values = solved(watch_of(grid.model), grid.forecast.p_w, grid.forecast.q_var).values
    assert watch_of(grid.model).violations(values) == ()
    on_either = [
        find_violations(run_power_flow(model, *(each[:, grid.model.places[:, 0]] for each in power)))
        for model in grid.model.models
        for power in [(grid.forecast.p_w, grid.forecast.q_var)]
    ]
    assert all(on_either), "neither alone would do"
    (told,) = control_room.alarms(0, 2**40)
    assert {alarm.level for alarm in told.alarms} == {"warning"}
    market.chain.advance_to(TERMS.gateOpening)
    step()


def test_a_decision_that_isnt_closed_stands_for_no_other_session(control_room: DsoService) -> None:
    found = means(control_room)
    decided(found, DAY_AHEAD, EARLY_S)
    control_room.decide(1, 1, "operator")
    assert control_room.standing(2, DAY_AHEAD.deliveryStart) == []


def test_a_pod_at_a_bus_that_isnt_supplied_is_refused() -> None:
    network = network_of(*BACKGROUND_MW).after([Action(MeansKind.SWITCH, 4, 0)])
    assert network.node_of(pod(0)) == network_of(*BACKGROUND_MW).node_of(pod(0))
    with pytest.raises(InvalidInput, match="must be connected to a bus that the grid supplies"):
        SwitchedNetwork(network.net, {pod(0): 6}, (), lambda _: loads(), network.limits).node_of(pod(0))


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def market(original: Path, tmp_path: Path) -> Iterator[SmallMarket]:
    with small_market(original, tmp_path) as opened:
        opened.chain.advance_to(TERMS.baselineGate)
        yield opened


def step(market: SmallMarket, control_room: DsoService) -> None:
    """One step of a grid daemon that was just started."""
    chain = market.speaking_as(CAST.oracles["grid"])
    found = means(control_room)
    settings = GridDaemonSettings(90_000)
    GridDaemon(
        chain, market.documents, market.stores, found.network(), NoRequests(), settings, own_means=found
    ).step()


def test_no_search_keeps_nobody_from_the_market(
    control_room: DsoService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise UnsupportedGrid("forecast.buses", [7], "must be supplied")

    monkeypatch.setattr(own_means, "propose_own_means", refuses)
    found = means(control_room)
    assert decided(found, DAY_AHEAD, EARLY_S) == found.network().document()
    assert control_room.proposed(1) is None


def test_what_is_anchored_stays_and_its_alarms_are_told(
    market: SmallMarket, control_room: DsoService
) -> None:
    chain = market.speaking_as(CAST.oracles["grid"])

    def watch(network: SwitchedNetwork, *, unknown_line: bool = False) -> None:
        of_elements = {"line:gone": AlarmThresholds()} if unknown_line else {}
        settings = GridDaemonSettings(90_000, alarms=AlarmSettings(of_elements=of_elements))
        daemon = GridDaemon(
            chain, market.documents, market.stores, network, NoRequests(), settings, alarm_desk=control_room
        )
        daemon.step()

    watch(network_of(*BACKGROUND_MW), unknown_line=True)
    before = [anchored(market, kind) for kind in (NoticeKind.GRID_MODEL, NoticeKind.FORECAST)]
    assert [len(each) for each in before] == [1, 1]
    (told,) = control_room.alarms(0, 2**40)
    assert any(alarm.level != "warning" for alarm in told.alarms)
    watch(network_of(0.1, 0.1, 0.1, 0.1, 0.1))
    assert [anchored(market, kind) for kind in (NoticeKind.GRID_MODEL, NoticeKind.FORECAST)] == before
    assert control_room.alarms(0, 2**40) == [told]


def test_a_pod_that_the_dso_doesnt_know_keeps_nobody_from_the_forecast(
    market: SmallMarket, control_room: DsoService
) -> None:
    network = network_of(*BACKGROUND_MW)
    knows_one = SwitchedNetwork(
        network.net, {pod(0): BUS_OF_POD[pod(0)]}, (), loads_of_nobody, network.limits
    )
    chain = market.speaking_as(CAST.oracles["grid"])
    settings = GridDaemonSettings(90_000)
    GridDaemon(chain, market.documents, market.stores, knows_one, NoRequests(), settings).step()
    (raw,) = anchored(market, NoticeKind.FORECAST)
    assert len(market.view.pods()) > 1
    assert list(json.loads(raw)["nodeOfPod"]) == ["0x" + pod(0).hex()]


def loads_of_nobody(terms: SessionTerms) -> tuple[Integers, Integers]:
    nothing = np.zeros((terms.slots + FORECAST_BEYOND_SLOTS, 0), dtype=np.int64)
    return nothing, nothing


def anchored(market: SmallMarket, kind: NoticeKind) -> list[bytes]:
    return [market.documents.get(notice.cid) for notice in market.view.notices(kind, TERMS.session)]


def test_the_daemon_anchors_the_grid_that_was_decided_and_asks_for_nothing_more(
    market: SmallMarket, control_room: DsoService
) -> None:
    step(market, control_room)
    step(market, control_room)
    assert anchored(market, NoticeKind.GRID_MODEL) == []
    control_room.decide(1, 1, "operator")
    step(market, control_room)
    step(market, control_room)
    proposal = control_room.proposed(1)
    assert proposal is not None
    expected = network_of(*BACKGROUND_MW).after(actions_of(proposal.plans[0])).document()
    assert anchored(market, NoticeKind.GRID_MODEL) == [grid_model_bytes(expected)]
    model = grid_model_of_bytes(anchored(market, NoticeKind.GRID_MODEL)[0])
    (raw,) = anchored(market, NoticeKind.FORECAST)
    forecast = forecast_of_bytes(raw)
    assert forecast.node_of_pod == {pod_: model.node_of_bus[bus] for pod_, bus in BUS_OF_POD.items()}
    assert find_violations(run_power_flow(model, forecast.p_w, forecast.q_var)) == ()
    before = grid_model_from_document(network_of(*BACKGROUND_MW).document())
    assert find_violations(run_power_flow(before, forecast.p_w, forecast.q_var))
    market.chain.advance_to(TERMS.gateOpening)
    step(market, control_room)
