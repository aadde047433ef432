"""Loops over the offers of a part of a book: numba kernels that `plain.py` calls.

A PoD's offers are its run, from `run_first` to `run_last`: of `order` where that isn't empty, which then gives the rows in the
columns, else of the rows themselves. Its offers have numbers of their own from `base` on. Candidates of a request are those that
`order` names from `request_first[request]` on.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

KEY_SCALE = 1_000_000
"""Delivered price times this over per mille, rounded down, tells all merits apart: they differ by at least one over 1000 times
1000."""
MOST_KEYED_UEUR = (2**63 - 1) // KEY_SCALE
"""The greatest price that has such a key."""
MOST_W = 2**32 - 1


@njit(nogil=True, cache=True)
def rows_of_runs(
    run_first: "Array",
    run_last: "Array",
    order: "Array",
    slot: "Array",
    counted_w: "Array",
    is_wanted: "Array",
    first: "Array",
    out: "Array",
) -> None:
    """Rows of runs that count in wanted slots, run by run; `first` (runs + 1): where each begins there."""
    found = 0
    for run in range(len(run_first)):
        first[run] = found
        for at in range(run_first[run], run_last[run]):
            row = np.int64(order[at]) if len(order) else at
            if counted_w[row] and is_wanted[slot[row]]:
                out[found] = row
                found += 1
    first[len(run_first)] = found


@njit(nogil=True, cache=True)
def find_waves(effect: "Array", effect_first: "Array", effect_pod: "Array", pods: int, out: "Array") -> None:
    """Number the areas so that one comes after all before it that share a PoD with it."""
    last = np.zeros(pods, dtype=np.int32)
    for area in range(len(effect)):
        wave = 0
        for at in range(effect_first[effect[area]], effect_first[effect[area] + 1]):
            wave = max(wave, last[effect_pod[at]])
        out[area] = wave
        for at in range(effect_first[effect[area]], effect_first[effect[area] + 1]):
            last[effect_pod[at]] = wave + 1


@njit(nogil=True, cache=True)
def relieve_tso(
    areas: "Array",
    area_effect: "Array",
    area_product: "Array",
    area_is_dso: "Array",
    area_first: "Array",
    request_slot: "Array",
    needed: "Array",
    effect_first: "Array",
    effect_pod: "Array",
    effect_permille: "Array",
    run_first: "Array",
    run_last: "Array",
    order: "Array",
    slot: "Array",
    product: "Array",
    base: "Array",
    for_dso_w: "Array",
    is_used: "Array",
    slots: int,
) -> None:
    """Take from what the TSO needs in areas what the DSO took of their PoDs."""
    request_in = np.full(slots, -1, dtype=np.int64)
    for number in range(len(areas)):
        area = areas[number]
        if area_is_dso[area]:
            continue
        for request in range(area_first[area], area_first[area + 1]):
            request_in[request_slot[request]] = request
        for at in range(effect_first[area_effect[area]], effect_first[area_effect[area] + 1]):
            pod = effect_pod[at]
            if not is_used[pod]:
                continue
            for place in range(run_first[pod], run_last[pod]):
                taken_w = for_dso_w[base[pod] + place - run_first[pod]]
                row = np.int64(order[place]) if len(order) else place
                if taken_w and product[row] == area_product[area] and request_in[slot[row]] >= 0:
                    needed[request_in[slot[row]]] -= np.int64(taken_w) * np.int64(effect_permille[at])
        for request in range(area_first[area], area_first[area + 1]):
            request_in[request_slot[request]] = -1


@njit(nogil=True, cache=True)
def find_cheapest(
    run_first: "Array", run_last: "Array", order: "Array", price: "Array", out: "Array"
) -> None:
    """Write the lowest price of each PoD's offers; as they are for PoDs without any."""
    for pod in range(len(run_first)):
        if run_first[pod] == run_last[pod]:
            continue
        begin = run_first[pod]
        lowest = price[np.int64(order[begin]) if len(order) else begin]
        for place in range(begin, run_last[pod]):
            lowest = min(lowest, price[np.int64(order[place]) if len(order) else place])
        out[pod] = lowest


@njit(nogil=True, cache=True)
def gather(
    areas: "Array",
    every: "Array",
    area_effect: "Array",
    area_product: "Array",
    area_first: "Array",
    request_slot: "Array",
    request_cap: "Array",
    effect_first: "Array",
    effect_pod: "Array",
    effect_permille: "Array",
    effect_fee: "Array",
    run_first: "Array",
    run_last: "Array",
    order: "Array",
    slot: "Array",
    product: "Array",
    price: "Array",
    counted_w: "Array",
    cheapest: "Array",
    base: "Array",
    taken_w: "Array",
    is_used: "Array",
    limit_w: "Array",
    slots: int,
    out_request: "Array",
    out_offer: "Array",
    out_row: "Array",
    out_pod: "Array",
    out_permille: "Array",
    out_room_w: "Array",
    out_pod_room_w: "Array",
    out_key: "Array",
) -> Any:
    """Candidates of the requests of areas that share no PoD: offers within caps, with what may be taken of each and of its PoD. Those
    of a PoD stand together. Gives how many there are, and whether a request has several of a PoD. `every`: of each area the PoDs
    that are looked at, one in so many."""
    cap_in = np.full(slots, -1, dtype=np.int64)
    request_in = np.full(slots, -1, dtype=np.int64)
    used_w = np.zeros(slots, dtype=np.int64)
    is_opposite = np.zeros(slots, dtype=np.bool_)
    last_pod = np.full(slots, -1, dtype=np.int64)
    found, any_several = 0, False
    for number in range(len(areas)):
        area = areas[number]
        wanted = area_product[area]
        highest = np.int64(-1)
        for request in range(area_first[area], area_first[area + 1]):
            request_in[request_slot[request]] = request
            cap_in[request_slot[request]] = request_cap[request]
            highest = max(highest, request_cap[request])
        for at in range(effect_first[area_effect[area]], effect_first[area_effect[area] + 1], every[number]):
            pod, permille = effect_pod[at], np.int64(effect_permille[at])
            fee = effect_fee[at] if len(effect_fee) else 0
            if cheapest[pod] * 1000 > highest * permille - fee * 1000:
                continue
            begin, end = run_first[pod], run_last[pod]
            own = base[pod] - begin
            used = is_used[pod]
            if used:
                for place in range(begin, end):
                    row = np.int64(order[place]) if len(order) else place
                    if taken_w[own + place] and product[row] == wanted:
                        used_w[slot[row]] += taken_w[own + place]
                    elif taken_w[own + place] and product[row] == (wanted ^ 1):
                        is_opposite[slot[row]] = True
            for place in range(begin, end):
                row = np.int64(order[place]) if len(order) else place
                here = slot[row]
                most = cap_in[here] * permille - fee * 1000
                if product[row] != wanted or np.int64(price[row]) * 1000 > most:
                    continue
                left_w, pod_room_w = np.int64(counted_w[row]), limit_w[pod, wanted]
                if used:
                    left_w -= np.int64(taken_w[own + place])
                    pod_room_w = 0 if is_opposite[here] else pod_room_w - used_w[here]
                room_w = min(left_w, pod_room_w)
                if room_w <= 0:
                    continue
                out_request[found] = request_in[here]
                out_offer[found] = own + place
                out_row[found] = row
                out_pod[found] = pod
                out_permille[found] = permille
                out_room_w[found] = room_w
                out_pod_room_w[found] = min(pod_room_w, MOST_W)
                out_key[found] = (np.int64(price[row]) + fee) * KEY_SCALE // permille
                found += 1
                any_several |= last_pod[here] == pod
                last_pod[here] = pod
            if used:
                for place in range(begin, end):
                    row = np.int64(order[place]) if len(order) else place
                    used_w[slot[row]] = 0
                    is_opposite[slot[row]] = False
        for request in range(area_first[area], area_first[area + 1]):
            cap_in[request_slot[request]] = -1
    return found, any_several


@njit(nogil=True, cache=True)
def settle_twins(
    request_first: "Array",
    order: "Array",
    pod: "Array",
    key: "Array",
    pod_room_w: "Array",
    room_w: "Array",
    is_twin: "Array",
) -> bool:
    """Let offers of one PoD for one request share what is left of it, cheapest first. Those of equal merit are twins: who of them
    gets it is settled by the seed; gives whether there are any."""
    any_twins = False
    for request in range(len(request_first) - 1):
        begin, last = request_first[request], request_first[request + 1]
        while begin < last:
            end = begin + 1
            while end < last and pod[order[end]] == pod[order[begin]]:
                end += 1
            if end - begin > 1:
                run = order[begin:end]
                mine = run[np.argsort(key[run], kind="mergesort")]
                left_w = np.int64(pod_room_w[mine[0]])
                for index in range(len(mine)):
                    candidate = mine[index]
                    room_w[candidate] = min(np.int64(room_w[candidate]), left_w)
                    left_w -= np.int64(room_w[candidate])
                    if index and key[mine[index - 1]] == key[candidate]:
                        is_twin[candidate] = is_twin[mine[index - 1]] = any_twins = True
            begin = end
    return any_twins


@njit(nogil=True, cache=True)
def tighten(
    areas: "Array",
    every: "Array",
    area_first: "Array",
    needed: "Array",
    request_first: "Array",
    order: "Array",
    key: "Array",
    room_w: "Array",
    permille: "Array",
    fewest: int,
    cap: "Array",
) -> None:
    """Lower the caps of areas' requests to where, by what was found among one in so `every` of their PoDs, offers of twice what is
    needed are within them; of those found more than `fewest` must be."""
    for number in range(len(areas)):
        for request in range(area_first[areas[number]], area_first[areas[number] + 1]):
            first, last = request_first[request], request_first[request + 1]
            by_merit = first + np.argsort(key[order[first:last]], kind="mergesort")
            offered = np.int64(0)
            for index in range(len(by_merit)):
                candidate = order[by_merit[index]]
                offered += np.int64(room_w[candidate]) * np.int64(permille[candidate])
                if index >= fewest and offered >= 2 * (needed[request] // every[number]):
                    cap[request] = min(cap[request], key[candidate] // (KEY_SCALE // 1000) + 1)
                    break


@njit(nogil=True, cache=True)
def loosen(
    requests: "Array",
    needed: "Array",
    request_first: "Array",
    order: "Array",
    room_w: "Array",
    permille: "Array",
    request_cap: "Array",
    cap: "Array",
) -> bool:
    """Give requests their whole caps again where lowered ones leave too little; gives whether there are any."""
    any_short = False
    for number in range(len(requests)):
        request = requests[number]
        if cap[request] == request_cap[request]:
            continue
        offered = np.int64(0)
        for at in range(request_first[request], request_first[request + 1]):
            offered += np.int64(room_w[order[at]]) * np.int64(permille[order[at]])
        if offered < needed[request]:
            cap[request] = request_cap[request]
            any_short = True
    return any_short


@njit(nogil=True, cache=True)
def find_tied(
    requests: "Array",
    picked_first: "Array",
    picked_last: "Array",
    order: "Array",
    key: "Array",
    place: "Array",
    group: "Array",
) -> int:
    """Write the places in `order` of picked candidates that tie with another, those that tie together one after the other and of one
    group's number; gives how many there are."""
    found = groups = 0
    for request in requests:
        last = picked_last[request]
        if picked_first[request] == last:
            continue
        after = key[order[picked_first[request]]]
        is_tied = False
        for at in range(picked_first[request], last):
            mine = after
            # Of the last one a key that is none.
            after = key[order[at + 1]] if at + 1 < last else np.int64(-1)
            if is_tied or mine == after:
                place[found], group[found] = at, groups
                found += 1
                groups += mine != after
            is_tied = mine == after
    return found


@njit(nogil=True, cache=True)
def sort_ties(place: "Array", group: "Array", order: "Array", rank: "Array") -> bool:
    """Bring candidates that tie (see `find_tied`) into the order of their ranks; gives whether two have the same."""
    any_same = False
    begin = 0
    while begin < len(place):
        end = begin + 1
        while end < len(place) and group[end] == group[begin]:
            end += 1
        tied = order[place[begin] : place[begin] + end - begin]
        tied[:] = tied[np.argsort(rank[tied], kind="mergesort")]
        for index in range(1, len(tied)):
            any_same |= rank[tied[index - 1]] == rank[tied[index]]
        begin = end
    return any_same


@njit(nogil=True, cache=True)
def share_of(room_w: Any, needed: Any, offered: Any) -> Any:
    """room_w * needed // offered, where needed < offered."""
    if room_w == 0 or needed <= (2**63 - 1) // room_w:
        return room_w * needed // offered
    share = rest = np.int64(0)
    for bit in range(32, -1, -1):
        # share + rest / offered is the quotient of the bits of room_w so far.
        share, rest = 2 * share, 2 * rest
        if rest >= offered:
            share, rest = share + 1, rest - offered
        if (room_w >> bit) & 1:
            rest += needed
            if rest >= offered:
                share, rest = share + 1, rest - offered
    return share


@njit(nogil=True, cache=True)
def share(
    requests: "Array",
    needed: "Array",
    picked_first: "Array",
    margin_first: "Array",
    picked_last: "Array",
    order: "Array",
    key: "Array",
    permille: "Array",
    room_w: "Array",
    is_twin: "Array",
    pod: "Array",
    offer: "Array",
    row: "Array",
    counted_w: "Array",
    taken_w: "Array",
    any_twins: bool,
    pods: int,
) -> None:
    """Make of the picked candidates' rooms what is taken of each; those of equal merit stand in the order of the seed.

    Twins take what is left of their PoD in that order. The marginal ones share pro rata what is still needed, in whole W, the
    rest one W each in that order.
    """
    of_pod_w = np.zeros(pods, dtype=np.int64)
    for number in range(len(requests)):
        request = requests[number]
        begin = picked_first[request] if any_twins else margin_first[request]
        while begin < picked_last[request]:
            end, has_twins = begin, False
            while end < picked_last[request] and key[order[end]] == key[order[begin]]:
                if is_twin[order[end]]:
                    of_pod_w[pod[order[end]]] += np.int64(room_w[order[end]])
                    has_twins = True
                end += 1
            for at in range(begin, end if has_twins else begin):
                candidate = order[at]
                if is_twin[candidate]:
                    left_w = np.int64(counted_w[row[candidate]]) - np.int64(taken_w[offer[candidate]])
                    part_w = min(left_w, of_pod_w[pod[candidate]])
                    of_pod_w[pod[candidate]] -= part_w
                    room_w[candidate] = part_w
            if begin >= margin_first[request]:
                offered = np.int64(0)
                for at in range(begin, end):
                    offered += np.int64(room_w[order[at]]) * np.int64(permille[order[at]])
                left = needed[request]
                most_w = np.zeros(end - begin, dtype=np.int64)
                for at in range(begin, end):
                    candidate = order[at]
                    most_w[at - begin] = room_w[candidate]
                    part_w = share_of(most_w[at - begin], needed[request], offered)
                    left -= part_w * np.int64(permille[candidate])
                    room_w[candidate] = part_w
                for at in range(begin, end):
                    candidate = order[at]
                    if most_w[at - begin] > room_w[candidate] and left >= permille[candidate]:
                        room_w[candidate] += 1
                        left -= np.int64(permille[candidate])
            begin = end


@njit(nogil=True, cache=True)
def take(
    requests: "Array",
    picked_first: "Array",
    picked_last: "Array",
    order: "Array",
    row: "Array",
    pod: "Array",
    offer: "Array",
    room_w: "Array",
    is_dso: "Array",
    is_last: bool,
    taken_w: "Array",
    for_dso_w: "Array",
    is_used: "Array",
    out_request: "Array",
    out_row: "Array",
    out_w: "Array",
) -> int:
    """Take what `share` left in the picked candidates' rooms, and list it; gives how many quantities there are. `is_dso`: by
    request; `is_last`: nobody asks later what was taken of whom."""
    found = 0
    for request in requests:
        for at in range(picked_first[request], picked_last[request]):
            candidate = order[at]
            if not room_w[candidate]:
                continue
            if not is_last:
                taken_w[offer[candidate]] += room_w[candidate]
                if is_dso[request]:
                    for_dso_w[offer[candidate]] += room_w[candidate]
                is_used[pod[candidate]] = True
            out_request[found], out_row[found] = request, row[candidate]
            out_w[found] = room_w[candidate]
            found += 1
    return found
