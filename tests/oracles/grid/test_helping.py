"""Who can help an element that passes its limit: what a power flow says when they do, and who is named first."""

import numpy as np
import pytest

from offchain.protocol.documents.alarm import GridAlarm
from offchain.protocol.products import Product
from oracles.grid.alarms import session_alarms
from oracles.grid.core.documents import Forecast
from oracles.grid.core.network import Integers, grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.violations import AlarmSettings, Watch
from oracles.grid.facts import AnchoredGrid
from oracles.grid.flows import session_flows, window_states
from oracles.grid.helping import MOST_SHOWN, CouldGive
from tests.chain.small_market import TERMS, pod
from tests.oracles.grid.small_grids import radial_document

MODEL = grid_model_from_document(radial_document([1, 2, 1], [0.05, 0.05, 0.05], band=(0.97, 1.1)))
"""A feeder of two, buses 2 and 3, and another one, bus 4."""
WORST = 7
SMALL_W = 50


def forecast() -> Forecast:
    p_w = np.zeros((TERMS.slots, MODEL.nodes), dtype=np.int64)
    p_w[:, 2], p_w[:, 3], p_w[:, 4] = 30_000, 50_000, 10_000
    p_w[WORST, 3] = 75_000
    return Forecast(TERMS.session, bytes(32), p_w, p_w // 10, {})


def could(number: int, node: int, **most_w: int) -> CouldGive:
    return CouldGive(
        pod(number),
        node,
        {Product[name]: np.full(TERMS.slots, each, dtype=np.int64) for name, each in most_w.items()},
    )


def alarms_of(*helping: CouldGive) -> list[GridAlarm]:
    grid = AnchoredGrid(MODEL, bytes(32), forecast())
    return list(session_alarms(TERMS, grid, window_states(TERMS, grid), AlarmSettings(), helping).alarms)


def passed(alarms: list[GridAlarm], kind: str) -> GridAlarm:
    return next(each for each in alarms if each.type == kind and each.level != "warning")


PODS = (
    could(0, 3, ACTIVE_UP=20_000, ACTIVE_DOWN=20_000, REACTIVE_UP=5_000),
    could(1, 2, ACTIVE_UP=30_000),
    could(2, 4, ACTIVE_UP=50_000),
    could(3, 3, ACTIVE_UP=0),
)


def test_they_are_named_with_what_they_have_and_do() -> None:
    line = passed(alarms_of(*PODS), "congestion")
    assert line.element == "line:line 00"
    assert line.worst_slot == WORST
    named = [(each.pod, each.product) for each in line.helping]
    assert named[0] == (pod(1), "activeUp"), "most relief first"
    assert (pod(0), "activeUp") in named
    assert (pod(0), "activeDown") not in named, "it would make it worse"
    assert pod(3) not in {each for each, _ in named}, "it has nothing to give"
    totals = {each.product: (each.pods, each.available) for each in line.helping_totals}
    assert totals["activeUp"][0] >= 2
    assert totals["activeUp"][1] >= 50_000


@pytest.mark.parametrize("kind", ["congestion", "voltage"])
def test_a_power_flow_confirms_the_sensitivities(kind: str) -> None:
    alarm = passed(alarms_of(*PODS), kind)
    watch, known = Watch(MODEL), forecast()
    column = next(
        place
        for place, element in enumerate(watch.elements)
        if (element.key, element.side) == (alarm.element, alarm.side)
    )

    def value(p_w: Integers, q_var: Integers) -> float:
        of_slot = slice(WORST, WORST + 1)
        flow = run_power_flow(MODEL, p_w[of_slot], q_var[of_slot])
        return float(watch.values(flow)[0, column]) * (1_000_000 if kind == "voltage" else 100_000)

    before = value(known.p_w, known.q_var)
    node_of = {each.pod: each.node for each in PODS}
    best = {}
    for each in alarm.helping:
        p_w, q_var = known.p_w.copy(), known.q_var.copy()
        moved = p_w if each.product.startswith("active") else q_var
        moved[WORST, node_of[each.pod]] -= SMALL_W if each.product.endswith("Up") else -SMALL_W
        fall = (before - value(p_w, q_var)) * 1_000_000 / SMALL_W
        assert fall == pytest.approx(each.sensitivity, rel=0.03, abs=2)
        best[each.product] = max(best.get(each.product, 0), each.sensitivity)
    for each in alarm.helping:
        assert each.effectiveness == pytest.approx(1000 * each.sensitivity / best[each.product], abs=1.5)


def test_nobody_helps_what_is_only_near_its_limit_or_has_nobody() -> None:
    assert all(not each.helping for each in alarms_of(*PODS) if each.level == "warning")
    assert passed(alarms_of(), "congestion").helping == ()


def test_of_many_the_best_are_named_and_all_are_counted() -> None:
    many = [could(number, 3, ACTIVE_UP=1_000 + number) for number in range(MOST_SHOWN + 10)]
    line = passed(alarms_of(*many), "congestion")
    assert len(line.helping) == MOST_SHOWN
    assert line.helping[0].pod == pod(MOST_SHOWN + 9)
    assert line.helping_totals[0].pods == MOST_SHOWN + 10
    assert line.helping_totals[0].available == sum(1_000 + number for number in range(MOST_SHOWN + 10))


def test_flows_are_those_of_the_power_flow_in_whole_units() -> None:
    grid = AnchoredGrid(MODEL, bytes(32), forecast())
    states = window_states(TERMS, grid)
    ((_, flow),) = states.flows
    shown = session_flows(TERMS, grid, states)
    assert shown.nodes.keys[2] == "bus:bus 2"
    assert shown.branches.keys[:2] == ("trafo:trafo", "line:line 00")
    assert np.abs(shown.nodes.values[0] / 1e6 - flow.vm_pu).max() <= 5.1e-7
    loading, from_w, from_var, losses_w = shown.branches.values
    assert np.abs(loading / 1000 - flow.loading_percent).max() <= 5.1e-4
    supplied = flow.supply_va
    assert np.abs(from_w[:, 0] - supplied.real).max() <= 1
    assert np.abs(from_var[:, 0] - supplied.imag).max() <= 1
    assert np.abs(losses_w.sum(axis=1) - flow.losses_w).max() <= len(shown.branches.keys)
    assert shown.nodes.lowest is not None
    assert shown.nodes.lowest[2] == 970_000
