"""Assessment of 10,000 offers over 96 slots on a medium-voltage grid, and how its time grows with slots and offers.

SimBench's 1-MV-urban (139 nodes) with its loads and plants of a day. Offers stand at random nodes, in either direction,
of active and reactive power, so large that about a third of the slots violates a limit if all are taken. The peer is one
power flow for each offer that is taken in, slot by slot: what checking them one after the other costs at least.
"""

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from offchain.protocol.products import Product
from oracles.grid.core.assessment import Case, Item, assess
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.network import Integers
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import TOLERANCE, Watch
from oracles.grid.simbench_case import SimbenchCase, load_simbench_case

PROJECT = Path(__file__).parents[2]
GROWTH = PROJECT / "build" / "bench" / "assessment-growth.svg"
GRID, DAY = "1-MV-urban--0-sw", date(2026, 6, 1)
LIMIT_S = 5
OFFERS, GROWING_OFFERS, GROWING_SLOTS = 10_000, (1_250, 2_500, 5_000, 10_000, 20_000), (12, 24, 48, 96)
NET_W = 7_850_000
"""W by which the offers of a slot differ from balance, roughly: so much that about a third of the slots violates a limit."""
PAYBACK_SHARE = 0.2
REPEATS = 3
PEER_OFFERS = 500
"""Of so many the peer's time is taken."""


@dataclass(frozen=True, eq=False)
class Book:
    """A day's net power at each node, with what comes after it, and offers."""

    case: SimbenchCase
    p_w: Integers
    q_var: Integers
    items: list[Item]

    def assess_s(self) -> tuple[float, int]:
        """Seconds that the assessment takes, the median of some; refusals."""
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            found = assess(self.case.model, self.p_w, self.q_var, self.items)
            seconds.append(time.perf_counter() - started)
        return float(np.median(seconds)), len(found.refusals)

    def violating(self) -> int:
        """Slots that violate a limit if everything is taken."""
        case = Case(Watch(self.case.model), self.p_w, self.q_var, self.items)
        return int((case.values(case.accepted_w) > case.ceilings + TOLERANCE).any(axis=1).sum())

    def one_by_one_s(self) -> float:
        """Seconds that a power flow for each offer takes."""
        p_w, q_var = self.p_w.copy(), self.q_var.copy()
        watch = Watch(self.case.model)
        started = time.perf_counter()
        for item in self.items[:PEER_OFFERS]:
            (p_w if item.product.is_active else q_var)[item.slot, item.node] -= (
                item.product.sign * item.accepted_w
            )
            watch.values(solve_power_flow(watch.model, p_w[None, item.slot], q_var[None, item.slot]))
        return (time.perf_counter() - started) * len(self.items) / min(PEER_OFFERS, len(self.items))


def run() -> list[dict[str, object]]:
    """Rows for the report."""
    case = load_simbench_case(GRID, DAY)
    plain, paying = _book(case, OFFERS, 96), _book(case, OFFERS, 96, pays_back=True)
    rows = []
    for name, book in (("", plain), (", a third paying back", paying)):
        seconds, refusals = book.assess_s()
        print(
            f"{OFFERS:,} offers{name}: {book.violating()} slots violate, {refusals} refusals, {seconds:.2f} s"
        )
        label = f"assessment of {OFFERS:,} offers{name}, {case.model.nodes} nodes"
        rows.append(_row(label, seconds, LIMIT_S, "limit"))
        if book is plain:
            rows.append(_row(label, seconds, book.one_by_one_s(), "a power flow an offer"))
    of_offers, of_slots = _draw(case)
    print(
        f"time grows as offers to the power of {of_offers:.2f}, as slots to the power of {of_slots:.2f}; drawn in"
    )
    print(f"  {GROWTH.relative_to(PROJECT)}")
    return rows


def _row(name: str, ours: float, peer: float, peer_name: str) -> dict[str, object]:
    row: dict[str, object] = {"name": name, "unit": "s", "ours": ours, "peer": peer, "peer_name": peer_name}
    return {**row, "ratio": peer / ours, "target": 1}


def _book(case: SimbenchCase, offers: int, slots: int, pays_back: bool = False) -> Book:
    rows = np.arange(slots + FORECAST_BEYOND_SLOTS) % case.slots
    chance = np.random.default_rng(1)
    mean_w = int(NET_W / np.sqrt(offers / slots))
    items = []
    for priority in range(offers):
        accepted_w = int(chance.integers(mean_w // 20, 2 * mean_w))
        pays = pays_back and priority % 3 == 0
        items.append(
            Item(
                priority=priority,
                node=int(chance.choice(case.model.loads)),
                slot=priority * slots // offers,
                product=Product(int(chance.choice((0, 1, 1, 1, 2, 3)))),
                accepted_w=accepted_w,
                payback_w=(-int(PAYBACK_SHARE * accepted_w),) * 4 if pays else (),
                offered_w=accepted_w,
            )
        )
    return Book(case, case.at_nodes(case.p_w)[rows], case.at_nodes(case.q_var)[rows], items)


def _draw(case: SimbenchCase) -> tuple[float, float]:
    """Draw seconds over offers and over slots as SVG; gives the powers of either by which they grow."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    by_offers, by_slots = figure.subplots(1, 2)
    over_offers = [_book(case, offers, 96).assess_s()[0] for offers in GROWING_OFFERS]
    of_offers = _plot(by_offers, "offers in 96 slots", GROWING_OFFERS, over_offers)
    over_slots = [_book(case, OFFERS * slots // 96, slots).assess_s()[0] for slots in GROWING_SLOTS]
    of_slots = _plot(by_slots, f"slots of {OFFERS // 96} offers", GROWING_SLOTS, over_slots)
    GROWTH.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(GROWTH, format="svg")
    return of_offers, of_slots


def _plot(axes: Axes, label: str, sizes: tuple[int, ...], seconds: list[float]) -> float:
    power, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    axes.loglog(sizes, seconds, "o-", color="#2f5d8a")
    axes.set_xlabel(label)
    axes.set_ylabel("seconds")
    axes.set_title(f"time grows to the power of {power:.2f}")
    axes.spines[["top", "right"]].set_visible(False)
    return float(power)


if __name__ == "__main__":
    print(run())
