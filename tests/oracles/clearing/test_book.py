"""The book's columns say of each offer what the rules say of its record."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from offchain.protocol.book_rules import check_offer, offer_penalties_ueur
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OFFER
from offchain.protocol.lists import Record
from offchain.protocol.products import OfferStatus, Side
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.pod_table import PodTable
from tests.examples import examples
from tests.oracles.clearing.books import SEED, TERMS, book_of, offer, pod, registry
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_honest_outcomes import PODS, books

RATE = TERMS.penaltyUeurPerKw
ANY_BOOK = examples(200)


def is_void(record: Record, player: str) -> bool:
    try:
        check_offer(record, player, PODS, TERMS)
    except InvalidInput:
        return True
    return False


@ANY_BOOK
@given(books())
def test_an_offer_is_void_or_covered_as_its_record_is(documents: Documents) -> None:
    book = assemble(documents, PODS, TERMS)
    for reveal, document in documents:
        if reveal.side is not Side.OFFER or document is None or reveal.commitment in book.void_documents:
            continue
        left_ueur = reveal.coverage_ueur
        for index, record in enumerate(document.list_of(OFFER).records()):
            found = book.offers[reveal.first_position + index]
            power_w, slots = record.integer("powerW"), record.integer("durationSlots")
            counted_w = 0
            if not is_void(record, reveal.player):
                penalty_ueur = -(-power_w * slots * RATE // 1000)
                counted_w = power_w if penalty_ueur <= left_ueur else left_ueur * 1000 // (RATE * slots)
                left_ueur = max(0, left_ueur - penalty_ueur)
                if counted_w < max(1, record.integer("minPowerW")):
                    assert found.void is OfferStatus.UNCOVERED
                    counted_w = 0
            assert (found.void is OfferStatus.VOID) == is_void(record, reveal.player)
            assert (found.counted_w, found.cover_ueur) == (counted_w, reveal.coverage_ueur - left_ueur)
            assert (found.pod, found.salt) == (record.word("pod"), record.word("salt"))
            assert found.leaf_hash == document.list_of(OFFER).leaf_hashes[index].tobytes()


def test_penalties_beyond_64_bits_are_exact() -> None:
    power_w, slots = np.array([2**32 - 1, 1]), np.array([96, 1])
    assert list(offer_penalties_ueur(power_w, slots, 2**53)) == [
        -(-(2**32 - 1) * 96 * 2**53 // 1000),
        -(-(2**53) // 1000),
    ]


def test_collateral_beyond_64_bits_covers_all() -> None:
    (documents,) = [book_of([offer(0, 1000, 10_000)])]
    reveal, document = documents[0]
    book = assemble([(replace(reveal, coverage_ueur=2**100), document)], PODS, TERMS)
    assert [each.counted_w for each in book.offers] == [1000]


class TestTheTableOfPods:
    def test_is_the_registry(self) -> None:
        table = PodTable.of(PODS)
        assert dict(table) == PODS
        assert PodTable.of(table) is table

    def test_finds_names_and_no_others(self) -> None:
        table = PodTable.of(registry(64))
        names = np.stack([np.frombuffer(name, np.uint8) for name in (pod(7), SEED, pod(7), pod(63))])
        assert table.indexes(names).tolist() == [7, -1, 7, 63]
        with pytest.raises(KeyError):
            table[SEED]

    def test_may_be_empty(self) -> None:
        table = PodTable.of({})
        assert table.indexes(np.zeros((2, 32), np.uint8)).tolist() == [-1, -1]
        book = assemble(book_of([offer(0, 1000, 10_000)]), {}, TERMS)
        assert [each.void for each in book.offers] == [OfferStatus.VOID]
