"""Certified readings of the flexible customers as a history, and which of them the leaf of their batch bears out."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from offchain.protocol.documents.certified_reading import CertifiedReading
from offchain.protocol.errors import InvalidInput
from offchain.protocol.lists import Record
from offchain.protocol.metering import Net, net_of_energies
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import History

_SAID = {
    "pod": "pseudonym",
    "startTime": "start_time",
    "absorbedActiveWh": "absorbed_active_wh",
    "injectedActiveWh": "injected_active_wh",
    "absorbedInductiveVarh": "absorbed_inductive_varh",
    "injectedInductiveVarh": "injected_inductive_varh",
    "absorbedCapacitiveVarh": "absorbed_capacitive_varh",
    "injectedCapacitiveVarh": "injected_capacitive_varh",
    "sequence": "sequence",
}
"""What the meter said, by field of the leaf and of the reading."""


def net_of_reading(reading: CertifiedReading) -> Net:
    """Net W and var of a reading's quarter-hour."""
    return net_of_energies(
        reading.absorbed_active_wh,
        reading.injected_active_wh,
        reading.absorbed_inductive_varh,
        reading.injected_inductive_varh,
        reading.absorbed_capacitive_varh,
        reading.injected_capacitive_varh,
    )


def is_borne_out(reading: CertifiedReading, leaf: Record) -> bool:
    """Whether a leaf says all that the reading says, of a quarter-hour."""
    return leaf.integer("periodS") == SLOT_S and all(
        leaf.values[field] == getattr(reading, name) for field, name in _SAID.items()
    )


def history_of_nets(
    nets: Iterable[tuple[bytes, int, Net]], pods: Sequence[bytes], start_s: int, end_s: int
) -> tuple[History, History]:
    """Net W and net var of these PoDs between two instants, of (PoD, start, net): a series a PoD, NaN where nothing is known.

    Raises InvalidInput for what is of another PoD, or of no quarter-hour of that time.
    """
    column: Mapping[bytes, int] = {pod: place for place, pod in enumerate(pods)}
    p, q = (np.full((max(0, end_s - start_s) // SLOT_S, len(pods)), np.nan) for _ in range(2))
    for pod, moment_s, net in nets:
        if pod not in column:
            raise InvalidInput("pod", "0x" + pod.hex(), "must be one of the PoDs asked for")
        if moment_s % SLOT_S or not start_s <= moment_s < end_s:
            raise InvalidInput("start_s", moment_s, "must be a quarter-hour of the time asked for")
        place = (moment_s - start_s) // SLOT_S, column[pod]
        p[place], q[place] = net.power_w, net.reactive_var
    return History(start_s, p), History(start_s, q)
