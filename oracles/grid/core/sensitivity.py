"""How power at a node moves what is watched."""

import numpy as np

from oracles.grid.core.network import BASE_VA, Complexes, Floats, Integers
from oracles.grid.core.power_flow import PowerFlow
from oracles.grid.core.violations import Watch


def relief_per_unit(watch: Watch, flow: PowerFlow, state: int, nodes: Integers) -> Floats:
    """Fall of every watched value per W (first) and per var (second) of flexibility up at each node: (2, nodes, k).

    Up is less absorbed or more injected, so a positive entry means that up relieves the element, a negative one that
    down does. `flow` is solved and must have converged in `state`. The derivative of V = V_no_load - Z conj(S / V):
    dV - A conj(dV) = -Z conj(dS / V) with A = Z diag(conj(S / V^2)), solved for real and imaginary parts at once. Nodes
    whose magnitude is held answer with as much reactive power as keeps it.
    """
    held = watch.model.held
    every = np.concatenate((nodes, held)).astype(np.int64)
    moves = _moves(flow, state, every)
    voltage = flow.voltage_pu[state]
    if len(held):
        answers = moves[:, len(every) + len(nodes) :]
        moved = _magnitude_moves(voltage, moves)[held]
        moves = moves - answers @ np.linalg.solve(moved[:, len(every) + len(nodes) :], moved)
    of_nodes = np.concatenate((np.arange(len(nodes)), len(every) + np.arange(len(nodes))))
    moves = moves[:, of_nodes]
    loading = _loading_moves(flow, state, moves)
    vm_pu = _magnitude_moves(voltage, moves)[watch.model.loads]
    falls = np.concatenate((-loading, -vm_pu, vm_pu))
    return np.ascontiguousarray(falls.T).reshape(2, len(nodes), -1)


def _moves(flow: PowerFlow, state: int, nodes: Integers) -> Complexes:
    """Change of every node's voltage per W, then per var, of flexibility up at some nodes: (n, 2 * nodes)."""
    model = flow.model
    voltage = flow.voltage_pu[state]
    at_loads = voltage[model.loads]
    injected = model.admittance_pu[model.loads] @ voltage
    mixed = -model.impedance_pu * (injected / at_loads.conj())
    count = len(model.loads)
    one = np.eye(count)
    system = np.block([[one - mixed.real, -mixed.imag], [-mixed.imag, one + mixed.real]])
    place = np.full(model.nodes, -1, dtype=np.int64)
    place[model.loads] = np.arange(count)
    moved = place[nodes]
    per_w = model.impedance_pu[:, moved] / at_loads[moved].conj() / BASE_VA
    per_w[:, moved < 0] = 0.0
    given = np.concatenate((per_w, -1j * per_w), axis=1)
    solved = np.linalg.solve(system, np.concatenate((given.real, given.imag)))
    moves = np.zeros((model.nodes, 2 * len(nodes)), dtype=np.complex128)
    moves[model.loads] = solved[:count] + 1j * solved[count:]
    return moves


def _loading_moves(flow: PowerFlow, state: int, moves: Complexes) -> Floats:
    """Change of loading (share of the rating) at the more loaded end of each branch: (b, moves)."""
    model = flow.model
    start, end = model.branch_ends
    from_from, from_to, to_from, to_to = model.branch_admittance_pu[:, :, None]
    at_start, at_end = moves[start], moves[end]
    current = flow.current_pu[:, state]
    share = model.branch_percent_per_pu / 100
    first = np.abs(current[0]) * share[0] >= np.abs(current[1]) * share[1]
    moved = np.where(
        first[:, None], from_from * at_start + from_to * at_end, to_from * at_start + to_to * at_end
    )
    heavier = np.where(first, current[0], current[1])
    heavier_share: Floats = np.where(first, share[0], share[1])
    return np.asarray(heavier_share[:, None] * _magnitude_moves(heavier, moved))


def _magnitude_moves(values: Complexes, moves: Complexes) -> Floats:
    """Change of |values| (n,) as the values move (n, moves); none where a value is 0."""
    magnitude = np.abs(values)
    direction = np.divide(values, magnitude, out=np.zeros_like(values), where=magnitude > 0)
    return np.asarray((direction.conj()[:, None] * moves).real)


def add_at_nodes(base: Integers, nodes: Integers, up: Integers) -> Integers:
    """Net absorbed (s, n), W or var, after flexibility `up` (s, resources; negative: down) at the resources' nodes."""
    changed = base.copy()
    np.subtract.at(changed.T, nodes, up.T)
    return changed
