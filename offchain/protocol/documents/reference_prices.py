"""Reference prices: what an aggregator publishes of its PoDs, for the DSO to size requests by (protocol.md).

Ours, so values are integers: µ€ per kW or kvar and slot, W or var, Wh. Its author notarises it (`NoticeKind.REFERENCE_PRICES`) for a
session, or for session 0: for all that it says nothing else of. Offers are sealed then and may differ: nobody is bound by it.
"""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from offchain.protocol.book_documents import PAYBACK_SLOTS
from offchain.protocol.canonical_json import MAX_INTEGER
from offchain.protocol.documents.base import Document, Whole, broken_rule
from offchain.protocol.products import Product
from offchain.protocol.units import MAX_UNIX_S

FULL_PERMILLE = 1000
ALL_SESSIONS = 0
_MOST_W = 2**32 - 1
Pseudonym = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
Watts = Annotated[Whole, Field(ge=0, le=_MOST_W)]


class ReferencePrice(Document):
    """What a product of a PoD costs (delivered, but for grid fees), what of it is the least if any, and in which steps it comes."""

    price_ueur_per_kw: Annotated[Whole, Field(ge=1, le=MAX_INTEGER)]
    least_w: Watts = 0
    step_w: Annotated[Whole, Field(ge=1, le=_MOST_W)] = 1


class PodReference(Document):
    """A PoD's products; active energy, up and down together, that it could move over a session; and of each W activated how many
    thousandths turn the other way in each of the slots after."""

    active_up: ReferencePrice | None = None
    active_down: ReferencePrice | None = None
    reactive_up: ReferencePrice | None = None
    reactive_down: ReferencePrice | None = None
    most_wh: Annotated[Whole, Field(ge=0, le=MAX_INTEGER)] | None = None
    payback_permille: Annotated[
        tuple[Annotated[Whole, Field(ge=0, le=FULL_PERMILLE)], ...], Field(max_length=PAYBACK_SLOTS)
    ] = ()

    @model_validator(mode="after")
    def _check_payback(self) -> Self:
        if sum(self.payback_permille) > FULL_PERMILLE:
            rule = f"must be at most {FULL_PERMILLE} in all: no more than is moved turns back"
            raise broken_rule("paybackPermille", list(self.payback_permille), rule)
        return self

    def of(self, product: Product) -> ReferencePrice | None:
        """What is said of a product, if anything."""
        found: ReferencePrice | None = getattr(self, product.name.lower())
        return found


class ReferencePrices(Document):
    """An aggregator's PoDs, by pseudonym. `issued`: when, since the notary takes the very same bytes once only: without it nobody
    could go back to what it published before."""

    pods: dict[Pseudonym, PodReference]
    issued: Annotated[Whole, Field(ge=0, le=MAX_UNIX_S)] | None = None

    def by_pod(self) -> dict[bytes, PodReference]:
        """The same by pseudonyms as they are on chain."""
        return {bytes.fromhex(pod[2:]): reference for pod, reference in self.pods.items()}
