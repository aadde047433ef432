"""A forecaster: trained on what was known by an instant, it forecasts customers, plants or nodes from later readings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window, day_start_s, local_date
from oracles.grid.core.forecast.calendar import DayCalendar, EveryDayAlike, HolidayCalendar
from oracles.grid.core.forecast.history import Floats, History, first_finite, mean_of_known
from oracles.grid.core.forecast.load_model import Horizon, LoadModel, train_load_model
from oracles.grid.core.forecast.pv import PvPlant, pv_generation_w
from oracles.grid.core.forecast.typical_profiles import TypicalProfiles, learn_typical_profiles
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.forecast.wind import WindTurbine, wind_generation_w
from oracles.grid.core.network import Integers

PLANT_KINDS = frozenset({"pv", "wind", "biomass", "hydro", "plant"})


@dataclass(frozen=True)
class Unit:
    """What has a series of readings: a customer, a plant, or a node.

    `kind`: household, commerce, farm, node, ...; those of PLANT_KINDS keep no weekdays. `rated_w`: contracted or rated
    power, with which the typical profile of its kind is scaled while a unit has no readings. `plant`: how its power
    follows from the weather, where that is known.
    """

    name: str
    kind: str
    rated_w: int
    plant: PvPlant | WindTurbine | None = None

    def __post_init__(self) -> None:
        if self.rated_w < 1:
            raise InvalidInput(f"units[{self.name}].rated_w", self.rated_w, "must be at least 1")
        if self.plant is not None and self.kind not in PLANT_KINDS:
            kinds = ", ".join(sorted(PLANT_KINDS))
            raise InvalidInput(f"units[{self.name}].kind", self.kind, f"of a plant must be one of {kinds}")


@dataclass(frozen=True, eq=False)
class Part:
    """What was learned for the units that keep weekdays, or for those that don't.

    `units`: which they are; `typical`: their typical profiles, whole W; `model`: the weights of their forecast.
    """

    keeps_weekdays: bool
    units: tuple[int, ...]
    typical: TypicalProfiles
    model: LoadModel


@dataclass(frozen=True, eq=False)
class Forecaster:
    """What was learned, and with what: the same readings until `trained_until_s` give the same forecaster again."""

    units: tuple[Unit, ...]
    horizon: Horizon
    calendar: HolidayCalendar
    trained_until_s: int
    history_hash: bytes
    parts: tuple[Part, ...]

    def forecast(
        self, past: History, issue_s: int, window: Window, weather: Mapping[str, Weather] | None = None
    ) -> Integers:
        """Net W (var) of each unit in the window, absorbed minus injected: (slots, units).

        Of `past` only the readings that have ended by `issue_s` count. `weather`: by unit, as it was forecast then; a plant
        without, or in a gap of it, is forecast from its history. Raises InvalidInput where the issue lies before the
        end of training (which would know what came later), or where a unit has neither readings nor a kind with some.
        """
        if issue_s < self.trained_until_s:
            rule = f"must not be before {self.trained_until_s}, until when the forecaster was trained"
            raise InvalidInput("issue_s", issue_s, rule)
        _check_series(past, self.units)
        value = np.empty((window.slots, len(self.units)))
        for part in self.parts:
            own = History(past.start_s, past.power_w[:, list(part.units)])
            learned = part.model.forecast(own, issue_s, window, self._calendar(part))
            value[:, list(part.units)] = learned
        value = first_finite(value, self._typical(window))
        for place, unit in enumerate(self.units):
            if unit.plant is not None and weather is not None and unit.name in weather:
                known = weather[unit.name].at(window.start_s, window.slots)
                value[:, place] = first_finite(-generation_w(unit.plant, known), value[:, place])
        return self._whole(value)

    def typical(self, window: Window) -> Integers:
        """Typical net W of each unit in the window (slots, units): of its own readings, else of its kind's."""
        return self._whole(self._typical(window))

    def _typical(self, window: Window) -> Floats:
        value = np.empty((window.slots, len(self.units)))
        for part in self.parts:
            value[:, list(part.units)] = part.typical.at(window, self._calendar(part))
        rated_w = np.array([float(unit.rated_w) for unit in self.units])
        kinds = np.array([unit.kind for unit in self.units])
        for kind in set(kinds[np.isnan(value).any(axis=0)]):
            alike = np.flatnonzero(kinds == kind)
            per_w = mean_of_known(value[:, alike] / rated_w[alike], axis=1)
            value[:, alike] = first_finite(value[:, alike], np.outer(per_w, rated_w[alike]))
        return value

    def _calendar(self, part: Part) -> DayCalendar:
        return self.calendar if part.keeps_weekdays else EveryDayAlike()

    def _whole(self, value: Floats) -> Integers:
        unknown = np.flatnonzero(~np.isfinite(value).all(axis=0))
        if len(unknown):
            unit = self.units[int(unknown[0])]
            rule = "has no readings, and no unit of its kind has any"
            raise InvalidInput(f"units[{unit.name}].kind", unit.kind, rule)
        return np.rint(value).astype(np.int64)


def train_forecaster(
    units: Sequence[Unit],
    past: History,
    until_s: int,
    horizon: Horizon,
    calendar: HolidayCalendar = HolidayCalendar(),
) -> Forecaster:
    """Learn from the readings that have ended by `until_s`, one series a unit.

    Raises InvalidInput where units and series don't match, names are doubled, or readings span too few days.
    """
    _check_series(past, units)
    names = [unit.name for unit in units]
    if len(set(names)) != len(names):
        raise InvalidInput("units", sorted(names), "must have a name each")
    known = past.until(until_s)
    parts = []
    for keeps_weekdays in (True, False):
        mine = tuple(
            place for place, unit in enumerate(units) if (unit.kind not in PLANT_KINDS) is keeps_weekdays
        )
        if mine:
            own = History(known.start_s, known.power_w[:, list(mine)])
            days: DayCalendar = calendar if keeps_weekdays else EveryDayAlike()
            typical = TypicalProfiles(np.rint(learn_typical_profiles(own, days).power_w))
            parts.append(Part(keeps_weekdays, mine, typical, train_load_model(own, until_s, horizon, days)))
    return Forecaster(tuple(units), horizon, calendar, until_s, known.digest(), tuple(parts))


def retraining_s(issue_s: int) -> int:
    """Until when a forecaster for an issue is trained: the start of the issue's local month (UTC Unix seconds)."""
    return day_start_s(local_date(issue_s).replace(day=1))


def generation_w(plant: PvPlant | WindTurbine, weather: Weather) -> Floats:
    """What a plant generates (slots), by its kind of model."""
    if isinstance(plant, PvPlant):
        return pv_generation_w(plant, weather)
    return wind_generation_w(plant, weather)


def _check_series(past: History, units: Sequence[Unit]) -> None:
    if past.series != len(units):
        raise InvalidInput("past.series", past.series, f"must be {len(units)}: one a unit")
