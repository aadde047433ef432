"""Certified readings of the Shared Customer Database as a history: D2.3's measurements, one series a PoD."""

from collections.abc import Iterable, Sequence

import numpy as np

from offchain.protocol.documents.measurement import CERTIFIED, Measurements, measurement_row
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import History

QUARTERS_PER_HOUR = 4


def history_of_measurements(
    documents: Iterable[Measurements], pods: Sequence[str], start_s: int, end_s: int
) -> History:
    """Net W of these PoDs between two instants (UTC Unix seconds), from their meters' energies.

    Only energies that are certified count: what is missing, or of another quality, is a gap. Raises InvalidInput for a
    measurement of another PoD, of no quarter-hour of that time, or a second one of the same quarter-hour that differs.
    """
    for name, moment_s in (("start_s", start_s), ("end_s", end_s)):
        if moment_s % SLOT_S:
            raise InvalidInput(name, moment_s, f"must be a multiple of {SLOT_S}")
    column = {pod: place for place, pod in enumerate(pods)}
    power_w = np.full((max(0, end_s - start_s) // SLOT_S, len(pods)), np.nan)
    for document in documents:
        row = measurement_row(document)
        if row.pod not in column:
            raise InvalidInput("measurement.pod", row.pod, "must be one of the PoDs asked for")
        if row.start_s % SLOT_S or not start_s <= row.start_s < end_s:
            raise InvalidInput(
                "measurement.dateTime", row.start_s, "must be a quarter-hour of the time asked for"
            )
        active = (document.measures.absorbed_active_energy, document.measures.injected_active_energy)
        if any(energy.quality != CERTIFIED for energy in active):
            continue
        net_w = QUARTERS_PER_HOUR * (row.energies.absorbed_active_wh - row.energies.injected_active_wh)
        place = (row.start_s - start_s) // SLOT_S, column[row.pod]
        if np.isfinite(power_w[place]) and power_w[place] != net_w:
            raise InvalidInput(
                "measurement.measures", net_w, f"contradicts the {power_w[place]:.0f} W told before"
            )
        power_w[place] = net_w
    return History(start_s, power_w)
