"""Clearing by several objectives, exactly: cost, unserved relief, unreliability, activations.

The same rules as price priority's (orders, limits, price caps, DSO first), but the best whole instead of offer by offer:
one mixed-integer program for the DSO's requests and, with what that leaves, one for the TSO's. Paid as bid. The program
reckons in fractions of a W; what is taken is rounded down to whole ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from offchain.protocol.products import Product, Side
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book, Offer, Request
from oracles.clearing.core.mixed_integer import (
    Floats,
    MixedIntegerProgram,
    ProgramInfeasible,
    Terms,
    value_of,
)
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.state import Acceptance, Clearing, MarketState, areas_of

PRECISION_W = 1e-4
"""What HiGHS may miss a whole W by."""
ALWAYS_PERMILLE = 1000
Reliability = Mapping[bytes, int]
"""Per mille of what a PoD was to deliver that it delivered; one that isn't named: all."""


@dataclass(frozen=True)
class Point:
    """A point of a front: what the program's optimum costs (µ€), leaves unserved (W and slot), risks (W and slot that are
    expected not to be delivered), and how many offers it takes."""

    cost_ueur: int
    unserved_w: int
    unreliable_w: int
    activations: int

    def dominates(self, other: "Point") -> bool:
        """Whether it is nowhere worse, and somewhere better."""
        mine, theirs = self.as_tuple(), other.as_tuple()
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))

    def as_tuple(self) -> tuple[int, int, int, int]:
        """The objectives in order."""
        return self.cost_ueur, self.unserved_w, self.unreliable_w, self.activations


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
) -> tuple[Clearing, tuple[Front, ...]]:
    """Clear a book at the weights' optimum; and each side's front, the DSO's first."""
    state = MarketState(book, pods, seed)
    accepted: list[Acceptance] = []
    fronts = []
    areas = areas_of(book.requests)
    for sides in ((Side.DSO_REQUEST,), (Side.TSO_REQUEST,)):
        of_side = [area for area in areas if area[0].side in sides]
        program = ServiceProgram(state, of_side, reliability or {})
        if program.runs:
            x = program.best(parameters)
            fronts.append(program.front(parameters, x, of_side[0][0].side))
            accepted.extend(program.take(x))
    return state.finished(accepted), tuple(fronts)


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


@dataclass(frozen=True)
class Run:
    """A way to take an offer: the same power for each of these requests, one a slot. `column`: its W."""

    offer: Offer
    requests: tuple[Request, ...]
    column: int


class ServiceProgram:
    """One side's requests, and every way in which offers that are left may serve them."""

    def __init__(
        self, state: MarketState, areas: Sequence[Sequence[Request]], reliability: Reliability
    ) -> None:
        self._state = state
        self._reliability = reliability
        self._program = MixedIntegerProgram()
        self._is_taken: dict[int, int] = {}
        self.runs = list(self._possible_runs(areas))
        self._of_offer: dict[int, list[Run]] = defaultdict(list)
        for run in self.runs:
            self._of_offer[run.offer.position].append(run)
        self._short = self._add_requests(request for area in areas for request in area)
        for runs in self._of_offer.values():
            self._add_offer(runs)
        self._add_bonds()
        self._add_pods()

    def best(self, parameters: ClearingParameters) -> Floats:
        """The optimum at the operator's weights."""
        return self._program.minimise(self._weighted(parameters))

    def front(self, parameters: ClearingParameters, chosen: Floats, side: Side) -> Front:
        """Least cost at levels of unserved relief and of unreliability, from the least possible to doing nothing."""
        most_w = value_of(dict.fromkeys(self._short.values(), 1.0), self._nothing())
        least_w = value_of(self._unserved, self._program.minimise(self._unserved))
        points = {self._point(chosen)}
        steps = parameters.front_steps
        for unserved_step in range(steps + 1):
            level = least_w + (most_w - least_w) * unserved_step / steps + PRECISION_W
            bound = (self._unserved, level)
            cheapest = self._program.minimise(self._cost, bound)
            points.add(self._point(cheapest))
            riskiest = value_of(self._unreliable, cheapest)
            for risk_step in range(steps) if riskiest > PRECISION_W else ():
                risk = (self._unreliable, riskiest * risk_step / steps)
                try:
                    points.add(self._point(self._program.minimise(self._cost, bound, risk)))
                except ProgramInfeasible:
                    continue
        kept = [point for point in points if not any(other.dominates(point) for other in points)]
        return Front(side, self._point(chosen), tuple(sorted(kept, key=Point.as_tuple)))

    def take(self, x: Floats) -> Iterator[Acceptance]:
        """Take the optimum's quantities, in whole W and within what integers allow, offers before those that are linked to
        them."""
        needed = {
            request.position: self._state.needed(request) for run in self.runs for request in run.requests
        }
        for position in sorted(self._of_offer, key=lambda each: self._offer(each).parent is not None):
            offer = self._offer(position)
            if not self._state.may_be_taken(offer):
                continue
            parts = [(run, self._whole_w(run, x, needed)) for run in self._of_offer[position]]
            taken_w = offer.counted_w - self._state.left_w[position]
            if taken_w + sum(amount_w for _, amount_w in parts) < offer.min_power_w:
                continue
            for run, amount_w in parts:
                if amount_w:
                    for request in run.requests:
                        needed[request.position] -= amount_w * request.effectiveness[offer.pod][0]
                    yield from self._state.take(offer, amount_w, run.requests)

    def _whole_w(self, run: Run, x: Floats, needed: Mapping[int, int]) -> int:
        pod = run.offer.pod
        return min(
            floor(float(x[run.column]) + PRECISION_W),
            *(needed[request.position] // request.effectiveness[pod][0] for request in run.requests),
            *(self._state.pod_room_w(pod, request.slot, run.offer.product) for request in run.requests),
        )

    def _offer(self, position: int) -> Offer:
        return self._state.book.offers[position]

    def _possible_runs(self, areas: Sequence[Sequence[Request]]) -> Iterator[Run]:
        for area in areas:
            by_slot = {request.slot: request for request in area}
            for pod in area[0].effectiveness:
                for offer in self._state.by_pod.get((pod, area[0].product), ()):
                    for requests in self._state.runs(offer, by_slot):
                        most_w = self._most_w(offer, requests)
                        if most_w > 0:
                            yield Run(offer, tuple(requests), self._program.column(most_w))

    def _most_w(self, offer: Offer, requests: Sequence[Request]) -> int:
        if not self._state.group_is_free(offer) or (offer.is_block and self._state.is_taken(offer.position)):
            return 0
        rooms = [self._state.pod_room_w(offer.pod, request.slot, offer.product) for request in requests]
        needs = [self._state.needed(request) // request.effectiveness[offer.pod][0] for request in requests]
        return min(self._state.left_w[offer.position], *rooms, *needs)

    def _add_requests(self, requests: Iterable[Request]) -> dict[int, int]:
        """Relief and shortfall of each request are its need, in W; gives the shortfalls' columns by position."""
        relief: dict[int, dict[int, float]] = defaultdict(dict)
        for run in self.runs:
            for request in run.requests:
                relief[request.position][run.column] = request.effectiveness[run.offer.pod][0] / 1000
        short = {}
        for request in requests:
            need_w = self._state.needed(request) / 1000
            short[request.position] = self._program.column(need_w)
            terms = {**relief[request.position], short[request.position]: 1.0}
            self._program.row(terms, at_least=need_w, at_most=need_w)
        return short

    def _add_offer(self, runs: Sequence[Run]) -> None:
        """An offer's quantity, its minimum if it is taken, and for a block, that it runs once."""
        offer = runs[0].offer
        left_w = self._state.left_w[offer.position]
        taken = self._program.column(1, integer=True)
        self._is_taken[offer.position] = taken
        amount = {run.column: 1.0 for run in runs}
        self._program.row({**amount, taken: -left_w}, at_most=0)
        still_w = offer.min_power_w - (offer.counted_w - left_w)
        self._program.row({**amount, taken: -max(1, still_w)}, at_least=0)
        if offer.is_block and len(runs) > 1:
            chosen = {self._program.column(1, integer=True): run for run in runs}
            for column, run in chosen.items():
                self._program.row({run.column: 1, column: -left_w}, at_most=0)
            self._program.row({**dict.fromkeys(chosen, 1.0), taken: -1}, at_least=0, at_most=0)

    def _add_bonds(self) -> None:
        """At most one offer of a group; none without the one that it is linked to."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for position, taken in self._is_taken.items():
            offer = self._offer(position)
            if offer.group:
                groups[offer.commitment, offer.group].append(taken)
            if offer.parent is not None and not self._state.is_taken(offer.parent):
                parent = self._is_taken.get(offer.parent)
                linked = (
                    {taken: 1.0}
                    if parent is None or self._is_linked(offer.parent)
                    else {taken: 1, parent: -1}
                )
                self._program.row(linked, at_most=0)
        for members in groups.values():
            self._program.row(dict.fromkeys(members, 1.0), at_most=1)

    def _is_linked(self, position: int) -> bool:
        """Whether it waits for another one itself: links go no deeper than one."""
        parent = self._offer(position).parent
        return parent is not None and not self._state.is_taken(parent)

    def _add_pods(self) -> None:
        """What each PoD can give in each slot, one way only."""
        uses: dict[tuple[bytes, int, Product], dict[int, float]] = defaultdict(dict)
        for run in self.runs:
            for request in run.requests:
                uses[run.offer.pod, request.slot, run.offer.product][run.column] = 1.0
        for (pod, slot, product), terms in uses.items():
            room_w = self._state.pod_room_w(pod, slot, product)
            self._program.row(terms, at_most=room_w)
            other = uses.get((pod, slot, product.opposite))
            if other and product < product.opposite:
                this_way = self._program.column(1, integer=True)
                other_w = self._state.pod_room_w(pod, slot, product.opposite)
                self._program.row({**terms, this_way: -room_w}, at_most=0)
                self._program.row({**other, this_way: other_w}, at_most=other_w)

    @property
    def _cost(self) -> Terms:
        """µ€."""
        return {run.column: run.offer.price_ueur_per_kw * len(run.requests) / 1000 for run in self.runs}

    @property
    def _unserved(self) -> Terms:
        """W and slot of relief."""
        return dict.fromkeys(self._short.values(), 1.0)

    @property
    def _unreliable(self) -> Terms:
        """W and slot that are expected not to be delivered."""
        return {
            run.column: len(run.requests)
            * (ALWAYS_PERMILLE - self._reliability.get(run.offer.pod, ALWAYS_PERMILLE))
            / 1000
            for run in self.runs
        }

    def _weighted(self, parameters: ClearingParameters) -> Terms:
        """All objectives in µ€."""
        total: dict[int, float] = defaultdict(float)
        for terms, weight in (
            (self._cost, 1.0),
            (self._unserved, parameters.unserved_ueur_per_kw / 1000),
            (self._unreliable, parameters.unreliability_ueur_per_kw / 1000),
            (dict.fromkeys(self._is_taken.values(), 1.0), parameters.activation_ueur),
        ):
            for column, coefficient in terms.items():
                total[column] += coefficient * weight
        return total

    def _nothing(self) -> Floats:
        """The point at which nothing is taken."""
        return self._program.minimise({run.column: 1.0 for run in self.runs})

    def _point(self, x: Floats) -> Point:
        return Point(
            cost_ueur=round(value_of(self._cost, x)),
            unserved_w=round(value_of(self._unserved, x)),
            unreliable_w=round(value_of(self._unreliable, x)),
            activations=sum(
                any(x[run.column] > PRECISION_W for run in runs) for runs in self._of_offer.values()
            ),
        )
