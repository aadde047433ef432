"""Requests that a TSO might make at a primary substation: relief from all PoDs below it, each fully effective."""

from collections.abc import Sequence

from offchain.protocol.book_documents import Area, Relief
from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Product

FULLY_EFFECTIVE = 1000


def connection_point_request(
    connection_point: str,
    product: Product,
    pods: Sequence[bytes],
    slots: Sequence[int],
    relief_w: int,
    price_cap_ueur_per_kw: int,
) -> Area:
    """A request for the same relief (W) in every given slot, from the PoDs (pseudonyms) below a connection point.

    A TSO has no model of the distribution grid: the request names none.
    """
    return Area(
        element=keccak256(connection_point.encode()),
        product=product,
        grid_model=bytes(32),
        reliefs=[Relief(slot, relief_w, price_cap_ueur_per_kw) for slot in slots],
        effectiveness=[(pod, FULLY_EFFECTIVE) for pod in sorted(pods)],
        name=connection_point,
    )
