"""Publishing an aggregator's reference prices."""

from collections.abc import Mapping

from offchain.chain.client import ChainClient
from offchain.market.client import MarketClient
from offchain.market.service import DocumentKind
from offchain.protocol.documents.base import build, dump
from offchain.protocol.documents.reference_prices import ALL_SESSIONS, PodReference, ReferencePrices
from offchain.protocol.keccak import keccak256
from offchain.protocol.typed_data import NoticeKind


def publish_reference_prices(
    chain: ChainClient,
    client: MarketClient,
    references: Mapping[bytes, PodReference],
    session: int = ALL_SESSIONS,
) -> None:
    """Bring them to the market and notarise them with the chain's account, before the gate opens. `references`: by pseudonym.

    The last that stands when a session's gate opens counts there, one of the session before one of all.
    """
    pods = {"0x" + pod.hex(): each for pod, each in references.items()}
    raw = dump(build(ReferencePrices, pods=pods, issued=chain.now_s()))
    cid = client.bring(DocumentKind.REFERENCE_PRICES, raw)
    chain.send(
        "DataNotary",
        "notarise",
        NoticeKind.REFERENCE_PRICES,
        session,
        keccak256(raw),
        cid.digest,
        cid.codec,
    )
