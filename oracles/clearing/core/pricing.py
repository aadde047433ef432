"""What is paid for what price priority has chosen."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from oracles.clearing.core.state import Acceptance


def pay_as_clear(acceptances: Sequence[Acceptance]) -> tuple[Acceptance, ...]:
    """Every quantity of a request at the price of its dearest one, per relief: nobody gets less than its bid, and a kW that
    relieves twice as much gets twice as much.

    `acceptances`: in merit order within each request. Prices are rounded down to the µ€/kW: the request's cap holds still.
    """
    priced: list[Acceptance] = []
    for _, group in groupby(acceptances, key=lambda entry: entry.request.position):
        entries = list(group)
        marginal = entries[-1]
        for entry in entries:
            relief, of_marginal = _permille(entry), _permille(marginal)
            price = marginal.offer.price_ueur_per_kw * relief // of_marginal
            priced.append(replace(entry, price_ueur_per_kw=price))
    return tuple(priced)


def _permille(entry: Acceptance) -> int:
    return entry.request.effectiveness[entry.offer.pod][0]
