"""What the contracts say of sessions, players, PoDs and documents, as typed facts: read by daemons and `verify`."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from offchain.chain.client import ChainClient, Event
from offchain.protocol.cid import Cid
from offchain.protocol.products import Side
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from offchain.protocol.typed_data import NoticeKind, Opening, Outcome, Pair, Settlement, Stage, TechnicalOutcome


@dataclass(frozen=True)
class Committed:
    """A sealed commitment of the book."""

    player: str
    side: Side
    sealed_hash: bytes
    cap_ueur: int


@dataclass(frozen=True)
class Revealed:
    """A commitment that was revealed: what it hid, and how far its player's balance covered its cap (µ€)."""

    made: Committed
    opening: Opening
    coverage_ueur: int


@dataclass(frozen=True)
class RevealedDocument:
    """A document of the book as the chain has it, the root and CID of its document, and its share of the seed."""

    reveal: Reveal
    root: bytes
    cid: Cid
    salt: bytes


@dataclass(frozen=True)
class Notice:
    """A notarised document: who notarised which hash when, and where its bytes are."""

    author: str
    hash: bytes
    cid: Cid
    at_s: int
    transaction: bytes


class MarketView:
    """Typed reading of the market's contracts; one call or event query each, nothing cached."""

    def __init__(self, chain: ChainClient) -> None:
        self._chain = chain

    def session_ids(self) -> list[int]:
        """All sessions, oldest first."""
        return [
            int(event.args["session"]) for event in self._chain.events("MarketSessions", "SessionCreated")
        ]

    def terms(self, session: int) -> SessionTerms:
        """What a session fixed at its creation."""
        values = self._chain.call("MarketSessions", "terms", session)
        names = [field.name for field in fields(SessionTerms)][1:]
        return SessionTerms(session, **dict(zip(names, values, strict=True)))

    def pods(self) -> dict[bytes, PodFacts]:
        """Every PoD of the registry that isn't removed, by pseudonym."""
        return self._pods_until(None)

    def pods_at_gate(self, terms: SessionTerms) -> dict[bytes, PodFacts]:
        """The registry as it was when a session's gate closed: what its book is held to, whenever it is replayed."""
        return self._pods_until(terms.gateClosure)

    def _pods_until(self, before_s: int | None) -> dict[bytes, PodFacts]:
        events = [
            *self._chain.events("PodRegistry", "PodRegistered"),
            *self._chain.events("PodRegistry", "PodRemoved"),
        ]
        out: dict[bytes, PodFacts] = {}
        for event in sorted(events, key=lambda entry: (entry.block, entry.index)):
            if before_s is not None and self._chain.time_of(event.block) >= before_s:
                break
            pod, args = bytes(event.args["pod"]), event.args
            if event.name == "PodRemoved":
                out.pop(pod, None)
                continue
            out[pod] = PodFacts(
                aggregator=str(args["aggregator"]),
                customer=str(args["customer"]),
                node=str(args["node"]),
                mechanism=str(args["mechanism"]),
                max_up_w=int(args["maxUpW"]),
                max_down_w=int(args["maxDownW"]),
                max_up_var=int(args["maxUpVar"]),
                max_down_var=int(args["maxDownVar"]),
            )
        return out

    def commitments(self, session: int) -> list[Committed]:
        """The session's commitments, oldest first, those that were taken back included."""
        return [
            Committed(
                player=str(event.args["player"]),
                side=Side(int(event.args["side"])),
                sealed_hash=bytes(event.args["sealedHash"]),
                cap_ueur=int(event.args["capUeur"]),
            )
            for event in self._chain.events("CommitmentBook", "Committed", session=session)
        ]

    def revealed(self, session: int) -> list[Revealed]:
        """The session's reveals, oldest first, whether their documents stand in the book or not."""
        made = {(entry.player, entry.sealed_hash): entry for entry in self.commitments(session)}
        return [
            Revealed(
                made[str(event.args["player"]), bytes(event.args["sealedHash"])],
                Opening(
                    session=session,
                    player=str(event.args["player"]),
                    root=bytes(event.args["root"]),
                    salt=bytes(event.args["salt"]),
                    leafCount=int(event.args["leafCount"]),
                    cidDigest=bytes(event.args["cidDigest"]),
                    cidCodec=int(event.args["cidCodec"]),
                ),
                int(event.args["coverageUeur"]),
            )
            for event in self._chain.events("CommitmentBook", "Revealed", session=session)
        ]

    def reveals(self, session: int) -> list[RevealedDocument]:
        """The documents of the session's book in order of their numbers."""
        known = {(entry.made.player, entry.made.sealed_hash): entry for entry in self.revealed(session)}
        out = []
        for event in self._chain.events("CommitmentBook", "DocumentAvailable", session=session):
            entry = known[str(event.args["player"]), bytes(event.args["sealedHash"])]
            reveal = Reveal(
                commitment=int(event.args["number"]),
                player=entry.made.player,
                side=entry.made.side,
                leaf_count=entry.opening.leafCount,
                first_position=int(event.args["firstPosition"]),
                cap_ueur=entry.made.cap_ueur,
                coverage_ueur=entry.coverage_ueur,
            )
            out.append(RevealedDocument(reveal, entry.opening.root, entry.opening.cid, entry.opening.salt))
        return out

    def seed(self, session: int) -> bytes:
        """The session's seed: XOR of the reveals' shares."""
        return bytes(self._chain.call("CommitmentBook", "seed", session))

    def market_outcome(self, session: int) -> Outcome | None:
        """The market outcome posted, if any."""
        return _outcome(self._standing("MarketOutcomePosted", Stage.MARKET, session))

    def technical_outcome(self, session: int) -> TechnicalOutcome | None:
        """The DSO's technical outcome posted, if any."""
        event = self._standing("TechnicalOutcomePosted", Stage.TECHNICAL, session)
        return None if event is None else TechnicalOutcome(**_named(event.args["outcome"]))

    def validated_outcome(self, session: int) -> Outcome | None:
        """The validated outcome posted, if any."""
        return _outcome(self._standing("ValidatedOutcomePosted", Stage.VALIDATED, session))

    def settlement(self, session: int) -> tuple[Settlement, list[Pair]] | None:
        """The settlement posted, with what each payer owes each payee, if any."""
        event = self._standing("SettlementPosted", Stage.SETTLEMENT, session)
        if event is None:
            return None
        pairs = [Pair(**_named(pair)) for pair in event.args["pairs"]]
        return Settlement(**_named(event.args["settlement"])), pairs

    def notices(self, kind: NoticeKind, session: int) -> list[Notice]:
        """Documents of a kind notarised for a session, oldest first."""
        return [
            Notice(
                str(event.args["author"]),
                bytes(event.args["hash"]),
                _cid(event.args),
                int(event.args["at"]),
                event.transaction,
            )
            for event in self._chain.events("DataNotary", "Notarised", session=session)
            if int(event.args["kind"]) == kind
        ]

    def anchored_batches(self, until_s: int) -> list[tuple[bytes, Cid]]:
        """Root and document of every batch of readings anchored up to an instant, oldest first."""
        return [
            (bytes(event.args["root"]), _cid(event.args))
            for event in self._chain.events("ReadingAnchor", "BatchAnchored")
            if self._chain.time_of(event.block) <= until_s
        ]

    def _standing(self, name: str, stage: Stage, session: int) -> Event | None:
        """The posting that stands: one that was struck doesn't."""
        standing = bytes(self._chain.call("OutcomeBoard", "outcomeHash", session, int(stage)))
        for event in self._chain.events("OutcomeBoard", name, session=session):
            if bytes(event.args["hash"]) == standing:
                return event
        return None


def _cid(args: Mapping[str, object]) -> Cid:
    digest, codec = args["cidDigest"], args["cidCodec"]
    if not isinstance(digest, bytes) or not isinstance(codec, int):
        raise TypeError("an event without a CID")
    return Cid(codec, digest)


def _named(struct: object) -> dict[str, Any]:
    if not isinstance(struct, Mapping):
        raise TypeError("an event without its struct")
    return dict(struct)


def _outcome(event: Event | None) -> Outcome | None:
    return None if event is None else Outcome(**_named(event.args["outcome"]))
