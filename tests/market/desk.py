"""Players at the market's API: what their clients send, and what nobody's client would."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import httpx

from offchain.market.api import commitments_path, create_app, reveal_path
from offchain.market.client import MarketClient
from offchain.market.promises import PromiseFolder
from offchain.market.service import MarketService
from offchain.market.validation import TechnicalValidation
from offchain.protocol import canonical_json
from offchain.protocol.book_documents import (
    Area,
    OfferEntry,
    Relief,
    baseline_document,
    offers_document,
    request_document,
)
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.receipts import StoreReceipts, bundle, content_of
from offchain.protocol.typed_data import Commitment, Opening, Receipt
from offchain.rest.server import serve
from offchain.rest.settings import Role
from offchain.store.documents import FolderStore
from offchain.store.outcomes import AnchoredOutcomes
from scripts.demo.cast import Person
from tests.chain.small_market import ADMIN, CAST, FIRST, TERMS, SmallMarket, made_once, pod, small_market
from tests.rest.callers import client_of, settings_of

ROLES = {
    "AggOne": Role.AGGREGATOR,
    "AggTwo": Role.AGGREGATOR,
    "dso": Role.DSO,
    "tso": Role.TSO,
    "customer_database": Role.CUSTOMER_DATABASE,
}
SALT = keccak256(b"salt of a document")
Content = dict[str, Any]


def leaf_salt(_: bytes, position: int) -> bytes:
    """Salt of a leaf, by its position."""
    return keccak256(b"leaf %d" % position)


def offers(player: Person, entries: list[OfferEntry]) -> ListDocument:
    """A player's offers."""
    return offers_document(TERMS.session, player.address, entries, leaf_salt)


def good_offers(player: Person = FIRST) -> ListDocument:
    """Two offers at each of the player's two PoDs."""
    first = CAST.aggregators.index(player)
    return offers(
        player,
        [
            OfferEntry(pod(number), slot, Product.ACTIVE_UP, 10_000, 40_000)
            for number in (first, first + 2)
            for slot in (0, 1)
        ],
    )


def request(
    relief_w: int = 15_000, slots: int = 1, fees: Mapping[int, int] = MappingProxyType({})
) -> ListDocument:
    """The DSO's request in slot 0, or in the first ones, from all four PoDs; `fees`: grid fees of some."""
    area = Area(
        element=keccak256(b"line 1"),
        product=Product.ACTIVE_UP,
        grid_model=bytes(32),
        reliefs=[Relief(slot, relief_w, 90_000) for slot in range(slots)],
        effectiveness=[(pod(number), 1000) for number in range(4)],
        grid_fees_ueur_per_kw={pod(number): fee for number, fee in fees.items()},
    )
    return request_document(TERMS.session, CAST.dso.address, [area], leaf_salt)


def baseline() -> ListDocument:
    """A baseline of no PoD."""
    return baseline_document(TERMS.session, FIRST.address, [], leaf_salt)


@dataclass(frozen=True)
class Sealed:
    """Bytes that were committed to, as what they claim to be."""

    sealed_hash: bytes
    raw: bytes


class Desk:
    """HTTP clients of all players, and their ways to commit and reveal."""

    def __init__(self, market: SmallMarket, url: str, tokens: dict[str, str], folder: Path) -> None:
        self.market = market
        self.url = url
        self._tokens = tokens
        self._folder = folder
        self.http = {name: client_of(url, token) for name, token in tokens.items()}
        self.http["nobody"] = client_of(url, None)
        self._clients: list[MarketClient] = []

    def __enter__(self) -> "Desk":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in (*self.http.values(), *self._clients):
            client.close()

    def client(self, player: Person) -> MarketClient:
        """A player's own client."""
        drawer = FolderStore(self._folder / "drawer" / player.name)
        chain = self.market.speaking_as(player)
        promises = PromiseFolder(self._folder / "promises" / player.name)
        client = MarketClient(self.url, self._tokens[player.name], player.key, chain, drawer, promises)
        self._clients.append(client)
        return client

    def commitment(
        self, document: ListDocument, raw: bytes | None = None, player: Person = FIRST, **changed: Any
    ) -> Commitment:
        """A commitment to a document; `raw`: the bytes that are to be revealed, if they are others."""
        cid = cid_of(document.to_bytes() if raw is None else raw)
        root, leaves = document.joint_tree.root, document.leaf_count
        opening = Opening(TERMS.session, player.address, root, SALT, leaves, cid.digest, cid.codec)
        fields: Content = {
            "session": TERMS.session,
            "player": player.address,
            "side": int(Side.DSO_REQUEST if player == CAST.dso else Side.OFFER),
            "sealedHash": opening.hash(),
            "capUeur": 10_000_000,
            "replaces": bytes(32),
            "nonce": int(self.market.operator.call("CommitmentBook", "nonces", player.address)),
            "deadline": TERMS.gateClosure,
        }
        return Commitment(**{**fields, **changed})

    def body(self, made: Commitment, key: bytes | None = None, **changed: object) -> Content:
        """A commitment as it is posted, signed by its player or with another key."""
        names = {person.address: person.key for person in (*CAST.aggregators, CAST.dso, CAST.tso)}
        domain = self.market.operator.domain("CommitmentBook")
        body: Content = {
            "player": made.player,
            "side": made.side,
            "sealedHash": "0x" + made.sealedHash.hex(),
            "capUeur": made.capUeur,
            "replaces": "0x" + made.replaces.hex(),
            "nonce": made.nonce,
            "deadline": made.deadline,
            "signature": "0x" + made.sign(domain, key or names[made.player]).hex(),
        }
        return {**body, **changed}

    def post(self, body: Content, who: str = "AggOne", session: object = TERMS.session) -> httpx.Response:
        """Post a commitment; NaN goes as JSON's writers send it."""
        path = commitments_path(TERMS.session).replace(f"/{TERMS.session}/", f"/{session}/")
        return self.http[who].post(
            path, content=json.dumps(body), headers={"Content-Type": "application/json"}
        )

    def commit(
        self, document: ListDocument, raw: bytes | None = None, player: Person = FIRST, **changed: Any
    ) -> Sealed:
        """Commit to a document that nobody checks before its reveal."""
        made = self.commitment(document, raw, player, **changed)
        answer = self.post(self.body(made), player.name)
        assert answer.status_code == 200, answer.text
        return Sealed(made.sealedHash, document.to_bytes() if raw is None else raw)

    def reveal(
        self,
        sealed: Sealed,
        who: str = "AggOne",
        raw: bytes | None = None,
        salt: bytes = SALT,
        session: int = TERMS.session,
    ) -> httpx.Response:
        """Reveal what was committed to, or other bytes or another salt."""
        return self.http[who].post(
            reveal_path(session, sealed.sealed_hash),
            content=sealed.raw if raw is None else raw,
            headers={"X-Salt": "0x" + salt.hex(), "Content-Type": "application/json"},
        )


def receipts_for(market: SmallMarket, document: ListDocument, cid: Cid) -> StoreReceipts:
    """Receipts that stores signed without a look at the document: that its bytes can be had is all that they say."""
    until_s, domain = (
        TERMS.settlementDeadline + TERMS.challengeWindowS,
        market.operator.domain("Availability"),
    )
    receipt = Receipt(content_of(document, joint=False), cid.digest, cid.codec, until_s)
    signed = [receipt.sign(domain, person.key) for person in CAST.stores[: TERMS.receipts]]
    return bundle(receipt, domain, signed)


def tampered(document: ListDocument, change: Callable[[Content], None]) -> bytes:
    """A document's bytes after a change of its JSON: canonical where the change leaves it so."""
    content = json.loads(document.to_bytes())
    change(content)
    return canonical_json.dumps(content)


@contextmanager
def open_desk(
    original: Path, folder: Path, before_opening: Callable[[SmallMarket], None] = lambda market: None
) -> Iterator[Desk]:
    """The API of a copy of a small market, its gate open or what was played after that, and its players."""
    with small_market(original, folder) as market:
        before_opening(market)
        market.chain.advance_to(TERMS.gateOpening)
        with desk_of(market, folder) as desk:
            yield desk


@contextmanager
def desk_of(market: SmallMarket, folder: Path) -> Iterator[Desk]:
    """The API of a market as it stands, and its players."""
    settings, tokens = settings_of(ROLES)
    service = MarketService(market.operator, market.documents, market.stores, ADMIN.key)
    outcomes = AnchoredOutcomes(market.view, market.documents)
    validation = TechnicalValidation(outcomes, folder / "asked.sqlite", market.operator.now_s)
    with serve(create_app(service, validation, settings)) as url, Desk(market, url, tokens, folder) as desk:
        yield desk


def played(
    original: Path,
    name: str,
    play: Callable[[Desk], object],
    before_opening: Callable[[SmallMarket], None] = lambda market: None,
) -> Path:
    """A stopped small market in which something was played, made once a test run beside the original."""

    def make(folder: Path) -> None:
        with open_desk(original, folder, before_opening) as desk:
            play(desk)

    return made_once(original.with_name(f"{original.name}-{name}"), make)
