"""A SimBench grid on one market day: the real loads, generators and storages with their own quarter-hour profiles.

Needs the `simbench` package, which carries grids and profiles. The profiles cover 2016 in Central European Time without
daylight saving (their PV peaks at noon in June and December alike); a market day takes the values of the same instants'
month, day and hour.
"""

import warnings
from collections.abc import Container, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import simbench

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.from_pandapower import LimitSettings, model_document
from oracles.grid.core.network import Document, Floats, GridModel, Integers, grid_model_from_document
from oracles.grid.core.own_means import BusForecast
from oracles.grid.loading.topology import Topology, bus_names, topology

MARKET_ZONE = ZoneInfo("Europe/Rome")
PROFILE_ZONE = timezone(timedelta(hours=1))
PROFILE_YEAR = 2016
SLOT = timedelta(minutes=15)
PROFILE_START_S = int(datetime(PROFILE_YEAR, 1, 1, tzinfo=PROFILE_ZONE).timestamp())
SLOTS_PER_PROFILE_DAY = 96
PROFILE_SLOTS = 366 * SLOTS_PER_PROFILE_DAY
CUSTOMER_LABELS = ("household", "commerce", "farm")

_LOAD_LABELS = (
    ("HLS", "ev"),
    ("APLS", "ev"),
    ("Soil", "heat_pump"),
    ("Air", "heat_pump"),
    ("H0", "household"),
    ("G", "commerce"),
    ("BL", "commerce"),
    ("WB", "commerce"),
    ("L", "farm"),
)
_SIGNS = {"load": 1, "sgen": -1, "storage": 1}
"""Tables whose power profiles move, and how it counts as net absorbed."""
_GENERATOR_LABELS = (("PV", "pv"), ("WP", "wind"), ("BM", "biomass"), ("Hydro", "hydro"))


@dataclass(frozen=True)
class CasePod:
    """A PoD of the case. `bus` is its bus in the pandapower net, `bus_name` that bus's name, `node` the grid model's. `rated_va`: of the unit behind it.

    `label`: household, commerce, farm, ev, heat_pump, pv, wind, biomass, hydro, storage, or low_voltage_grid (a whole
    low-voltage grid seen from the medium-voltage one).
    """

    name: str
    label: str
    bus: int
    bus_name: str
    node: int
    rated_va: int


@dataclass(frozen=True, eq=False)
class SimbenchCase:
    """A grid, a market day and every PoD's net power (absorbed minus injected): `p_w`, `q_var` (slots, pods). `net`: the
    grid as a pandapower net, without profiles."""

    code: str
    day: date
    net: Any
    topology: Topology
    document: Document
    model: GridModel
    slot_starts_s: tuple[int, ...]
    pods: tuple[CasePod, ...]
    p_w: Integers
    q_var: Integers

    @property
    def slots(self) -> int:
        """Quarter-hours of the day: 92, 96 or 100."""
        return len(self.slot_starts_s)

    def at_nodes(self, by_pod: Integers) -> Integers:
        """Sum of PoD values (slots, pods) at each node: (slots, nodes)."""
        totals = np.zeros((len(by_pod), self.model.nodes), dtype=np.int64)
        for column, pod in enumerate(self.pods):
            totals[:, pod.node] += by_pod[:, column]
        return totals

    @property
    def buses(self) -> tuple[int, ...]:
        """Buses where a PoD is, by the net's indices."""
        return tuple(sorted({pod.bus for pod in self.pods}))

    def at_buses(self) -> BusForecast:
        """The net power at each of `buses`."""
        return _at_buses([pod.bus for pod in self.pods], self.p_w, self.q_var, self.buses)


@dataclass(frozen=True, eq=False)
class SimbenchYear:
    """A grid's PoDs with their net power in every quarter-hour of the profile year: `p_w`, `q_var` (slots, pods)."""

    code: str
    model: GridModel
    start_s: int
    pods: tuple[CasePod, ...]
    p_w: Integers
    q_var: Integers


def load_simbench_year(code: str) -> SimbenchYear:
    """All profiles of a SimBench grid, from the first quarter-hour of the profile year on.

    Raises InvalidInput on an unknown code, UnsupportedGrid on a grid that the power flow doesn't model.
    """
    net = load_simbench_net(code)
    model = grid_model_from_document(model_document(net, LimitSettings()))
    p_mw, q_mvar, rows = _values(net, list(range(PROFILE_SLOTS)))
    return SimbenchYear(code, model, PROFILE_START_S, _pods(net, rows, model), _whole(p_mw), _whole(q_mvar))


def load_customer_profiles(scenario: int = 0) -> tuple[tuple[str, ...], tuple[str, ...], Floats]:
    """SimBench's customers, one of each load profile (households, commerce, farms): names, labels, and their power in
    every quarter-hour of the profile year as a share of what is rated (slots, customers)."""
    profiles = simbench.get_all_simbench_profiles(scenario)["load"]
    labels = {}
    for column in profiles.columns:
        name = str(column).removesuffix("_pload")
        if name != column and (label := _label("load", name)) in CUSTOMER_LABELS:
            labels[name] = label
    columns = [profiles[f"{name}_pload"].to_numpy(dtype=np.float64) for name in labels]
    return tuple(labels), tuple(labels.values()), np.column_stack(columns)


def load_simbench_case(code: str, day: date, limits: LimitSettings = LimitSettings()) -> SimbenchCase:
    """Load a SimBench code for the local market day `day` (Europe/Rome).

    Limits are those of SimBench's data (buses and branches have their own) unless `limits` sets others.
    Sets the transformers' tap changer type, which SimBench leaves empty and without which pandapower ignores taps.
    Raises InvalidInput on an unknown code, UnsupportedGrid on a grid that the power flow doesn't model.
    """
    net = load_simbench_net(code)
    starts = market_day_slots(day)
    document = model_document(net, limits)
    model = grid_model_from_document(document)
    instants = [profile_position(start) for start in starts]
    p_mw, q_mvar, rows = _values(net, instants)
    net["profiles"] = {}
    return SimbenchCase(
        code=code,
        day=day,
        net=net,
        topology=topology(net),
        document=document,
        model=model,
        slot_starts_s=tuple(int(start.timestamp()) for start in starts),
        pods=_pods(net, rows, model),
        p_w=_whole(p_mw),
        q_var=_whole(q_mvar),
    )


def forecast_at_buses(net: Any, day: date | None) -> BusForecast:
    """Net power at the buses of a net that are supplied and where a load, generator or storage in service is: by the net's
    SimBench profiles on a local market day, or (None) as they stand, in one slot.

    Raises InvalidInput where a day is asked for of a net without profiles.
    """
    if day is None:
        rows = [(sign, row) for table, sign in _SIGNS.items() for row in _in_service(net, table)]
        p_mw, q_mvar = (
            np.array([[sign * row.scaling * getattr(row, column) for sign, row in rows]])
            for column in ("p_mw", "q_mvar")
        )
        buses = [int(row.bus) for _, row in rows]
    else:
        if not net.get("profiles"):
            raise InvalidInput("day", day.isoformat(), "the network has no profiles: leave it out")
        positions = [profile_position(start) for start in market_day_slots(day)]
        p_mw, q_mvar, named = _values(net, positions)
        buses = [int(row.bus) for _, row in named]
    supplied = grid_model_from_document(model_document(net, LimitSettings())).node_of_bus
    return _at_buses(buses, _whole(p_mw), _whole(q_mvar), supplied)


def load_simbench_net(code: str) -> Any:
    """The pandapower net of a SimBench code, with its taps counted. Raises InvalidInput on an unknown code."""
    if code not in simbench.collect_all_simbench_codes():
        raise InvalidInput("grid", code, "must be a SimBench code, such as '1-LV-rural1--2-no_sw'")
    with warnings.catch_warnings():
        # simbench 1.6 joins empty tables in a way that pandas will change.
        warnings.simplefilter("ignore", FutureWarning)
        net = simbench.get_simbench_net(code)
    net.trafo["tap_changer_type"] = "Ratio"
    return net


def market_day_slots(day: date) -> tuple[datetime, ...]:
    """Starts (UTC) of the quarter-hours of a local market day: 96, or 92 and 100 when the clock changes."""
    start = datetime(day.year, day.month, day.day, tzinfo=MARKET_ZONE).astimezone(UTC)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=MARKET_ZONE).astimezone(UTC)
    return tuple(start + index * SLOT for index in range((end - start) // SLOT))


def profile_position(start: datetime) -> int:
    """Row of the profiles for an instant: same month, day and hour in the profile year (a leap year)."""
    local = start.astimezone(PROFILE_ZONE)
    day_of_year = date(PROFILE_YEAR, local.month, local.day).timetuple().tm_yday - 1
    return day_of_year * SLOTS_PER_PROFILE_DAY + (local.hour * 60 + local.minute) // 15


def _pods(net: Any, rows: list[tuple[str, Any]], model: GridModel) -> tuple[CasePod, ...]:
    names = bus_names(net)
    return tuple(
        CasePod(
            name=str(row.name),
            label=_label(table, str(row.profile)),
            bus=int(row.bus),
            bus_name=names[int(row.bus)],
            node=model.node_of_bus[int(row.bus)],
            rated_va=round(abs(row.sn_mva) * 1e6),
        )
        for table, row in rows
    )


def _at_buses(buses: Sequence[int], p_w: Integers, q_var: Integers, supplied: Container[int]) -> BusForecast:
    """Sums by bus of what stands at `buses`, one of (slots, buses) each; without those that aren't supplied."""
    kept = sorted({bus for bus in buses if bus in supplied})
    column = {bus: place for place, bus in enumerate(kept)}
    totals = [np.zeros((len(p_w), len(kept)), dtype=np.int64) for _ in range(2)]
    for place, bus in enumerate(buses):
        if bus in column:
            for total, values in zip(totals, (p_w, q_var), strict=True):
                total[:, column[bus]] += values[:, place]
    return BusForecast(tuple(kept), *totals)


def _whole(power_mw: Any) -> Integers:
    power_w: Integers = np.rint(power_mw * 1e6).astype(np.int64)
    return power_w


def _values(net: Any, positions: list[int]) -> tuple[Any, Any, list[tuple[str, Any]]]:
    """Net power of every element in service: MW and Mvar of shape (slots, elements), and the elements' rows."""
    on_day = copy(net)
    on_day["profiles"] = {
        name: profiles.iloc[positions].reset_index(drop=True) if len(profiles) else profiles
        for name, profiles in net.profiles.items()
    }
    absolute = simbench.get_absolute_values(on_day, profiles_instead_of_study_cases=True)
    columns_p, columns_q, rows = [], [], []
    for table, sign in _SIGNS.items():
        for row in _in_service(net, table):
            constant_q = np.full(len(positions), row.q_mvar)
            q_mvar = absolute[table, "q_mvar"][row.Index].to_numpy() if table == "load" else constant_q
            columns_p.append(sign * row.scaling * absolute[table, "p_mw"][row.Index].to_numpy())
            columns_q.append(sign * row.scaling * q_mvar)
            rows.append((table, row))
    return np.column_stack(columns_p), np.column_stack(columns_q), rows


def _in_service(net: Any, table: str) -> Any:
    return net[table][net[table].in_service.astype(bool)].itertuples()


def _label(table: str, profile: str) -> str:
    if table == "storage":
        return "storage"
    if profile.startswith(("lv_", "mv_")):
        return "low_voltage_grid" if profile.startswith("lv_") else "medium_voltage_grid"
    labels = _LOAD_LABELS if table == "load" else _GENERATOR_LABELS
    return next((label for prefix, label in labels if profile.startswith(prefix)), "other")
