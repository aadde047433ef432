"""AC power flow of many slots at once.

Fixed point on the impedance between nodes ("Z-bus"): V = V_no_load - Z conj(S / V) with S absorbed at each node, where Z is
applied as the admittance's sparse factors. It takes lines and meshes, any number of slacks and their angles, and converges
linearly wherever the grid isn't close to voltage collapse. Each state's result is checked once against the power that it
should balance. Newton's method solves the states that fail, and all of a grid with nodes whose voltage is held.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput
from oracles.grid.core import newton
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import BASE_VA, Complexes, Floats, GridModel, Integers
from oracles.grid.core.power_flow_kernels import iterate

TOLERANCE_PU = 1e-11
MAX_ITERATIONS = 200
MISMATCH_PU = 1e-6
"""Most that the fixed point's result may be out of balance at any node: 1 VA. More, and Newton has to solve the state."""


@dataclass(frozen=True, eq=False)
class PowerFlow:
    """Solution for s states (slots, or variants of one). n nodes, b branches, as the model orders them.

    `voltage_pu` (s, n) complex. `current_pu` (2, s, b): complex, into the branch at its from and to end.
    `converged` (s,): where False, that state's values mean nothing. `by_newton` (s,): states that Newton's method solved.
    """

    model: GridModel
    voltage_pu: Complexes
    current_pu: Complexes
    converged: npt.NDArray[np.bool_]
    by_newton: npt.NDArray[np.bool_]

    @property
    def vm_pu(self) -> Floats:
        """Voltage magnitudes, (s, n)."""
        return np.abs(self.voltage_pu)

    @property
    def loading_percent(self) -> Floats:
        """Loading of branches by current, the higher of the two ends, (s, b)."""
        ends = np.abs(self.current_pu) * self.model.branch_percent_per_pu[:, None, :]
        return np.asarray(np.maximum(ends[0], ends[1]))

    @property
    def line_current_ka(self) -> Floats:
        """Line currents, the higher of the two ends, (s, lines)."""
        first = len(self.model.transformer_names)
        lines = slice(first, first + len(self.model.line_names))
        ends = self.model.branch_ends[:, lines]
        base_ka = BASE_VA / 1e6 / (np.sqrt(3) * self.model.node_vn_kv)
        ka = np.abs(self.current_pu[:, :, lines]) * base_ka[ends][:, None, :]
        return np.asarray(np.maximum(ka[0], ka[1]))

    @property
    def branch_power_va(self) -> Complexes:
        """Complex power into each branch at its from and to end, (2, s, b)."""
        start, end = self.model.branch_ends
        at_ends = np.stack((self.voltage_pu[:, start], self.voltage_pu[:, end]))
        return np.asarray(at_ends * self.current_pu.conj() * BASE_VA)

    @property
    def branch_losses_w(self) -> Floats:
        """Active losses of each branch, (s, b)."""
        return np.asarray(self.branch_power_va.real.sum(axis=0))

    @property
    def losses_w(self) -> Floats:
        """Active losses of all branches together, (s,)."""
        return np.asarray(self.branch_losses_w.sum(axis=1))

    @property
    def slack_power_va(self) -> Complexes:
        """Power that the grid draws from each slack, (s, slacks): positive real is active power absorbed by the grid."""
        slacks = self.model.slacks
        current = (self.model.admittance[slacks] @ self.voltage_pu.T).T
        return np.asarray(self.voltage_pu[:, slacks] * current.conj() * BASE_VA)

    @property
    def supply_va(self) -> Complexes:
        """Power that the grid draws from all slacks together, (s,)."""
        return np.asarray(self.slack_power_va.sum(axis=1))


def run_power_flow(model: GridModel, p_w: Integers | Floats, q_var: Integers | Floats) -> PowerFlow:
    """Power flow of all slots. `p_w`, `q_var` (slots, nodes): net absorbed (absorbed minus injected) at each node, beside
    what the model itself has there. At a node whose voltage is held, q_var changes nothing.

    What is absorbed at a slack node loads no branch and is left out of the grid's own flow.
    Raises InvalidInput on a wrong shape, PowerFlowDiverged naming the slots without a solution.
    """
    flow = solve_power_flow(model, p_w, q_var)
    if not flow.converged.all():
        raise PowerFlowDiverged(tuple(np.flatnonzero(~flow.converged).tolist()), newton.MAX_ITERATIONS)
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
    power = (p_w + 1j * q_var) / BASE_VA + model.given_power_pu
    if len(model.held):
        voltage, converged = newton.solve_newton(model, power)
        by_newton = np.ones(len(power), dtype=np.bool_)
    else:
        voltage, converged = _fixed_point(model, power)
        by_newton = ~converged
        if by_newton.any():
            voltage[by_newton], converged[by_newton] = newton.solve_newton(model, power[by_newton])
            by_newton &= converged
    start, end = model.branch_ends
    from_from, from_to, to_from, to_to = model.branch_admittance_pu
    at_start, at_end = voltage[:, start], voltage[:, end]
    current = np.stack((at_start * from_from + at_end * from_to, at_start * to_from + at_end * to_to))
    return PowerFlow(model, voltage, current, converged, by_newton)


def solve_below(
    model: GridModel, p_w: Integers | Floats, q_var: Integers | Floats, slack_vm_pu: Floats
) -> PowerFlow:
    """As `solve_power_flow`, in each state with another magnitude (s,) at the model's one slack. Phase angles start there.

    V = v U turns a slack of v into the model's own where powers are divided by v², since all else is linear in V: so one model
    serves every slack voltage. What the model itself absorbs is divided with the rest.
    Raises InvalidInput where the model has several slacks or holds another voltage.
    """
    if len(model.slacks) != 1 or len(model.held):
        rule = "must have one slack, which the node above stands for, and hold no other voltage"
        raise InvalidInput("model", model.name, rule)
    ratio = slack_vm_pu / model.slack_vm_pu
    given_va = model.given_power_pu * BASE_VA
    power_va = (p_w + 1j * q_var + given_va) / ratio[:, None] ** 2 - given_va
    flow = solve_power_flow(model, power_va.real, power_va.imag)
    return replace(
        flow,
        voltage_pu=flow.voltage_pu * ratio[:, None],
        current_pu=flow.current_pu * ratio[None, :, None],
    )


def _fixed_point(model: GridModel, power_pu: Complexes) -> tuple[Complexes, npt.NDArray[np.bool_]]:
    """Complex voltages (s, n), and for which states the fixed point converged to what balances their power."""
    states = len(power_pu)
    factors = model.factors
    power = np.ascontiguousarray(power_pu[:, model.loads].T)
    at_loads = np.ones(power.shape, dtype=np.complex128)
    converged = np.zeros(states, dtype=np.bool_)
    iterate(
        factors.lower.arrays,
        factors.upper.arrays,
        factors.inverse_diagonal,
        factors.rows_in,
        factors.rows_out,
        model.no_load_pu,
        power,
        at_loads,
        converged,
        TOLERANCE_PU,
        MAX_ITERATIONS,
    )
    voltage = np.empty((model.nodes, states), dtype=np.complex128)
    voltage[model.slacks] = model.slack_voltage_pu[:, None]
    voltage[model.loads] = at_loads
    current = (model.admittance @ voltage)[model.loads]
    missing = np.abs(at_loads * current.conj() + power).max(axis=0, initial=0.0)
    return np.ascontiguousarray(voltage.T), converged & (missing <= MISMATCH_PU)
