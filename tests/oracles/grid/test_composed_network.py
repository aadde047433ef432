"""What the grid daemon gets of a composition: one network of what is joined, loads for the rest, and the rest to be watched."""

from dataclasses import replace

import numpy as np
import pandapower
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.alarms import session_alarms, with_watched
from oracles.grid.composed_network import ComposedNetwork, compose
from oracles.grid.core.documents import Forecast
from oracles.grid.core.from_pandapower import ElementLimits
from oracles.grid.core.network import Integers, grid_model_from_document
from oracles.grid.core.own_means import Action, MeansKind
from oracles.grid.core.power_flow import PowerFlow, run_power_flow
from oracles.grid.core.switched_grid import solve, watch_of
from oracles.grid.core.violations import AlarmSettings, AlarmThresholds
from oracles.grid.facts import AnchoredGrid
from oracles.grid.loading.composed import MEDIUM, Place
from tests.chain.small_market import TERMS, pod
from tests.oracles.grid.composed_case import (
    LIMITS,
    LOADS_W,
    PLACES,
    backgrounds,
    composed,
    nets,
)

WATCHED_LINE = "line:CS C: line 2"


def forecast(found: ComposedNetwork) -> tuple[PowerFlow, Integers]:
    model = grid_model_from_document(found.network.document())
    p_w, q_var = found.network.background(TERMS)
    return run_power_flow(model, p_w, q_var), p_w


def test_what_has_no_participants_is_a_load_of_what_it_draws() -> None:
    """It is what everything joined comes to, within what the rounding to whole W does."""
    found, whole = composed(), composed(joined=("CS C",))
    assert [each.name for each in found.watched.grids] == ["CS C"]
    assert whole.watched.grids == ()
    (flow, p_w), (joined, _) = forecast(found), forecast(whole)
    at = {name: joined.model.node_names.index(name) for name in flow.model.node_names}
    assert np.abs(flow.vm_pu - joined.vm_pu[:, list(at.values())]).max() < 1e-7
    at_cs_c = p_w[:, flow.model.node_names.index("MV 3")]
    assert (at_cs_c[:3] > np.array(LOADS_W["CS C"][1])).all(), "with its losses"
    assert (at_cs_c[3:] > 0).all(), "a transformer draws something without load, too"


def test_pods_of_both_levels_have_their_nodes() -> None:
    found = composed()
    names = grid_model_from_document(found.network.document()).node_names
    assert [names[found.network.node_of(pod(number))] for number in range(4)] == [
        "CS A: end",
        "CS B: end",
        "MV 2",
        "CS A: near",
    ]


def alarms(found: ComposedNetwork, settings: AlarmSettings) -> dict[tuple[str, int], str]:
    flow, p_w = forecast(found)
    q_var = found.network.background(TERMS)[1]
    grid = AnchoredGrid(flow.model, bytes(32), Forecast(1, bytes(32), p_w, q_var, {}))
    states = solve(watch_of(flow.model), p_w, q_var, range(len(p_w)))
    told = session_alarms(TERMS, grid, states, found.watched.above(settings))
    told = with_watched(told, TERMS, grid, states, found.watched, settings)
    levels = [alarm.level for alarm in told.alarms]
    assert levels == sorted(levels, key=["critical", "alarm", "warning"].index)
    assert [each.name for each in told.watched] == [each.name for each in found.watched.grids]
    return {(alarm.element, alarm.first_slot): alarm.level for alarm in told.alarms}


def test_the_operator_is_told_of_what_is_only_watched_by_its_own_thresholds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = composed()
    assert alarms(found, AlarmSettings())[WATCHED_LINE, 2] == "critical"
    own = {WATCHED_LINE: AlarmThresholds(critical_percent=200.0), "line:CS A: line 1": AlarmThresholds()}
    assert alarms(found, AlarmSettings(of_elements=own))[WATCHED_LINE, 2] == "alarm"
    assert caplog.records == []


def test_limits_of_single_elements_go_to_their_network() -> None:
    wide = {
        WATCHED_LINE: ElementLimits(max_loading_percent=500.0),
        "line:CS A: line 2": ElementLimits(max_loading_percent=10.0),
    }
    found = composed(limits=replace(LIMITS, of_elements=wide))
    told = alarms(found, AlarmSettings())
    assert (WATCHED_LINE, 2) not in told
    assert told["line:CS A: line 2", 0] == "critical"
    with pytest.raises(InvalidInput, match="CS A: line 9"):
        composed(limits=replace(LIMITS, of_elements={"line:CS A: line 9": ElementLimits(0.9)}))


def test_own_means_work_on_the_joined_network() -> None:
    """What is switched keeps its index whichever substations are joined."""
    found, more = composed(), composed(joined=("CS C",))
    for table in ("bus", "line", "trafo", "switch"):
        few, all_ = (each.network.net[table].name.to_dict() for each in (found, more))
        assert few.items() < all_.items()
    tap = found.network.after([Action(MeansKind.TAP, 0, 1)])
    assert tap.document() != found.network.document()
    assert np.array_equal(
        tap.background(TERMS)[0].sum(axis=1), found.network.background(TERMS)[0].sum(axis=1)
    )


def test_a_grid_whose_bus_nothing_supplies_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    parts = nets()
    parts.medium.line.loc[2, "in_service"] = False
    found = compose(parts, PLACES, backgrounds(), LIMITS)
    assert found.watched.grids == ()
    assert "CS C: its bus isn't supplied" in caplog.text
    forecast(found)


def test_where_there_is_no_solution_the_session_goes_on() -> None:
    """The grid counts as a load of what is connected to it, and the operator is told in which slots."""
    beyond = backgrounds()
    known = beyond["CS C"].background

    def huge(terms: object) -> tuple[Integers, Integers]:
        p_w, q_var = known(TERMS)
        p_w = p_w.copy()
        p_w[1] *= 60
        return p_w, q_var

    beyond["CS C"] = replace(beyond["CS C"], background=huge)
    found = compose(nets(), PLACES, beyond, LIMITS)
    flow, p_w = forecast(found)
    at_cs_c = flow.model.node_names.index("MV 3")
    assert p_w[1, at_cs_c] == 60 * LOADS_W["CS C"][1][1]
    grid = AnchoredGrid(flow.model, bytes(32), Forecast(1, bytes(32), p_w, p_w // 5, {}))
    states = solve(watch_of(flow.model), p_w, found.network.background(TERMS)[1], range(len(p_w)))
    first = session_alarms(TERMS, grid, states, AlarmSettings())
    told = with_watched(first, TERMS, grid, states, found.watched, AlarmSettings())
    (below,) = told.watched
    assert below.unsolved_slots == (1,)
    assert any(alarm.element == WATCHED_LINE for alarm in told.alarms)


def test_what_is_missing_or_in_no_network_is_refused() -> None:
    parts = nets()
    for grid in (MEDIUM, "CS C"):
        known = {name: each for name, each in backgrounds().items() if name != grid}
        with pytest.raises(InvalidInput, match="everybody outside the market"):
            compose(parts, PLACES, known, LIMITS)
    pandapower.create_gen(parts.low["CS C"].net, 3, 0.01, vm_pu=1.0)
    with pytest.raises(InvalidInput, match=r"low\.CS C\.joined"):
        compose(parts, PLACES, backgrounds(), LIMITS)
    for place in (Place("CS Z", "end"), Place("CS C", "MV 1")):
        with pytest.raises(InvalidInput, match="must be a"):
            compose(parts, {pod(0): place}, backgrounds(), LIMITS)


def test_a_grid_at_a_bus_that_the_anchored_one_doesnt_supply_is_left_out() -> None:
    """Such as one that was switched on since: it keeps no alarms of the others from the operator."""
    found = composed()
    flow, p_w = forecast(found)
    grid = AnchoredGrid(flow.model, bytes(32), Forecast(1, bytes(32), p_w, p_w, {}))
    states = solve(watch_of(flow.model), p_w, 0 * p_w, range(len(p_w)))
    (below,) = found.watched.grids
    watched = replace(found.watched, grids=(below, replace(below, name="CS D", bus=999)))
    told = session_alarms(TERMS, grid, states, AlarmSettings())
    told = with_watched(told, TERMS, grid, states, watched, AlarmSettings())
    assert [each.name for each in told.watched] == ["CS C"]
