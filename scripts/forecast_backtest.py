"""Backtest of the DSO's forecast on SimBench's profiles: KPI_IT_02 and KPI_IT_03, beside the typical profile's.

Each month is forecast by a forecaster trained on what had been read by its start, each window from the readings that had
ended by its issue. SimBench carries no weather: plants are forecast from their history alone. Its profiles are German and
so are their holidays; the calendar is an argument.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from offchain.kpi.indicators import customer_forecast_error, grid_forecast_error
from offchain.market.timetable import DAY_AHEAD, REAL_TIME
from offchain.protocol.market_time import day_start_s
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.forecaster import PLANT_KINDS, Unit, train_forecaster
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.load_model import Horizon
from oracles.grid.core.network import Integers
from oracles.grid.simbench_case import (
    PROFILE_START_S,
    PROFILE_YEAR,
    load_customer_profiles,
    load_simbench_year,
)

MARKET_LEADS = (
    Horizon("24h", DAY_AHEAD.baseline_gate_s // SLOT_S),
    Horizon("4h", REAL_TIME.baseline_gate_s // SLOT_S),
)
"""Day-ahead and real-time sessions: forecast when their baseline gate closes."""
CUSTOMER_RATED_W = 100_000
"""What every customer's profile is scaled with; relative errors don't depend on it."""
CUSTOMER_TARGET, GRID_TARGET = 0.25, 0.30

Indicator = Callable[[Sequence[Sequence[int | None]], Sequence[Sequence[int]]], float | None]


@dataclass(frozen=True, eq=False)
class Backtest:
    """What was real, forecast and typical in the quarter-hours of the forecast months: W (slots, units)."""

    units: tuple[Unit, ...]
    real_w: Integers
    forecast_w: Integers
    typical_w: Integers


@dataclass(frozen=True)
class Score:
    """An indicator's value for the forecast and for the typical profile on the same days (1.0 is 100 %)."""

    indicator: str
    subject: str
    horizon: Horizon
    forecast: float
    typical: float
    target: float | None


def backtest(
    units: Sequence[Unit],
    history: History,
    horizon: Horizon,
    calendar: HolidayCalendar,
    months: Sequence[int],
) -> Backtest:
    """Forecast every window of these months of the profile year; the forecaster is trained anew for each month."""
    real, forecast, typical = [], [], []
    for month in months:
        start = date(PROFILE_YEAR, month, 1)
        end = date(PROFILE_YEAR + month // 12, month % 12 + 1, 1)
        days = (end - start).days
        issues = list(horizon.issues(day_start_s(end), days))
        trained_s = min(day_start_s(start), issues[0][0])
        forecaster = train_forecaster(units, history, trained_s, horizon, calendar)
        for issue_s, window in issues:
            forecast.append(forecaster.forecast(history, issue_s, window))
            typical.append(forecaster.typical(window))
            real.append(history.at(window.start_s, window.slots))
    return Backtest(
        tuple(units),
        np.rint(np.concatenate(real)).astype(np.int64),
        np.concatenate(forecast),
        np.concatenate(typical),
    )


def customer_scores(
    horizons: Sequence[Horizon], calendar: HolidayCalendar, months: Sequence[int]
) -> Iterator[Score]:
    """KPI_IT_02 over SimBench's customers, one of each load profile: of all, and of each kind."""
    names, kinds, share = load_customer_profiles()
    units = [Unit(name, kind, CUSTOMER_RATED_W) for name, kind in zip(names, kinds, strict=True)]
    history = History(PROFILE_START_S, np.rint(share * CUSTOMER_RATED_W))
    for horizon in horizons:
        result = backtest(units, history, horizon, calendar, months)
        everyone = list(range(len(units)))
        yield _score(result, everyone, "all customers", horizon, CUSTOMER_TARGET)
        for kind in sorted(set(kinds)):
            members = [place for place in everyone if kinds[place] == kind]
            yield _score(result, members, kind, horizon, None)


def grid_scores(
    code: str, horizons: Sequence[Horizon], calendar: HolidayCalendar, months: Sequence[int]
) -> Iterator[Score]:
    """KPI_IT_03 in VA over a grid's assets, by category."""
    categories, units, history = grid_assets(code)
    for horizon in horizons:
        result = backtest(units, history, horizon, calendar, months)
        real, forecast, typical = (
            apparent_va(values) for values in (result.real_w, result.forecast_w, result.typical_w)
        )
        for category in sorted(set(categories)):
            members = [place for place, other in enumerate(categories) if other == category]
            yield Score(
                "KPI_IT_03",
                f"{code}: {category}",
                horizon,
                grid_forecast_error(real[:, members].tolist(), forecast[:, members].tolist()) or 0.0,
                grid_forecast_error(real[:, members].tolist(), typical[:, members].tolist()) or 0.0,
                GRID_TARGET,
            )


def grid_assets(code: str) -> tuple[list[str], list[Unit], History]:
    """A SimBench grid's nodes and, last, its connection: their categories, and first W of each, then var of each.

    A node is a secondary substation where a low-voltage grid hangs on it, else one of plants or of customers. Each asset
    is forecast from its own readings. Losses between nodes and connection are left out.
    """
    year = load_simbench_year(code)
    nodes = sorted({pod.node for pod in year.pods})
    labels = {node: {pod.label for pod in year.pods if pod.node == node} for node in nodes}
    place = {node: number for number, node in enumerate(nodes)}
    groups = [place[pod.node] for pod in year.pods]
    columns = []
    for values in (year.p_w, year.q_var):
        at_nodes = History(year.start_s, values.astype(np.float64)).summed(groups, len(nodes)).power_w
        columns += [at_nodes, at_nodes.sum(axis=1, keepdims=True)]
    names = [*(f"node {node}" for node in nodes), "connection"]
    units = [Unit(f"{name} {quantity}", "asset", 1) for quantity in ("P", "Q") for name in names]
    categories = [_category(labels[node]) for node in nodes]
    return [*categories, "primary substation"], units, History(year.start_s, np.concatenate(columns, axis=1))


def _category(labels: set[str]) -> str:
    if "low_voltage_grid" in labels:
        return "secondary substations"
    return "nodes of plants" if labels & PLANT_KINDS else "nodes of customers"


def apparent_va(power: Integers) -> Integers:
    """VA of assets (slots, assets) from their W and var (slots, 2 * assets)."""
    active, reactive = np.split(power, 2, axis=1)
    apparent: Integers = np.rint(np.hypot(active, reactive)).astype(np.int64)
    return apparent


def _score(
    result: Backtest, members: list[int], subject: str, horizon: Horizon, target: float | None
) -> Score:
    real, forecast, typical = (
        values[:, members].tolist() for values in (result.real_w, result.forecast_w, result.typical_w)
    )
    return Score(
        "KPI_IT_02",
        subject,
        horizon,
        customer_forecast_error(real, forecast) or 0.0,
        customer_forecast_error(real, typical) or 0.0,
        target,
    )
