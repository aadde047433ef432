"""A grid that is switched in the course of the window: in each slot all is as the slot's own model has it."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import Product
from oracles.grid.core.assessment import Assessment, Item, assess
from oracles.grid.core.documents import (
    FORECAST_BEYOND_SLOTS,
    Forecast,
    grid_from_document,
    grid_model_bytes,
    grid_of_bytes,
    switched_document,
)
from oracles.grid.core.flexible_pods import Flexibility, FlexiblePod
from oracles.grid.core.from_pandapower import ElementLimits, LimitSettings, model_document
from oracles.grid.core.network import Document, Integers
from oracles.grid.core.own_means import Action, MeansKind, operated
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.request import size_request
from oracles.grid.core.switched_grid import SwitchedGrid, solve, solved, watch_of
from oracles.grid.core.violations import AlarmSettings, Watch, find_violations
from oracles.grid.facts import AnchoredGrid
from oracles.grid.flows import session_flows
from oracles.grid.helping import CouldGive, Helpers
from tests.chain.small_market import TERMS
from tests.oracles.grid.switched_grids import coupled_busbar, two_feeders

RING = (Action(MeansKind.SWITCH, 4, 0), Action(MeansKind.SWITCH, 6, 1))
MODEL_OF_SLOT = (0, 0, 1, 1, 0)


def documents() -> list[Document]:
    """Two feeders; and with a ring moved and the busbars' coupler open, so that a node becomes two."""
    net = two_feeders(rating_ka=0.12)
    busbar = coupled_busbar(net)
    net.trafo.loc[1, "in_service"] = True
    apart = operated(
        net,
        [
            *RING,
            Action(MeansKind.SWITCH, busbar["coupler"], 0),
            Action(MeansKind.SWITCH, busbar["transformer"], 1),
        ],
    )
    limits = LimitSettings(of_elements={"line:line 1": ElementLimits(max_loading_percent=80.0)})
    return [model_document(net), model_document(apart, limits)]


@pytest.fixture(scope="module")
def grid() -> SwitchedGrid:
    found = grid_from_document(switched_document(documents(), [(2, 0), (2, 1), (1, 0)]))
    assert isinstance(found, SwitchedGrid)
    return found


def powers(grid: SwitchedGrid, seed: int, most_w: int) -> tuple[Integers, Integers]:
    chance = np.random.default_rng(seed)
    p_w = chance.integers(0, most_w, (len(MODEL_OF_SLOT), grid.nodes))
    return p_w, p_w // 5


def at_nodes(grid: SwitchedGrid, slot: int, values: Integers) -> Integers:
    """Values at places as those at the nodes of a slot's model."""
    out = np.zeros((1, grid.models[MODEL_OF_SLOT[slot]].nodes), dtype=np.int64)
    np.add.at(out[0], grid.places[:, MODEL_OF_SLOT[slot]], values)
    return out


def test_a_place_is_what_shares_a_node_in_every_slot(grid: SwitchedGrid) -> None:
    assert grid.model_of_slot.tolist() == list(MODEL_OF_SLOT)
    first, second = grid.models
    assert first.node_of_bus[1] == first.node_of_bus[7]
    assert second.node_of_bus[1] != second.node_of_bus[7]
    assert grid.node_of_bus[1] != grid.node_of_bus[7]
    assert sorted(grid.node_of_bus) == sorted(first.node_of_bus)
    for bus, place in grid.node_of_bus.items():
        assert grid.places[place].tolist() == [first.node_of_bus[bus], second.node_of_bus[bus]]


def test_violations_of_each_slot_are_those_of_its_own_model(grid: SwitchedGrid) -> None:
    """Elements that are only in one of the models, and one with another limit in each, included."""
    p_w, q_var = powers(grid, 1, 3_000_000)
    watch = watch_of(grid)
    found = watch.violations(solved(watch, p_w, q_var).values)
    seen = set()
    for slot, model in enumerate(MODEL_OF_SLOT):
        flow = run_power_flow(
            grid.models[model], at_nodes(grid, slot, p_w[slot]), at_nodes(grid, slot, q_var[slot])
        )
        own = {(each.element, each.value, each.limit) for each in find_violations(flow)}
        assert {(each.element, each.value, each.limit) for each in found if each.slot == slot} == own
        seen |= {(each.element.key, each.limit) for each in find_violations(flow)}
    assert {("line:line 0", 100_000), ("line:line 1", 80_000)} <= seen
    only_in_one = {each.key for each in Watch(grid.models[0]).elements} ^ {
        each.key for each in Watch(grid.models[1]).elements
    }
    assert {"line:line 4", "line:line 6"} <= only_in_one


def random_items(grid: SwitchedGrid, seed: int) -> list[Item]:
    """Mostly down: more is absorbed."""
    chance = random.Random(seed)
    return [
        Item(
            priority=priority,
            node=chance.randrange(1, grid.nodes),
            slot=slot,
            product=Product(chance.choice((0, 1, 1, 1))),
            accepted_w=(accepted_w := chance.randint(1, 2_500_000)),
            min_w=chance.choice((0, 0, accepted_w)),
        )
        for slot in range(len(MODEL_OF_SLOT))
        for priority in range(8)
    ]


def of_slot(grid: SwitchedGrid, slot: int, items: list[Item], power: tuple[Integers, Integers]) -> Assessment:
    """A slot alone, by its own model."""
    model = MODEL_OF_SLOT[slot]
    p_w, q_var = (at_nodes(grid, slot, each[slot]) for each in power)
    mine = [
        Item(
            priority=each.priority,
            node=int(grid.places[each.node, model]),
            slot=0,
            product=each.product,
            accepted_w=each.accepted_w,
            min_w=each.min_w,
        )
        for each in items
        if each.slot == slot
    ]
    return assess(grid.models[model], p_w, q_var, mine)


@pytest.mark.parametrize("seed", range(4))
def test_each_slot_is_assessed_by_its_own_model(grid: SwitchedGrid, seed: int) -> None:
    power, items = powers(grid, seed, 700_000), random_items(grid, seed)
    whole = assess(grid, *power, items)
    for slot in range(len(MODEL_OF_SLOT)):
        alone = of_slot(grid, slot, items, power)
        mine = [allowed for allowed, item in zip(whole.allowed_w, items, strict=True) if item.slot == slot]
        assert mine == list(alone.allowed_w)
        assert [
            (each.item.priority, each.refused_w, each.element, each.margin)
            for each in whole.refusals
            if each.item.slot == slot
        ] == [(each.item.priority, each.refused_w, each.element, each.margin) for each in alone.refusals]
    assert whole.refusals


def test_what_is_paid_back_after_a_switching_is_judged_by_what_holds_then(grid: SwitchedGrid) -> None:
    """Bus 6 hangs on the other feeder then, which has room for a part of it only."""
    p_w = np.zeros((len(MODEL_OF_SLOT), grid.nodes), dtype=np.int64)
    for bus in (2, 3, 4):
        p_w[:, grid.node_of_bus[bus]] = 1_100_000
    before, across = (
        Item(
            0,
            grid.node_of_bus[6],
            slot,
            Product.ACTIVE_UP,
            1_500_000,
            payback_w=(-1_500_000,),
            offered_w=1_500_000,
        )
        for slot in (0, 1)
    )
    found = assess(grid, p_w, p_w // 5, [before, across])
    assert found.allowed_w[0] == 1_500_000
    assert 0 < found.allowed_w[1] < 1_500_000
    (refusal,) = found.refusals
    assert (refusal.element.key, refusal.slot) == ("line:line 0", 2)
    for more_w, passed in ((0, False), (100, True)):
        then_w = p_w[2].copy()
        then_w[grid.node_of_bus[6]] += found.allowed_w[1] + more_w
        own = (at_nodes(grid, 2, each) for each in (then_w, p_w[2] // 5))
        assert bool(find_violations(run_power_flow(grid.models[MODEL_OF_SLOT[2]], *own))) is passed


def test_a_request_lifts_the_violations_of_each_slots_model(grid: SwitchedGrid) -> None:
    p_w, q_var = powers(grid, 1, 3_000_000)
    pods = [
        FlexiblePod(bytes([place]) * 32, place, {Product.ACTIVE_UP: Flexibility(p_w[:, place])})
        for place in range(1, grid.nodes)
    ]
    request = size_request(grid, p_w, q_var, pods)
    assert request.before
    assert request.remaining == ()
    after = p_w.copy()
    after[:, 1:] -= request.expected[Product.ACTIVE_UP]
    for slot, model in enumerate(MODEL_OF_SLOT):
        own = (at_nodes(grid, slot, each[slot]) for each in (after, q_var))
        assert find_violations(run_power_flow(grid.models[model], *own)) == ()


def test_sensitivities_are_those_of_the_slots_model(grid: SwitchedGrid) -> None:
    p_w, q_var = powers(grid, 2, 900_000)
    watch, nodes, step_w = watch_of(grid), np.arange(grid.nodes), 500
    states = solve(watch, p_w, q_var, range(len(p_w)))
    for slot in (0, 2):
        relief = states.relief(slot, nodes)
        for place in range(1, grid.nodes):
            moved = p_w[[slot]].copy()
            moved[0, place] += step_w
            rise = solve(watch, moved, q_var[[slot]], [slot]).values[0] - states.values[slot]
            assert np.allclose(rise / step_w, relief[0, place], rtol=0.01, atol=1e-11)


def test_flows_are_shown_by_each_slots_model(grid: SwitchedGrid) -> None:
    """With zeros where a line isn't there; and who helps is said by the slot's own sensitivities."""
    p_w, q_var = powers(grid, 1, 3_000_000)
    states = solve(watch_of(grid), p_w, q_var, range(len(p_w)))
    forecast = Forecast(1, bytes(32), p_w, q_var, {})
    shown = session_flows(replace(TERMS, slots=len(p_w)), AnchoredGrid(grid, bytes(32), forecast), states)
    for slot, model in enumerate(MODEL_OF_SLOT):
        flow = run_power_flow(
            grid.models[model], at_nodes(grid, slot, p_w[slot]), at_nodes(grid, slot, q_var[slot])
        )
        loading = dict(zip(shown.branches.keys, shown.branches.values[0, slot].tolist(), strict=True))
        names = flow.model.transformer_names + flow.model.line_names
        for name, percent in zip(names, flow.loading_percent[0].tolist(), strict=True):
            kind = "trafo" if name in flow.model.transformer_names else "line"
            assert abs(loading.pop(f"{kind}:{name}") - 1000 * percent) <= 0.51
        assert set(loading.values()) == {0}, "what isn't there carries nothing"
    could = [CouldGive(bytes([1]) * 32, grid.node_of_bus[6], {Product.ACTIVE_UP: np.full(len(p_w), 1_000)})]
    helpers = Helpers(watch_of(grid), states, could)
    for alarm in watch_of(grid).alarms(states.values, AlarmSettings()):
        if alarm.element.key == "line:line 0":
            model = MODEL_OF_SLOT[alarm.worst_slot]
            assert bool(helpers.of(alarm)[0]) is (model == 1), (
                "bus 6 hangs on it only while the ring is moved"
            )


def raw(change: dict[str, Any]) -> bytes:
    return grid_model_bytes({**switched_document(documents(), [(2, 0), (10, 1)]), **change})


def test_the_document_is_read_as_it_was_written() -> None:
    found = grid_of_bytes(raw({}), 12 - FORECAST_BEYOND_SLOTS)
    assert isinstance(found, SwitchedGrid)
    assert found.model_of_slot.tolist() == [0] * 2 + [1] * 10


@pytest.mark.parametrize(
    "change",
    [
        {"models": []},
        {"models": [7]},
        {"models": None},
        {"models": documents()[:1]},
        {"ranges": []},
        {"ranges": [{"slots": 12}]},
        {"ranges": [{"slots": 12, "model": -1}]},
        {"ranges": [{"slots": 12, "model": "one"}]},
        {"ranges": [{"slots": 12, "model": 0}]},
        {"ranges": [{"slots": 2, "model": 0}, {"slots": 10, "model": 2}]},
        {"ranges": [{"slots": 2.5, "model": 0}, {"slots": 10, "model": 1}]},
        {"ranges": [{"slots": True, "model": 0}, {"slots": 11, "model": 1}]},
        {"ranges": [{"slots": 13, "model": 0}, {"slots": -1, "model": 1}]},
        {"ranges": [{"slots": 2, "model": 0}, {"slots": 9, "model": 1}]},
        {"ranges": [{"slots": 2, "model": 0}, {"slots": 10**15, "model": 1}]},
        {"ranges": [{"slots": 2, "model": 0}, {"slots": 10**30, "model": 1}]},
        {"ranges": [7]},
        {"format": "flexledger-switched-grid-0"},
    ],
)
def test_what_is_no_switched_grid_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        grid_of_bytes(raw(change), 12 - FORECAST_BEYOND_SLOTS)
