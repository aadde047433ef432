"""The least-cost request of flexibility that lifts the violations of a forecast.

How it comes about:

1. *What would do.* Sequential linear programming finds the cheapest activations, at reference prices (`least_cost`).
2. *Areas.* The market doesn't see the grid: it fills a relief, PoD by PoD, weighted by effectiveness. An area is an
   element and product, its relief what the plan does for it. Effectiveness is one integer per PoD for the whole window: the
   least relative relief over the area's slots, so that what is accepted never does less than counted (`request_areas`).
3. *AC confirms.* The request is filled as the market fills it at reference prices (`market_filling`), and a power flow
   says whether that lifts what the plan lifts, at its cost. Where it doesn't, reliefs grow, and at last PoDs are kept apart
   until what the market takes is what is planned (`areas_as_planned`).
4. *Reserve.* What the forecast's measured error would add to an element, as a power flow of the whole grid at so much
   more and so much less says, isn't asked for as relief, but as the area's reserve margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.products import Product
from oracles.grid.core.flexible_pods import FlexiblePod, Resources, check_flexible_pods
from oracles.grid.core.least_cost import BITE, Need, least_cost
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.request_areas import SizedArea, size_areas
from oracles.grid.core.switched_grid import Grid, solve, solved, watch_of
from oracles.grid.core.violations import Element, Violation, Watching


@dataclass(frozen=True)
class RequestSettings:
    """Margins kept to the limits beyond what lifts the violation, and the least effectiveness worth asking for.

    `forecast_error_permille`: by how much of itself the forecast may miss, a quantile of what was measured. The reserve
    for it is at most `most_reserve_permille` of the relief.
    """

    loading_margin_percent: float = 0.5
    voltage_margin_pu: float = 0.0005
    min_effectiveness_permille: int = 50
    max_rounds: int = 12
    forecast_error_permille: int = 0
    most_reserve_permille: int = 1000


@dataclass(frozen=True)
class Member:
    """A PoD of an area: per mille of each W (var) there that relieves the element, 1000 for the best."""

    pod: bytes
    effectiveness_permille: int


@dataclass(frozen=True)
class Area:
    """One element and product. `relief_w` (slots): W (var) needed at effectiveness 1000; 0 where none.
    Several areas may be of the same. `reserve_permille`: of each, what should stand in reserve for the forecast's error."""

    element: Element
    product: Product
    members: tuple[Member, ...]
    relief_w: tuple[int, ...]
    reserve_permille: int = 0


@dataclass(frozen=True, eq=False)
class FlexibilityRequest:
    """What to ask of the market. `before`: violations of the forecast.

    `planned`: by product (slots, pods), W or var, the cheapest activation that lifts them, or lifts most of them.
    `expected`: what a market takes that fills the areas cheapest first. `remaining`: violations that this leaves, empty if
    the request solves all. `gap`: share of the plan's cost that its program left unproven, where whole numbers took too long.
    """

    areas: tuple[Area, ...]
    before: tuple[Violation, ...]
    remaining: tuple[Violation, ...]
    planned: Mapping[Product, Integers]
    expected: Mapping[Product, Integers]
    gap: float = 0.0


def size_request(
    grid: Grid,
    p_w: Integers,
    q_var: Integers,
    pods: Sequence[FlexiblePod],
    settings: RequestSettings = RequestSettings(),
) -> FlexibilityRequest:
    """Size the request for a forecast `p_w`, `q_var` (slots, nodes): net absorbed at each node.

    Where the PoDs can't solve a slot, the request asks for what reduces it most, and `remaining` says what is left.
    Raises InvalidInput on PoDs that don't fit, PowerFlowDiverged where the forecast itself has no solution.
    """
    check_flexible_pods(pods, len(p_w), grid.nodes)
    watch = watch_of(grid)
    base = solved(watch, p_w, q_var).values
    before = watch.violations(base)
    resources = _resources(pods, sorted({violation.slot for violation in before}), len(p_w))
    rows = list(resources.rows)
    if not rows or not len(resources):
        nothing = {product: np.zeros((len(p_w), len(pods)), dtype=np.int64) for product in Product}
        return FlexibilityRequest((), before, before, nothing, nothing)
    margins = _margins(watch, settings)
    need = Need.within_limits(watch, resources, p_w[rows], q_var[rows], base[rows], margins)
    plan = least_cost(need, settings.max_rounds)
    sized, expected = size_areas(need, plan, settings.min_effectiveness_permille, settings.max_rounds)
    added = _added_by_error(need, settings.forecast_error_permille)
    return FlexibilityRequest(
        areas=tuple(
            _area(area, need, len(p_w), _reserve_w(area, sized, added), settings.most_reserve_permille)
            for area in sized
        ),
        before=before,
        remaining=watch.violations(need.values(expected), rows),
        planned=_by_product(plan.amounts, resources, pods, len(p_w)),
        expected=_by_product(expected, resources, pods, len(p_w)),
        gap=float(plan.gap.max()),
    )


def _resources(pods: Sequence[FlexiblePod], violated: Sequence[int], slots: int) -> Resources:
    """The PoDs in the slots with violations; where some pay back, in all slots from the first of these on."""
    ordered = tuple(sorted(pods, key=lambda each: each.pod))
    pays_back = any(any(pod.payback_permille) for pod in pods)
    rows = range(violated[0], slots) if violated and pays_back else violated
    return Resources(ordered, tuple(rows))


def _margins(watch: Watching, settings: RequestSettings) -> Floats:
    voltage = np.array([element.kind == "bus" for element in watch.elements])
    return np.where(voltage, settings.voltage_margin_pu, settings.loading_margin_percent / 100)


def _added_by_error(need: Need, error_permille: int) -> Floats:
    """What the forecast's error adds to each value, the worse of both ways: (rows, k)."""
    added = np.zeros_like(need.base)
    if error_permille:
        for permille in (1000 + error_permille, 1000 - error_permille):
            share = np.float64(permille / 1000)
            values = solve(need.watch, need.p_w * share, need.q_var * share, need.resources.rows).values
            added = np.maximum(added, values - need.base)
    return added


def _reserve_w(area: SizedArea, areas: Sequence[SizedArea], added: Floats) -> Floats:
    """What an area is to hold in reserve (rows,): its share of what the error adds to an element that several areas relieve."""
    given = sum(each.relief_w * each.fall_per_w for each in areas if each.column == area.column)
    share = area.relief_w * area.fall_per_w / np.maximum(given, BITE)
    return np.asarray(share * added[:, area.column] / np.maximum(area.fall_per_w, BITE))


def _area(area: SizedArea, need: Need, slots: int, reserve_w: Floats, most_reserve_permille: int) -> Area:
    relief_w = np.zeros(slots, dtype=np.int64)
    relief_w[list(need.resources.rows)] = area.relief_w
    pods = need.resources.pods
    members = tuple(
        Member(pods[index].pod, int(permille))
        for (index, _), permille in zip(need.resources.kinds, area.permille, strict=True)
        if permille
    )
    asked = area.relief_w > 0
    reserve_permille = np.ceil(1000 * (reserve_w[asked] / area.relief_w[asked]).max())
    return Area(
        element=need.watch.elements[area.column],
        product=area.product,
        members=members,
        relief_w=tuple(relief_w.tolist()),
        reserve_permille=int(min(reserve_permille, most_reserve_permille)),
    )


def _by_product(
    amounts: Integers, resources: Resources, pods: Sequence[FlexiblePod], slots: int
) -> dict[Product, Integers]:
    """Amounts (rows, r) by product (slots, pods), pods in the order given."""
    given = {pod.pod: index for index, pod in enumerate(pods)}
    out = {product: np.zeros((slots, len(pods)), dtype=np.int64) for product in Product}
    for column, (index, product) in enumerate(resources.kinds):
        out[product][list(resources.rows), given[resources.pods[index].pod]] = amounts[:, column]
    return out
