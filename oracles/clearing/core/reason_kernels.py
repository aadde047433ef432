"""The loop over a book's columns that says why offers weren't taken: a numba kernel that `results.py` calls."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from offchain.protocol.products import OfferStatus

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

EXCLUDED, DEARER, NOT_NEEDED = (
    int(status) for status in (OfferStatus.COM_EXCLUDED, OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED)
)
ACCEPTED, PARTLY_ACCEPTED = int(OfferStatus.ACCEPTED), int(OfferStatus.PARTLY_ACCEPTED)


@njit(inline="always")
def _are_same(
    pod_first: "Array", pod_effect: "Array", pod_permille: "Array", pod_fee: "Array", one: Any, other: Any
) -> bool:
    """Whether two PoDs relieve the same areas equally well, at the same grid fees."""
    size = pod_first[one + 1] - pod_first[one]
    if size != pod_first[other + 1] - pod_first[other]:
        return False
    for index in range(size):
        a, b = pod_first[one] + index, pod_first[other] + index
        if pod_effect[a] != pod_effect[b] or pod_permille[a] != pod_permille[b]:
            return False
        if len(pod_fee) and pod_fee[a] != pod_fee[b]:
            return False
    return True


@njit(inline="always")
def _is_rising(values: "Array", rows: "Array") -> bool:
    rising = True
    for at in range(1, len(rows)):
        rising &= values[rows[at]] > values[rows[at - 1]]
    return rising


@njit(nogil=True, cache=True)
def find_reasons(
    first_pod: int,
    last_pod: int,
    run_first: "Array",
    run_last: "Array",
    order: "Array",
    slot: "Array",
    product: "Array",
    price: "Array",
    void: "Array",
    power_w: "Array",
    limit_w: "Array",
    pod_first: "Array",
    pod_effect: "Array",
    pod_permille: "Array",
    pod_fee: "Array",
    effect_first: "Array",
    effect_area: "Array",
    area_product: "Array",
    area_first: "Array",
    request_slot: "Array",
    request_cap: "Array",
    slots: int,
    entry_first: "Array",
    entries: "Array",
    entry_offer: "Array",
    entry_w: "Array",
    status: "Array",
    because: "Array",
) -> None:
    """Write status and reason of the divisible single offers of some PoDs, from the whole list by request; void ones have theirs.

    `entry_first`, `entries`: each PoD's entries, in order. `request_cap`: -1 of one that counts for nothing.
    """
    cap = np.full((slots, 4), -1, dtype=np.int64)
    first_entry = np.zeros((slots, 4), dtype=np.int64)
    used_w = np.zeros((slots, 4), dtype=np.int64)
    before = np.int64(-1)
    for pod in range(first_pod, last_pod):
        begin, end = run_first[pod], run_last[pod]
        if begin >= end:
            continue
        if before < 0 or not _are_same(pod_first, pod_effect, pod_permille, pod_fee, before, pod):
            cap[:] = -1
            for at in range(pod_first[pod], pod_first[pod + 1]):
                fee = pod_fee[at] if len(pod_fee) else 0
                for index in range(effect_first[pod_effect[at]], effect_first[pod_effect[at] + 1]):
                    area = effect_area[index]
                    wanted = area_product[area]
                    for request in range(area_first[area], area_first[area + 1]):
                        here = request_slot[request]
                        cap[here, wanted] = max(
                            cap[here, wanted],
                            request_cap[request] * np.int64(pod_permille[at]) - fee * 1000,
                        )
        before = np.int64(pod)
        mine = entries[entry_first[pod] : entry_first[pod + 1]]
        for entry in mine:
            offer = entry_offer[entry]
            here, way = slot[offer], product[offer]
            used_w[here, way] += entry_w[entry]
            if not first_entry[here, way]:
                first_entry[here, way] = entry + 1
        for at in range(begin, end):
            offer = np.int64(order[at]) if len(order) else at
            if void[offer]:
                continue
            here, way = slot[offer], product[offer]
            if np.int64(price[offer]) * 1000 > cap[here, way]:
                status[offer] = NOT_NEEDED
                continue
            status[offer] = DEARER
            if len(mine):
                if first_entry[here, way ^ 1]:
                    status[offer], because[offer] = EXCLUDED, first_entry[here, way ^ 1]
                elif (first_entry[here, way] != 0) & (used_w[here, way] == limit_w[pod, way]):
                    status[offer], because[offer] = EXCLUDED, first_entry[here, way]
        by_offer = mine if _is_rising(entry_offer, mine) else mine[np.argsort(entry_offer[mine])]
        before_offer, total_w = np.int64(-1), np.int64(0)
        for entry in by_offer:
            offer = np.int64(entry_offer[entry])
            total_w = entry_w[entry] + (total_w if offer == before_offer else 0)
            before_offer = offer
            status[offer] = ACCEPTED if total_w == power_w[offer] else PARTLY_ACCEPTED
            if because[offer]:  # what isn't written to takes no memory
                because[offer] = 0
            here, way = slot[offer], product[offer]
            first_entry[here, way] = 0
            used_w[here, way] = 0
