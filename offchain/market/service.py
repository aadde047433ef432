"""What the market does for its players. It holds no power over them: the contracts decide what counts."""

from dataclasses import dataclass
from enum import StrEnum

from offchain.chain.client import ChainClient
from offchain.chain.market_view import Committed, MarketView
from offchain.protocol.book_rules import check_document, void_offers
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.reference_prices import ReferencePrices
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from offchain.protocol.typed_data import BookState, Commitment, Opening, RelayReceipt
from offchain.store.documents import DocumentStore
from offchain.store.receipts import Stores


@dataclass(frozen=True)
class Relayed:
    """A commitment that the market sent on: the transaction, and the market's signed receipt for it."""

    transaction: str
    receipt: str


class DocumentKind(StrEnum):
    """Documents that players bring to the store outside the book."""

    BASELINE = "baseline"
    REFERENCE_PRICES = "reference-prices"
    GRID_MODEL = "grid-model"
    FORECAST = "forecast"


@dataclass(frozen=True)
class Taken:
    """A document that was revealed: its content id, and why which of its offers are void."""

    cid: Cid
    void: tuple[InvalidInput, ...]


class MarketService:
    """The market's side of the sealed book. `chain` is the relayer's account: it pays the gas."""

    def __init__(
        self, chain: ChainClient, documents: DocumentStore, stores: Stores, signing_key: bytes
    ) -> None:
        self._chain = chain
        self._stores = stores
        self._view = MarketView(chain)
        self._documents = documents
        self._signing_key = signing_key

    def relay(self, commitment: Commitment, signature: bytes) -> Relayed:
        """Send a player's signed commitment to the chain; ChainRefused says why the contract won't have it.

        The receipt is given once the commitment is mined: only a reorganisation of the chain can break it then.
        """
        mined = self._chain.send("CommitmentBook", "commitFor", commitment, signature)
        receipt = RelayReceipt(
            session=commitment.session,
            commitment=commitment.digest(self._chain.domain("CommitmentBook")),
            signature=keccak256(signature),
            nonce=commitment.nonce,
            deadline=commitment.deadline,
        )
        signed = receipt.sign(self._chain.domain("RelayStakes"), self._signing_key)
        return Relayed("0x" + mined.transaction.hex(), "0x" + signed.hex())

    def reveal(self, session: int, sealed_hash: bytes, salt: bytes, raw: bytes) -> Taken:
        """Take a document after the gate, store it, reveal it on chain, and put it into the book on the stores' receipts;
        again for one of the book is no harm. A void offer, as of a PoD that was suspended since, keeps out no other.

        Raises InvalidInput where the gate is open, the document isn't what was committed, or couldn't stand in the book:
        nothing is stored or sent then. TooFewReceipts where the stores don't take it: its player may publish it himself.
        """
        terms = self._view.terms(session)
        if self._chain.call("MarketSessions", "marketTime", session) < terms.gateClosure:
            raise InvalidInput("session", session, "documents are taken after its gate has closed")
        document, cid = ListDocument.from_bytes(raw, joint=True), cid_of(raw)
        made, opening = self._committed(session, sealed_hash, salt, document, cid)
        check_document(document, made.side, made.player, made.cap_ueur, terms)
        self._documents.put(raw)
        state = self._state(opening)
        if state is BookState.COMMITTED:
            self._chain.send("CommitmentBook", "reveal", opening)
            state = BookState.REVEALED
        if state is BookState.REVEALED:
            receipts = self._stores.receipts(raw, cid, terms, joint=True)
            self._chain.send("Availability", "certify", opening, receipts)
        if made.side is not Side.OFFER:
            return Taken(cid, ())
        return Taken(cid, tuple(void_offers(document, made.player, self._view.pods_at_gate(terms), terms)))

    def _state(self, opening: Opening) -> BookState:
        entry = self._chain.call("CommitmentBook", "entry", opening.session, opening.player, opening.hash())
        return BookState(entry[0])

    def _committed(
        self, session: int, sealed_hash: bytes, salt: bytes, document: ListDocument, cid: Cid
    ) -> tuple[Committed, Opening]:
        """The commitment that a document opens: who copied its hash has committed to nothing."""
        named = [entry for entry in self._view.commitments(session) if entry.sealed_hash == sealed_hash]
        if not named:
            rule = f"isn't a commitment of session {session}"
            raise InvalidInput("sealedHash", "0x" + sealed_hash.hex(), rule)
        root, leaves = document.joint_tree.root, document.leaf_count
        for entry in named:
            opening = Opening(session, entry.player, root, salt, leaves, cid.digest, cid.codec)
            if opening.hash() == sealed_hash:
                return entry, opening
        raise InvalidInput("document", str(cid), "isn't what was committed, with this salt")

    def take_document(self, kind: DocumentKind, raw: bytes) -> Cid:
        """Store a document that its author then notarises. InvalidInput if it isn't of its kind."""
        if kind is DocumentKind.BASELINE:
            ListDocument.from_bytes(raw, joint=False)
        elif kind is DocumentKind.REFERENCE_PRICES:
            parse(ReferencePrices, raw)
        return self._documents.put(raw)

    def document(self, cid: Cid) -> bytes:
        """A stored document."""
        return self._documents.get(cid)
