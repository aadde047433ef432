"""Backtest of the DSO's forecast on SimBench's profiles: KPI_IT_02 and KPI_IT_03, beside the typical profile's.

Each month is forecast by a forecaster trained on what had been read by its start, each window from the readings that had
ended by its issue. Its profiles are German and so are their holidays; the calendar is an argument.

SimBench carries no weather, so plants are forecast from their history. For a primary substation with wind parks below it that
isn't enough: there the wind that a park's profile stands for (its power curve, inverted) is given an error as weather forecasts
have it, and the parks are forecast from that. The error is an assumption, stated in what is printed as wind speed and as the
parks' power; all else is measured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from offchain.kpi.indicators import customer_forecast_error, grid_forecast_error
from offchain.market.timetable import DAY_AHEAD, REAL_TIME
from offchain.protocol.market_time import Window, day_start_s
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.forecaster import PLANT_KINDS, Unit, train_forecaster
from oracles.grid.core.forecast.history import Floats, History
from oracles.grid.core.forecast.load_model import Horizon
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.forecast.wind import WindTurbine
from oracles.grid.core.network import Integers
from oracles.grid.simbench_case import (
    PROFILE_SLOTS,
    PROFILE_START_S,
    PROFILE_YEAR,
    SimbenchYear,
    load_customer_profiles,
)

MARKET_LEADS = (
    Horizon("24h", DAY_AHEAD.baseline_gate_s // SLOT_S),
    Horizon("4h", REAL_TIME.baseline_gate_s // SLOT_S),
)
"""Day-ahead and real-time sessions: forecast when their baseline gate closes."""
CUSTOMER_RATED_W = 100_000
"""What every customer's profile is scaled with; relative errors don't depend on it."""
CUSTOMER_TARGET, GRID_TARGET = 0.25, 0.30

WIND_RMSE_M_PER_S = (1.0, 1.5)
"""Assumed errors of a day-ahead forecast of the wind at the hub. They miss a park's power by some 10 % and 15 % of its rating
(root mean square)."""
WIND_ERROR_HOURS = 6.0
"""In which the error's correlation falls to 1/e."""
_SPEEDS_M_PER_S = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 25.0)
_POWER_SHARES = (0.0, 0.025, 0.06, 0.115, 0.19, 0.29, 0.42, 0.57, 0.73, 0.87, 1.0, 1.0)
"""A pitch-regulated turbine's power curve."""

WeatherAhead = Callable[[Window], Mapping[str, Weather]]
"""The weather of a window as it was forecast, by plant."""


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
    weather: WeatherAhead | None = None,
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
            ahead = None if weather is None else weather(window)
            forecast.append(forecaster.forecast(history, issue_s, window, ahead))
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
    year: SimbenchYear, horizons: Sequence[Horizon], calendar: HolidayCalendar, months: Sequence[int]
) -> Iterator[Score]:
    """KPI_IT_03 in VA over a grid's assets, by category."""
    categories, units, history = grid_assets(year)
    for horizon in horizons:
        result = backtest(units, history, horizon, calendar, months)
        real, forecast, typical = (
            apparent_va(values) for values in (result.real_w, result.forecast_w, result.typical_w)
        )
        for category in sorted(set(categories)):
            members = [place for place, other in enumerate(categories) if other == category]
            yield Score(
                "KPI_IT_03",
                f"{year.code}: {category}",
                horizon,
                grid_forecast_error(real[:, members].tolist(), forecast[:, members].tolist()) or 0.0,
                grid_forecast_error(real[:, members].tolist(), typical[:, members].tolist()) or 0.0,
                GRID_TARGET,
            )


def grid_assets(year: SimbenchYear) -> tuple[list[str], list[Unit], History]:
    """A SimBench grid's nodes and, last, its connection: their categories, and first W of each, then var of each.

    A node is a secondary substation where a low-voltage grid hangs on it, else one of plants or of customers. Each asset
    is forecast from its own readings. Losses between nodes and connection are left out.
    """
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


@dataclass(frozen=True)
class WindPark:
    """A wind park below a substation. `speed_m_per_s`: the wind at the hub that its profile stands for, by slot of the year."""

    unit: Unit
    generation_w: Floats
    speed_m_per_s: Floats


def wind_parks(year: SimbenchYear) -> list[WindPark]:
    """A grid's wind parks. Below cut-in and above rated speed the profile doesn't tell the wind: there that is the one at which
    an error shows first."""
    parks = []
    for place, pod in enumerate(year.pods):
        if pod.label != "wind":
            continue
        powers_w = tuple(share * pod.rated_va for share in _POWER_SHARES)
        turbine = WindTurbine(_SPEEDS_M_PER_S, powers_w, hub_m=100, measured_m=100)
        generation_w = np.maximum(-year.p_w[:, place].astype(np.float64), 0.0)
        speed = np.interp(generation_w / pod.rated_va, _POWER_SHARES[:-1], _SPEEDS_M_PER_S[:-1])
        unit = Unit(f"park {place}", "wind", pod.rated_va, turbine)
        parks.append(WindPark(unit, generation_w, speed))
    return parks


def wind_error(rmse_m_per_s: float, seed: int) -> Floats:
    """The error of a forecast of the wind in every slot of the year (m/s): normal, fading with WIND_ERROR_HOURS."""
    draw = np.random.default_rng(seed).normal(0.0, rmse_m_per_s, PROFILE_SLOTS)
    kept = np.exp(-SLOT_S / 3600 / WIND_ERROR_HOURS)
    error = np.empty(PROFILE_SLOTS)
    error[0] = draw[0]
    for slot in range(1, PROFILE_SLOTS):
        error[slot] = kept * error[slot - 1] + np.sqrt(1 - kept**2) * draw[slot]
    return error


def primary_substation_scores(
    years: Sequence[SimbenchYear],
    horizons: Sequence[Horizon],
    calendar: HolidayCalendar,
    months: Sequence[int],
    rmses_m_per_s: Sequence[float] = WIND_RMSE_M_PER_S,
) -> Iterator[Score]:
    """KPI_IT_03 in VA of these grids' connections to the high-voltage grid, of each and of all: from their history alone, then with
    wind parks by weather of each assumed error. All parks of a grid have the same error at a time, which is the worst case."""
    for horizon in horizons:
        typical: list[Integers] = []
        for rmse in (None, *rmses_m_per_s):
            parts, by = [], "from history" if rmse is None else f"wind forecast to {rmse:g} m/s"
            missed = []
            for seed, year in enumerate(years):
                values, power_errors = _connection(year, horizon, calendar, months, rmse, seed)
                missed += power_errors
                if rmse is None:
                    typical.append(values[2])
                values[2] = typical[seed]
                parts.append(values)
                yield _substations_score(f"{year.code}: primary substation, {by}", horizon, [values])
            if missed:
                by += f" (a park's power to {np.sqrt(np.mean(np.square(missed))):.1%} of its rating)"
            yield _substations_score(f"{len(years)} primary substations, {by}", horizon, parts)


def _connection(
    year: SimbenchYear,
    horizon: Horizon,
    calendar: HolidayCalendar,
    months: Sequence[int],
    rmse_m_per_s: float | None,
    seed: int,
) -> tuple[list[Integers], list[float]]:
    """Real, forecast and typical VA of a grid's connection (slots,), and the root mean square of what each park was missed by, as a
    share of its rating."""
    parks = [] if rmse_m_per_s is None else wind_parks(year)
    by_park = -np.array([park.generation_w for park in parks]).reshape(len(parks), PROFILE_SLOTS).T
    rest_w = year.p_w.sum(axis=1, keepdims=True) - by_park.sum(axis=1, keepdims=True)
    columns = [rest_w, year.q_var.sum(axis=1, keepdims=True), by_park]
    units = [Unit(name, "asset", 1) for name in ("P", "Q")] + [park.unit for park in parks]
    error = wind_error(rmse_m_per_s or 0.0, seed)

    def ahead(window: Window) -> dict[str, Weather]:
        first = (window.start_s - year.start_s) // SLOT_S
        slots = slice(first, first + window.slots)
        return {
            park.unit.name: Weather(
                window.start_s, wind_m_per_s=np.maximum(park.speed_m_per_s[slots] + error[slots], 0.0)
            )
            for park in parks
        }

    history = History(year.start_s, np.concatenate(columns, axis=1))
    result = backtest(units, history, horizon, calendar, months, ahead)
    values = [
        apparent_va(np.column_stack([each[:, 0] + each[:, 2:].sum(axis=1), each[:, 1]]))[:, 0]
        for each in (result.real_w, result.forecast_w, result.typical_w)
    ]
    missed_w = result.forecast_w[:, 2:] - result.real_w[:, 2:]
    return values, [
        float(np.sqrt(np.mean(np.square(missed_w[:, place] / park.unit.rated_w))))
        for place, park in enumerate(parks)
    ]


def _substations_score(subject: str, horizon: Horizon, parts: Sequence[Sequence[Integers]]) -> Score:
    real, forecast, typical = (np.column_stack(values).tolist() for values in zip(*parts, strict=True))
    return Score(
        "KPI_IT_03",
        subject,
        horizon,
        grid_forecast_error(real, forecast) or 0.0,
        grid_forecast_error(real, typical) or 0.0,
        GRID_TARGET,
    )


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
