"""Low-voltage grids under a medium-voltage one, each solved by itself, all slots at once.

What a low-voltage grid draws through its MV/LV transformer feeds the medium-voltage run, whose voltage there goes back as
the low-voltage grid's slack, until the voltages agree. It is the solution of everything joined, without the matrix of
everything: so a city's grids fit, in threads or on a Dask scheduler's workers, and those with one model are solved
together. For assessment and request, which work on one model, what has participants is joined instead
(`oracles.grid.loading.joined`), and what the rest draws is a load there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import Complexes, Floats, GridModel, Integers
from oracles.grid.core.power_flow import PowerFlow, run_power_flow
from oracles.grid.core.violations import AlarmSettings
from oracles.grid.many_grids import GridResults, GridStates, drawn_by_grids, solve_grids
from oracles.parallel import MapParts, in_threads

AGREEMENT_PU = 1e-10
"""Largest difference of voltage at an MV/LV boundary that counts as none."""
MOST_ROUNDS = 50
STATES_A_PART = 1_536
"""So many are solved in one go: enough that a part's overhead is nothing, few enough that its arrays stay in the cache."""


@dataclass(frozen=True, eq=False)
class Substation:
    """A low-voltage grid that hangs at `node` of the medium-voltage model, with its net power (slots, nodes).

    `document`: its model's bytes; the model's slack is that node, be it the transformer's MV side or the LV busbar, whichever
    the medium-voltage model ends at.
    """

    name: str
    node: int
    document: bytes
    p_w: Integers
    q_var: Integers


@dataclass(frozen=True, eq=False)
class ComposedFlow:
    """Power flow of the medium-voltage grid that agrees with all those below it, and in how many rounds they came to it.

    `drawn_va`: by substation, what it draws (slots,). `unsolved`: slots in which a substation's grid has no solution; there it
    counts as a load of its whole net power.
    """

    medium: PowerFlow
    drawn_va: Mapping[str, Complexes]
    unsolved: Mapping[str, tuple[int, ...]]
    rounds: int


def run_composed(
    model: GridModel,
    p_w: Integers,
    q_var: Integers,
    substations: Sequence[Substation],
    map_parts: MapParts = in_threads,
    agreement_pu: float = AGREEMENT_PU,
) -> ComposedFlow:
    """Power flow of a medium-voltage grid, whose own net power is `p_w`, `q_var` (slots, nodes), and all substations.

    Raises InvalidInput where names, nodes or models can't be, PowerFlowDiverged with the slots in which the medium-voltage
    grid, or everything together, has no solution.
    """
    names = [substation.name for substation in substations]
    if len(set(names)) != len(names):
        raise InvalidInput("substations", sorted(names), "must have names of their own")
    for substation in substations:
        if not 0 <= substation.node < model.nodes:
            raise InvalidInput(f"{substation.name}.node", substation.node, "must be a node of the MV model")
        if len(substation.p_w) != len(p_w):
            raise InvalidInput(f"{substation.name}.p_w", len(substation.p_w), f"must have {len(p_w)} slots")
    at = [substation.node for substation in substations]
    vm_pu = np.ones((len(p_w), model.nodes))
    for rounds in range(1, MOST_ROUNDS + 1):
        p_all, q_all = p_w.astype(np.float64), q_var.astype(np.float64)
        drawn_va, unsolved = _drawn(substations, vm_pu, map_parts)
        for substation in substations:
            p_all[:, substation.node] += drawn_va[substation.name].real
            q_all[:, substation.node] += drawn_va[substation.name].imag
        medium = run_power_flow(model, p_all, q_all)
        difference = np.abs(medium.vm_pu[:, at] - vm_pu[:, at]).max(initial=0.0, axis=1)
        if (difference <= agreement_pu).all():
            return ComposedFlow(medium, drawn_va, unsolved, rounds)
        vm_pu = medium.vm_pu
    raise PowerFlowDiverged(tuple(np.flatnonzero(difference > agreement_pu).tolist()), MOST_ROUNDS)


def results_below(
    vm_pu: Floats,
    substations: Sequence[Substation],
    alarms_of: Callable[[str], AlarmSettings] = lambda _: AlarmSettings(),
    map_parts: MapParts = in_threads,
) -> Iterator[tuple[str, GridResults]]:
    """Results of each substation at the medium-voltage nodes' magnitudes (slots, nodes), as they come."""
    chunks = _chunks(substations, alarms_of)
    parts = (_states(chunk, vm_pu, alarms_of(chunk[0].name)) for chunk in chunks)
    for chunk, results in zip(chunks, solve_grids(parts, map_parts), strict=True):
        for substation, result in zip(chunk, results, strict=True):
            yield substation.name, result


def _drawn(
    substations: Sequence[Substation], vm_pu: Floats, map_parts: MapParts
) -> tuple[dict[str, Complexes], dict[str, tuple[int, ...]]]:
    """By substation: what it draws, and where it has no solution."""
    drawn_va: dict[str, Complexes] = {}
    unsolved: dict[str, tuple[int, ...]] = {}
    chunks = _chunks(substations)
    parts = (_states(chunk, vm_pu) for chunk in chunks)
    for chunk, drawn in zip(chunks, drawn_by_grids(parts, map_parts), strict=True):
        by_grid = (each.reshape(len(chunk), -1) for each in (drawn.supply_va, drawn.converged))
        for substation, supply_va, converged in zip(chunk, *by_grid, strict=True):
            whole_va = substation.p_w.sum(axis=1) + 1j * substation.q_var.sum(axis=1)
            drawn_va[substation.name] = np.where(converged, supply_va, whole_va)
            if not converged.all():
                unsolved[substation.name] = tuple(np.flatnonzero(~converged).tolist())
    return drawn_va, unsolved


def _chunks(
    substations: Sequence[Substation],
    alarms_of: Callable[[str], AlarmSettings] = lambda _: AlarmSettings(),
) -> list[list[Substation]]:
    """Substations that are solved together: of one model, and with the same elements' own thresholds."""
    alike: dict[tuple[bytes, tuple[str, ...]], list[Substation]] = {}
    for substation in substations:
        own = alarms_of(substation.name).of_elements
        key = (substation.document, (substation.name,) if own else ())
        alike.setdefault(key, []).append(substation)
    chunks = []
    for group in alike.values():
        count = max(1, STATES_A_PART // max(1, len(group[0].p_w)))
        chunks += [group[first : first + count] for first in range(0, len(group), count)]
    return chunks


def _states(
    chunk: Sequence[Substation], vm_pu: Floats, alarms: AlarmSettings = AlarmSettings()
) -> GridStates:
    return GridStates(
        document=chunk[0].document,
        p_w=np.concatenate([substation.p_w for substation in chunk]),
        q_var=np.concatenate([substation.q_var for substation in chunk]),
        slots=len(vm_pu),
        slack_vm_pu=np.concatenate([vm_pu[:, substation.node] for substation in chunk]),
        alarms=alarms,
    )
