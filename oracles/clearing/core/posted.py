"""A market outcome of several objectives that somebody posted, held to the rules and to the optimum.

Where floats decide, two honest oracles may post two results. Either must keep to every rule, in integers, and be no worse by
the operator's weights than the optimum, side by side: the DSO's first, the TSO's with what the posted result leaves to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book, Offer, Request, within_cap
from oracles.clearing.core.mixed_integer import Floats
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.service_program import PRECISION_W, Reliability, RuleBroken, ServiceProgram
from oracles.clearing.core.several_objectives import clear_by
from oracles.clearing.core.state import Clearing, MarketState

TOLERANCE = 0.001
"""By which share of the optimum a posted result may be worse."""
Wanted = dict[tuple[int, tuple[int, ...]], int]
"""W taken, by offer and the requests that it serves, one a slot."""


class WorseThanPossible(FlexledgerError):
    """A result that keeps to all rules, but a better one is possible."""


def clearing_as_posted(
    book: Book,
    pods: Mapping[bytes, PodFacts],
    seed: bytes,
    parameters: ClearingParameters,
    reliability: Reliability,
    market: ListDocument,
) -> Clearing:
    """The clearing that takes what a posted market outcome's list by request takes.

    Raises RuleBroken, or WorseThanPossible: by more than TOLERANCE, and beyond that by more than what the optimum may lose in
    whole W, one for each quantity that it takes. Statuses, reasons, order and sums are those of the clearing: the posted
    leaves must be its.
    """
    wanted = _wanted(book, market)
    sides = {request.position: request.side for request in book.requests}

    def solve(program: ServiceProgram) -> list[Floats]:
        best, side = program.best(), program.runs[0].requests[0].side
        x = np.zeros(len(best))
        for run in program.runs:
            served = tuple(request.position for request in run.requests)
            x[run.column] = wanted.pop((run.offer.position, served), 0)
        _require_none(key for key in wanted if sides[key[1][0]] is side)
        program.require_kept(x)
        posted_ueur, possible_ueur = (program.weighed_ueur(each) for each in (x, best))
        whole_w = sum(best[run.column] > PRECISION_W for run in program.runs)
        lost_ueur = whole_w * parameters.unserved_ueur_per_kw / 1000
        if posted_ueur > possible_ueur * (1 + TOLERANCE) + lost_ueur:
            raise WorseThanPossible(
                f"{side.name}: weighs {posted_ueur:.0f} µ€, where {possible_ueur:.0f} µ€ are possible"
            )
        return [x]

    clearing, _ = clear_by(MarketState(book, pods, seed, book.sold), reliability, parameters, solve)
    _require_none(wanted)
    return clearing


def _require_none(ways: Iterable[tuple[int, tuple[int, ...]]]) -> None:
    """RuleBroken for the first of ways to take offers that no program has."""
    for offer, requests in ways:
        served = ", ".join(map(str, requests))
        raise RuleBroken(f"offer {offer} is taken for request {served}, where nothing of it may be taken")


def _wanted(book: Book, market: ListDocument) -> Wanted:
    requests = {request.position: request for request in book.requests}
    entries: dict[int, list[tuple[Request, int]]] = defaultdict(list)
    for leaf in market.list_of(OUTCOME_BY_REQUEST).records():
        position, place = leaf.integer("offerPosition"), leaf.integer("requestPosition")
        if position >= len(book.offers) or place not in requests:
            raise RuleBroken(f"offer {position} or request {place} isn't in the book")
        broken = _broken_by(book.offers[position], requests[place])
        if broken:
            raise RuleBroken(f"offer {position} is taken for request {place}, {broken}")
        entries[position].append((requests[place], leaf.integer("acceptedW")))
    wanted: Wanted = {}
    for position, parts in entries.items():
        if book.offers[position].is_block:
            if len({amount_w for _, amount_w in parts}) > 1:
                raise RuleBroken(
                    f"offer {position} is a block, taken with another power in some of its slots"
                )
            in_slots = sorted(parts, key=lambda part: part[0].slot)
            wanted[position, tuple(request.position for request, _ in in_slots)] = parts[0][1]
            continue
        for request, amount_w in parts:
            if (position, (request.position,)) in wanted:
                raise RuleBroken(f"offer {position} is taken twice for request {request.position}")
            wanted[position, (request.position,)] = amount_w
    return wanted


def _broken_by(offer: Offer, request: Request) -> str:
    """What speaks against taking an offer for a request, whatever else is taken; empty if nothing does."""
    if offer.void is not None:
        return f"and counts for nothing: {offer.void.name}"
    last_slot = offer.last_slot + offer.duration_slots - 1
    if request.product is not offer.product or not offer.slot <= request.slot <= last_slot:
        return "which is of another slot or product"
    if offer.pod not in request.effectiveness:
        return "whose area its PoD isn't in"
    return "" if within_cap(offer, request) else "beyond its price cap"
