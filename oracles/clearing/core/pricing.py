"""What is paid for what price priority has chosen."""

from collections.abc import Sequence

import numpy as np

from oracles.clearing.core.book import Book
from oracles.clearing.core.state import Acceptance, Entries


def pay_as_clear(book: Book, acceptances: Sequence[Acceptance]) -> Entries:
    """Every quantity of a request at the delivered price of its dearest one, per relief, less its own grid fee: nobody gets less
    than its bid, and where there are no fees, a kW that relieves twice as much gets twice as much.

    `acceptances`: in merit order within each request. Prices are rounded down to the µ€/kW: the request's cap holds still.
    """
    entries = Entries.of(book, acceptances)
    ends = np.append(np.diff(entries.request) != 0, True)[: len(entries)]
    marginal = np.flatnonzero(ends)[np.cumsum(ends) - ends]
    permille, _, fee = entries.effectiveness
    delivered = book.columns.price_ueur_per_kw[entries.offer].astype(np.int64) + fee
    return entries.at_prices(delivered[marginal] * permille // permille[marginal] - fee)
