"""What the market does for its players. It holds no power over them: the contracts decide what counts."""

from dataclasses import dataclass
from enum import StrEnum

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.book_rules import check_document, check_offers
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.errors import InvalidInput
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from offchain.protocol.typed_data import Commitment, RelayReceipt, sealed_hash
from offchain.store.documents import DocumentStore


@dataclass(frozen=True)
class Relayed:
    """A commitment that the market sent on: its id in the session, and the market's signed receipt for it."""

    commitment: int
    transaction: str
    receipt: str


class DocumentKind(StrEnum):
    """Documents that players bring to the store outside the book."""

    BASELINE = "baseline"
    GRID_MODEL = "grid-model"
    FORECAST = "forecast"


class MarketService:
    """The market's side of the sealed book. `chain` is the relayer's account: it pays the gas."""

    def __init__(self, chain: ChainClient, documents: DocumentStore, signing_key: bytes) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._signing_key = signing_key

    def relay(self, commitment: Commitment, signature: bytes) -> Relayed:
        """Send a player's signed commitment to the chain; ChainRefused says why the contract won't have it."""
        mined = self._chain.send("CommitmentBook", "commitFor", commitment, signature)
        number = next(
            entry.commitment
            for entry in self._view.commitments(commitment.session)
            if entry.player == commitment.player and entry.sealed_hash == commitment.sealedHash
        )
        receipt = RelayReceipt(
            session=commitment.session,
            commitment=commitment.digest(self._book_domain()),
            nonce=commitment.nonce,
            deadline=commitment.deadline,
        )
        signed = receipt.sign(self._book_domain(), self._signing_key)
        return Relayed(number, "0x" + mined.transaction.hex(), "0x" + signed.hex())

    def reveal(self, session: int, commitment: int, salt: bytes, raw: bytes) -> Cid:
        """Take a revealed document, store it and reveal it on chain; again for one revealed before is no harm.

        Raises InvalidInput where the document isn't what was committed, or couldn't stand in the book: nothing is
        stored or sent then.
        """
        made = next((c for c in self._view.commitments(session) if c.commitment == commitment), None)
        if made is None:
            raise InvalidInput("commitment", commitment, f"isn't in the book of session {session}")
        document = ListDocument.from_bytes(raw, joint=True)
        root, cid = document.joint_tree.root, cid_of(raw)
        if sealed_hash(session, made.player, root, salt, document.leaf_count, cid) != made.sealed_hash:
            raise InvalidInput("document", str(cid), "isn't what was committed, with this salt")
        terms = self._view.terms(session)
        check_document(document, made.side, made.player, made.cap_ueur, terms)
        if made.side is Side.OFFER:
            check_offers(document, made.player, self._view.pods_at_gate(terms))
        self._documents.put(raw)
        if not any(entry.reveal.commitment == commitment for entry in self._view.reveals(session)):
            arguments = (session, commitment, root, salt, document.leaf_count, cid.digest, cid.codec)
            self._chain.send("CommitmentBook", "reveal", *arguments)
        return cid

    def take_document(self, kind: DocumentKind, raw: bytes) -> Cid:
        """Store a document that its author then notarises. InvalidInput if it isn't of its kind."""
        if kind is DocumentKind.BASELINE:
            ListDocument.from_bytes(raw, joint=False)
        return self._documents.put(raw)

    def document(self, cid: Cid) -> bytes:
        """A stored document."""
        return self._documents.get(cid)

    def _book_domain(self) -> bytes:
        return self._chain.domain("CommitmentBook")
