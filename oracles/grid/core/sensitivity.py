"""How active power at a node moves what is watched."""

import numpy as np

from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import Watch

_STEP_SHARE = 1e-3
"""Step of the difference, as a share of the grid's rating: far above the power flow's noise, far below curvature."""


def relief_per_w(watch: Watch, p_w: Integers | Floats, q_var: Integers | Floats, nodes: Integers) -> Floats:
    """Fall of every watched value per W of flexibility up at each node, in one state: (nodes, k).

    `p_w`, `q_var` (n,): net absorbed. Up is less absorbed, so a positive entry means that up relieves the element, a
    negative one that down does. Central differences of the AC power flow.
    """
    step_w = max(1.0, _STEP_SHARE * watch.model.rating_w)
    count = len(nodes)
    p_states: Floats = np.repeat(p_w[None, :].astype(np.float64), 2 * count, axis=0)
    p_states[np.arange(count), nodes] += step_w
    p_states[np.arange(count, 2 * count), nodes] -= step_w
    q_states: Floats = np.broadcast_to(q_var.astype(np.float64), p_states.shape)
    values = watch.values(solve_power_flow(watch.model, p_states, q_states))
    return np.asarray((values[:count] - values[count:]) / (2 * step_w))


def add_at_nodes(base_w: Integers, nodes: Integers, up_w: Integers) -> Integers:
    """Net absorbed (s, n) after flexibility `up_w` (s, pods; negative: down) at the PoDs' nodes."""
    changed = base_w.copy()
    for column, node in enumerate(nodes.tolist()):
        changed[:, node] -= up_w[:, column]
    return changed
