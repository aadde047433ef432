"""Loops over the columns of a part of a book: numba kernels that `plain.py`, `parts.py` and `reasons.py` call.

`run` of a PoD: its offers, one after the other. Candidates of a request stand together, from `first[request]` on.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from offchain.protocol.products import OfferStatus

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

KEY_SCALE = 1_000_000
"""Price times this over per mille, rounded down, tells all merits apart: they differ by at least one over 1000 times 1000."""
MOST_KEYED_UEUR = (2**63 - 1) // KEY_SCALE
"""The greatest price that has such a key."""
EXCLUDED, DEARER, NOT_NEEDED = (
    int(status) for status in (OfferStatus.COM_EXCLUDED, OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED)
)
ACCEPTED, PARTLY_ACCEPTED = int(OfferStatus.ACCEPTED), int(OfferStatus.PARTLY_ACCEPTED)


@njit(nogil=True, cache=True)
def find_runs(pod: "Array", void: "Array", first: "Array", last: "Array") -> bool:
    """Write where each PoD's offers begin and end; False where those of one don't stand together. Void ones don't count."""
    before = -1
    for position in range(len(pod)):
        if void[position]:
            continue
        here = pod[position]
        if here != before:
            if first[here] < last[here]:
                return False
            first[here] = position
        last[here] = position + 1
        before = here
    return True


@njit(nogil=True, cache=True)
def sort_by(keys: "Array", skipped: "Array", first: "Array", order: "Array") -> None:
    """Write the indexes of all rows but skipped ones (where there are any) by rising key, equal ones in order; `first` (keys + 1):
    where each begins."""
    for row in range(len(keys)):
        if not len(skipped) or not skipped[row]:
            first[keys[row] + 1] += 1
    for key in range(len(first) - 1):
        first[key + 1] += first[key]
    place = first.copy()
    for row in range(len(keys)):
        if not len(skipped) or not skipped[row]:
            order[place[keys[row]]] = row
            place[keys[row]] += 1


@njit(nogil=True, cache=True)
def pairs_of_pods(pod_first: "Array", effects: "Array", out: "Array") -> int:
    """Pairs of areas (less than, greater) that share a PoD, one after the other different; gives how many there are, and writes
    them where `out` (n, 2) has room."""
    found = 0
    for pod in range(len(pod_first) - 1):
        begin, end = pod_first[pod], pod_first[pod + 1]
        same = pod > 0 and end - begin == begin - pod_first[pod - 1]
        if same:
            for at in range(begin, end):
                same = same and effects[at] == effects[at - (end - begin)]
        if same:
            continue
        for a in range(begin, end):
            for b in range(a + 1, end):
                if found < len(out):
                    out[found, 0], out[found, 1] = effects[a], effects[b]
                found += 1
    return found


@njit(inline="always")
def _head(label: "Array", node: Any) -> Any:
    """The node by which all that are connected to a node are known."""
    while label[node] != node:
        label[node] = label[label[node]]
        node = label[node]
    return node


@njit(nogil=True, cache=True)
def connect(a: "Array", b: "Array", label: "Array") -> None:
    """Make `label`, each node's number before, the same for all nodes that edges from a to b connect."""
    for edge in range(len(a)):
        one, other = _head(label, a[edge]), _head(label, b[edge])
        if one < other:
            label[other] = one
        else:
            label[one] = other
    for node in range(len(label)):
        label[node] = label[label[node]]


@njit(nogil=True, cache=True)
def nodes_of_offers(
    positions: "Array",
    pod: "Array",
    slot: "Array",
    last_slot: "Array",
    duration: "Array",
    pod_first: "Array",
    effects: "Array",
    present: "Array",
    out: "Array",
) -> int:
    """Pairs of an offer's index in `positions` and a node (area's number times slots, plus slot) that it may serve; gives how many,
    and writes them where `out` (n, 2) has room."""
    slots = present.shape[1]
    found = 0
    for index in range(len(positions)):
        position = positions[index]
        here = pod[position]
        if here < 0:
            continue
        end = min(np.int64(last_slot[position]) + np.int64(duration[position]), slots)
        for at in range(pod_first[here], pod_first[here + 1]):
            for each in range(np.int64(slot[position]), end):
                if present[effects[at], each]:
                    if found < len(out):
                        out[found, 0], out[found, 1] = index, np.int64(effects[at]) * slots + each
                    found += 1
    return found


@njit(nogil=True, cache=True)
def copy_offers(
    pods: "Array",
    run_first: "Array",
    run_last: "Array",
    order: "Array",
    slot: "Array",
    product: "Array",
    price: "Array",
    counted_w: "Array",
    void: "Array",
    is_wanted: "Array",
    pod_first: "Array",
    out_position: "Array",
    out_slot: "Array",
    out_product: "Array",
    out_price: "Array",
    out_counted_w: "Array",
) -> None:
    """Copy the offers of PoDs in wanted slots that aren't void, PoD by PoD; `pod_first`: where each PoD's begin there."""
    found = 0
    for local in range(len(pods)):
        pod_first[local] = found
        for at in range(run_first[pods[local]], run_last[pods[local]]):
            position = np.int64(order[at]) if len(order) else at
            if void[position] or not is_wanted[slot[position]]:
                continue
            out_position[found] = position
            out_slot[found] = slot[position]
            out_product[found] = product[position]
            out_price[found] = price[position]
            out_counted_w[found] = counted_w[position]
            found += 1
    pod_first[len(pods)] = found


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
def _settle_twins(
    key: "Array", room_w: "Array", is_twin: "Array", first: Any, last: Any, left_w: Any
) -> None:
    """Offers of one PoD for one request share what is left of it, cheapest first; those of equal merit are twins: who of them
    gets it is settled by the seed."""
    order = first + np.argsort(key[first:last], kind="mergesort")
    for index in range(len(order)):
        at = order[index]
        room_w[at] = min(np.int64(room_w[at]), left_w)
        left_w -= np.int64(room_w[at])
        if index and key[order[index - 1]] == key[at]:
            is_twin[at] = is_twin[order[index - 1]] = True


@njit(nogil=True, cache=True)
def count_offers(
    areas: "Array",
    area_effect: "Array",
    area_product: "Array",
    area_first: "Array",
    request_slot: "Array",
    effect_first: "Array",
    effect_pod: "Array",
    pod_first: "Array",
    slot: "Array",
    product: "Array",
    slots: int,
    count: "Array",
) -> None:
    """For each request of areas the offers of its PoDs, slot and product: what `gather` needs room for."""
    in_slot = np.zeros(slots, dtype=np.int64)
    for number in range(len(areas)):
        area = areas[number]
        in_slot[:] = 0
        for at in range(effect_first[area_effect[area]], effect_first[area_effect[area] + 1]):
            for offer in range(pod_first[effect_pod[at]], pod_first[effect_pod[at] + 1]):
                in_slot[slot[offer]] += product[offer] == area_product[area]
        for request in range(area_first[area], area_first[area + 1]):
            count[request] = in_slot[request_slot[request]]


@njit(nogil=True, cache=True)
def gather(
    areas: "Array",
    area_effect: "Array",
    area_product: "Array",
    area_is_dso: "Array",
    area_first: "Array",
    request_slot: "Array",
    request_cap: "Array",
    needed: "Array",
    effect_first: "Array",
    effect_pod: "Array",
    effect_permille: "Array",
    pod_first: "Array",
    slot: "Array",
    product: "Array",
    price: "Array",
    counted_w: "Array",
    taken_w: "Array",
    for_dso_w: "Array",
    is_used: "Array",
    limit_w: "Array",
    slots: int,
    first: "Array",
    count: "Array",
    out_offer: "Array",
    out_pod: "Array",
    out_permille: "Array",
    out_room_w: "Array",
    out_key: "Array",
    out_twin: "Array",
) -> None:
    """Candidates of each request of areas that share no PoD: offers within its cap, and what may be taken of each. `first`: where
    a request's begin in the outputs; writes how many there are into `count`, 0 before.

    Takes from what the TSO needs what the DSO took of its PoDs.
    """
    request_in = np.full(slots, -1, dtype=np.int64)
    used_w = np.zeros(slots, dtype=np.int64)
    is_opposite = np.zeros(slots, dtype=np.bool_)
    begun = np.zeros(slots, dtype=np.int64)
    for number in range(len(areas)):
        area = areas[number]
        wanted = area_product[area]
        for request in range(area_first[area], area_first[area + 1]):
            request_in[request_slot[request]] = request
        for at in range(effect_first[area_effect[area]], effect_first[area_effect[area] + 1]):
            pod, permille = effect_pod[at], np.int64(effect_permille[at])
            begin, end = pod_first[pod], pod_first[pod + 1]
            if is_used[pod]:
                for offer in range(begin, end):
                    if taken_w[offer] and product[offer] == wanted:
                        used_w[slot[offer]] += taken_w[offer]
                    elif taken_w[offer] and product[offer] == (wanted ^ 1):
                        is_opposite[slot[offer]] = True
            has_several = False
            for offer in range(begin, end):
                here = slot[offer]
                request = request_in[here]
                if product[offer] != wanted or request < 0:
                    continue
                if not area_is_dso[area]:
                    needed[request] -= np.int64(for_dso_w[offer]) * permille
                if price[offer] * 1000 > request_cap[request] * permille or is_opposite[here]:
                    continue
                left_w = np.int64(counted_w[offer]) - np.int64(taken_w[offer])
                room_w = min(left_w, limit_w[pod, wanted] - used_w[here])
                if room_w <= 0:
                    continue
                place = first[request] + count[request]
                out_offer[place] = offer
                out_pod[place] = pod
                out_permille[place] = permille
                out_room_w[place] = room_w
                out_key[place] = price[offer] * KEY_SCALE // permille
                out_twin[place] = False
                count[request] += 1
                begun[here] += 1
                has_several |= begun[here] > 1
            for offer in range(begin, end):
                here = slot[offer]
                if has_several and begun[here] > 1:
                    last = first[request_in[here]] + count[request_in[here]]
                    left_w = limit_w[pod, wanted] - used_w[here]
                    _settle_twins(out_key, out_room_w, out_twin, last - begun[here], last, left_w)
                begun[here] = 0
            if is_used[pod]:
                for offer in range(begin, end):
                    used_w[slot[offer]] = 0
                    is_opposite[slot[offer]] = False
        for request in range(area_first[area], area_first[area + 1]):
            request_in[request_slot[request]] = -1


@njit(nogil=True, cache=True)
def select(
    requests: "Array",
    needed: "Array",
    first: "Array",
    count: "Array",
    key: "Array",
    room_w: "Array",
    permille: "Array",
    chance: int,
    order: "Array",
    picked_first: "Array",
    margin_first: "Array",
    picked_last: "Array",
) -> None:
    """For each request the candidates that are cheaper than the marginal ones, by rising merit, then those.

    `order`: the candidates' indexes, sorted in place. Takes the cheaper ones' effect from what is needed: what is left is for
    the marginal ones. `chance` is from the session's seed: no order of offers makes a selection slow for sure.
    """
    random = np.uint64(chance)
    for number in range(len(requests)):
        request = requests[number]
        begin = low = first[request]
        end = high = first[request] + count[request]
        left = max(needed[request], 0)
        margin = -1
        while low < high and left > 0 and margin < 0:
            random = random * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
            pivot = key[order[low + np.int64((random >> np.uint64(33)) % np.uint64(high - low))]]
            less, more, at = low, high, low
            below = equal = np.int64(0)
            while at < more:
                candidate = order[at]
                if key[candidate] < pivot:
                    below += np.int64(room_w[candidate]) * np.int64(permille[candidate])
                    order[at], order[less] = order[less], candidate
                    less += 1
                    at += 1
                elif key[candidate] > pivot:
                    more -= 1
                    order[at], order[more] = order[more], candidate
                else:
                    equal += np.int64(room_w[candidate]) * np.int64(permille[candidate])
                    at += 1
            if below > left:
                high = less
            elif below + equal > left:
                left -= below
                low, margin = less, more
            else:
                left -= below + equal
                low = more
        cheaper = low if margin >= 0 or left == 0 else end
        picked_first[request], margin_first[request] = begin, cheaper
        picked_last[request] = margin if margin >= 0 else cheaper
        needed[request] = left
        if cheaper - begin > 1:
            chosen = order[begin:cheaper].copy()
            order[begin:cheaper] = chosen[np.argsort(key[chosen], kind="mergesort")]


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
    counted_w: "Array",
    taken_w: "Array",
    pods: int,
) -> None:
    """Make of the picked candidates' rooms what is taken of each; those of equal merit stand in the order of the seed.

    Twins take what is left of their PoD in that order. The marginal ones share pro rata what is still needed, in whole W, the
    rest one W each in that order.
    """
    of_pod_w = np.zeros(pods, dtype=np.int64)
    for number in range(len(requests)):
        request = requests[number]
        begin = picked_first[request]
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
                    left_w = np.int64(counted_w[offer[candidate]]) - np.int64(taken_w[offer[candidate]])
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
    """Write status and reason of the divisible single offers of some PoDs, from the whole list by request.

    `entry_first`, `entries`: each PoD's entries, in order. `request_cap`: -1 of one that counts for nothing.
    """
    cap = np.full((slots, 4), -1, dtype=np.int64)
    first_entry = np.zeros((slots, 4), dtype=np.int64)
    used_w = np.zeros((slots, 4), dtype=np.int64)
    for pod in range(first_pod, last_pod):
        begin, end = run_first[pod], run_last[pod]
        if begin >= end:
            continue
        for at in range(pod_first[pod], pod_first[pod + 1]):
            for index in range(effect_first[pod_effect[at]], effect_first[pod_effect[at] + 1]):
                area = effect_area[index]
                wanted = area_product[area]
                for request in range(area_first[area], area_first[area + 1]):
                    here = request_slot[request]
                    cap[here, wanted] = max(
                        cap[here, wanted], request_cap[request] * np.int64(pod_permille[at])
                    )
        has_entries = entry_first[pod] < entry_first[pod + 1]
        for at in range(entry_first[pod], entry_first[pod + 1]):
            entry = entries[at]
            offer = entry_offer[entry]
            here, way = slot[offer], product[offer]
            used_w[here, way] += entry_w[entry]
            if not first_entry[here, way]:
                first_entry[here, way] = entry + 1
        for at in range(begin, end):
            offer = np.int64(order[at]) if len(order) else at
            if void[offer]:
                status[offer] = void[offer]
                continue
            here, way = slot[offer], product[offer]
            if np.int64(price[offer]) * 1000 > cap[here, way]:
                status[offer] = NOT_NEEDED
                continue
            status[offer] = DEARER
            if has_entries:
                if first_entry[here, way ^ 1]:
                    status[offer], because[offer] = EXCLUDED, first_entry[here, way ^ 1]
                elif first_entry[here, way] and used_w[here, way] == limit_w[pod, way]:
                    status[offer], because[offer] = EXCLUDED, first_entry[here, way]
        mine = entries[entry_first[pod] : entry_first[pod + 1]]
        by_offer = mine[np.argsort(entry_offer[mine], kind="mergesort")]
        total_w = np.int64(0)
        for at in range(len(by_offer)):
            offer = entry_offer[by_offer[at]]
            total_w = entry_w[by_offer[at]] + (
                total_w if at and entry_offer[by_offer[at - 1]] == offer else 0
            )
            status[offer] = ACCEPTED if total_w == power_w[offer] else PARTLY_ACCEPTED
            if because[offer]:  # what isn't written to takes no memory
                because[offer] = 0
        for at in range(entry_first[pod], entry_first[pod + 1]):
            offer = entry_offer[entries[at]]
            here, way = slot[offer], product[offer]
            first_entry[here, way] = 0
            used_w[here, way] = 0
        for at in range(pod_first[pod], pod_first[pod + 1]):
            for index in range(effect_first[pod_effect[at]], effect_first[pod_effect[at] + 1]):
                area = effect_area[index]
                for request in range(area_first[area], area_first[area + 1]):
                    cap[request_slot[request], area_product[area]] = -1
