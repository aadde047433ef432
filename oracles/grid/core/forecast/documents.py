"""A forecaster as a document: canonical JSON of its numbers, which say with what they were learned. Nothing in it runs.

`units`, `horizon`, `country` and `trainedUntilS` are what training was called with, `historyHash` is keccak256 of the
readings; `parts` hold typical profiles (month, kind of day, interval, unit; W, null where there was no reading) and
weights (lead, unit, expert). Whoever has the readings can train again and compare the bytes.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from offchain.protocol import canonical_json
from offchain.protocol.errors import InvalidInput
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.forecaster import Forecaster, Part, Unit
from oracles.grid.core.forecast.history import Floats
from oracles.grid.core.forecast.load_model import Horizon, LoadModel
from oracles.grid.core.forecast.pv import PvPlant
from oracles.grid.core.forecast.typical_profiles import TypicalProfiles
from oracles.grid.core.forecast.wind import WindTurbine

MODEL_FORMAT = "flexledger-forecaster-1"


def forecaster_bytes(forecaster: Forecaster) -> bytes:
    """A forecaster as it is stored."""
    return canonical_json.dumps(
        {
            "format": MODEL_FORMAT,
            "horizon": {"name": forecaster.horizon.name, "leadSlots": forecaster.horizon.lead_slots},
            "country": forecaster.calendar.country,
            "trainedUntilS": forecaster.trained_until_s,
            "historyHash": "0x" + forecaster.history_hash.hex(),
            "units": [_unit_content(unit) for unit in forecaster.units],
            "parts": [
                {
                    "keepsWeekdays": part.keeps_weekdays,
                    "units": list(part.units),
                    "typicalW": _nested(part.typical.power_w),
                    "weights": _nested(part.model.weights),
                }
                for part in forecaster.parts
            ],
        },
        allow_floats=True,
    )


def forecaster_of_bytes(raw: bytes) -> Forecaster:
    """The forecaster of a stored document. Raises InvalidInput where it isn't one."""
    content = canonical_json.loads(raw, allow_floats=True)
    if not isinstance(content, dict) or content.get("format") != MODEL_FORMAT:
        raise InvalidInput("forecaster.format", content, f"must be {MODEL_FORMAT!r}")
    try:
        units = tuple(_unit(entry) for entry in content["units"])
        forecaster = Forecaster(
            units,
            Horizon(str(content["horizon"]["name"]), int(content["horizon"]["leadSlots"])),
            HolidayCalendar(content["country"]),
            int(content["trainedUntilS"]),
            bytes.fromhex(content["historyHash"].removeprefix("0x")),
            tuple(_part(entry) for entry in content["parts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InvalidInput("forecaster", str(problem), "must hold what forecaster_bytes writes") from None
    for part in forecaster.parts:
        series = {len(part.units), part.typical.power_w.shape[3], part.model.weights.shape[1]}
        if len(series) != 1:
            raise InvalidInput(
                "forecaster.parts", sorted(series), "must have profiles and weights for each unit"
            )
    placed = sorted(place for part in forecaster.parts for place in part.units)
    if placed != list(range(len(units))):
        raise InvalidInput("forecaster.parts", placed, "must hold each unit once")
    return forecaster


def _unit_content(unit: Unit) -> dict[str, Any]:
    content: dict[str, Any] = {"name": unit.name, "kind": unit.kind, "ratedW": unit.rated_w}
    if unit.plant is not None:
        content["pv" if isinstance(unit.plant, PvPlant) else "wind"] = asdict(unit.plant)
    return content


def _unit(content: dict[str, Any]) -> Unit:
    plant: PvPlant | WindTurbine | None = None
    if "pv" in content:
        plant = PvPlant(**content["pv"])
    if "wind" in content:
        curve = content["wind"]
        lists = {name: tuple(curve[name]) for name in ("speeds_m_per_s", "powers_w")}
        plant = WindTurbine(**{**curve, **lists})
    return Unit(str(content["name"]), str(content["kind"]), int(content["ratedW"]), plant)


def _part(content: dict[str, Any]) -> Part:
    return Part(
        bool(content["keepsWeekdays"]),
        tuple(int(place) for place in content["units"]),
        TypicalProfiles(_floats(content["typicalW"])),
        LoadModel(_floats(content["weights"])),
    )


def _nested(values: Floats) -> Any:
    nested = values.astype(object)
    nested[~np.isfinite(values)] = None
    return nested.tolist()


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)
