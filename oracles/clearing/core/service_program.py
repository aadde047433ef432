"""Every way in which offers may serve one side's requests, as a mixed-integer program with several objectives.

The rules are price priority's: orders, limits, price caps, cover. The program reckons in fractions of a W; what is taken is
rounded down to whole ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from offchain.protocol.errors import FlexledgerError
from offchain.protocol.products import Product
from offchain.protocol.terms import SLOT_S
from oracles.clearing.core.book import Offer, Request, delivered_ueur_per_kw
from oracles.clearing.core.mixed_integer import (
    Floats,
    MixedIntegerProgram,
    Terms,
    value_of,
)
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.reliability import ALWAYS_PERMILLE
from oracles.clearing.core.state import Acceptance, MarketState
from oracles.clearing.core.ties import Tie
from oracles.parallel import MapParts, in_threads

PRECISION_W = 1e-4
"""What HiGHS may miss a whole W by."""
INTEGRALITY = 1e-5
"""What HiGHS may miss a sum by, as a share of it: it takes 0.999999 for a whole one."""
TRADE_OFF_NODES = 1_000
"""Of each search for a trade-off, of which there are dozens; nobody is paid by them."""
Reliability = Mapping[bytes, int]
"""Per mille of what a PoD was to deliver that it delivered; one that isn't named: all."""


class RuleBroken(FlexledgerError):
    """Quantities that no clearing of the book may take; names the first rule that they break."""


@dataclass(frozen=True)
class Point:
    """A point of a front: what the program's optimum costs (µ€, grid fees included), leaves unserved (W and slot), risks (W and
    slot that are expected not to be delivered), how many offers it takes, and what it emits (grams; 0 where the operator doesn't
    mind)."""

    cost_ueur: int
    unserved_w: int
    unreliable_w: int
    activations: int
    co2_g: int

    def dominates(self, other: "Point") -> bool:
        """Whether it is nowhere worse, and somewhere better."""
        mine, theirs = self.as_tuple(), other.as_tuple()
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))

    def as_tuple(self) -> tuple[int, int, int, int, int]:
        """The objectives in order."""
        return self.cost_ueur, self.unserved_w, self.unreliable_w, self.activations, self.co2_g


@dataclass(frozen=True)
class Run:
    """A way to take an offer: the same power for each of these requests, one a slot. `column`: its W."""

    offer: Offer
    requests: tuple[Request, ...]
    column: int

    @property
    def delivered_ueur_per_kw(self) -> int:
        """What a kW of it costs in all of its slots, grid fees included."""
        return sum(delivered_ueur_per_kw(self.offer, request) for request in self.requests)


class ServiceProgram:
    """One side's requests, and every way in which offers that are left may serve them."""

    def __init__(
        self,
        state: MarketState,
        areas: Sequence[Sequence[Request]],
        reliability: Reliability,
        parameters: ClearingParameters,
        map_parts: MapParts = in_threads,
    ) -> None:
        self._state = state
        self._map_parts = map_parts
        self._reliability = reliability
        self._parameters = parameters
        self._program = MixedIntegerProgram()
        self._is_taken: dict[int, int] = {}
        self._needed = {request.position: state.needed(request) for area in areas for request in area}
        self.runs = list(self._possible_runs(areas))
        self._of_offer: dict[int, list[Run]] = defaultdict(list)
        for run in self.runs:
            self._of_offer[run.offer.position].append(run)
        self._needed_w = sum(self._needed.values()) / 1000
        self._service_order = sorted(self._of_offer, key=self._service_key)
        self._short = self._add_requests(request for area in areas for request in area)
        for runs in self._of_offer.values():
            self._add_offer(runs)
        self._add_bonds()
        self._add_pods()

    def best(self) -> Floats:
        """The optimum at the operator's weights."""
        return self._program.minimise(self._weighted, map_parts=self._map_parts)

    def weighed_ueur(self, x: Floats) -> float:
        """All objectives at the runs' quantities, in µ€ by the operator's weights."""
        return sum(weight * value for weight, value in zip(self._weights, self._objectives(x), strict=True))

    def of_shares(self, shares: Floats) -> Floats:
        """Quantities by column of the share that is wanted of each run."""
        out = np.zeros(self._program.width)
        for run, share in zip(self.runs, shares, strict=True):
            out[run.column] = share * self._program.upper(run.column)
        return out

    def shares_of(self, x: Floats) -> Floats:
        """The share of each run that quantities are."""
        return np.array([x[run.column] / self._program.upper(run.column) for run in self.runs])

    def trade_offs(self) -> Iterator[Floats]:
        """Least cost at levels of unserved relief, from the least possible to doing nothing, and there at levels of
        unreliability, and of CO2 where the operator minds."""
        most_w = value_of(self._unserved, self._nothing())
        least_w = value_of(self._unserved, self._program.minimise(self._unserved, most_nodes=TRADE_OFF_NODES))
        steps = self._parameters.front_steps
        for unserved_step in range(steps + 1):
            level = least_w + (most_w - least_w) * unserved_step / steps
            bound = (self._unserved, level + self._needed_w * INTEGRALITY + PRECISION_W)
            cheapest = self._cheapest(bound)
            if cheapest is None:
                continue
            yield cheapest
            for harm in (self._unreliable, self._co2):
                most = value_of(harm, cheapest)
                for step in range(steps) if most > PRECISION_W else ():
                    better = self._cheapest(bound, (harm, most * step / steps))
                    if better is not None:
                        yield better

    def _cheapest(self, *bounds: tuple[Terms, float]) -> Floats | None:
        try:
            return self._program.minimise(self._cost, *bounds, most_nodes=TRADE_OFF_NODES)
        except FlexledgerError:
            # Nobody is paid by a trade-off: one that isn't found costs no session its outcome.
            return None

    def point(self, x: Floats) -> Point:
        """The objectives at the runs' quantities, whatever the other columns say."""
        return Point(*map(round, self._objectives(x)))

    def _objectives(self, x: Floats) -> tuple[float, float, float, int, float]:
        """In the order of `Point`."""
        relief_w = sum(
            float(x[run.column]) * request.effectiveness[run.offer.pod].permille / 1000
            for run in self.runs
            for request in run.requests
        )
        activations = sum(
            any(x[run.column] > PRECISION_W for run in runs) for runs in self._of_offer.values()
        )
        return (
            value_of(self._cost, x),
            self._needed_w - relief_w,
            value_of(self._unreliable, x),
            activations,
            value_of(self._co2, x),
        )

    def in_whole_w(self, x: Floats) -> Floats:
        """The quantities nearest below that keep to all rules, in whole W: what taking them would take."""
        out = np.zeros(len(x))
        for run, amount_w in self._whole(x):
            out[run.column] = amount_w
        return out

    def require_kept(self, x: Floats) -> None:
        """RuleBroken where whole W by column break a rule."""
        room = _Room(self._state, self._needed)
        for position in self._service_order:
            offer = self._offer(position)
            parts = [(run, int(x[run.column])) for run in self._of_offer[position] if x[run.column]]
            if not parts:
                continue
            forbidden = room.forbids(offer)
            if forbidden:
                raise RuleBroken(f"offer {position} is taken, {forbidden}")
            for run, amount_w in parts:
                for rule, most_w in room.limits(run):
                    if amount_w > most_w:
                        served = ", ".join(str(request.position) for request in run.requests)
                        raise RuleBroken(
                            f"offer {position}: {amount_w} W taken for request {served}, {rule}: {most_w} W"
                        )
                room.use(run, amount_w)
            taken_w = sum(amount_w for _, amount_w in parts)
            if taken_w < self._least_w(offer):
                raise RuleBroken(f"offer {position}: {taken_w} W taken, below its minimum")

    def take(self, x: Floats) -> Iterator[Acceptance]:
        """Take the quantities, in whole W and within what integers allow."""
        for run, amount_w in list(self._whole(x)):
            yield from self._state.take(run.offer, amount_w, run.requests)

    def _whole(self, x: Floats) -> Iterator[tuple[Run, int]]:
        """Whole W by run, cheapest offers first, but before those that are linked to them; nothing of an offer that then
        breaks a rule."""
        room = _Room(self._state, self._needed)
        for position in self._service_order:
            offer = self._offer(position)
            parts = [(run, room.whole_w(run, float(x[run.column]))) for run in self._of_offer[position]]
            if offer.is_block:
                parts = [max(parts, key=lambda part: part[1])]
            enough = sum(amount_w for _, amount_w in parts) >= self._least_w(offer)
            if enough and not room.forbids(offer):
                for run, wanted_w in parts:
                    amount_w = room.whole_w(run, wanted_w)
                    if amount_w:
                        room.use(run, amount_w)
                        yield run, amount_w

    def _offer(self, position: int) -> Offer:
        return self._state.offers[position]

    def _least_w(self, offer: Offer) -> int:
        """What its minimum still asks for, beyond what is taken of it already."""
        return offer.min_power_w - (offer.counted_w - self._state.left_w[offer.position])

    def _service_key(self, position: int) -> tuple[bool, int, Tie]:
        offer = self._offer(position)
        cheapest = min(run.delivered_ueur_per_kw for run in self._of_offer[position])
        return offer.parent is not None, cheapest // offer.duration_slots, self._state.tie[position]

    def _possible_runs(self, areas: Sequence[Sequence[Request]]) -> Iterator[Run]:
        for area in areas:
            by_slot = {request.slot: request for request in area}
            for pod in area[0].effectiveness:
                for offer in self._state.by_pod.get((pod, area[0].product), ()):
                    for requests in self._state.runs(offer, by_slot):
                        most_w = self._most_w(offer, requests)
                        if most_w > 0:
                            # In whole W where rounding down might break the minimum.
                            column = self._program.column(most_w, integer=offer.min_power_w > 0)
                            yield Run(offer, tuple(requests), column)

    def _most_w(self, offer: Offer, requests: Sequence[Request]) -> int:
        if not self._state.group_is_free(offer) or (offer.is_block and self._state.is_taken(offer.position)):
            return 0
        rooms = [self._state.pod_room_w(offer.pod, request.slot, offer.product) for request in requests]
        needs = [
            self._needed[request.position] // request.effectiveness[offer.pod].permille
            for request in requests
        ]
        return min(self._state.left_w[offer.position], *rooms, *needs)

    def _add_requests(self, requests: Iterable[Request]) -> dict[int, int]:
        """Relief and shortfall of each request are its need, in W; gives the shortfalls' columns by position."""
        relief: dict[int, dict[int, float]] = defaultdict(dict)
        for run in self.runs:
            for request in run.requests:
                relief[request.position][run.column] = request.effectiveness[run.offer.pod].permille / 1000
        short = {}
        for request in requests:
            need_w = self._needed[request.position] / 1000
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
        self._program.row({**amount, taken: -max(1, self._least_w(offer))}, at_least=0)
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
                self._program.row({taken: 1.0} if parent is None else {taken: 1, parent: -1}, at_most=0)
        for members in groups.values():
            self._program.row(dict.fromkeys(members, 1.0), at_most=1)

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
        """µ€, grid fees included."""
        return {run.column: run.delivered_ueur_per_kw / 1000 for run in self.runs}

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

    @property
    def _co2(self) -> Terms:
        """Grams; nothing where the operator doesn't mind."""
        if not self._parameters.co2_ueur_per_kg:
            return {}
        return {
            run.column: len(run.requests) * self._co2_g_per_kwh(run.offer) * SLOT_S / 3600 / 1000
            for run in self.runs
            if run.offer.product.is_active
        }

    def _co2_g_per_kwh(self, offer: Offer) -> int:
        stated = offer.co2_g_per_kwh
        return self._parameters.co2_default_g_per_kwh if stated is None else stated

    @property
    def _weights(self) -> tuple[float, float, float, float, float]:
        """What a unit of each objective counts, in µ€, in the order of `Point`."""
        parameters = self._parameters
        return (
            1.0,
            parameters.unserved_ueur_per_kw / 1000,
            parameters.unreliability_ueur_per_kw / 1000,
            float(parameters.activation_ueur),
            parameters.co2_ueur_per_kg / 1000,
        )

    @property
    def _weighted(self) -> Terms:
        """All objectives in µ€."""
        total: dict[int, float] = defaultdict(float)
        activations = dict.fromkeys(self._is_taken.values(), 1.0)
        objectives = (self._cost, self._unserved, self._unreliable, activations, self._co2)
        for terms, weight in zip(objectives, self._weights, strict=True):
            for column, coefficient in terms.items():
                total[column] += coefficient * weight
        return total

    def _nothing(self) -> Floats:
        """The point at which nothing is taken."""
        return self._program.minimise({run.column: 1.0 for run in self.runs})


class _Room:
    """What whole quantities may still use, beside what the market has taken already."""

    def __init__(self, state: MarketState, needed: Mapping[int, int]) -> None:
        self._state = state
        self._needed = dict(needed)
        self._of_pod: dict[tuple[bytes, int, Product], int] = defaultdict(int)
        self._of_offer: dict[int, int] = defaultdict(int)
        self._of_group: dict[tuple[int, int], int] = {}

    def whole_w(self, run: Run, wanted_w: float) -> int:
        """As much of what is wanted of a run as fits."""
        return max(0, min(floor(wanted_w + PRECISION_W), *(most_w for _, most_w in self.limits(run))))

    def limits(self, run: Run) -> Iterator[tuple[str, int]]:
        """What bounds a run, and to how many W."""
        offer = run.offer
        yield (
            "more than is left of it",
            self._state.left_w[offer.position] - self._of_offer[offer.position],
        )
        for request in run.requests:
            permille = request.effectiveness[offer.pod].permille
            yield "more than is needed", self._needed[request.position] // permille
            if self._of_pod[offer.pod, request.slot, offer.product.opposite]:
                yield "whose PoD is taken the opposite way", 0
            room_w = self._state.pod_room_w(offer.pod, request.slot, offer.product)
            taken_w = self._of_pod[offer.pod, request.slot, offer.product]
            yield "more than its PoD may give", room_w - taken_w

    def forbids(self, offer: Offer) -> str:
        """Why its group or its link doesn't allow an offer; empty if both do."""
        taken_of_group = self._of_group.get((offer.commitment, offer.group), offer.position)
        if offer.group and taken_of_group != offer.position:
            return f"and so is offer {taken_of_group} of its group"
        if offer.parent is None or self._of_offer[offer.parent] > 0 or self._state.is_taken(offer.parent):
            return ""
        return f"without offer {offer.parent}, to which it is linked"

    def use(self, run: Run, amount_w: int) -> None:
        """Take so much of it."""
        offer = run.offer
        self._of_offer[offer.position] += amount_w
        if offer.group:
            self._of_group[offer.commitment, offer.group] = offer.position
        for request in run.requests:
            self._needed[request.position] -= amount_w * request.effectiveness[offer.pod].permille
            self._of_pod[offer.pod, request.slot, offer.product] += amount_w
