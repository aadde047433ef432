"""Reference prices that aggregators have published, and the PoDs that the DSO's requests are sized with by them."""

import logging
from collections import Counter
from collections.abc import Mapping

from offchain.chain.market_view import MarketView
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.reference_prices import ALL_SESSIONS, PodReference, ReferencePrices
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.products import Product
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.store.documents import DocumentStore, StoreUnavailable
from oracles.grid.core.flexible_pods import Flexibility, FlexiblePod
from oracles.grid.core.network import Integers
from oracles.session_facts import notarised_bytes

logger = logging.getLogger(__name__)

MOST_TRIED = 5
"""Of an aggregator's documents for a session, the last ones: each that nobody has may take a store half a minute not to find."""


def published_references(
    view: MarketView, store: DocumentStore, terms: SessionTerms, pods: Mapping[bytes, PodFacts]
) -> dict[bytes, PodReference]:
    """By PoD what its aggregator had published when the session's gate opened: in the last document that can be read, of the session
    before one of all sessions. What is said of another's PoD counts for nothing, and a bad document stops nobody's request. Raises
    StoreUnavailable."""
    out: dict[bytes, PodReference] = {}
    aggregators = {facts.aggregator.lower() for facts in pods.values()}
    for session in (terms.session, ALL_SESSIONS):
        heard: set[str] = set()
        tried: Counter[str] = Counter()
        for notice in reversed(view.notices(NoticeKind.REFERENCE_PRICES, session)):
            author = notice.author.lower()
            if author not in aggregators or author in heard or tried[author] == MOST_TRIED:
                continue
            if not view.is_before(terms, notice.at_s, terms.gateOpening):
                continue
            tried[author] += 1
            try:
                said = parse(ReferencePrices, notarised_bytes(store, notice, NoticeKind.REFERENCE_PRICES))
            except StoreUnavailable:
                raise
            except FlexledgerError as problem:
                logger.warning("session %d: prices of %s ignored: %s", terms.session, notice.author, problem)
                continue
            heard.add(author)
            for pod, reference in said.by_pod().items():
                if pod in pods and pods[pod].aggregator.lower() == author:
                    out.setdefault(pod, reference)
    return out


def flexible_pod(
    pod: bytes,
    node: int,
    most_w: Mapping[Product, Integers],
    reference: PodReference,
    cap_ueur_per_kw: int,
    fee_ueur_per_kw: int,
) -> FlexiblePod:
    """The PoD that may be asked for so much (slots,) of each product, at what it costs delivered: its published price and the grid
    fee, or the cap where none is published. What would cost more than the cap isn't counted on."""
    flexibility = {}
    for product, each in most_w.items():
        said = reference.of(product)
        price = cap_ueur_per_kw if said is None else said.price_ueur_per_kw + fee_ueur_per_kw
        if price <= cap_ueur_per_kw:
            flexibility[product] = Flexibility(
                most_w=each,
                price_ueur_per_kw=price,
                least_w=said.least_w if said else 0,
                step_w=said.step_w if said else 1,
            )
    return FlexiblePod(pod, node, flexibility, reference.most_wh, reference.payback_permille)
