"""Power flows of what is anchored for a session, as the DSO's operator is shown them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from offchain.protocol.flows import ElementFlows, SessionFlows
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.switched_grid import States, solved, watch_of
from oracles.grid.facts import AnchoredGrid

_VOLTAGE, _LOADING = 1_000_000, 1_000
"""Micro-pu of 1 pu, milli-percent of 1 %."""


class FlowDesk(Protocol):
    """Where the DSO's operator sees power flows."""

    def show_flows(self, flows: SessionFlows) -> None:
        """Take a session's power flows; those shown before are replaced."""


def window_states(terms: SessionTerms, grid: AnchoredGrid) -> States:
    """The grid in a session's delivery window, without flexibility. Raises PowerFlowDiverged."""
    forecast = grid.forecast
    return solved(watch_of(grid.model), forecast.p_w[: terms.slots], forecast.q_var[: terms.slots])


def session_flows(terms: SessionTerms, grid: AnchoredGrid, states: States) -> SessionFlows:
    """All nodes and branches in all slots; zeros in slots whose model doesn't have one."""
    nodes, branches = _Table(terms.slots, 1, 2), _Table(terms.slots, 4, 1)
    for slots, flow in states.flows:
        model, into = flow.model, flow.branch_power_va[0]
        nodes.put(
            [f"bus:{name}" for name in model.node_names],
            slots,
            (flow.vm_pu * _VOLTAGE,),
            (model.max_vm_pu * _VOLTAGE, model.min_vm_pu * _VOLTAGE),
        )
        kinds = {
            "trafo": model.transformer_names,
            "line": model.line_names,
            "impedance": model.impedance_names,
        }
        branches.put(
            [f"{kind}:{name}" for kind, names in kinds.items() for name in names],
            slots,
            (flow.loading_percent * _LOADING, into.real, into.imag, flow.branch_losses_w),
            (model.max_loading_percent * _LOADING,),
        )
    highest, lowest = nodes.limits()
    return SessionFlows(
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        grid_model="0x" + grid.model_hash.hex(),
        nodes=ElementFlows(keys=nodes.keys, values=nodes.values(), highest=highest, lowest=lowest),
        branches=ElementFlows(keys=branches.keys, values=branches.values(), highest=branches.limits()[0]),
    )


class _Table:
    """Quantities of elements by slot, from one model after the other; limits are those of the first that has an element."""

    def __init__(self, slots: int, quantities: int, sides: int) -> None:
        self._shape, self._sides = (quantities, slots), sides
        self._of: dict[str, Integers] = {}
        self._limits: dict[str, tuple[int, ...]] = {}

    def put(
        self, keys: Sequence[str], slots: Integers, quantities: Sequence[Floats], limits: Sequence[Floats]
    ) -> None:
        """Take a model's: each quantity (slots, keys), each limit (keys,)."""
        whole, of_limits = _whole(np.stack(quantities)), _whole(np.stack(limits)).T.tolist()
        for place, key in enumerate(keys):
            self._of.setdefault(key, np.zeros(self._shape, dtype=np.int64))[:, slots] = whole[:, :, place]
            self._limits.setdefault(key, tuple(of_limits[place]))

    @property
    def keys(self) -> tuple[str, ...]:
        """Of all models' elements."""
        return tuple(self._of)

    def values(self) -> Integers:
        """(quantities, slots, keys)."""
        return (
            np.stack(list(self._of.values()), axis=2)
            if self._of
            else np.zeros((*self._shape, 0), dtype=np.int64)
        )

    def limits(self) -> Integers:
        """(limits, keys)."""
        return np.array(list(self._limits.values()), dtype=np.int64).reshape(len(self._limits), self._sides).T


def _whole(values: Floats) -> Integers:
    whole: Integers = np.rint(values).astype(np.int64)
    return whole
