"""Blocks, exclusive groups, links, and what TSO and DSO share, under price priority."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from offchain.protocol.book_documents import Area, OfferEntry, Relief, offers_document
from offchain.protocol.book_rules import check_offers, most_ueur
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.products import OfferOption, OfferStatus, Product, Side
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.outcome import Refused, after_refusals
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.session import ClearedSession, clear_session
from oracles.clearing.core.several_objectives import clear_exactly
from oracles.clearing.core.state import Clearing
from tests.oracles.clearing.books import (
    AGGREGATORS,
    ORACLE,
    PLENTY_UEUR,
    SEED,
    TERMS,
    area,
    book_of,
    offer,
    registry,
    salt,
)

PODS = registry(64)
EVERYONE = dict.fromkeys(range(8), 1000)
Taken = list[tuple[int, int, int]]


def block(
    number: int, power_w: int, price: int, duration: int, *, first: int = 0, last: int = 0
) -> OfferEntry:
    """A block that may start from `first` to `last`."""
    return replace(offer(number, power_w, price, slot=first), duration_slots=duration, last_slot=last)


def needs(*reliefs_w: int, cap: int = 10**9) -> Area:
    """A request of this relief in slots 0, 1, ... from everyone."""
    reliefs = [Relief(slot, relief_w, cap) for slot, relief_w in enumerate(reliefs_w)]
    return replace(area(0, EVERYONE), reliefs=reliefs)


def cleared(offers: list[OfferEntry], *dso: Area, tso: tuple[Area, ...] = ()) -> ClearedSession:
    return clear_session(book_of(offers, dso=dso, tso=tso), PODS, SEED, TERMS, ORACLE)


def taken(session: ClearedSession) -> Taken:
    """(position, slot, W) of what is taken, by position and slot."""
    entries = session.clearing.acceptances
    return sorted((entry.offer.position, entry.request.slot, entry.accepted_w) for entry in entries)


class TestBlocks:
    def test_has_the_same_power_in_each_of_its_slots(self) -> None:
        """In slot 1 only 2 kW are needed: so much of it is taken, in slot 0 as well."""
        found = cleared([block(0, 5000, 10_000, 2)], needs(4000, 2000))
        assert taken(found) == [(0, 0, 2000), (0, 1, 2000)]
        (answer,) = found.market.list_of(OUTCOME_BY_OFFER).records()
        assert (answer.integer("acceptedW"), answer.integer("startSlot")) == (2000, 0)
        entries = found.market.list_of(OUTCOME_BY_REQUEST)
        assert entries.integers("offerRunningW") == [2000, 2000]
        assert entries.integers("nextForOffer") == [2, 0]

    def test_goes_where_most_of_it_is_needed_and_there_as_early_as_it_can(self) -> None:
        needed = (1000, 3000, 3000, 3000, 500)
        assert taken(cleared([block(0, 5000, 10_000, 2, last=3)], needs(*needed))) == [
            (0, 1, 3000),
            (0, 2, 3000),
        ]

    def test_is_left_what_cheaper_ones_leave(self) -> None:
        offers = [offer(0, 2000, 10_000, slot=1), block(2, 5000, 20_000, 2), offer(4, 9000, 30_000, slot=1)]
        found = cleared(offers, needs(5000, 5000))
        assert taken(found) == [(0, 1, 2000), (1, 0, 3000), (1, 1, 3000)]
        assert found.clearing.status[2] is OfferStatus.COM_DEARER

    def test_is_not_taken_below_its_minimum(self) -> None:
        whole = replace(block(0, 3000, 10_000, 2), min_power_w=3000)
        found = cleared([whole, offer(2, 9000, 20_000)], needs(3000, 2000))
        assert taken(found) == [(1, 0, 3000)]
        assert found.clearing.status[0] is OfferStatus.COM_MINIMUM

    def test_is_not_needed_where_one_of_its_slots_is_nobodys(self) -> None:
        found = cleared([block(0, 3000, 10_000, 3)], needs(3000, 3000))
        assert found.clearing.status == (OfferStatus.COM_NOT_NEEDED,)

    def test_keeps_within_every_slots_price_cap(self) -> None:
        dear = replace(
            needs(3000), reliefs=[Relief(0, 3000, 20_000), Relief(1, 3000, 9_999), Relief(2, 3000, 20_000)]
        )
        found = cleared([block(0, 3000, 10_000, 1, last=2), block(2, 3000, 10_000, 2)], dear)
        assert [slot for _, slot, _ in taken(found)] == [0]
        assert found.clearing.status[1] is OfferStatus.COM_NOT_NEEDED

    def test_keeps_within_its_pods_limit_in_every_slot(self) -> None:
        pods = registry(64, limit_w=4000)
        offers = [offer(0, 3000, 10_000, slot=1), block(0, 3000, 20_000, 2)]
        found = clear_session(book_of(offers, dso=[needs(9000, 9000)]), pods, SEED, TERMS, ORACLE)
        assert taken(found) == [(0, 1, 3000), (1, 0, 1000), (1, 1, 1000)]

    def test_needs_collateral_for_each_of_its_slots(self) -> None:
        document = offers_document(1, AGGREGATORS[0], [block(0, 1000, 10_000, 4)], salt)
        assert most_ueur(document, Side.OFFER, TERMS) == 4 * TERMS.penaltyUeurPerKw
        documents = book_of([block(0, 1000, 10_000, 4)], dso=[needs(*[9000] * 4)])
        covered = replace(documents[1][0], coverage_ueur=2 * TERMS.penaltyUeurPerKw)
        found = clear_session([documents[0], (covered, documents[1][1])], PODS, SEED, TERMS, ORACLE)
        assert {amount_w for _, _, amount_w in taken(found)} == {500}

    def test_one_that_may_move_says_so_in_its_leaf(self) -> None:
        assert block(0, 1, 1, 1, last=2).options == OfferOption.FLEXIBLE_BLOCK
        assert block(0, 1, 1, 2).options == 0

    def test_is_bound_to_one_request_a_slot(self) -> None:
        """Two areas need it in the same slot: one of them has it."""
        found = cleared([block(0, 5000, 10_000, 2)], needs(2000, 2000), needs(2000, 2000))
        assert taken(found) == [(0, 0, 2000), (0, 1, 2000)]


class TestGroups:
    def test_one_of_a_group_is_taken(self) -> None:
        """Now or later: the offer that isn't taken says by which entry."""
        now, later = offer(0, 2000, 10_000), offer(0, 2000, 20_000, slot=1)
        offers = [replace(each, exclusive_group=7) for each in (now, later)]
        found = cleared(offers, needs(5000, 5000))
        assert taken(found) == [(0, 0, 2000)]
        assert (found.clearing.status[1], found.clearing.because[1]) == (OfferStatus.COM_EXCLUDED, 1)

    def test_the_other_is_taken_where_the_first_isnt(self) -> None:
        first = replace(offer(0, 2000, 10_000), min_power_w=2000, exclusive_group=7)
        found = cleared([first, replace(offer(0, 1000, 20_000), exclusive_group=7)], needs(1000))
        assert taken(found) == [(1, 0, 1000)]

    def test_groups_are_a_documents_own(self) -> None:
        offers = [replace(offer(number, 2000, 10_000), exclusive_group=7) for number in (0, 1)]
        assert len(taken(cleared(offers, needs(5000)))) == 2

    def test_an_offer_of_a_group_may_serve_several_requests(self) -> None:
        offers = [replace(offer(0, 4000, 10_000), exclusive_group=7)]
        assert taken(cleared(offers, needs(1000), needs(1000))) == [(0, 0, 1000), (0, 0, 1000)]


class TestLinks:
    def test_a_linked_offer_waits_for_the_one_that_it_is_linked_to(self) -> None:
        """It is cheaper, and taken when its parent is; before the dearer one."""
        offers = [
            offer(0, 1000, 20_000),
            replace(offer(0, 1000, 10_000, slot=1), linked_to=0),
            offer(2, 9000, 30_000, slot=1),
        ]
        assert taken(cleared(offers, needs(1000, 1500))) == [(0, 0, 1000), (1, 1, 1000), (2, 1, 500)]

    @pytest.mark.parametrize("seed", range(4))
    def test_takes_no_room_of_one_that_ties_with_its_parent(self, seed: int) -> None:
        """What waits is considered when the whole tie has its shares: else their PoD would give more than it can."""
        offers = [
            offer(0, 1000, 20_000),
            offer(0, 1500, 20_000),
            replace(offer(0, 3000, 10_000), linked_to=0),
        ]
        documents, pods = book_of(offers, dso=[needs(9000)]), registry(64, limit_w=3000)
        found = clear_session(documents, pods, bytes([seed] * 32), TERMS, ORACLE)
        assert taken(found) == [(0, 0, 1000), (1, 0, 1500), (2, 0, 500)]

    def test_and_isnt_taken_without_it(self) -> None:
        offers = [offer(0, 1000, 20_000), replace(offer(0, 1000, 10_000, slot=1), linked_to=0)]
        found = cleared(offers, needs(0, 1000))
        assert taken(found) == []
        assert found.clearing.status[1] is OfferStatus.COM_EXCLUDED

    @pytest.mark.parametrize(
        "clear_by", [clear, lambda *given: clear_exactly(*given, ClearingParameters())[0]]
    )
    def test_what_is_linked_to_a_linked_offer_is_never_taken(self, clear_by: Callable[..., Clearing]) -> None:
        """Else a refusal of the first would take away the third, and an honest oracle could name none of its own for that."""
        chain = [
            offer(0, 1000, 10_000),
            *(replace(offer(0, 1000, 20_000), linked_to=link) for link in (0, 1)),
        ]
        book = assemble(book_of(chain, dso=[needs(9000)], tso=[needs(9000)]), PODS, TERMS)
        found = clear_by(book, PODS, SEED)
        assert [entry.offer.position for entry in found.acceptances][:2] == [0, 1]
        assert found.status[2] is OfferStatus.COM_EXCLUDED
        kept = after_refusals(found, [Refused(0, found.acceptances[0].accepted_w)])
        assert kept.acceptances == ()

    def test_a_link_names_an_earlier_offer_that_isnt_linked(self) -> None:
        def refused(offers: list[OfferEntry], where: str) -> None:
            with pytest.raises(InvalidInput, match=where):
                check_offers(offers_document(1, AGGREGATORS[0], offers, salt), AGGREGATORS[0], PODS, TERMS)

        first = offer(0, 1000, 10_000)
        refused([replace(first, linked_to=0)], r"OfferLeaf\[0\].linkedTo")
        refused([replace(first, linked_to=1), first], r"OfferLeaf\[0\].linkedTo")
        linked = replace(first, linked_to=0)
        refused([first, linked, replace(first, linked_to=1)], r"OfferLeaf\[2\].linkedTo")
        check_offers(offers_document(1, AGGREGATORS[0], [first, linked], salt), AGGREGATORS[0], PODS, TERMS)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"duration_slots": 0}, "durationSlots"),
        ({"slot": 2, "last_slot": 1}, "lastSlot"),
        ({"last_slot": 95, "duration_slots": 2}, "lastSlot"),
    ],
)
def test_a_block_lies_within_the_session(changes: dict[str, int], where: str) -> None:
    document = offers_document(1, AGGREGATORS[0], [replace(offer(0, 1000, 10_000), **changes)], salt)
    with pytest.raises(InvalidInput, match=where):
        check_offers(document, AGGREGATORS[0], PODS, TERMS)
    found = cleared([replace(offer(0, 1000, 10_000), **changes)], needs(1000, 1000, 1000))
    assert found.clearing.status == (OfferStatus.VOID,)


class TestTheDsosActivations:
    def test_serve_the_tso_too_and_are_paid_once_by_the_dso(self) -> None:
        offers = [offer(0, 3000, 10_000), offer(1, 9000, 20_000)]
        found = cleared(offers, needs(3000), tso=(needs(5000),))
        entries = [
            (entry.request.side, entry.offer.position, entry.accepted_w)
            for entry in found.clearing.acceptances
        ]
        assert entries == [(Side.DSO_REQUEST, 0, 3000), (Side.TSO_REQUEST, 1, 2000)]

    def test_count_as_far_as_they_relieve_the_tso(self) -> None:
        half = replace(needs(5000), effectiveness=area(0, {0: 500, 1: 1000}).effectiveness)
        found = cleared([offer(0, 3000, 10_000), offer(1, 9000, 20_000)], area(3000, {0: 1000}), tso=(half,))
        assert taken(found) == [(0, 0, 3000), (1, 0, 3500)]

    def test_of_the_other_direction_dont(self) -> None:
        down = replace(needs(2000), product=Product.ACTIVE_DOWN)
        offers = [offer(0, 3000, 10_000), replace(offer(1, 9000, 20_000), product=Product.ACTIVE_DOWN)]
        found = cleared(offers, needs(3000), tso=(down,))
        assert taken(found) == [(0, 0, 3000), (1, 0, 2000)]


class TestRefusals:
    """What is left of the orders after the DSO's answer."""

    OFFERS = (
        block(0, 3000, 10_000, 2),
        offer(2, 1000, 20_000),
        replace(offer(2, 1000, 20_000, slot=1), linked_to=1),
    )

    def left(self, *refused_w: int) -> tuple[Taken, tuple[OfferStatus, ...], tuple[int, ...]]:
        """What is left where so much of each entry is refused: entries of slot 0 (block, single), of slot 1 (block, linked)."""
        found = cleared(list(self.OFFERS), needs(4000, 4000))
        refusals = [Refused(position, amount_w) for position, amount_w in enumerate(refused_w) if amount_w]
        kept = after_refusals(found.clearing, refusals)
        return taken(replace(found, clearing=kept)), kept.status, kept.because

    def test_a_block_that_is_refused_evenly_is_cut(self) -> None:
        left, status, because = self.left(1000, 0, 1000, 0)
        assert left[:2] == [(0, 0, 2000), (0, 1, 2000)]
        assert (status[0], because[0]) == (OfferStatus.PARTLY_ACCEPTED, 1)

    @pytest.mark.parametrize(
        "refused_w", [(1000, 0, 0, 0), (0, 0, 1, 0), (1000, 0, 999, 0), (3000, 0, 3000, 0)]
    )
    def test_a_block_that_isnt_is_gone(self, refused_w: tuple[int, ...]) -> None:
        left, status, _ = self.left(*refused_w)
        assert [position for position, _, _ in left] == [1, 2]
        assert status[0] is OfferStatus.TEC

    def test_a_block_that_is_gone_still_says_from_where_it_was_to_run(self) -> None:
        """The validated answer is the market outcome's but for what a refusal changes."""
        found = cleared([block(0, 3000, 10_000, 1, last=2)], needs(1000, 3000))
        kept = after_refusals(found.clearing, [Refused(0, 3000)])
        assert (kept.acceptances, kept.start_slots) == ((), (1,))

    def test_with_an_offer_goes_what_is_linked_to_it(self) -> None:
        left, status, because = self.left(0, 1000, 0, 0)
        assert [position for position, _, _ in left] == [0, 0]
        assert (status[2], because[2]) == (OfferStatus.TEC, 1), (
            "the refusal of the offer that it is linked to"
        )

    def test_without_a_linked_one_its_parent_stays(self) -> None:
        left, _, _ = self.left(0, 0, 0, 1000)
        assert [position for position, _, _ in left] == [0, 0, 1]


def test_coverage_of_the_fixtures_is_plenty() -> None:
    assert all(reveal.coverage_ueur == PLENTY_UEUR for reveal, _ in book_of([offer(0, 1, 1)]))
