"""The grid's state from noisy measurements of a power flow, by pandapower's estimator: bad data is named."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandapower
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.own_means import BusForecast
from oracles.grid.simbench_case import load_simbench_case, load_simbench_net
from oracles.grid.state_estimation import Measurement, Quantity, Unobservable, estimate_state
from tests.oracles.grid.switched_grids import coupled_busbar, loads, two_feeders

P, Q, V, I = Quantity.ACTIVE, Quantity.REACTIVE, Quantity.VOLTAGE, Quantity.CURRENT  # noqa: E741
STD = {V: 0.001, P: 200.0, Q: 200.0, I: 1.0}
NOON = 48


class Field:
    """A grid in a true state, with instruments that scatter as much as they say."""

    def __init__(self, net: Any, true: BusForecast, seed: int) -> None:
        self.net, self.true = net, true
        self.chance = np.random.default_rng(seed)
        for table in ("load", "sgen", "storage"):
            net[table] = net[table].iloc[:0]
        for bus, p_w, q_var in zip(true.buses, true.p_w[0], true.q_var[0], strict=True):
            pandapower.create_load(net, bus, p_w / 1e6, q_var / 1e6)
        pandapower.runpp(net)
        self.forecast = BusForecast(
            true.buses,
            (true.p_w * self.chance.uniform(0.6, 1.4, true.p_w.shape)).astype(np.int64),
            (true.q_var * self.chance.uniform(0.6, 1.4, true.q_var.shape)).astype(np.int64),
        )

    def measured(self, quantity: Quantity, table: str, index: int, side: str | None = None) -> Measurement:
        columns = {V: "vm_pu", P: "p_mw", Q: "q_mvar", I: "i_ka"}
        column = columns[quantity] if side is None else columns[quantity].replace("_", f"_{side}_")
        scale = {V: 1.0, P: 1e6, Q: 1e6, I: 1e3}[quantity]
        value = float(self.net[f"res_{table}"][column].at[index]) * scale
        name = " ".join(map(str, (quantity.name, table, index, side or "")))
        scattered = value + float(self.chance.normal(0, STD[quantity]))
        return Measurement(name, quantity, table, index, scattered, STD[quantity], side)

    def everything(self) -> list[Measurement]:
        """Voltages and powers at every bus with somebody, powers of every line and transformer, and a current."""
        found = [self.measured(each, "bus", bus) for bus in self.true.buses for each in (V, P, Q)]
        found += [
            self.measured(each, "line", line, "from") for line in self.net.line.index for each in (P, Q)
        ]
        found += [
            self.measured(each, "trafo", trafo, "lv") for trafo in self.net.trafo.index for each in (P, Q)
        ]
        return [*found, self.measured(I, "line", int(self.net.line.index[0]), "from")]


def village() -> Field:
    code = "1-LV-rural1--2-no_sw"
    forecast = load_simbench_case(code, date(2026, 6, 1)).at_buses()
    true = BusForecast(forecast.buses, forecast.p_w[NOON : NOON + 1], forecast.q_var[NOON : NOON + 1])
    return Field(load_simbench_net(code), true, seed=1)


def feeders() -> Field:
    values = loads(2.0, 1.6, 1.9, 0.7, -2.1)
    return Field(two_feeders(), BusForecast(values.buses, values.p_w[:1], values.q_var[:1]), seed=2)


def substation(field: Field) -> list[Measurement]:
    """Voltage and power at the transformer: the rest is forecast."""
    net = field.net
    return [
        field.measured(V, "bus", int(net.trafo.lv_bus.iloc[0])),
        field.measured(P, "trafo", int(net.trafo.index[0]), "lv"),
        field.measured(Q, "trafo", int(net.trafo.index[0]), "lv"),
    ]


@pytest.mark.parametrize("grid", [village, feeders])
def test_measurements_tell_the_state_better_than_the_forecast(grid: Callable[[], Field]) -> None:
    field = grid()
    state = estimate_state(field.net, field.everything(), field.forecast)
    assert state.bad == ()
    assert state.is_consistent
    assert np.abs(state.p_w - field.true.p_w[0]).max() <= 3 * STD[P]
    assert np.abs(state.q_var - field.true.q_var[0]).max() <= 3 * STD[Q]
    for bus, vm_pu in state.vm_pu.items():
        assert vm_pu == pytest.approx(field.net.res_bus.vm_pu.at[bus], abs=STD[V])
    assert np.abs(field.forecast.p_w - field.true.p_w).max() > 10 * STD[P]


@pytest.mark.parametrize("grid", [village, feeders])
def test_where_nothing_is_measured_the_forecast_stands_in(grid: Callable[[], Field]) -> None:
    """The transformer's power is known: what is estimated below it adds up to that, the forecast doesn't."""
    field = grid()
    too_high = BusForecast(field.true.buses, field.true.p_w * 13 // 10, field.true.q_var)
    state = estimate_state(field.net, substation(field), too_high)
    true_w = int(field.true.p_w.sum())
    assert int(state.p_w.sum()) == pytest.approx(true_w, abs=0.01 * abs(true_w))
    assert state.bad == ()


@pytest.mark.parametrize("grid", [village, feeders])
@pytest.mark.parametrize(
    ("quantity", "table", "error"),
    [
        (P, "bus", 20_000.0),
        (Q, "bus", -20_000.0),
        (V, "bus", 0.03),
        (P, "line", 40_000.0),
        (P, "trafo", 60_000.0),
    ],
)
def test_one_gross_error_is_flagged_and_the_state_holds(
    grid: Callable[[], Field], quantity: Quantity, table: str, error: float
) -> None:
    field = grid()
    measurements = field.everything()
    place = next(
        place for place, each in enumerate(measurements) if (each.quantity, each.table) == (quantity, table)
    )
    wrong = replace(measurements[place], value=measurements[place].value + error)
    measurements[place] = wrong
    state = estimate_state(field.net, measurements, field.forecast)
    assert [bad.measurement for bad in state.bad] == [wrong]
    assert state.bad[0].residual > 4
    assert state.is_consistent
    assert np.abs(state.p_w - field.true.p_w[0]).max() <= 4 * STD[P]


def test_two_gross_errors_are_flagged_the_larger_first() -> None:
    field = feeders()
    measurements = field.everything()
    for name, error in (("ACTIVE bus 3 ", 30_000.0), ("REACTIVE bus 5 ", 90_000.0)):
        place = [each.name for each in measurements].index(name)
        measurements[place] = replace(measurements[place], value=measurements[place].value + error)
    state = estimate_state(field.net, measurements, field.forecast)
    assert [bad.measurement.name for bad in state.bad] == ["REACTIVE bus 5 ", "ACTIVE bus 3 "]


def test_a_forecast_that_is_contradicted_is_no_bad_datum() -> None:
    field = feeders()
    measurements = [each for each in field.everything() if (each.table, each.index) != ("bus", 4)]
    field.forecast.p_w[0, 2] += 20_000_000
    state = estimate_state(field.net, measurements, field.forecast)
    assert state.bad == ()
    assert state.p_w[2] == pytest.approx(field.true.p_w[0, 2], abs=10 * STD[P])


def test_a_state_that_cant_be_told_is_refused_by_what_is_missing() -> None:
    field = feeders()
    forecast = BusForecast(
        (2, 3, 5, 6), field.forecast.p_w[:, [0, 1, 3, 4]], field.forecast.q_var[:, [0, 1, 3, 4]]
    )
    few = [each for each in substation(field) if each.quantity is V]
    with pytest.raises(Unobservable, match=r"neither measured nor forecast are P of 'bus 4', Q of 'bus 4'"):
        estimate_state(field.net, few, forecast)
    # What flows through the transformer tells what nobody knew.
    known = estimate_state(field.net, substation(field), forecast)
    assert known.buses == (2, 3, 5, 6)
    with pytest.raises(Unobservable, match="no voltage is measured anywhere"):
        estimate_state(field.net, substation(field)[1:], field.forecast)


def test_two_busbars_that_a_coupler_joins_are_one_to_the_estimator() -> None:
    """What is measured at one of them stays there: the other's forecast takes the rest."""
    net = two_feeders(ties=())
    coupled_busbar(net)
    values = loads(2.0, 1.6, 1.9, 0.7, -2.1)
    busbar = int(net.bus.index[-1])
    true = BusForecast(
        (*values.buses, 1, busbar), np.array([[*values.p_w[0], 300_000, 500_000]]), np.zeros((1, 7), np.int64)
    )
    field = Field(net, true, seed=3)
    powers = [Measurement(f"{q} 1", q, "bus", 1, value, 200.0) for q, value in ((P, 300_000.0), (Q, 0.0))]
    rest = [each for each in field.everything() if each.index not in (1, busbar) or each.table != "bus"]
    state = estimate_state(net, [*rest, *powers], field.forecast)
    assert state.bad == ()
    assert state.p_w[-2] == pytest.approx(300_000, abs=4 * STD[P])
    assert state.p_w[-1] == pytest.approx(500_000, abs=20 * STD[P])


def test_what_is_drawn_from_the_network_above_isnt_taken_for_known() -> None:
    """A load at its bus, and an empty bus that a switch joins to it."""
    net = two_feeders()
    joined = pandapower.create_bus(net, 110.0, name="source 2")
    pandapower.create_switch(net, 0, joined, "b", closed=True, type="CB")
    values = loads(2.0, 1.6, 1.9, 0.7, -2.1)
    p_w = np.array([[*values.p_w[0], 150_000]])
    field = Field(net, BusForecast((*values.buses, 0), p_w, p_w // 5), seed=5)
    measurements = [each for each in field.everything() if (each.table, each.index) != ("bus", 0)]
    state = estimate_state(net, measurements, field.forecast)
    assert state.bad == ()
    assert state.is_consistent
    assert np.abs(state.p_w - field.true.p_w[0])[:-1].max() <= 3 * STD[P]
    assert state.p_w[-1] == field.forecast.p_w[0, -1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"index": 99},
            r"measurement\[it\].index = 99: must be a bus of the net that is in service and supplied",
        ),
        ({"table": "switch"}, r"measurement\[it\].table"),
        ({"side": "from"}, r"measurement\[it\].side"),
        ({"table": "line"}, r"measurement\[it\].side = None: of a line must be from or to"),
        ({"quantity": I}, r"measurement\[it\].quantity"),
        ({"table": "line", "side": "to", "quantity": V}, r"measurement\[it\].quantity"),
        ({"value": float("nan")}, r"measurement\[it\].value"),
        ({"std_dev": 0.0}, r"measurement\[it\].std_dev = 0.0: must be above 0"),
    ],
)
def test_what_is_no_measurement_is_refused(changes: dict[str, Any], says: str) -> None:
    field = feeders()
    with pytest.raises(InvalidInput, match=says):
        estimate_state(field.net, [Measurement(**{**GOOD, **changes})], field.forecast)


GOOD: dict[str, Any] = {"name": "it", "quantity": P, "table": "bus", "index": 2, "value": 1.0, "std_dev": 1.0}


def test_what_isnt_supplied_tells_nothing() -> None:
    """The estimator would take it for a measurement of another bus."""
    field = feeders()
    field.net.switch.loc[4, "closed"] = False
    for measurement in (
        Measurement(**{**GOOD, "index": 6}),
        Measurement(**{**GOOD, "table": "line", "side": "to"}),
    ):
        field.net.line.loc[2, "in_service"] = measurement.table == "bus"
        with pytest.raises(InvalidInput, match="that is in service and supplied"):
            estimate_state(field.net, [measurement], field.forecast)
    with pytest.raises(InvalidInput, match=r"forecast.buses = 4: must be supplied by the grid"):
        estimate_state(field.net, [], field.forecast)


def test_two_measurements_of_one_name_and_several_slots_are_refused() -> None:
    field = feeders()
    with pytest.raises(InvalidInput, match=r"measurements .* must have a name each"):
        estimate_state(field.net, [Measurement(**GOOD)] * 2, field.forecast)
    with pytest.raises(InvalidInput, match=r"forecast.p_w = \(2, 5\): must be of one slot"):
        estimate_state(field.net, [], loads(1, 1, 1, 1, 1))


def test_the_net_and_the_processs_logging_stay_as_they_are() -> None:
    field = feeders()
    before, level, handlers = (
        field.net.measurement.copy(),
        logging.getLogger().level,
        list(logging.getLogger().handlers),
    )
    estimate_state(field.net, field.everything(), field.forecast)
    assert field.net.measurement.equals(before)
    assert logging.getLogger().level == level
    assert logging.getLogger().handlers == handlers
