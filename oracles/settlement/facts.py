"""What a settlement rests on, fetched from chain and store: the same for the daemon and for `verify`."""

from functools import cache

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, READING
from offchain.protocol.market_time import day_of_week, wall_clock_interval
from offchain.protocol.metering import baselines_of, readings_of
from offchain.protocol.terms import SessionTerms, request_owner
from offchain.protocol.typed_data import Outcome
from offchain.store.documents import DocumentStore
from oracles.session_facts import baseline_documents, fetch_list_document
from oracles.settlement.core.settle import CustomerPrice, SettlementResult, settle


def settle_from_chain(
    chain: ChainClient, store: DocumentStore, terms: SessionTerms, validated: Outcome, author: str
) -> SettlementResult:
    """Settle a session from what the chain and the documents say, as `author`."""
    view = MarketView(chain)
    pods = view.pods_at_gate(terms)
    roots = {OUTCOME_BY_REQUEST: validated.byRequestRoot}
    cid = Cid(validated.cidCodec, validated.cidDigest)
    batches = [
        fetch_list_document(store, "readings", batch_cid, {READING: root})
        for root, batch_cid in view.anchored_batches(until_s=terms.readings_deadline_s)
    ]
    reveals = [entry.reveal for entry in view.reveals(terms.session)]

    def payer_of_request(position: int) -> str:
        return request_owner(reveals, position).player

    return settle(
        fetch_list_document(store, "validated outcome", cid, roots),
        payer_of_request,
        pods,
        baselines_of(baseline_documents(view, store, terms, pods)),
        readings_of(batches, terms),
        customer_price_of(chain, terms),
        terms,
        author,
    )


def customer_price_of(chain: ChainClient, terms: SessionTerms) -> CustomerPrice:
    """The customer's price by (mechanism, slot, flexibility price), asked of the mechanism's contract once each."""

    @cache
    def price(mechanism: str, slot: int, flexibility_price_ueur_per_kw: int) -> int:
        start_s = terms.slot_start_s(slot)
        arguments = (day_of_week(start_s), wall_clock_interval(start_s), flexibility_price_ueur_per_kw)
        return int(chain.call_at(mechanism, "ISettlementMechanism", "customerPriceUeurPerKw", *arguments))

    return price
