"""AC power flow of many slots at once.

Fixed point on the impedance matrix ("Z-bus"): V = V_no_load - Z conj(S / V) with S absorbed at each node, iterated for
all slots together. It converges linearly wherever the grid isn't close to voltage collapse, and needs no derivative.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import BASE_VA, Complexes, Floats, GridModel, Integers

TOLERANCE_PU = 1e-11
MAX_ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class PowerFlow:
    """Solution for s states (slots, or variants of one). n nodes, b branches, as the model orders them.

    `voltage_pu` (s, n) complex. `current_pu` (2, s, b): complex, into the branch at its from and to end.
    `converged` (s,): where False, that state's values mean nothing.
    """

    model: GridModel
    voltage_pu: Complexes
    current_pu: Complexes
    converged: npt.NDArray[np.bool_]

    @property
    def vm_pu(self) -> Floats:
        """Voltage magnitudes, (s, n)."""
        return np.abs(self.voltage_pu)

    @property
    def loading_percent(self) -> Floats:
        """Loading of transformers and lines by current, the higher of the two ends, (s, b)."""
        ends = np.abs(self.current_pu) * self.model.branch_percent_per_pu[:, None, :]
        return np.asarray(np.maximum(ends[0], ends[1]))

    @property
    def line_current_ka(self) -> Floats:
        """Line currents, the higher of the two ends, (s, lines)."""
        first = len(self.model.transformer_names)
        ends = self.model.branch_ends[:, first:]
        base_ka = BASE_VA / 1e6 / (np.sqrt(3) * self.model.node_vn_kv)
        ka = np.abs(self.current_pu[:, :, first:]) * base_ka[ends][:, None, :]
        return np.asarray(np.maximum(ka[0], ka[1]))

    @property
    def losses_w(self) -> Floats:
        """Active losses of all transformers and lines, (s,)."""
        start, end = self.model.branch_ends
        power = (
            self.voltage_pu[:, start] * self.current_pu[0].conj()
            + self.voltage_pu[:, end] * self.current_pu[1].conj()
        )
        return np.asarray(power.real.sum(axis=1) * BASE_VA)

    @property
    def supply_va(self) -> Complexes:
        """Power that the grid draws from the slack, (s,): positive real is active power absorbed by the grid."""
        slack = self.model.slack
        current = self.voltage_pu @ self.model.admittance_pu[slack]
        return np.asarray(self.voltage_pu[:, slack] * current.conj() * BASE_VA)


def run_power_flow(model: GridModel, p_w: Integers, q_var: Integers) -> PowerFlow:
    """Power flow of all slots. `p_w`, `q_var` (slots, nodes): net absorbed (absorbed minus injected) at each node.

    What is absorbed at the slack node loads no branch and is left out of the grid's own flow.
    Raises InvalidInput on a wrong shape, PowerFlowDiverged naming the slots without a solution.
    """
    flow = solve_power_flow(model, p_w, q_var)
    if not flow.converged.all():
        raise PowerFlowDiverged(tuple(np.flatnonzero(~flow.converged).tolist()), MAX_ITERATIONS)
    return flow


def solve_power_flow(model: GridModel, p_w: Integers | Floats, q_var: Integers | Floats) -> PowerFlow:
    """As `run_power_flow`, but says in `converged` which states have no solution instead of raising."""
    for field, values in (("p_w", p_w), ("q_var", q_var)):
        if values.ndim != 2 or values.shape[1] != model.nodes:
            raise InvalidInput(
                f"{field}.shape", values.shape, f"must be (slots, {model.nodes}): a column per node"
            )
    if p_w.shape != q_var.shape:
        raise InvalidInput("q_var.shape", q_var.shape, f"must be that of p_w, {p_w.shape}")
    conj_power = (p_w[:, model.loads] - 1j * q_var[:, model.loads]) / BASE_VA
    states = len(conj_power)
    voltage = np.empty((states, model.nodes), dtype=np.complex128)
    voltage[:, model.slack] = model.slack_vm_pu
    converged = np.zeros(states, dtype=np.bool_)
    solution = np.broadcast_to(model.no_load_pu, conj_power.shape).copy()
    active = np.arange(states)
    power, guess = conj_power, solution.copy()
    transposed = np.ascontiguousarray(model.impedance_pu.T)
    with np.errstate(all="ignore"):
        for _ in range(MAX_ITERATIONS):
            following = model.no_load_pu - (power / guess.conj()) @ transposed
            done = np.abs(following - guess).max(axis=1, initial=0.0) <= TOLERANCE_PU
            guess = following
            if done.any():
                solution[active[done]] = guess[done]
                converged[active[done]] = True
                active, power, guess = active[~done], power[~done], guess[~done]
                if not len(active):
                    break
    voltage[:, model.loads] = solution
    start, end = model.branch_ends
    from_from, from_to, to_from, to_to = model.branch_admittance_pu
    at_start, at_end = voltage[:, start], voltage[:, end]
    current = np.stack((at_start * from_from + at_end * from_to, at_start * to_from + at_end * to_to))
    return PowerFlow(model=model, voltage_pu=voltage, current_pu=current, converged=converged)
