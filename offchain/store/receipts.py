"""Stores that answer for documents: each takes the bytes, computes the roots itself, keeps them and signs a receipt."""

from collections.abc import Sequence
from typing import Protocol

from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.lists import ListDocument
from offchain.protocol.receipts import StoreReceipts, bundle, content_of
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Receipt
from offchain.store.documents import DocumentStore, StoreUnavailable


class TooFewReceipts(FlexledgerError):
    """Fewer stores than the session asks for have taken a document."""


class Store(Protocol):
    """Somebody who keeps documents and answers for them."""

    def keep(self, raw: bytes, *, joint: bool, until_s: int) -> bytes:
        """Keep a document of lists and sign a receipt for it: 65 bytes. `joint`: its lists share one tree."""


class Keeper:
    """A store on this machine: its folder (or IPFS node), and the key of its account."""

    def __init__(self, documents: DocumentStore, private_key: bytes, domain: bytes) -> None:
        self._documents = documents
        self._key = private_key
        self._domain = domain

    def keep(self, raw: bytes, *, joint: bool, until_s: int) -> bytes:
        """See Store. InvalidInput where the bytes aren't a document: nothing is kept or signed then."""
        document = ListDocument.from_bytes(raw, joint=joint)
        cid = self._documents.put(raw)
        return receipt_for(document, cid, joint=joint, until_s=until_s).sign(self._domain, self._key)


class Stores:
    """All stores that somebody asks for receipts, in the order in which they are asked."""

    def __init__(self, stores: Sequence[Store], domain: bytes) -> None:
        self._stores = stores
        self._domain = domain

    def receipts(self, raw: bytes, cid: Cid, terms: SessionTerms, *, joint: bool) -> StoreReceipts:
        """Receipts of as many stores as the session asks for. TooFewReceipts names what the others said."""
        until_s = terms.settlementDeadline + terms.challengeWindowS
        signatures: list[bytes] = []
        refusals: list[str] = []
        for store in self._stores:
            if len(signatures) == terms.receipts:
                break
            try:
                signatures.append(store.keep(raw, joint=joint, until_s=until_s))
            except StoreUnavailable as problem:
                refusals.append(str(problem))
        if len(signatures) < terms.receipts:
            said = "; ".join(refusals) or "no other store is known"
            raise TooFewReceipts(f"{cid}: {len(signatures)} receipts of {terms.receipts}: {said}")
        document = ListDocument.from_bytes(raw, joint=joint)
        receipt = receipt_for(document, cid, joint=joint, until_s=until_s)
        return bundle(receipt, self._domain, signatures)


def receipt_for(document: ListDocument, cid: Cid, *, joint: bool, until_s: int) -> Receipt:
    """What a store signs for a document."""
    return Receipt(content_of(document, joint=joint), cid.digest, cid.codec, until_s)
