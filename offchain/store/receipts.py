"""Stores that answer for documents (IAvailability): each takes the bytes, computes the roots itself, keeps them and signs.

A store that signs answers with its stake until the session's last challenge window is over. So it takes what the market
needs and nothing else: documents revealed for a session's book, and results by holders of the oracle's role.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, REFUSAL, SETTLEMENT
from offchain.protocol.lists import ListDocument
from offchain.protocol.receipts import StoreReceipts, bundle, content_of
from offchain.protocol.roles import Role
from offchain.protocol.signatures import checksum_address, parse_address, recover_address
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Receipt
from offchain.store.documents import DocumentMissing, DocumentStore

logger = logging.getLogger(__name__)

AVAILABILITY = "Availability"
AUTHORS = {
    OUTCOME_BY_OFFER: Role.CLEARING_ORACLE,
    REFUSAL: Role.GRID_ORACLE,
    SETTLEMENT: Role.SETTLEMENT_ORACLE,
}
"""Who makes a result, by the kind of its first list."""


class TooFewReceipts(FlexledgerError):
    """Fewer stores than the session asks for have taken a document."""


class Store(Protocol):
    """Somebody who keeps documents and answers for them, in this process or behind an API."""

    @property
    def address(self) -> str:
        """The account whose stake answers."""

    def keep(self, session: int, raw: bytes, *, joint: bool) -> bytes:
        """Keep a document of a session and sign a receipt for it: 65 bytes. `joint`: its lists share one tree.

        Raises FlexledgerError where the store doesn't take it, or isn't there.
        """

    def get(self, cid: Cid) -> bytes:
        """A document that it keeps. Raises DocumentMissing, DocumentCorrupt or StoreUnavailable."""


class Keeper:
    """A store: its folder (or IPFS node), and the key of its account. `chain` only reads."""

    def __init__(
        self, chain: ChainClient, documents: DocumentStore, private_key: bytes, address: str
    ) -> None:
        self.address = address
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._key = private_key

    def keep(self, session: int, raw: bytes, *, joint: bool) -> bytes:
        """See Store. InvalidInput for what isn't needed, or isn't a document: nothing is kept or signed then."""
        terms, cid = self._view.terms(session), cid_of(raw)
        document = ListDocument.from_bytes(raw, joint=joint)
        if joint:
            self._require_revealed(session, document, cid)
        else:
            self._require_result(session, document)
        receipt = receipt_for(document, cid, terms, joint=joint)
        self._documents.put(raw)
        return receipt.sign(self._chain.domain(AVAILABILITY), self._key)

    def get(self, cid: Cid) -> bytes:
        """See Store."""
        return self._documents.get(cid)

    def _require_revealed(self, session: int, document: ListDocument, cid: Cid) -> None:
        found = (document.joint_tree.root, document.leaf_count, cid)
        for entry in self._view.reveals(session):
            if (entry.opening.root, entry.opening.leafCount, entry.opening.cid) == found:
                return
        raise InvalidInput("document", str(cid), f"isn't one that was revealed for session {session}")

    def _require_result(self, session: int, document: ListDocument) -> None:
        kind = document.lists[0].kind
        if document.session != session:
            raise InvalidInput("session", document.session, f"must be {session}")
        if kind not in AUTHORS:
            raise InvalidInput("lists", kind.name, "must be those of a result")
        author = checksum_address(parse_address("author", document.author))
        if not self._chain.call("ParticipantRegistry", "isActive", author, AUTHORS[kind]):
            raise InvalidInput("author", document.author, f"must be a {AUTHORS[kind].name}")


class Stores:
    """All stores that somebody asks for receipts, in the order in which they are asked. `chain` only reads."""

    def __init__(self, stores: Sequence[Store], chain: ChainClient) -> None:
        self._stores = stores
        self._chain = chain

    def receipts(self, raw: bytes, cid: Cid, terms: SessionTerms, *, joint: bool) -> StoreReceipts:
        """Receipts of as many stores as the session asks for. TooFewReceipts names what the others said."""
        domain = self._chain.domain(AVAILABILITY)
        receipt = receipt_for(ListDocument.from_bytes(raw, joint=joint), cid, terms, joint=joint)
        digest = receipt.digest(domain)
        signatures: list[bytes] = []
        refusals: list[str] = []
        for store in self._stores:
            if len(signatures) == terms.receipts:
                break
            try:
                self._require_bound(store.address)
                signature = store.keep(terms.session, raw, joint=joint)
                signer = recover_address(digest, signature)
                if signer != store.address:
                    raise InvalidInput("receipt", signer, f"must be signed by the store, {store.address}")
            except FlexledgerError as problem:
                # A store that is away, or signs something else, is why there are several.
                logger.warning("no receipt of store %s for %s: %s", store.address, cid, problem)
                refusals.append(f"{store.address}: {problem}")
                continue
            signatures.append(signature)
        if len(signatures) < terms.receipts:
            said = "; ".join(refusals) or "no other store is known"
            raise TooFewReceipts(f"{cid}: {len(signatures)} receipts of {terms.receipts}: {said}")
        return bundle(receipt, domain, signatures)

    def get(self, cid: Cid) -> bytes:
        """A document from the first store that has it sound. Raises DocumentMissing."""
        for store in self._stores:
            try:
                data = store.get(cid)
            except FlexledgerError as problem:
                logger.info("store %s: no document %s: %s", store.address, cid, problem)
                continue
            if cid_of(data) == cid:
                return data
        raise DocumentMissing(cid, f"{len(self._stores)} stores")

    def _require_bound(self, store: str) -> None:
        """Only a store with its stake behind it counts on chain."""
        amount_ueur, left_at_s = self._chain.call(AVAILABILITY, "stakeOf", store)
        least_ueur = self._chain.call(AVAILABILITY, "leastStakeUeur")
        if left_at_s or amount_ueur < least_ueur:
            raise InvalidInput(
                "stake", amount_ueur, f"must be {least_ueur} or more, of a store that hasn't left"
            )


class SharedDocuments:
    """One's own documents, and the stores' where one's own lack them; what is put goes to one's own."""

    def __init__(self, own: DocumentStore, stores: Stores) -> None:
        self._own = own
        self._stores = stores

    def put(self, data: bytes) -> Cid:
        """Keep a document among one's own."""
        return self._own.put(data)

    def get(self, cid: Cid) -> bytes:
        """The document from wherever it is first found. Raises DocumentMissing where nobody has it."""
        try:
            return self._own.get(cid)
        except DocumentMissing:
            return self._stores.get(cid)

    def has(self, cid: Cid) -> bool:
        """Whether it is among one's own."""
        return self._own.has(cid)


def receipt_for(document: ListDocument, cid: Cid, terms: SessionTerms, *, joint: bool) -> Receipt:
    """What every store signs for a document of a session: until its last challenge window is over."""
    until_s = terms.settlementDeadline + terms.challengeWindowS
    return Receipt(content_of(document, joint=joint), cid.digest, cid.codec, until_s)
