"""What is paid for what price priority has chosen."""

from collections.abc import Sequence

import numpy as np

from oracles.clearing.core.book import Book
from oracles.clearing.core.pricing_kernels import price_as_cleared
from oracles.clearing.core.state import Acceptance, Entries


def pay_as_clear(book: Book, acceptances: Sequence[Acceptance]) -> Entries:
    """Every quantity of a request at the delivered price of its dearest one, per relief, less its own grid fee: nobody gets less
    than its bid, and where there are no fees, a kW that relieves twice as much gets twice as much.

    `acceptances`: in merit order within each request. Prices are rounded down to the µ€/kW: the request's cap holds still.
    """
    entries = Entries.of(book, acceptances)
    permille, _, fee = entries.effectiveness
    prices = np.empty(len(entries), dtype=np.int64)
    price_as_cleared(entries.request, entries.offer, book.columns.price_ueur_per_kw, permille, fee, prices)
    return entries.at_prices(prices)
