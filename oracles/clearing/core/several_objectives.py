"""Clearing by several objectives: cost, unserved relief, unreliability, activations, CO2.

The rules are price priority's, but the best whole instead of offer by offer; paid as bid. The DSO's requests are served
first, the TSO's with what that leaves. Each side's front is kept, the operator's weights pick its point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from offchain.protocol.products import Side
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book
from oracles.clearing.core.mixed_integer import Floats
from oracles.clearing.core.nsga2 import evolve
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.service_program import Point, Reliability, ServiceProgram
from oracles.clearing.core.state import Acceptance, Clearing, MarketState, areas_of
from oracles.parallel import MapParts, in_threads

Solve = Callable[[ServiceProgram], Sequence[Floats]]
"""Solutions of a program, the one to be taken first."""


@dataclass(frozen=True)
class Front:
    """What one side could have had: points none of which dominates another, and the one that the weights chose."""

    side: Side
    chosen: Point
    points: tuple[Point, ...]


def clear_exactly(
    book: Book,
    pods: Mapping[bytes, PodFacts],
    seed: bytes,
    parameters: ClearingParameters,
    reliability: Reliability | None = None,
    map_parts: MapParts = in_threads,
) -> tuple[Clearing, tuple[Front, ...]]:
    """Clear a book at the weights' optimum; and each side's front, the DSO's first. `map_parts`: who finds the optimum of areas and
    slots that nothing binds to others."""
    return clear_by(
        MarketState(book, pods, seed, book.sold),
        reliability or {},
        parameters,
        lambda program: [program.best(), *program.trade_offs()],
        map_parts,
    )


def clear_by_nsga2(
    book: Book,
    pods: Mapping[bytes, PodFacts],
    seed: bytes,
    parameters: ClearingParameters,
    reliability: Reliability | None = None,
    map_parts: MapParts = in_threads,
) -> tuple[Clearing, tuple[Front, ...]]:
    """Clear a book at the point of NSGA-II's front that the weights like best; and each side's front. `map_parts`: who
    finds the optimum with which it is seeded."""

    def solve(program: ServiceProgram) -> list[Floats]:
        found = evolve(program, parameters, int.from_bytes(seed[:4], "big"))
        best = min(range(len(found)), key=lambda each: (program.weighed_ueur(found[each]), each))
        return [found[best], *found]

    return clear_by(MarketState(book, pods, seed, book.sold), reliability or {}, parameters, solve, map_parts)


def front_notes(fronts: Sequence[Front]) -> list[dict[str, object]]:
    """Fronts as an outcome's document notes them: objectives in the order of `Point`."""
    return [
        {
            "side": int(front.side),
            "chosen": list(front.chosen.as_tuple()),
            "points": [list(point.as_tuple()) for point in front.points],
        }
        for front in fronts
    ]


def clear_by(
    state: MarketState,
    reliability: Reliability,
    parameters: ClearingParameters,
    solve: Solve,
    map_parts: MapParts = in_threads,
) -> tuple[Clearing, tuple[Front, ...]]:
    """Clear side by side, each as its program is solved, the TSO's with what the DSO's leaves."""
    accepted: list[Acceptance] = []
    fronts = []
    areas = areas_of(state.requests)
    for side in (Side.DSO_REQUEST, Side.TSO_REQUEST):
        of_side = [area for area in areas if area[0].side is side]
        program = ServiceProgram(state, of_side, reliability, parameters, map_parts)
        if program.runs:
            solutions = solve(program)
            fronts.append(_front(side, [program.point(x) for x in solutions]))
            accepted.extend(program.take(solutions[0]))
    return state.finished(accepted), tuple(fronts)


def _front(side: Side, points: Sequence[Point]) -> Front:
    kept = [point for point in set(points) if not any(other.dominates(point) for other in points)]
    return Front(side, points[0], tuple(sorted(kept, key=Point.as_tuple)))
