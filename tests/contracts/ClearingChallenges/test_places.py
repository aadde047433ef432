"""An entry that names a leaf of the other kind, or another document's, is struck (SPECIFICATION.md 21.x)."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.book_documents import Area, Relief, request_document
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_RESERVE, LeafKind
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product
from tests.contracts.chain import refused
from tests.contracts.OutcomeChallenges.conftest import ENTRY, accuse, posted, word
from tests.contracts.outcomes import PODS, SLOT, Posted, SmallBook, leaf_salt, with_lie
from tests.contracts.reserves import with_reserve

OTHERS_EFFECT = 6
"""The first document of requests holds positions 0 (the request) to 4, the second one 5 and 6."""


def with_second_request(book: SmallBook) -> SmallBook:
    """The book with a reserve, and a second document of the DSO's: a W from the first PoD."""
    book = with_reserve(book)
    sealed, first = book.documents[2]
    area = Area(bytes(32), Product.ACTIVE_DOWN, bytes(32), [Relief(SLOT, 1, 1_000)], [(PODS[0], 1000)])
    document = request_document(first.session, first.author, [area], leaf_salt)
    second = replace(
        sealed, root=document.joint_tree.root, leaf_count=document.leaf_count, salt=keccak256(b"another salt")
    )
    return replace(book, documents=(*book.documents, (second, document)))


@pytest.fixture
def book(play_book: Any) -> SmallBook:
    return play_book(with_second_request)


def shown(made: Posted, kind: LeafKind) -> tuple[Any, bool]:
    return (made.entry(0), False) if kind is ENTRY else (made.reserved(0), True)


KINDS = pytest.mark.parametrize("kind", [ENTRY, OUTCOME_RESERVE])


@KINDS
def test_nothing_in_an_honest_outcome_is_a_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, kind: LeafKind
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    effect = honest.list_of(kind).integers("effectivenessPosition")[0]
    for number in range(4):
        with refused("ChallengesNotTheLeaf", 0, 1 + number):
            proofs = (*shown(made, kind), book.opening(2), book.effectiveness(number))
            accuse(market, made, "notARequest", *proofs, sender=auditor)
    with refused("ChallengesNotTheLeaf", effect, 0):
        accuse(market, made, "notAnEffectiveness", *shown(made, kind), book.request(), sender=auditor)
    with refused("ChallengesNotAFault", b"NotAnEffectiveness".ljust(32, b"\0")):
        accuse(market, made, "anothersEffectiveness", *shown(made, kind), book.opening(2), sender=auditor)
    with refused("ChallengesNotTheLeaf", 5, 0):
        accuse(market, made, "anothersEffectiveness", *shown(made, kind), book.opening(3), sender=auditor)


@KINDS
def test_an_effectiveness_that_is_named_as_a_request(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, kind: LeafKind
) -> None:
    made = posted(market, book, with_lie(honest, kind, 0, requestPosition=2), clearing_oracle)
    proofs = (*shown(made, kind), book.opening(2), book.effectiveness(1))
    tx = accuse(market, made, "notARequest", *proofs, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("NotARequest")


@KINDS
def test_a_request_that_is_named_as_an_effectiveness(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, kind: LeafKind
) -> None:
    made = posted(market, book, with_lie(honest, kind, 0, effectivenessPosition=0), clearing_oracle)
    tx = accuse(market, made, "notAnEffectiveness", *shown(made, kind), book.request(), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("NotAnEffectiveness")


@KINDS
def test_an_effectiveness_of_another_document(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, kind: LeafKind
) -> None:
    """It is of the same PoD, and as effective: only whose it is, is false."""
    lie = with_lie(honest, kind, 0, effectivenessPosition=OTHERS_EFFECT)
    made = posted(market, book, lie, clearing_oracle)
    tx = accuse(market, made, "anothersEffectiveness", *shown(made, kind), book.opening(2), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("NotAnEffectiveness")


def test_an_offers_document_proves_nothing(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    with pytest.raises(Exception, match="ChallengesNotTheLeaf"):
        accuse(market, made, "anothersEffectiveness", *shown(made, ENTRY), book.opening(0), sender=auditor)
    proofs = (*shown(made, ENTRY), book.opening(3), book.effectiveness(0))
    with pytest.raises(Exception, match="ProofsNotInList"):
        accuse(market, made, "notARequest", *proofs, sender=auditor)
