"""Own means: what is proposed is what trying everything finds; it holds in every slot, and nobody is left without supply."""

from dataclasses import replace
from datetime import date
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pytest
from pandapower.topology import unsupplied_buses
from typer.testing import CliRunner

from offchain.cli import app
from offchain.protocol.errors import FlexledgerError, InvalidInput
from oracles.grid.core.from_pandapower import ElementLimits, LimitSettings, model_document
from oracles.grid.core.network import Integers
from oracles.grid.core.own_means import (
    Action,
    BusForecast,
    MeansKind,
    MeansSettings,
    Operable,
    Plan,
    Range,
    described,
    operable_of,
    operated,
    propose_own_means,
)
from oracles.grid.own_means import told_means
from oracles.grid.simbench_case import load_simbench_case, load_simbench_net
from tests.oracles.grid.switched_grids import (
    coupled_busbar,
    fewest_by_brute_force,
    is_radial_and_supplied,
    loads,
    two_feeders,
    violations_by_pandapower,
)

EXHAUSTIVE = MeansSettings(widened=1000, most_checked=10_000, most_plans=1000)
OVERLOADED = loads(2.2, 1.6, 1.9, 0.7, -3.1)
"""More than the first feeder's lines carry; the second feeder has room."""
LOW = loads(2.8, 2.8, 2.8, 2.8, 2.8)
"""Too low a voltage at the end of the first feeder."""
FULL_AND_LOW = (0.3, loads(4.3, 3.9, 2.4, 1.7, 2.8))
CASES = [
    (0.16, loads(2.7, 0.6, 1.9, 3.3, 2.2), 1),
    (0.16, OVERLOADED, 2),
    (0.16, loads(1.2, 3.4, 2.5, 2.8, -1.2), 2),
    (0.16, loads(1.3, 2.4, 3.0, 0.9, 3.0), None),
    (0.205, loads(1.7, 2.3, 2.9, 2.8, 1.0), 1),
    (0.26, loads(3.7, 4.3, 1.3, 5.0, 1.4), 3),
    (0.3, loads(4.7, 4.8, 4.5, 0.9, 3.2), 3),
    (*FULL_AND_LOW, 3),
]
"""Rating of the lines (kA), the forecast, and how few actions are enough; None: no three are."""


def close(switch: int) -> Action:
    return Action(MeansKind.SWITCH, switch, 1)


def open_(switch: int) -> Action:
    return Action(MeansKind.SWITCH, switch, 0)


@pytest.mark.parametrize(("rating_ka", "forecast", "fewest"), CASES)
def test_finds_what_trying_everything_finds(
    rating_ka: float, forecast: BusForecast, fewest: int | None
) -> None:
    net = two_feeders(rating_ka)
    found = propose_own_means(net, forecast, operable_of(net), settings=EXHAUSTIVE)
    assert len(found.before) == violations_by_pandapower(two_feeders(rating_ka), forecast) > 0
    complete = [frozenset(plan.actions) for plan in found.plans if not plan.leaves]
    assert [len(plan) for plan in complete] == sorted(len(plan) for plan in complete)
    best = {plan for plan in complete if len(plan) == fewest}
    assert best == fewest_by_brute_force(two_feeders(rating_ka), forecast, 3)
    assert bool(best) == (fewest is not None)


def test_an_overload_is_switched_away() -> None:
    net = two_feeders()
    found = propose_own_means(net, OVERLOADED, operable_of(net))
    assert {violation.element.key for violation in found.before} == {"line:line 0"}
    assert found.plans
    for plan in found.plans:
        changed = operated(net, plan.actions)
        assert is_radial_and_supplied(changed)
        assert violations_by_pandapower(changed, OVERLOADED) == 0
        assert plan.leaves == ()
        assert plan.removes == found.before
    assert found.cut == ()
    assert [described(net, action) for action in found.plans[0].actions] == [
        "open switch 4 at bus 5 on line line 4",
        "close switch 5 at bus 4 on line line 5",
    ]


def test_a_low_voltage_is_tapped_away_and_the_least_losses_come_first() -> None:
    net = two_feeders(rating_ka=1.0)
    found = propose_own_means(net, LOW, operable_of(net))
    assert {violation.element.kind for violation in found.before} == {"bus"}
    assert found.plans[0].actions[0].kind is MeansKind.TAP
    taps = [plan for plan in found.plans if len(plan.actions) == 1]
    assert [plan.losses_wh for plan in taps] == sorted(plan.losses_wh for plan in taps)
    assert taps[0].losses_wh < found.losses_before_wh


def test_a_plan_holds_in_every_slot() -> None:
    """Further taps are enough for the first slot, too, but lift the second one's voltages too far."""
    forecast = loads(2.8, 2.8, 2.8, 2.8, 2.8)
    forecast.p_w[1], forecast.q_var[1] = -1_800_000, 0
    net = two_feeders(rating_ka=1.0)
    first = BusForecast(forecast.buses, forecast.p_w[:1], forecast.q_var[:1])
    taps = {to: (Action(MeansKind.TAP, 0, to),) for to in (-1, -2, -3)}
    assert {plan.actions for plan in propose_own_means(net, first, operable_of(net)).plans} == set(
        taps.values()
    )
    (plan,) = propose_own_means(net, forecast, operable_of(net)).plans
    assert plan.actions == taps[-1]
    assert violations_by_pandapower(operated(net, plan.actions), forecast) == 0
    assert violations_by_pandapower(operated(net, taps[-2]), forecast) > 0


HEAVY, QUIET = (1.5, 1.5, 1.5, 0.5, 2.0), (0.5,) * 5
"""MW at buses 2 to 6: what leaves the first feeder no room for more, and what is no trouble."""


def over_slots(*slots: tuple[float, ...]) -> BusForecast:
    """A slot after the other."""
    several = [loads(*by_bus_mw) for by_bus_mw in slots]
    p_w = np.concatenate([each.p_w[:1] for each in several])
    q_var = np.concatenate([each.q_var[:1] for each in several])
    return BusForecast(several[0].buses, p_w, q_var)


def held_in(plan: Plan, slot: int) -> tuple[Action, ...]:
    return next((each.actions for each in plan.ranges if each.first_slot <= slot < each.end_slot), ())


def violations_by_slot(net: Any, forecast: BusForecast, plan: Plan) -> list[int]:
    """By pandapower, with what the plan holds in each slot."""
    return [
        violations_by_pandapower(
            operated(net, held_in(plan, slot)),
            BusForecast(forecast.buses, forecast.p_w[[slot]], forecast.q_var[[slot]]),
        )
        for slot in range(len(forecast.p_w))
    ]


def test_what_cant_be_held_all_the_time_is_held_for_a_range() -> None:
    """A ring moved for two slots, and back: four moves. Where nothing forbids it any more it stays: two."""
    net, ring = two_feeders(), Operable(frozenset({4, 6}), {})
    overloaded = (2.2, 1.6, 1.9, 0.7, -3.1)
    for slots, end, moves in (
        ((HEAVY, overloaded, overloaded, HEAVY), 3, 4),
        ((HEAVY, overloaded, QUIET), 3, 2),
    ):
        forecast = over_slots(*slots)
        (plan,) = propose_own_means(net, forecast, ring).plans
        assert plan.ranges == (Range(1, end, (open_(4), close(6))),)
        assert plan.moves == moves
        assert (plan.leaves, {each.slot for each in plan.removes}) == ((), set(range(1, len(slots) - 1)))
        assert violations_by_slot(net, forecast, plan) == [0] * len(slots)
        assert sum(violations_by_slot(net, forecast, replace(plan, ranges=(Range(0, 4, plan.actions),)))) > 0
    assert propose_own_means(net, over_slots(*slots), ring, settings=MeansSettings(most_moves=1)).plans == ()


def test_taps_move_in_the_course_of_the_window_as_seldom_as_trying_everything_finds() -> None:
    net = two_feeders(rating_ka=1.0)
    forecast = over_slots(QUIET, (2.8,) * 5, (-2.5,) * 5, (2.4,) * 5)
    taps = Operable(frozenset(), {0: (-3, 3)})
    positions = range(-3, 4)
    holds = {
        (slot, to)
        for slot in range(4)
        for to in positions
        if not violations_by_pandapower(
            operated(net, [Action(MeansKind.TAP, 0, to)]),
            BusForecast(forecast.buses, forecast.p_w[[slot]], forecast.q_var[[slot]]),
        )
    }
    fewest = min(
        sum(one != other for one, other in pairwise((0, *held)))
        for held in product(positions, repeat=4)
        if all(each in holds for each in enumerate(held))
    )
    found = propose_own_means(net, forecast, taps)
    assert found.plans[0].moves == fewest > 1
    for plan in found.plans:
        assert violations_by_slot(net, forecast, plan) == [0] * 4
    told = list(told_means(net, found))
    assert told[1].startswith(f"plan 1: {fewest} actions, removes {len(found.before)} violations, leaves 0")
    assert told[2].startswith("  tap of trafo to ")
    assert ", slots " in told[2]


def test_two_steps_where_one_isnt_enough() -> None:
    rating_ka, forecast = FULL_AND_LOW
    net = two_feeders(rating_ka)
    found = propose_own_means(net, forecast, operable_of(net), settings=EXHAUSTIVE)
    assert [len(plan.actions) for plan in found.plans][:1] == [3]
    assert {action.kind for action in found.plans[0].actions} == {MeansKind.TAP, MeansKind.SWITCH}
    assert violations_by_pandapower(operated(net, found.plans[0].actions), forecast) == 0


def test_what_cant_be_removed_is_reduced_and_said() -> None:
    net, forecast = two_feeders(), loads(4.0, 4.0, 4.0, 4.0, 4.0)
    found = propose_own_means(net, forecast, operable_of(net))
    assert found.plans
    for plan in found.plans:
        assert plan.leaves
        assert plan.removes
        excess = {(each.slot, each.element): each.excess for each in found.before}
        assert all(each.excess <= excess[each.slot, each.element] for each in plan.leaves)


def test_only_what_may_be_operated_is_moved() -> None:
    net = two_feeders()
    assert propose_own_means(net, OVERLOADED, Operable(frozenset(), {})).plans == ()
    found = propose_own_means(net, OVERLOADED, Operable(frozenset({1, 2, 5}), {0: (0, 0)}))
    assert found.plans
    moved = {(action.kind, action.index) for plan in found.plans for action in plan.actions}
    assert moved <= {(MeansKind.SWITCH, index) for index in (1, 2, 5)}


def test_no_loop_is_made_unless_that_is_allowed() -> None:
    net = two_feeders()
    radial = propose_own_means(net, OVERLOADED, operable_of(net))
    assert all(len(plan.actions) >= 2 for plan in radial.plans)
    meshed = propose_own_means(net, OVERLOADED, operable_of(net), settings=MeansSettings(allow_parallel=True))
    assert len(meshed.plans[0].actions) == 1
    assert meshed.plans[0].actions[0].to == 1
    taken = [frozenset(plan.actions) for plan in meshed.plans]
    assert not any(fewer < more for fewer in taken for more in taken), "an action that isn't needed"


def test_a_bus_coupler_splits_a_node_and_loads_stay_at_their_buses() -> None:
    """Feeder 2 moves to a second busbar with a transformer of its own: the first one's overload goes."""
    net = two_feeders(rating_ka=1.0, ties=())
    busbar = coupled_busbar(net)
    net.trafo.loc[:, "max_loading_percent"] = 40.0
    net.trafo.loc[1, "in_service"] = True
    forecast = loads(2.5, 2.0, 2.0, 2.0, 2.0)
    # One transformer's own switch is open: closing it makes the two side by side, which makes a loop.
    found = propose_own_means(net, forecast, operable_of(net))
    assert {violation.element.key for violation in found.before} == {"trafo:trafo"}
    (plan,) = [each for each in found.plans if not each.leaves]
    assert set(plan.actions) == {close(busbar["transformer"]), open_(busbar["coupler"])}


def test_transformers_side_by_side_move_together() -> None:
    net = two_feeders(rating_ka=1.0)
    pandapower.create_transformer_from_parameters(
        net, 0, 1, sn_mva=25, vn_hv_kv=110, vn_lv_kv=20, vkr_percent=0.4, vk_percent=12, pfe_kw=14, i0_percent=0.07,
        tap_side="hv", tap_neutral=0, tap_min=-3, tap_max=3, tap_pos=0, tap_step_percent=1.5, tap_changer_type="Ratio",
        name="trafo 2",
    )  # fmt: skip
    net.bus.loc[1:, "min_vm_pu"] = 0.97
    found = propose_own_means(net, LOW, operable_of(net))
    taps = [plan for plan in found.plans if plan.actions[0].kind is MeansKind.TAP]
    assert taps
    for plan in taps:
        assert {action.index for action in plan.actions} == {0, 1}
        assert len({action.to for action in plan.actions}) == 1


def test_bounds_of_the_search_are_said() -> None:
    net, forecast = two_feeders(), loads(4.0, 4.0, 4.0, 4.0, 4.0)
    found = propose_own_means(net, forecast, operable_of(net), settings=MeansSettings(most_checked=3))
    assert found.checked == 3
    assert "only 3 changes were checked" in found.cut
    found = propose_own_means(net, forecast, operable_of(net), settings=MeansSettings(widened=1))
    assert "further steps only from the best 1 changes of a step" in found.cut


def test_nothing_is_proposed_where_nothing_is_violated() -> None:
    net = two_feeders()
    found = propose_own_means(net, loads(0.5, 0.5, 0.5, 0.5, 0.5), operable_of(net))
    assert (found.before, found.plans, found.checked) == ((), (), 0)


def test_a_forecast_that_doesnt_fit_the_net_is_refused() -> None:
    net, forecast = two_feeders(), OVERLOADED
    with pytest.raises(InvalidInput, match=r"forecast.buses = 99: must be supplied"):
        propose_own_means(net, replace(forecast, buses=(2, 3, 4, 5, 99)), operable_of(net))
    with pytest.raises(InvalidInput, match=r"forecast.q_var"):
        propose_own_means(net, replace(forecast, q_var=forecast.q_var[:1]), operable_of(net))
    with pytest.raises(InvalidInput, match=r"action.switch = 99: must be in the net's table switch"):
        operated(net, [close(99)])


def test_operating_leaves_the_given_net_as_it_is() -> None:
    net = two_feeders()
    before = model_document(net)
    assert model_document(operated(net, [close(5), open_(2), Action(MeansKind.TAP, 0, 2)])) != before
    assert model_document(net) == before


def test_open_rings_of_a_simbench_grid() -> None:
    """Breakers, load-break switches and two transformers side by side, on a day on which a feeder is too full."""
    code, day = "1-MV-semiurb--0-sw", date(2026, 1, 15)
    limits = LimitSettings(max_loading_percent=24.0)
    case, net = load_simbench_case(code, day, limits), load_simbench_net(code)
    forecast = case.at_buses()
    found = propose_own_means(net, forecast, operable_of(net), limits)
    assert {violation.element.kind for violation in found.before} == {"line"}
    assert found.plans
    assert found.cut == ()
    for plan in found.plans:
        assert plan.leaves == ()
        assert sorted(action.to for action in plan.actions) == [0, 1]
        assert plan.losses_wh < found.losses_before_wh
    best = operated(net, found.plans[0].actions)
    for slot in range(0, case.slots, case.slots // 4):
        assert_loaded_at_most(best, forecast.buses, forecast.p_w[slot], forecast.q_var[slot], 24.0)


def assert_loaded_at_most(
    net: Any, buses: tuple[int, ...], p_w: Integers, q_var: Integers, percent: float
) -> None:
    """By pandapower, with nobody left without supply."""
    assert not unsupplied_buses(net) & set(buses)
    for table in ("load", "sgen", "storage"):
        net[table] = net[table].iloc[:0]
    for bus, active_w, reactive_var in zip(buses, p_w.tolist(), q_var.tolist(), strict=True):
        pandapower.create_load(net, bus, active_w / 1e6, reactive_var / 1e6)
    pandapower.runpp(net)
    assert net.res_line.loading_percent.max() <= percent + 1e-6


def test_the_command_tells_what_own_means_would_do() -> None:
    """A village's overloaded transformer: its tap lifts the voltage, so that in some slots the current is within its limit."""
    answered = CliRunner().invoke(app, ["own-means", "1-LV-rural1--2-no_sw", "--day", "2026-06-01"])
    assert answered.exit_code == 0, answered.output
    first, plan, action, *_ = answered.output.splitlines()
    assert first == "26 violations without own means: trafo:MV1.101-LV1.101-Trafo 1"
    assert plan.startswith("plan 1: 1 actions, removes ")
    assert "leaves 0" not in plan
    assert action.startswith("  tap of MV1.101-LV1.101-Trafo 1 to ")


def told(*arguments: object) -> tuple[int, str]:
    """Exit code and what is said, a refusal's text too."""
    answered = CliRunner().invoke(app, ["own-means", *map(str, arguments)])
    refusal = answered.exception
    if refusal is not None and not isinstance(refusal, SystemExit):
        assert isinstance(refusal, FlexledgerError), refusal
        return 2, str(refusal)
    return answered.exit_code, answered.output


def test_the_command_reads_a_file_and_takes_loads_as_they_stand(tmp_path: Path) -> None:
    """Also one at a bus that nothing supplies, and one out of service: they aren't there."""
    net = two_feeders()
    pandapower.create_bus(net, 20.0, name="island")
    for bus, p_mw in ((2, 2.2), (3, 1.6), (4, 1.9), (7, 0.0)):
        pandapower.create_load(net, bus, p_mw)
    pandapower.create_load(net, 3, 9.0, in_service=False)
    path = tmp_path / "net.json"
    pandapower.to_json(net, str(path))
    code, output = told(path)
    assert code == 0, output
    assert output.splitlines()[0] == "1 violations without own means: line:line 0"
    assert any(
        line.startswith("plan 1: 2 actions, removes 1 violations, leaves 0") for line in output.splitlines()
    )


def test_the_command_names_what_is_wrong_with_a_network(tmp_path: Path) -> None:
    net = two_feeders()
    net.line.loc[0, "length_km"] = -1.0
    path = tmp_path / "net.json"
    pandapower.to_json(net, str(path))
    assert told(path) == (
        2,
        f"{path}: 1 errors\nerror: line line 0 #0.length_km = -1.0: must be a positive number",
    )
    net.line.loc[0, "length_km"] = 1.0
    pandapower.to_json(net, str(path))
    assert told(path, "--day", "2026-06-01") == (
        2,
        "day = '2026-06-01': the network has no profiles: leave it out",
    )
    assert told(tmp_path / "gone.json")[1].startswith("grid = ")
    code, output = told(path, "--day", "1.6.2026")
    assert (code, "Invalid value for '--day'" in output) == (2, True)


def test_a_change_that_joins_sources_which_contradict_each_other_is_no_plan() -> None:
    net = two_feeders()
    coupler = int(pandapower.create_switch(net, 4, 6, "b", closed=False, type="CB", name="coupler"))
    for bus, vm_pu in ((4, 1.0), (6, 1.002)):
        pandapower.create_gen(net, bus, p_mw=0.0, vm_pu=vm_pu, name=f"gen {bus}")
    allowed = replace(EXHAUSTIVE, allow_parallel=True, most_checked=200)
    found = propose_own_means(net, OVERLOADED, operable_of(net), LimitSettings(), allowed)
    assert found.before
    assert all(close(coupler) not in plan.actions for plan in found.plans)


def test_a_line_with_a_limit_of_its_own_may_be_switched_off() -> None:
    net, forecast = two_feeders(), loads(2.2, 1.6, 1.9, 0.7, -3.1)
    own = LimitSettings(of_elements={"line:line 1": ElementLimits(max_loading_percent=100.0)})
    usual, found = (
        propose_own_means(net, forecast, operable_of(net), limits) for limits in (LimitSettings(), own)
    )
    assert found.plans == usual.plans
    wrong = LimitSettings(of_elements={"line:line 9": ElementLimits(max_loading_percent=100.0)})
    with pytest.raises(InvalidInput, match="line 9"):
        propose_own_means(net, forecast, operable_of(net), wrong)
