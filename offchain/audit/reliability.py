"""How reliable aggregators and PoDs are, as clearing by several objectives counts it, in words."""

from collections.abc import Iterator

from offchain.chain.market_view import MarketView
from offchain.protocol.terms import SessionTerms
from offchain.store.documents import DocumentStore
from oracles.clearing.core.reliability import ALWAYS_PERMILLE
from oracles.clearing.facts import aggregators_of, record_at_gate


def told_reliability(view: MarketView, store: DocumentStore, terms: SessionTerms) -> Iterator[str]:
    """A line for each aggregator with a record when the session's gate closed, and for each PoD whose index isn't all."""
    record = record_at_gate(view, store, terms)
    aggregators = record.aggregators
    yield f"{len(aggregators)} aggregators with settled deliveries"
    for address, found in aggregators.items():
        yield (
            f"  aggregator {address}: {_percent(found.permille())}, {found.delivered_w / 1000:g} of "
            f"{found.accepted_w / 1000:g} kW and slot"
        )
    index = record.index_of_pods(aggregators_of(view.pods_at_gate(terms)))
    less = {pod: permille for pod, permille in sorted(index.items()) if permille < ALWAYS_PERMILLE}
    yield f"{len(index)} PoDs, {len(index) - len(less)} of them at {_percent(ALWAYS_PERMILLE)}"
    for pod, permille in less.items():
        yield f"  PoD 0x{pod.hex()}: {_percent(permille)}"


def _percent(permille: int) -> str:
    return f"{permille / 10:g} %"
