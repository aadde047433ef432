"""The book of a session as challenges show it: each leaf with the opening of its document and its proof."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from offchain.chain.market_view import MarketView
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST, LeafKind
from offchain.protocol.lists import LeafList, ListDocument, Record
from offchain.protocol.merkle import ListTree
from offchain.protocol.products import Side
from offchain.protocol.terms import Reveal
from offchain.protocol.typed_data import Opening
from offchain.store.documents import DocumentStore
from oracles.session_facts import book_documents

Proven = tuple[object, list[bytes]]
"""A leaf's values and its proof: a contract's struct of the two."""
ProvenInBook = tuple[Opening, object, list[bytes]]
"""The same with the opening of its document before it."""


@dataclass(frozen=True)
class BookPage:
    """A document of the book that can be read."""

    reveal: Reveal
    opening: Opening
    document: ListDocument

    @cached_property
    def _tree(self) -> ListTree:
        return self.document.joint_tree

    def proven(self, place: int) -> ProvenInBook:
        """The leaf at a place of the document."""
        index = place
        for leaves in self.document.lists:
            if index < len(leaves):
                return self.opening, leaves.row(index), self._tree.proof(place)
            index -= len(leaves)
        raise IndexError(place)

    def records(self, kind: LeafKind) -> list[Record]:
        """The document's leaves of a kind, none if it holds no such list."""
        return [leaf for leaves in self.document.lists if leaves.kind is kind for leaf in leaves.records()]


KINDS: dict[bool, tuple[LeafKind, ...]] = {True: (OFFER,), False: (REQUEST, EFFECTIVENESS)}
"""Lists of a document of offers, and of requests: another's leaves aren't what a contract takes them for."""


class BookPages:
    """The documents of a session's book, found by the positions that outcomes name; none of other lists than its side's."""

    def __init__(self, view: MarketView, store: DocumentStore, session: int) -> None:
        read = book_documents(view, store, session)
        self._openings = {entry.reveal.commitment: entry.opening for entry in view.book(session)}
        self._reveals = [reveal for reveal, _ in read]
        self._pages = [
            BookPage(reveal, self._openings[reveal.commitment], document)
            for reveal, document in read
            if document is not None
            and document.leaf_count == reveal.leaf_count
            and tuple(leaves.kind for leaves in document.lists) == KINDS[reveal.side is Side.OFFER]
        ]

    def page(self, position: int, *, of_offers: bool) -> BookPage | None:
        """The document that holds a position of offers or of requests; None beyond the last, or if it can't be read."""
        for page in self._pages:
            place = position - page.reveal.first_position
            if (page.reveal.side is Side.OFFER) == of_offers and 0 <= place < page.reveal.leaf_count:
                return page
        return None

    def opening(self, position: int, *, of_offers: bool) -> Opening | None:
        """Opening of the document that holds a position, readable or not; None beyond the last."""
        for reveal in self._reveals:
            place = position - reveal.first_position
            if (reveal.side is Side.OFFER) == of_offers and 0 <= place < reveal.leaf_count:
                return self._openings[reveal.commitment]
        return None

    def offer(self, position: int) -> ProvenInBook | None:
        """The offer at a position of the book."""
        return self._leaf(position, of_offers=True)

    def request(self, position: int) -> ProvenInBook | None:
        """The request at a position of the book; None if what stands there is an effectiveness."""
        return self._leaf_of(REQUEST, position)

    def effectiveness(self, position: int) -> Proven | None:
        """The effectiveness at a position of the book; None if what stands there is a request."""
        found = self._leaf_of(EFFECTIVENESS, position)
        return found[1:] if found else None

    def offer_record(self, position: int) -> Record | None:
        """Values of an offer, by name."""
        page = self.page(position, of_offers=True)
        offers = page.records(OFFER) if page else []
        return offers[position - page.reveal.first_position] if page and offers else None

    def effects(self, request_position: int, pod: bytes) -> Iterator[Proven]:
        """Leaves that say how effective a PoD is for a request."""
        page = self.page(request_position, of_offers=False)
        if page is None:
            return
        requests = page.records(REQUEST)
        place = request_position - page.reveal.first_position
        if place >= len(requests):
            return
        area = requests[place].integer("area")
        for index, leaf in enumerate(page.records(EFFECTIVENESS)):
            if leaf.word("pod") == pod and leaf.integer("area") == area:
                _, row, proof = page.proven(len(requests) + index)
                yield row, proof

    def _leaf_of(self, kind: LeafKind, position: int) -> ProvenInBook | None:
        page = self.page(position, of_offers=False)
        if page is None:
            return None
        is_request = position - page.reveal.first_position < len(page.records(REQUEST))
        return self._leaf(position, of_offers=False) if is_request == (kind is REQUEST) else None

    def _leaf(self, position: int, *, of_offers: bool) -> ProvenInBook | None:
        page = self.page(position, of_offers=of_offers)
        return page.proven(position - page.reveal.first_position) if page else None


class ProvenList:
    """A posted list: its leaves with their proofs, as the contracts take them."""

    def __init__(self, leaves: LeafList) -> None:
        self.leaves = leaves
        self.records: Sequence[Record] = leaves.records()
        self._tree = leaves.tree

    def __len__(self) -> int:
        return len(self.records)

    def proven(self, index: int) -> Proven:
        """The leaf at an index."""
        return self.leaves.row(index), self._tree.proof(index)

    def where(self, **wanted: object) -> list[int]:
        """Indices of the leaves with these values."""
        return [index for index, leaf in enumerate(self.records) if _has(leaf.values, wanted)]

    def beside(self, index: int, *names: str) -> Iterator[tuple[int, int]]:
        """The neighbours of a leaf among those with the same values of `names`, as (earlier, later)."""
        mine = self.records[index].values
        same = self.where(**{name: mine[name] for name in names})
        place = same.index(index)
        yield from [(same[at], same[at + 1]) for at in (place - 1, place) if 0 <= at < len(same) - 1]

    def doubled(self) -> Iterator[tuple[int, int]]:
        """Leaves that name a position which one before them names, too."""
        seen: dict[int, int] = {}
        for index, leaf in enumerate(self.records):
            first = seen.setdefault(leaf.integer("position"), index)
            if first != index:
                yield first, index

    def differing(self, other: LeafList) -> list[int]:
        """Indices of the leaves that aren't the other list's, and those that it hasn't; the last where it has more."""
        theirs = [other.row(index) for index in range(len(other))]
        found = [i for i in range(len(self)) if i >= len(theirs) or self.leaves.row(i) != theirs[i]]
        if len(theirs) > len(self) > 0 and len(self) - 1 not in found:
            found.append(len(self) - 1)
        return found


def _has(values: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    return all(values[name] == value for name, value in wanted.items())
