"""Power flows of what is anchored for a session, as the DSO's operator is shown them."""

from typing import Protocol

import numpy as np

from offchain.protocol.flows import ElementFlows, SessionFlows
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.power_flow import PowerFlow, run_power_flow
from oracles.grid.facts import AnchoredGrid

_VOLTAGE, _LOADING = 1_000_000, 1_000
"""Micro-pu of 1 pu, milli-percent of 1 %."""


class FlowDesk(Protocol):
    """Where the DSO's operator sees power flows."""

    def show_flows(self, flows: SessionFlows) -> None:
        """Take a session's power flows; those shown before are replaced."""


def window_flow(terms: SessionTerms, grid: AnchoredGrid) -> PowerFlow:
    """The power flow of a session's delivery window, without flexibility. Raises PowerFlowDiverged."""
    forecast = grid.forecast
    return run_power_flow(grid.model, forecast.p_w[: terms.slots], forecast.q_var[: terms.slots])


def session_flows(terms: SessionTerms, grid: AnchoredGrid, flow: PowerFlow) -> SessionFlows:
    """All nodes and branches in all slots."""
    model = grid.model
    into = flow.branch_power_va[0]
    kinds = {"trafo": model.transformer_names, "line": model.line_names, "impedance": model.impedance_names}
    of_branches = (flow.loading_percent * _LOADING, into.real, into.imag, flow.branch_losses_w)
    return SessionFlows(
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        grid_model="0x" + grid.model_hash.hex(),
        nodes=ElementFlows(
            keys=tuple(f"bus:{name}" for name in model.node_names),
            values=_whole(flow.vm_pu * _VOLTAGE)[None],
            highest=_whole(model.max_vm_pu * _VOLTAGE),
            lowest=_whole(model.min_vm_pu * _VOLTAGE),
        ),
        branches=ElementFlows(
            keys=tuple(f"{kind}:{name}" for kind, names in kinds.items() for name in names),
            values=_whole(np.stack(of_branches)),
            highest=_whole(model.max_loading_percent * _LOADING),
        ),
    )


def _whole(values: Floats) -> Integers:
    whole: Integers = np.rint(values).astype(np.int64)
    return whole
