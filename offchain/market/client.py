"""A player's client of the market: seals a document, commits to it, and reveals it once the gate has closed.

What the chain already has is never sent again, and the salt follows from the player's key, so that a client killed
between any two steps goes on where it was with nothing kept but the document.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.market.api import DOCUMENTS, commitments_path, reveal_path
from offchain.market.promises import Promise, PromiseFolder
from offchain.market.service import DocumentKind
from offchain.protocol.book_rules import check_document, check_offers, most_ueur
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from offchain.protocol.publication import parts_of
from offchain.protocol.signatures import address_of, recover_address
from offchain.protocol.typed_data import BookState, Commitment, Opening
from offchain.store.documents import FolderStore


class MarketRefused(FlexledgerError):
    """The market refused what a player sent; the message is the market's."""


@dataclass(frozen=True)
class SealedDocument:
    """A document that was committed to: all that its reveal needs, beside the player's key."""

    session: int
    sealed_hash: bytes
    salt: bytes
    cid: Cid


class MarketClient:
    """Speaks for one player (DSO, TSO or aggregator), whose key signs and never leaves this process.

    `chain` is the player's own account: it only reads, unless `look_after` has to send. `drawer` keeps the sealed documents
    on the player's own machine until they are revealed, `promises` the relayer's receipts.
    """

    def __init__(
        self,
        url: str,
        token: str,
        private_key: bytes,
        chain: ChainClient,
        drawer: FolderStore,
        promises: PromiseFolder,
    ) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        self._key = private_key
        self._chain = chain
        self._view = MarketView(chain)
        self._drawer = drawer
        self._promises = promises
        self.player = address_of(private_key)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def commit(self, document: ListDocument, side: Side, deadline_s: int) -> SealedDocument:
        """Check, seal and commit to a document; the market relays it. InvalidInput names what is wrong with it.

        MarketRefused where the market doesn't take it, or promises with no stake behind its word; `look_after` then sees
        whether the market kept it.
        """
        terms = self._view.terms(document.session)
        cap_ueur = most_ueur(document, side, terms)
        check_document(document, side, self.player, cap_ueur, terms)
        if side is Side.OFFER:
            check_offers(document, self.player, self._view.pods(), terms)
        root = document.joint_tree.root
        salt = self._salt(document.session, root)
        cid = self._drawer.put(document.to_bytes())
        sealed = self._opening(document, salt, cid).hash()
        if not self._is_committed(document.session, sealed):
            commitment = Commitment(
                session=document.session,
                player=self.player,
                side=int(side),
                sealedHash=sealed,
                capUeur=cap_ueur,
                replaces=bytes(32),
                nonce=int(self._chain.call("CommitmentBook", "nonces", self.player)),
                deadline=deadline_s,
            )
            signature = commitment.sign(self._chain.domain("CommitmentBook"), self._key)
            body = {
                "player": self.player,
                "side": int(side),
                "sealedHash": "0x" + sealed.hex(),
                "capUeur": cap_ueur,
                "replaces": "0x" + commitment.replaces.hex(),
                "nonce": commitment.nonce,
                "deadline": deadline_s,
                "signature": "0x" + signature.hex(),
            }
            answer = self._post(commitments_path(document.session), json=body)
            promise = Promise(commitment, signature, _signature_in(answer))
            self._require_backed(promise)
            self._promises.keep(promise)
        return SealedDocument(document.session, sealed, salt, cid)

    def has_committed(self, session: int, side: Side) -> bool:
        """Whether a commitment of this player on a side stands in a session."""
        made = self._view.commitments(session)
        return any(entry.player == self.player and entry.side is side and entry.standing for entry in made)

    def reveal(self, sealed: SealedDocument) -> Cid:
        """Send the document to the market, which stores and reveals it."""
        answer = self._post(
            reveal_path(sealed.session, sealed.sealed_hash),
            content=self._drawer.get(sealed.cid),
            headers={"X-Salt": "0x" + sealed.salt.hex(), "Content-Type": "application/octet-stream"},
        )
        return Cid.parse(str(answer["cid"]))

    def look_after(self, sealed: SealedDocument) -> BookState:
        """See that a document gets into the book though relayer, market or stores refuse it; gives where it stands.

        Call it from time to time. Half-way through the time for commitments the player commits by itself to what its relayer
        promised and dropped; of one that was dropped until the gate closed it takes the relayer's penalty.
        Half-way through the time for reveals the player reveals by itself, half-way through the
        time for documents it publishes what isn't in the book yet in calldata, part by part: at its own gas, and for all
        to read. Until then nothing is done.
        """
        document = ListDocument.from_bytes(self._drawer.get(sealed.cid), joint=True)
        opening = self._opening(document, sealed.salt, sealed.cid)
        terms, time_s = self._view.terms(sealed.session), self._view.market_time_s(sealed.session)
        state = self._state(opening)
        promise = self._promises.of(sealed.sealed_hash)
        if state is BookState.NONE and promise is not None:
            if time_s >= terms.gateClosure:
                self._claim(promise)
            elif time_s >= _half_way(terms.gateOpening, terms.gateClosure):
                self._chain.send("CommitmentBook", "commit", promise.commitment)
            return self._state(opening)
        if state is BookState.COMMITTED and _half_way(terms.gateClosure, terms.revealDeadline) <= time_s:
            if time_s >= terms.revealDeadline:
                return state
            self._chain.send("CommitmentBook", "reveal", opening)
            state = self._state(opening)
        half_way_s = _half_way(terms.revealDeadline, terms.documentsDeadline)
        if state is BookState.REVEALED and half_way_s <= time_s < terms.documentsDeadline:
            done = self._view.published_parts(opening)
            for part in parts_of(document):
                if part.number not in done:
                    arguments = (opening, part.number, part.leaves, part.proof)
                    self._chain.send("Availability", "publish", *arguments)
            state = self._state(opening)
        return state

    def _require_backed(self, promise: Promise) -> None:
        """Raises MarketRefused for a promise of somebody who has nothing to lose by it."""
        receipt = promise.receipt(self._chain.domain("CommitmentBook"))
        digest = receipt.digest(self._chain.domain("RelayStakes"))
        relayer = recover_address(digest, promise.relayers_signature)
        stake_ueur, left_at_s = self._chain.call("RelayStakes", "stakeOf", relayer)
        penalty_ueur = int(self._chain.call("RelayStakes", "penaltyUeur"))
        if left_at_s or stake_ueur < penalty_ueur:
            raise MarketRefused(
                f"receipt of {relayer}: a stake of {stake_ueur} µ€, left at {left_at_s}: must be {penalty_ueur} or more, and not left"
            )

    def _claim(self, promise: Promise) -> None:
        """Take the penalty for a promise that wasn't kept, unless it was taken before or the commitment was brought."""
        receipt = promise.receipt(self._chain.domain("CommitmentBook"))
        if self._chain.call("RelayStakes", "wasBrought", receipt.commitment, receipt.signature):
            return
        taken = self._chain.events(
            "RelayStakes", "ReceiptSlashed", session=receipt.session, player=self.player
        )
        if receipt.commitment in {bytes(event.args["commitment"]) for event in taken}:
            return
        if self._chain.call("CommitmentBook", "nonces", self.player) == receipt.nonce:
            self._chain.send("RelayStakes", "slash", receipt, promise.relayers_signature, promise.commitment)

    def _opening(self, document: ListDocument, salt: bytes, cid: Cid) -> Opening:
        root, leaves = document.joint_tree.root, document.leaf_count
        return Opening(document.session, self.player, root, salt, leaves, cid.digest, cid.codec)

    def _state(self, opening: Opening) -> BookState:
        entry = self._chain.call("CommitmentBook", "entry", opening.session, opening.player, opening.hash())
        return BookState(entry[0])

    def pending(self, session: int) -> list[SealedDocument]:
        """What this player has committed to in a session and not taken back, found again in the drawer."""
        standing = {
            entry.sealed_hash
            for entry in self._view.commitments(session)
            if entry.player == self.player and entry.standing
        }
        return [sealed for sealed in self._drawn(session) if sealed.sealed_hash in standing]

    def promised(self, session: int, side: Side) -> list[SealedDocument]:
        """What the relayer has promised to commit to in a session, on a side, and may still, or has but not deep enough to be
        acted on: found again in the drawer."""
        nonce = int(self._chain.call("CommitmentBook", "nonces", self.player))
        made = [promise.commitment for promise in self._promises.all()]
        hashes = {each.sealedHash for each in made if (each.session, each.side) == (session, side)}
        unused = {each.sealedHash for each in made if each.nonce >= nonce}

        def may_come(sealed: SealedDocument) -> bool:
            entry = self._chain.call("CommitmentBook", "entry", session, self.player, sealed.sealed_hash)
            state = BookState(entry[0])
            return state is BookState.COMMITTED or (state is BookState.NONE and sealed.sealed_hash in unused)

        return [
            sealed for sealed in self._drawn(session) if sealed.sealed_hash in hashes and may_come(sealed)
        ]

    def _drawn(self, session: int) -> Iterator[SealedDocument]:
        """The drawer's documents, as they are sealed in a session."""
        for cid in self._drawer.cids():
            document = ListDocument.from_bytes(self._drawer.get(cid), joint=True)
            salt = self._salt(session, document.joint_tree.root)
            opening = Opening(
                session,
                self.player,
                document.joint_tree.root,
                salt,
                document.leaf_count,
                cid.digest,
                cid.codec,
            )
            yield SealedDocument(session, opening.hash(), salt, cid)

    def _salt(self, session: int, root: bytes) -> bytes:
        return keccak256(self._key + session.to_bytes(32, "big") + root)

    def bring(self, kind: DocumentKind, raw: bytes) -> Cid:
        """Bring a document outside the book to the market's store."""
        answer = self._post(DOCUMENTS, content=raw, params={"kind": kind.value})
        return Cid.parse(str(answer["cid"]))

    def _is_committed(self, session: int, sealed: bytes) -> bool:
        return any(
            entry.player == self.player and entry.sealed_hash == sealed
            for entry in self._view.commitments(session)
        )

    def _post(self, path: str, **arguments: Any) -> dict[str, Any]:
        answer = self._http.post(path, **arguments)
        if answer.is_error:
            raise MarketRefused(f"{path}: {answer.status_code}: {answer.text}")
        body = answer.json()
        if not isinstance(body, dict):
            raise MarketRefused(f"{path}: an answer that isn't an object")
        return body


def _signature_in(answer: dict[str, Any]) -> bytes:
    try:
        return bytes.fromhex(str(answer["receipt"]).removeprefix("0x"))
    except (KeyError, ValueError) as error:
        raise MarketRefused(f"receipt: no hexadecimal signature in {answer}") from error


def _half_way(from_s: int, to_s: int) -> int:
    return (from_s + to_s) // 2
