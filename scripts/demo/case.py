"""The demo's case: which PoDs of a SimBench grid are in the market, what they can give, at what price, and how they behave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from offchain.protocol.book_documents import BaselineEntry, OfferEntry
from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Product
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.from_pandapower import LimitSettings
from oracles.grid.core.network import Integers
from oracles.grid.core.own_means import BusForecast
from oracles.grid.simbench_case import CasePod, SimbenchCase, load_simbench_case
from oracles.grid.switched_network import SwitchedNetwork
from scripts.demo.cast import AGGREGATOR_NAMES
from scripts.demo.field import Behaviour
from scripts.demo.use_case import UseCase, after_event

FLEXIBLE_PERMILLE = 600
"""Share of its power in a slot that a PoD offers."""
LEAST_OFFER_W = 100
PLANT_LABELS = ("pv", "wind", "biomass", "hydro", "commerce", "farm")
PLANT_UEUR, CUSTOMER_UEUR = 50_000, 20_000
"""Cheapest offers, per kW and quarter-hour: a plant loses what it would have sold, a customer shifts its demand."""
PRICE_STEP_UEUR, PRICE_STEPS = 1_000, 30
GRID_FEES_UEUR = (0, 4_000, 8_000)
"""What the DSO's tariff might charge a customer for a kW and quarter-hour moved, by its contract; a plant pays none."""
WEAK_EVERY, WEAK_AT, DEAD_AT = 7, 5, 8
"""Among the PoDs that inject, by falling power: every so many deliver too little, one nothing at all."""
DSO_CAP_UEUR, TSO_CAP_UEUR = 200_000, 120_000
TSO_SLOTS = range(72, 80)
TSO_RELIEF_PERMILLE = 50
"""What the TSO asks for in each of its slots: this share of what the PoDs absorb then."""


@dataclass(frozen=True, eq=False)
class MarketPod:
    """A PoD in the market: its place in the case, its official id, its aggregator and its customer's plant."""

    index: int
    pod_id: str
    aggregator: str
    behaviour: Behaviour
    price_ueur_per_kw: int
    grid_fee_ueur_per_kw: int
    power_w: list[int]
    reactive_var: list[int]
    unit: CasePod

    @property
    def node_user(self) -> str:
        """Its Light Node's user at the broker."""
        return f"ln-{self.pod_id}"

    @property
    def max_up_w(self) -> int:
        """Registered limit up: the flexible share of the most that it absorbs."""
        return FLEXIBLE_PERMILLE * max(0, *self.power_w) // 1000

    @property
    def max_down_w(self) -> int:
        """Registered limit down: the flexible share of the most that it injects."""
        return FLEXIBLE_PERMILLE * max(0, *(-power for power in self.power_w)) // 1000


class DemoCase:
    """A grid and a day, with the PoDs of most power as the market's, turn about with either aggregator."""

    def __init__(self, grid: str, day: date, count: int, limits: LimitSettings = LimitSettings()) -> None:
        self.limits = limits
        self.case: SimbenchCase = load_simbench_case(grid, day, limits)
        peak_w = np.abs(self.case.p_w).max(axis=0)
        order = sorted(range(len(self.case.pods)), key=lambda index: (-int(peak_w[index]), index))
        chosen = [index for index in order if peak_w[index] >= LEAST_OFFER_W][:count]
        injecting = [index for index in chosen if self.case.p_w[:, index].min() < 0]
        self.pods = [
            self._pod(
                place, index, _behaviour(injecting.index(index)) if index in injecting else Behaviour.GOOD
            )
            for place, index in enumerate(chosen)
        ]

    def _pod(self, place: int, index: int, behaviour: Behaviour) -> MarketPod:
        step = (
            keccak256(b"price %d" % index)[0] % PRICE_STEPS
            if behaviour is Behaviour.GOOD
            else PRICE_STEPS // 3
        )
        is_plant = self.case.pods[index].label in PLANT_LABELS
        cheapest = PLANT_UEUR if is_plant else CUSTOMER_UEUR
        contract = keccak256(b"contract %d" % index)[0] % len(GRID_FEES_UEUR)
        return MarketPod(
            index=index,
            pod_id=f"IT001E{index:08d}",
            aggregator=AGGREGATOR_NAMES[place % len(AGGREGATOR_NAMES)],
            behaviour=behaviour,
            price_ueur_per_kw=cheapest + PRICE_STEP_UEUR * step,
            grid_fee_ueur_per_kw=0 if is_plant else GRID_FEES_UEUR[contract],
            power_w=self.case.p_w[:, index].tolist(),
            reactive_var=self.case.q_var[:, index].tolist(),
            unit=self.case.pods[index],
        )

    def baseline(self, pods: Sequence[MarketPod], pseudonym_of: Mapping[str, bytes]) -> list[BaselineEntry]:
        """Baselines of some PoDs: their SimBench profiles."""
        return [
            BaselineEntry(pseudonym_of[pod.pod_id], slot, pod.power_w[slot], pod.reactive_var[slot])
            for pod in pods
            for slot in range(self.case.slots)
        ]

    def offers(self, pods: Sequence[MarketPod], pseudonym_of: Mapping[str, bytes]) -> list[OfferEntry]:
        """What some PoDs offer: less demand where they absorb, less generation where they inject."""
        out = []
        for pod in pods:
            for slot, power_w in enumerate(pod.power_w):
                amount_w = FLEXIBLE_PERMILLE * abs(power_w) // 1000
                if amount_w >= LEAST_OFFER_W:
                    product = Product.ACTIVE_UP if power_w > 0 else Product.ACTIVE_DOWN
                    pseudonym = pseudonym_of[pod.pod_id]
                    out.append(
                        OfferEntry(pseudonym, slot, product, amount_w, pod.price_ueur_per_kw, real_time=True)
                    )
        return out

    def tso_request(self) -> tuple[list[int], int]:
        """Slots and relief (W, up) that the TSO asks for at the grid's connection point."""
        slots = [slot for slot in TSO_SLOTS if slot < self.case.slots]
        absorbed = [sum(max(0, pod.power_w[slot]) for pod in self.pods) for slot in slots]
        return slots, max(1000, TSO_RELIEF_PERMILLE * min(absorbed) // 1000)

    def measured_at_buses(self, net: Mapping[str, tuple[list[int], list[int]]]) -> BusForecast:
        """Net W and var at each bus, with the market's PoDs as `net` (by PoD id) says."""
        p_w, q_var = self.case.p_w.copy(), self.case.q_var.copy()
        for pod in self.pods:
            p_w[:, pod.index], q_var[:, pod.index] = net[pod.pod_id]
        return replace(self.case, p_w=p_w, q_var=q_var).at_buses()

    def background(self, terms: SessionTerms) -> tuple[Integers, Integers]:
        """Net W and var at each bus of all who aren't in the market; the quarter-hours after the day are expected to be like
        the day's first."""
        p_w, q_var = self.case.p_w.copy(), self.case.q_var.copy()
        mine = [pod.index for pod in self.pods]
        p_w[:, mine], q_var[:, mine] = 0, 0
        first = (terms.deliveryStart - self.case.slot_starts_s[0]) // SLOT_S
        rows = (first + np.arange(terms.slots + FORECAST_BEYOND_SLOTS)) % self.case.slots
        others = replace(self.case, p_w=p_w, q_var=q_var).at_buses()
        return others.p_w[rows], others.q_var[rows]


def _behaviour(place: int) -> Behaviour:
    if place == DEAD_AT:
        return Behaviour.DEAD
    return Behaviour.WEAK if place % WEAK_EVERY == WEAK_AT else Behaviour.GOOD


class CaseNetwork:
    """The case as the DSO's network. From `event_s` on (UTC Unix seconds) it is as the use case's event leaves it."""

    def __init__(
        self,
        case: DemoCase,
        pseudonym_of: Mapping[str, bytes],
        use_case: UseCase,
        event_s: int,
        now_s: Callable[[], int],
    ) -> None:
        bus_of_pod = {pseudonym_of[pod.pod_id]: pod.unit.bus for pod in case.pods}
        self._event_s = event_s
        self._now_s = now_s
        self._before, self._after = (
            SwitchedNetwork(net, bus_of_pod, case.case.buses, case.background, case.limits)
            for net in (case.case.net, after_event(use_case, case.case.net))
        )

    def __call__(self) -> SwitchedNetwork:
        """The network as it stands now."""
        return self._before if self._now_s() < self._event_s else self._after
