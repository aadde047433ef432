"""Low-voltage grids under a medium-voltage one, each solved by itself, all slots at once.

What a low-voltage grid draws through its MV/LV transformer feeds the medium-voltage run, whose voltage there goes back as
the low-voltage grid's slack, until the voltages agree. It is the solution of everything joined, without the matrix of
everything: so a city's grids fit, and those with one model (as one hash) are solved in one go. For assessment and
request, which work on one model, what has participants is joined instead (`oracles.grid.loading.joined`), and the rest
lumped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import BASE_VA, Floats, GridModel, Integers
from oracles.grid.core.power_flow import PowerFlow, solve_power_flow
from oracles.grid.core.violations import Violation, find_violations

AGREEMENT_PU = 1e-10
"""Largest difference of voltage at an MV/LV boundary that counts as none."""
MOST_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Substation:
    """A low-voltage grid that hangs at `node` of the medium-voltage model, with its net power (slots, nodes).

    `model`: its slack is that node, be it the transformer's MV side or the LV busbar, whichever the medium-voltage model
    ends at. Phase angles start anew there: magnitudes don't depend on them.
    """

    name: str
    node: int
    model: GridModel
    p_w: Integers
    q_var: Integers


@dataclass(frozen=True, eq=False)
class ComposedFlow:
    """Power flows of both levels that agree at every boundary, and in how many rounds they came to."""

    medium: PowerFlow
    low: Mapping[str, PowerFlow]
    rounds: int

    def violations(self) -> dict[str, tuple[Violation, ...]]:
        """Violations by substation, the medium-voltage grid's under the empty name; those without any are left out."""
        found = {"": find_violations(self.medium)}
        found |= {name: find_violations(flow) for name, flow in self.low.items()}
        return {name: violations for name, violations in found.items() if violations}


def lumped(p_w: Integers, q_var: Integers, substations: Sequence[Substation]) -> tuple[Integers, Integers]:
    """Net power at the medium-voltage nodes (slots, nodes) with substations' whole forecast added at their nodes.

    For those without participants: their grids aren't run, and what their lines lose isn't counted.
    """
    p_w, q_var = p_w.copy(), q_var.copy()
    for substation in substations:
        p_w[:, substation.node] += substation.p_w.sum(axis=1)
        q_var[:, substation.node] += substation.q_var.sum(axis=1)
    return p_w, q_var


def run_composed(
    model: GridModel, p_w: Integers, q_var: Integers, substations: Sequence[Substation]
) -> ComposedFlow:
    """Power flow of a medium-voltage grid, whose own net power is `p_w`, `q_var` (slots, nodes), and all substations.

    Raises InvalidInput where names or nodes can't be, PowerFlowDiverged with the slots in which a grid, or all of them
    together, have no solution.
    """
    names = [substation.name for substation in substations]
    if len(set(names)) != len(names):
        raise InvalidInput("substations", sorted(names), "must have names of their own")
    for substation in substations:
        if not 0 <= substation.node < model.nodes:
            raise InvalidInput(f"{substation.name}.node", substation.node, "must be a node of the MV model")
        if len(substation.model.slacks) != 1 or len(substation.model.held):
            rule = "must have one slack, which the MV node stands for, and hold no other voltage"
            raise InvalidInput(f"{substation.name}.model", substation.model.name, rule)
        if len(substation.p_w) != len(p_w):
            raise InvalidInput(f"{substation.name}.p_w", len(substation.p_w), f"must have {len(p_w)} slots")
    alike: dict[int, list[Substation]] = {}
    for substation in substations:
        alike.setdefault(id(substation.model), []).append(substation)
    vm_pu = np.ones((len(p_w), model.nodes))
    for rounds in range(1, MOST_ROUNDS + 1):
        low: dict[str, PowerFlow] = {}
        p_all, q_all = p_w.astype(np.float64), q_var.astype(np.float64)
        for group in alike.values():
            low |= _run_alike(group, vm_pu)
        for substation in substations:
            drawn_va = low[substation.name].supply_va
            p_all[:, substation.node] += drawn_va.real
            q_all[:, substation.node] += drawn_va.imag
        medium = _converged(solve_power_flow(model, p_all, q_all), len(p_w))
        at = [substation.node for substation in substations]
        difference = np.abs(medium.vm_pu[:, at] - vm_pu[:, at]).max(initial=0.0, axis=1)
        if (difference <= AGREEMENT_PU).all():
            return ComposedFlow(medium, low, rounds)
        vm_pu = medium.vm_pu
    raise PowerFlowDiverged(tuple(np.flatnonzero(difference > AGREEMENT_PU).tolist()), MOST_ROUNDS)


def _run_alike(group: Sequence[Substation], vm_pu: Floats) -> dict[str, PowerFlow]:
    """Power flows of substations with one model, each with the voltage of its node as its slack's.

    V = v U turns a slack of v into one of 1 where powers are divided by v², since all else is linear in V: so one model
    serves every slack voltage. What the model itself absorbs is divided with the rest.
    """
    model, slots = group[0].model, len(vm_pu)
    ratio = np.concatenate([vm_pu[:, substation.node] for substation in group]) / np.abs(
        model.slack_voltage_pu[0]
    )
    given_va = model.given_power_pu * BASE_VA
    own_va = given_va + np.concatenate([substation.p_w + 1j * substation.q_var for substation in group])
    power_va = own_va / ratio[:, None] ** 2 - given_va
    flow = _converged(solve_power_flow(model, power_va.real, power_va.imag), slots)
    voltage_pu = flow.voltage_pu * ratio[:, None]
    current_pu = flow.current_pu * ratio[None, :, None]
    return {
        substation.name: PowerFlow(
            model,
            voltage_pu[place * slots : (place + 1) * slots],
            current_pu[:, place * slots : (place + 1) * slots],
            flow.converged[place * slots : (place + 1) * slots],
            flow.by_newton[place * slots : (place + 1) * slots],
        )
        for place, substation in enumerate(group)
    }


def _converged(flow: PowerFlow, slots: int) -> PowerFlow:
    if not flow.converged.all():
        lost = np.flatnonzero(~flow.converged) % slots
        raise PowerFlowDiverged(tuple(np.unique(lost).tolist()), MOST_ROUNDS)
    return flow
