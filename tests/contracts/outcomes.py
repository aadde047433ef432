"""A small book and outcomes of it, honest or with one lie, as documents whose roots are posted."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from offchain.protocol.book_documents import Area, OfferEntry, Relief, offers_document, request_document
from offchain.protocol.cid import cid_of
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import (
    EFFECTIVENESS,
    OFFER,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REQUEST,
    LeafKind,
)
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from offchain.protocol.typed_data import Outcome, Registration
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, clear_session
from tests.contracts.play import (
    CID,
    DSO_REQUEST,
    EURO,
    FOREVER,
    Sealed,
    domain,
    key_of,
    sealed,
)
from tests.contracts.play import (
    OFFER as OFFER_SIDE,
)

LIMIT_W = 10_000
PODS = tuple(keccak256(b"pod %d" % number) for number in range(4))
PRICES = (20_000, 30_000, 40_000, 50_000)
SLOT = 7
RELIEF_W = 12_000


def leaf_salt(_: bytes, position: int) -> bytes:
    return keccak256(b"leaf %d" % position)


@dataclass(frozen=True)
class SmallBook:
    """Two offers of one aggregator, two of another, each 5 kW at another price; a request for 12 kW from all PoDs.

    `sold`: in real time, what the day-ahead result sold."""

    terms: SessionTerms
    documents: tuple[tuple[Sealed, ListDocument], ...]
    facts: dict[bytes, PodFacts]
    sold: SoldPlaces = field(default_factory=dict)

    def sealed(self) -> list[Sealed]:
        return [made for made, _ in self.documents]

    def honest(self, author: str, seed: bytes) -> ListDocument:
        """The market outcome that clearing gives."""
        return self.cleared(author, seed).market

    def cleared(self, author: str, seed: bytes) -> ClearedSession:
        """The session as clearing gives it."""
        entries, first = [], {True: 0, False: 0}
        for number, (made, document) in enumerate(self.documents, start=1):
            is_offer = made.side == OFFER_SIDE
            reveal = Reveal(
                commitment=number,
                player=made.player.address,
                side=Side(made.side),
                leaf_count=document.leaf_count,
                first_position=first[is_offer],
                cap_ueur=made.cap_ueur,
                coverage_ueur=made.cap_ueur,
            )
            first[is_offer] += document.leaf_count
            entries.append((reveal, document))
        return clear_session(entries, self.facts, seed, self.terms, author, sold=self.sold)

    def opening(self, number: int) -> tuple[Any, ...]:
        """What proves a document of the book, by its place."""
        return astuple(self.documents[number][0].opening(self.terms.session))

    def leaf(self, number: int, kind: LeafKind, index: int) -> tuple[Any, ...]:
        """A leaf of a document of the book with its proof under the joint tree."""
        document = self.documents[number][1]
        before = 0
        for leaves in document.lists:
            if leaves.kind is kind:
                return (leaves.row(index), document.joint_tree.proof(before + index))
            before += len(leaves)
        raise AssertionError(kind)

    def offer(self, number: int, index: int) -> tuple[Any, ...]:
        """IOutcomeChallenges.BookOffer."""
        return (self.opening(number), *self.leaf(number, OFFER, index))

    def request(self, index: int = 0) -> tuple[Any, ...]:
        """IOutcomeChallenges.BookRequest."""
        return (self.opening(2), *self.leaf(2, REQUEST, index))

    def effectiveness(self, index: int) -> tuple[Any, ...]:
        """IOutcomeChallenges.Effectiveness."""
        return self.leaf(2, EFFECTIVENESS, index)


def register_pods(
    market: Any, aggregators: Sequence[Any], customer: Any, dso: Any, nodes: Any, mechanism: str | None = None
) -> dict[bytes, PodFacts]:
    """Register the PoDs, two for each aggregator, offerable in every product. Without a mechanism of the factory they
    have one that gives no price."""
    facts = {}
    pods = market.PodRegistry
    mechanism = mechanism or market.Vault.address
    for number, pod in enumerate(PODS):
        owner = aggregators[number // 2]
        node = nodes(f"node {number}")
        people = (owner.address, customer.address, node.address, mechanism)
        limits = (LIMIT_W, LIMIT_W, LIMIT_W, LIMIT_W)
        consent = Registration(pod, *people, *limits, bytes(32), number, FOREVER)
        pods.register(astuple(consent), consent.sign(domain(pods), key_of(customer)), {"from": owner})
        for step in (pods.prequalifyGrid, pods.prequalifyProducts):
            step(pod, 0b1111, "", {"from": dso})
        facts[pod] = PodFacts(
            owner.address, customer.address, node.address, mechanism, *limits, products=0b1111
        )
    return facts


def small_book(
    terms: SessionTerms,
    facts: dict[bytes, PodFacts],
    aggregators: Sequence[Any],
    dso: Any,
    slots: Sequence[int] = (SLOT,),
) -> SmallBook:
    """The book's documents, sealed for their players. In each slot the same is offered and asked for."""
    documents = []
    for place, player in enumerate(aggregators):
        offers = [
            OfferEntry(PODS[number], slot, Product.ACTIVE_UP, 5_000, PRICES[number])
            for number in (2 * place, 2 * place + 1)
            for slot in slots
        ]
        documents.append(
            (player, OFFER_SIDE, offers_document(terms.session, player.address, offers, leaf_salt))
        )
    area = Area(
        element=keccak256(b"line"),
        product=Product.ACTIVE_UP,
        grid_model=bytes(32),
        reliefs=[Relief(slot, RELIEF_W, 90_000) for slot in slots],
        effectiveness=[(pod, 1000) for pod in PODS],
    )
    documents.append((dso, DSO_REQUEST, request_document(terms.session, dso.address, [area], leaf_salt)))
    made = tuple(
        (
            replace(
                sealed(player, side, 10 * EURO),
                root=document.joint_tree.root,
                leaf_count=document.leaf_count,
                cid=cid_of(document.to_bytes()),
            ),
            document,
        )
        for player, side, document in documents
    )
    return SmallBook(terms, made, facts)


def with_document(book: SmallBook, place: int, document: ListDocument) -> SmallBook:
    """The book with another document of the player at a place."""
    documents = list(book.documents)
    sealed_ = replace(
        documents[place][0],
        root=document.joint_tree.root,
        leaf_count=document.leaf_count,
        cid=cid_of(document.to_bytes()),
    )
    documents[place] = (sealed_, document)
    return replace(book, documents=tuple(documents))


def with_first_document(book: SmallBook, document: ListDocument) -> SmallBook:
    """The book with another document of its first aggregator's."""
    return with_document(book, 0, document)


def with_lie(document: ListDocument, kind: LeafKind, index: int, **values: int | bytes) -> ListDocument:
    """The document with some values of one leaf changed; its roots are the lie's."""
    lists = []
    for leaves in document.lists:
        rows = [list(leaves.row(place)) for place in range(len(leaves))]
        if leaves.kind is kind:
            names = [field.name for field in kind.fields]
            for name, value in values.items():
                rows[index][names.index(name)] = value
        lists.append(LeafList.of_rows(leaves.kind, rows))
    return replace(document, lists=tuple(lists))


@dataclass(frozen=True)
class Posted:
    """An outcome that stands on the board, with its document."""

    outcome: Outcome
    document: ListDocument

    def entry(self, index: int) -> tuple[Any, ...]:
        """IOutcomeChallenges.Entry."""
        return self._proven(OUTCOME_BY_REQUEST, index)

    def answer(self, index: int) -> tuple[Any, ...]:
        """IOutcomeChallenges.Answer."""
        return self._proven(OUTCOME_BY_OFFER, index)

    def reserved(self, index: int) -> tuple[Any, ...]:
        """IChallenges.Entry of the reserve."""
        return self._proven(OUTCOME_RESERVE, index)

    def _proven(self, kind: LeafKind, index: int) -> tuple[Any, ...]:
        leaves = self.document.list_of(kind)
        return (leaves.row(index), leaves.tree.proof(index))


def posted_of(document: ListDocument, basis: bytes, **totals: int) -> Posted:
    """What is posted of a document; `totals` may lie, too."""
    return Posted(replace(posted_outcome(document, CID, basis), **totals), document)
