"""What the contracts say of sessions, players, PoDs and documents, as typed facts: read by daemons and `verify`."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from offchain.chain.client import ChainClient, Event
from offchain.protocol.cid import Cid
from offchain.protocol.market_time import day_start_s, local_date
from offchain.protocol.products import Side
from offchain.protocol.roles import Role
from offchain.protocol.rounds import MOST_ROUNDS
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from offchain.protocol.typed_data import NoticeKind, Opening, Outcome, Pair, Settlement, TechnicalOutcome

POD_EVENTS = (
    "PodRegistered",
    "PodRemoved",
    "GridPrequalified",
    "ProductsPrequalified",
    "PodSuspended",
    "PodReinstated",
)


@dataclass(frozen=True)
class Committed:
    """A sealed commitment of the book. `standing`: neither retracted nor replaced."""

    player: str
    side: Side
    sealed_hash: bytes
    cap_ueur: int
    nonce: int
    standing: bool


@dataclass(frozen=True)
class RevealedDocument:
    """A reveal as the chain has it. It stands in the book once it is available."""

    opening: Opening
    side: Side
    sealed_hash: bytes
    cap_ueur: int
    coverage_ueur: int


@dataclass(frozen=True)
class BookDocument:
    """A document of the book: its number and positions there, and what was revealed of it."""

    reveal: Reveal
    opening: Opening

    @property
    def root(self) -> bytes:
        """Root of its tree."""
        return self.opening.root

    @property
    def cid(self) -> Cid:
        """Where its bytes are."""
        return self.opening.cid


class Stage(IntEnum):
    """What oracles post of a session (IOutcomeBoard)."""

    MARKET = 0
    TECHNICAL = 1
    MARKET_2 = 2
    TECHNICAL_2 = 3
    MARKET_3 = 4
    TECHNICAL_3 = 5
    VALIDATED = 6
    SETTLEMENT = 7

    @classmethod
    def market_of(cls, round_: int) -> "Stage":
        """A round's market outcome, the first round being 1."""
        return cls(2 * round_ - 2)

    @classmethod
    def technical_of(cls, round_: int) -> "Stage":
        """A round's technical outcome."""
        return cls(2 * round_ - 1)

    @property
    def is_market(self) -> bool:
        """Whether it is a round's market outcome."""
        return self < Stage.VALIDATED and self % 2 == 0

    @property
    def is_technical(self) -> bool:
        """Whether it is a round's technical outcome."""
        return self < Stage.VALIDATED and self % 2 == 1

    @property
    def round(self) -> int:
        """Of a market or technical outcome."""
        return self // 2 + 1

    @property
    def title(self) -> str:
        """In words."""
        kind = self.name.split("_")[0].lower() + (" outcome" if self < Stage.SETTLEMENT else "")
        return f"{kind} of round {self.round}" if Stage.TECHNICAL < self < Stage.VALIDATED else kind


@dataclass(frozen=True)
class Round:
    """A round of clearing that stands, and its assessment, if there is one yet."""

    number: int
    market: Outcome
    technical: TechnicalOutcome | None


@dataclass(frozen=True)
class Posting:
    """What the board keeps of a result: `hash` is zero if none stands, `poster` then whose was struck, if any."""

    hash: bytes
    poster: str
    posted_at_s: int
    bond_ueur: int


@dataclass(frozen=True)
class Batch:
    """An anchored batch of readings: its root, when that was anchored first, and where its document may be."""

    root: bytes
    at_s: int
    cids: tuple[Cid, ...]


@dataclass(frozen=True)
class NodeService:
    """When a Light Node's key served a PoD: from the first second on, before the last (0: still; from 0: never)."""

    from_s: int
    until_s: int

    def covers(self, instant_s: int) -> bool:
        """Whether the key served at an instant."""
        return 0 < self.from_s <= instant_s and (self.until_s == 0 or instant_s < self.until_s)


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

    def session_at(self, kind: int, start_s: int) -> SessionTerms | None:
        """The session of a market type whose delivery starts then."""
        session = int(self._chain.call("MarketSessions", "sessionAt", kind, start_s))
        return self.terms(session) if session else None

    def day_ahead_at(self, instant_s: int) -> SessionTerms | None:
        """The day-ahead session of an instant's local day."""
        return self.session_at(0, day_start_s(local_date(instant_s)))

    def day_ahead_of(self, terms: SessionTerms) -> SessionTerms | None:
        """The day-ahead session on whose result a real-time session rests: that of the local day, unless its result may still
        change when the real-time session's book is complete. So none rests on itself."""
        ahead = self.day_ahead_at(terms.deliveryStart)
        return ahead if ahead is not None and terms.rests_on(ahead) else None

    def market_time_s(self, session: int) -> int:
        """The clock that the session's deadlines go by: the chain's, less pauses since its creation."""
        return int(self._chain.call("MarketSessions", "marketTime", session))

    def is_before(self, terms: SessionTerms, instant_s: int, deadline_s: int) -> bool:
        """Whether an instant that has come was before one of a session's deadlines, by the clock that those go by. That is never
        ahead of real time: only what looks late is looked up, as the contracts do."""
        if instant_s < deadline_s:
            return True
        then_s = int(self._chain.call("MarketSessions", "marketTimeAt", terms.session, instant_s))
        return then_s < deadline_s

    def pods(self) -> dict[bytes, PodFacts]:
        """Every PoD of the registry that isn't removed, by pseudonym."""
        return _pods_of(self._pod_events())

    def pods_at_gate(self, terms: SessionTerms) -> dict[bytes, PodFacts]:
        """The registry as it was when a session's gate closed: what its book is held to, whenever it is replayed."""

        def is_late(event: Event) -> bool:
            return not self.is_before(terms, self._chain.time_of(event.block), terms.gateClosure)

        events = self._pod_events()
        return _pods_of(events[: bisect_left(events, True, key=is_late)])

    def replaced_pods(self) -> dict[bytes, bytes]:
        """PoDs that others have replaced, each by the one that stands for the same connection now."""
        out: dict[bytes, bytes] = {}
        events = self._chain.events("PodRegistry", "PodReplaced")
        for event in sorted(events, key=lambda event: (event.block, event.index), reverse=True):
            pod = bytes(event.args["pod"])
            out[bytes(event.args["replaced"])] = out.get(pod, pod)
        return out

    def _pod_events(self) -> list[Event]:
        """What has happened to PoDs, in order."""
        events = [event for name in POD_EVENTS for event in self._chain.events("PodRegistry", name)]
        return sorted(events, key=lambda event: (event.block, event.index))

    def node_service(self, pod: bytes, node: str) -> NodeService:
        """When a Light Node's key served a PoD."""
        return NodeService(*map(int, self._chain.call("PodRegistry", "nodeService", pod, node)))

    def commitments(self, session: int) -> list[Committed]:
        """The session's commitments in the order in which they were made."""
        retracted = {
            (str(event.args["player"]), bytes(event.args["sealedHash"]))
            for event in self._chain.events("CommitmentBook", "Retracted", session=session)
        }
        return [
            Committed(
                player=str(event.args["player"]),
                side=Side(int(event.args["side"])),
                sealed_hash=bytes(event.args["sealedHash"]),
                cap_ueur=int(event.args["capUeur"]),
                nonce=int(event.args["nonce"]),
                standing=(str(event.args["player"]), bytes(event.args["sealedHash"])) not in retracted,
            )
            for event in self._chain.events("CommitmentBook", "Committed", session=session)
        ]

    def reveals(self, session: int) -> list[RevealedDocument]:
        """The session's reveals in the order in which they were made."""
        committed = {(entry.player, entry.sealed_hash): entry for entry in self.commitments(session)}
        out = []
        for event in self._chain.events("CommitmentBook", "Revealed", session=session):
            args = event.args
            made = committed[str(args["player"]), bytes(args["sealedHash"])]
            opening = Opening(
                session=session,
                player=made.player,
                root=bytes(args["root"]),
                salt=bytes(args["salt"]),
                leafCount=int(args["leafCount"]),
                cidDigest=bytes(args["cidDigest"]),
                cidCodec=int(args["cidCodec"]),
            )
            coverage_ueur = int(args["coverageUeur"])
            out.append(RevealedDocument(opening, made.side, made.sealed_hash, made.cap_ueur, coverage_ueur))
        return out

    def book(self, session: int) -> list[BookDocument]:
        """The session's available documents in order of their numbers."""
        revealed = {(entry.opening.player, entry.sealed_hash): entry for entry in self.reveals(session)}
        out = []
        for event in self._chain.events("CommitmentBook", "DocumentAvailable", session=session):
            entry = revealed[str(event.args["player"]), bytes(event.args["sealedHash"])]
            reveal = Reveal(
                commitment=int(event.args["number"]),
                player=entry.opening.player,
                side=entry.side,
                leaf_count=entry.opening.leafCount,
                first_position=int(event.args["firstPosition"]),
                cap_ueur=entry.cap_ueur,
                coverage_ueur=entry.coverage_ueur,
            )
            out.append(BookDocument(reveal, entry.opening))
        return sorted(out, key=lambda document: document.reveal.commitment)

    def published_parts(self, opening: Opening) -> dict[int, bytes]:
        """Leaves of a document of which its player published parts in calldata, by number of the part."""
        out = {}
        for event in self._chain.events("Availability", "PartPublished", session=opening.session):
            if (bytes(event.args["root"]), event.args["player"]) == (opening.root, opening.player):
                sent = self._chain.arguments_of(event.transaction, "Availability", "publish")
                if sent is not None:
                    out[int(event.args["part"])] = bytes(sent["leaves"])
        return out

    def seed(self, session: int) -> bytes:
        """The session's seed: XOR of the reveals' shares."""
        return bytes(self._chain.call("CommitmentBook", "seed", session))

    def posting(self, session: int, stage: Stage) -> Posting:
        """What the board keeps of a result."""
        found = self._chain.call("OutcomeBoard", "posting", session, stage)
        return Posting(bytes(found[0]), str(found[1]), int(found[2]), int(found[3]))

    def rounds(self, session: int) -> list[Round]:
        """The rounds of clearing that stand, in order: each but the last is assessed."""
        out: list[Round] = []
        for number in range(1, MOST_ROUNDS + 1):
            market = self.market_outcome(session, number)
            if market is None:
                break
            out.append(Round(number, market, self.technical_outcome(session, number)))
        return out

    def market_outcome(self, session: int, round_: int = 1) -> Outcome | None:
        """The market outcome of a round that stands, if any."""
        event = self._standing("MarketOutcomePosted", session, Stage.market_of(round_))
        return None if event is None else Outcome(**_named(event.args["outcome"]))

    def technical_outcome(self, session: int, round_: int = 1) -> TechnicalOutcome | None:
        """The DSO's technical outcome of a round that stands, if any."""
        event = self._standing("TechnicalOutcomePosted", session, Stage.technical_of(round_))
        return None if event is None else TechnicalOutcome(**_named(event.args["outcome"]))

    def validated_outcome(self, session: int) -> Outcome | None:
        """The validated outcome that stands, if any."""
        event = self._standing("ValidatedOutcomePosted", session, Stage.VALIDATED)
        return None if event is None else Outcome(**_named(event.args["outcome"]))

    def settlement(self, session: int) -> tuple[Settlement, list[Pair]] | None:
        """The settlement that stands, with what each payer owes each payee, if any."""
        event = self._standing("SettlementPosted", session, Stage.SETTLEMENT)
        if event is None:
            return None
        pairs = [Pair(**_named(pair)) for pair in event.args["pairs"]]
        return Settlement(**_named(event.args["settlement"])), pairs

    def settlement_finalised_s(self, session: int) -> int | None:
        """When a session's settlement became final and its money moved; None if it hasn't."""
        events = self._chain.events("SettlementLedger", "SettlementFinalised", session=session)
        return self._chain.time_of(events[0].block) if events else None

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

    def had_role(self, account: str, role: Role, at_s: int) -> bool:
        """Whether an account had a role at an instant, suspended or not."""
        roles = 0
        for event in self._chain.events("ParticipantRegistry", "ParticipantRegistered", account=account):
            if self._chain.time_of(event.block) <= at_s:
                roles = int(event.args["roles"])
        return bool(roles & role.mask)

    def anchored_batches(self, until_s: int) -> list[Batch]:
        """Every batch of readings whose root was anchored up to an instant, oldest first. Who anchors a root again, at any
        time, adds where its document may be."""
        times: dict[bytes, int] = {}
        cids: dict[bytes, list[Cid]] = {}
        for event in self._chain.events("ReadingAnchor", "BatchAnchored"):
            root = bytes(event.args["root"])
            times.setdefault(root, self._chain.time_of(event.block))
            cids.setdefault(root, []).append(_cid(event.args))
        return [
            Batch(root, at_s, tuple(dict.fromkeys(cids[root])))
            for root, at_s in times.items()
            if at_s <= until_s
        ]

    def batch(self, root: bytes) -> Batch | None:
        """The batch of readings with a root; None where nobody anchored it."""
        events = self._chain.events("ReadingAnchor", "BatchAnchored", root=root)
        if not events:
            return None
        cids = tuple(dict.fromkeys(_cid(event.args) for event in events))
        return Batch(root, self._chain.time_of(events[0].block), cids)

    def _standing(self, event: str, session: int, stage: Stage) -> Event | None:
        standing = self.posting(session, stage).hash
        if not any(standing):
            return None
        found = self._chain.events("OutcomeBoard", event, session=session, hash=standing)
        return found[-1] if found else None


def _pods_of(events: Iterable[Event]) -> dict[bytes, PodFacts]:
    """The PoDs that aren't removed, as their events tell them."""
    records: dict[bytes, _PodRecord] = {}
    for event in events:
        pod = bytes(event.args["pod"])
        if event.name == "PodRegistered":
            records[pod] = _PodRecord(event.args)
        elif event.name == "PodRemoved":
            records.pop(pod, None)
        elif pod in records:
            records[pod].change(event)
    return {pod: record.facts() for pod, record in records.items()}


class _PodRecord:
    """A PoD's record as its events tell it."""

    def __init__(self, args: Mapping[str, Any]) -> None:
        self._args = args
        self._grid = self._market = self._suspended_by = 0

    def change(self, event: Event) -> None:
        """What an event after its registration says."""
        match event.name:
            case "GridPrequalified":
                self._grid = int(event.args["products"])
            case "ProductsPrequalified":
                self._market = int(event.args["products"])
            case "PodSuspended" | "PodReinstated":
                self._suspended_by = int(event.args["suspendedBy"])

    def facts(self) -> PodFacts:
        """The record as it stands."""
        args = self._args
        return PodFacts(
            aggregator=str(args["aggregator"]),
            customer=str(args["customer"]),
            node=str(args["node"]),
            mechanism=str(args["mechanism"]),
            max_up_w=int(args["maxUpW"]),
            max_down_w=int(args["maxDownW"]),
            max_up_var=int(args["maxUpVar"]),
            max_down_var=int(args["maxDownVar"]),
            products=0 if self._suspended_by else self._grid & self._market,
        )


def _cid(args: Mapping[str, object]) -> Cid:
    digest, codec = args["cidDigest"], args["cidCodec"]
    if not isinstance(digest, bytes) or not isinstance(codec, int):
        raise TypeError("an event without a CID")
    return Cid(codec, digest)


def _named(struct: object) -> dict[str, Any]:
    if not isinstance(struct, Mapping):
        raise TypeError("an event without its struct")
    return dict(struct)
