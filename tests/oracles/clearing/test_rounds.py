"""What a refusal left short is cleared again, round by round, with what the DSO has left (SPECIFICATION.md 27.x)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.products import ClearingMethod, OfferStatus, Side
from offchain.protocol.rounds import MOST_ROUNDS, refusal_named, refusal_number
from offchain.protocol.terms import SessionTerms
from oracles.clearing.core.session import (
    ClearedSession,
    clear_again,
    clear_session,
    is_worthwhile,
    validate_session,
)
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, registry
from tests.oracles.clearing.challenger import Challenger, Documents
from tests.oracles.clearing.test_honest_outcomes import (
    AS_CLEARED,
    PODS,
    books,
    refusal_row,
    refusals_at_random,
    refusals_document,
)
from tests.oracles.clearing.test_orders import Taken, block, cleared, needs, taken

EXACT = replace(TERMS, method=ClearingMethod.EXACT)


def refused(session: ClearedSession, *refused_w: int) -> ListDocument:
    """A technical outcome that refuses so much of each entry, in order."""
    entries = session.market.list_of(OUTCOME_BY_REQUEST).records()
    rows = [refusal_row(place, w, entries[place].values) for place, w in enumerate(refused_w) if w]
    return refusals_document(rows)


def answer(session: ClearedSession, position: int) -> tuple[OfferStatus, int, int]:
    """Status, `because` and W of an offer."""
    leaf = session.market.list_of(OUTCOME_BY_OFFER).records()[position]
    return (
        OfferStatus(leaf.integer("status")),
        leaf.integer("because"),
        leaf.integer("acceptedW"),
    )


class TestAgain:
    """Who serves what a refusal left short."""

    def test_the_next_in_merit_order_serves_what_was_refused(self) -> None:
        first = cleared([offer(0, 2000, 10_000), offer(2, 2000, 20_000), offer(4, 2000, 30_000)], needs(3000))
        technical = refused(first, 1500)
        again = clear_again(first, technical)
        assert taken(again) == [(0, 0, 500), (1, 0, 2000), (2, 0, 500)]
        assert answer(again, 0) == (OfferStatus.PARTLY_ACCEPTED, refusal_number(1, 0), 500)
        assert answer(again, 1) == (OfferStatus.ACCEPTED, 0, 2000)
        assert (again.round, is_worthwhile(again, first, technical)) == (2, True)

    def test_what_was_refused_whole_isnt_taken_again(self) -> None:
        first = cleared([offer(0, 2000, 10_000), offer(2, 2000, 20_000)], needs(2000))
        again = clear_again(first, refused(first, 2000))
        assert taken(again) == [(1, 0, 2000)]
        assert answer(again, 0) == (OfferStatus.TEC, refusal_number(1, 0), 0)
        assert again.market.list_of(OUTCOME_BY_OFFER).integers("countedW") == [2000, 2000], "collateral's"

    def test_a_refusal_of_a_later_round_is_named_by_its_round_and_an_earlier_one_stays(self) -> None:
        offers = [offer(0, 2000, 10_000), offer(2, 2000, 20_000), offer(4, 2000, 30_000)]
        first = cleared(offers, needs(2000))
        second = clear_again(first, refused(first, 1500))
        third = clear_again(second, refused(second, 0, 1000))
        assert taken(third) == [(0, 0, 500), (1, 0, 500), (2, 0, 1000)]
        named = [answer(third, position)[1] for position in range(3)]
        assert named == [refusal_number(1, 0), refusal_number(2, 0), 0]
        validated = validate_session(third, refused(third, 0, 0, 400), ORACLE)
        leaves = validated.list_of(OUTCOME_BY_OFFER).records()
        assert [leaf.integer("because") for leaf in leaves] == [*named[:2], refusal_number(3, 0)]

    def test_where_nobody_else_can_serve_it_another_round_isnt_worthwhile(self) -> None:
        first = cleared([offer(0, 2000, 10_000)], needs(2000))
        technical = refused(first, 1500)
        assert not is_worthwhile(clear_again(first, technical), first, technical)

    def test_nothing_refused_is_nothing_to_serve(self) -> None:
        first = cleared([offer(0, 2000, 10_000), offer(2, 2000, 20_000)], needs(3000))
        technical = refused(first)
        again = clear_again(first, technical)
        assert again.market.to_bytes() == first.market.to_bytes()
        assert not is_worthwhile(again, first, technical)

    def test_less_than_its_minimum_left_is_nothing_left(self) -> None:
        first = cleared([offer(0, 2000, 10_000, minimum_w=1000), offer(2, 2000, 20_000)], needs(2000))
        again = clear_again(first, refused(first, 1001))
        assert taken(again) == [(1, 0, 2000)]
        assert answer(again, 0)[0] is OfferStatus.TEC

    def test_what_is_paid_as_cleared_is_paid_the_last_rounds_marginal_price(self) -> None:
        offers = [offer(0, 2000, 10_000), offer(2, 2000, 20_000)]
        documents = book_of(offers, dso=[needs(2000)])
        first = clear_session(documents, registry(64), SEED, AS_CLEARED, ORACLE)
        again = clear_again(first, refused(first, 500))
        assert [entry.price_ueur_per_kw for entry in first.clearing.acceptances] == [10_000]
        assert [entry.price_ueur_per_kw for entry in again.clearing.acceptances] == [20_000, 20_000]

    def test_by_several_objectives_as_well(self) -> None:
        offers = [offer(0, 2000, 10_000), offer(2, 2000, 20_000)]
        documents = book_of(offers, dso=[needs(2000)])
        first = clear_session(documents, registry(64), SEED, EXACT, ORACLE)
        technical = refused(first, 1500)
        again = clear_again(first, technical)
        assert taken(again) == [(0, 0, 500), (1, 0, 1500)]
        assert is_worthwhile(again, first, technical)
        assert again.market.notes["fronts"]

    def test_refusals_of_another_rounds_entries_are_none_of_this_one(self) -> None:
        first = cleared([offer(0, 2000, 10_000), offer(2, 2000, 20_000)], needs(3000))
        technical = refused(first, 2000, 500)
        with pytest.raises(InvalidInput, match="offerPosition"):
            clear_again(clear_again(first, technical), technical)


class TestOrders:
    """Blocks and linked offers, as far as the DSO has left them."""

    def again(self, *refused_w: int) -> Taken:
        """Entries of slot 0 (block, linked one's parent), of slot 1 (block, linked)."""
        orders = [
            block(0, 3000, 10_000, 2),
            offer(2, 1000, 20_000),
            replace(offer(2, 1000, 20_000, slot=1), linked_to=1),
            offer(4, 9000, 90_000),
            offer(4, 9000, 90_000, slot=1),
        ]
        first = cleared(orders, needs(4000, 4000))
        return taken(clear_again(first, refused(first, *refused_w)))

    def test_a_block_that_was_refused_evenly_keeps_what_is_left(self) -> None:
        assert self.again(1000, 0, 1000, 0)[:2] == [(0, 0, 2000), (0, 1, 2000)]

    def test_one_that_wasnt_is_replaced(self) -> None:
        left = self.again(1000, 0, 0, 0)
        assert left == [(1, 0, 1000), (2, 1, 1000), (3, 0, 3000), (4, 1, 3000)]

    def test_without_its_parent_a_linked_one_is_replaced(self) -> None:
        left = self.again(0, 1000, 0, 0)
        assert left == [(0, 0, 3000), (0, 1, 3000), (3, 0, 1000), (4, 1, 1000)]


@pytest.mark.parametrize("round_", [1, 2, 3])
@pytest.mark.parametrize("position", [0, 1, 2**30 - 2])
def test_a_number_names_round_and_position(round_: int, position: int) -> None:
    number = refusal_number(round_, position)
    assert refusal_named(number) == (round_, position)
    assert 0 < number < 2**32


@pytest.mark.parametrize("round_", [0, 4])
def test_there_is_no_other_round(round_: int) -> None:
    with pytest.raises(InvalidInput, match="round"):
        refusal_number(round_, 0)


def test_a_because_that_names_none() -> None:
    assert refusal_named(0) == (1, -1)


@dataclass(frozen=True)
class Round:
    """A round and what the DSO refuses of it."""

    session: ClearedSession
    technical: ListDocument


@examples(150)
@given(books(), st.sampled_from([TERMS, AS_CLEARED]), st.randoms(use_true_random=False))
def test_nothing_can_be_said_against_honest_rounds(
    documents: Documents, terms: SessionTerms, chance: Random
) -> None:
    session = clear_session(documents, PODS, SEED, terms, ORACLE)
    rounds: list[Round] = []
    while True:
        assert Challenger(session.market, documents, PODS, terms).faults() == []
        assert refusals_ignored(session.market, rounds, documents) == []
        rounds.append(Round(session, refusals_at_random(session.market, chance)))
        if len(rounds) == MOST_ROUNDS:
            break
        session = clear_again(session, rounds[-1].technical)
    validated = validate_session(session, rounds[-1].technical, ORACLE)
    assert Challenger(validated, documents, PODS, terms).faults(market=False) == []
    assert refusals_ignored(validated, rounds, documents) == []


def refusals_ignored(judged: ListDocument, rounds: Sequence[Round], documents: Documents) -> list[str]:
    """What AssessmentChallenges would strike a later result for."""
    found = []
    for leaf in judged.list_of(OUTCOME_BY_OFFER).records():
        position, taken_w = leaf.integer("position"), leaf.integer("acceptedW")
        for each in rounds:
            before = each.session.market.list_of(OUTCOME_BY_OFFER).records()[position]
            for refusal in each.technical.list_of(REFUSAL).records():
                of_it = refusal.integer("offerPosition") == position
                if of_it and taken_w + refusal.integer("refusedW") > before.integer("acceptedW"):
                    found.append("RefusalIgnored")
        status = OfferStatus(leaf.integer("status"))
        blames = status is OfferStatus.TEC or (
            status is OfferStatus.PARTLY_ACCEPTED and leaf.integer("because")
        )
        if blames:
            found += falsely_named(leaf, rounds, documents)
    return found


def falsely_named(leaf: Record, rounds: Sequence[Round], documents: Documents) -> list[str]:
    """What may be said against the refusal that an answer names."""
    round_, place = refusal_named(leaf.integer("because"))
    if round_ > len(rounds) or not 0 <= place < len(rounds[round_ - 1].technical.list_of(REFUSAL)):
        return ["NoSuchRefusal"]
    named_in = rounds[round_ - 1]
    named = named_in.technical.list_of(REFUSAL).records()[place]
    offers = named_in.session.book.offers
    position = leaf.integer("position")
    if named.integer("offerPosition") != position:
        of_parent = named.integer("offerPosition") == offers[position].parent
        return [] if of_parent and not leaf.integer("acceptedW") else ["RefusedForAnother"]
    entry = named_in.session.market.list_of(OUTCOME_BY_REQUEST).records()[named.integer("byRequestPosition")]
    left = named.integer("refusedW") < entry.integer("acceptedW")
    if leaf.integer("status") == OfferStatus.TEC and offers[position].is_divisible and left:
        return ["TakenAway"]
    return []


@st.composite
def simple_books(draw: st.DrawFn) -> Documents:
    """One divisible offer a PoD at a merit of its own, and requests of areas that share no PoD."""
    powers = draw(st.lists(st.integers(1, 3000), min_size=2, max_size=10))
    effects = draw(st.lists(st.integers(1, 1000), min_size=len(powers), max_size=len(powers)))
    ranks = draw(st.permutations(range(1, len(powers) + 1)))
    # Price over effectiveness is the rank, so that no two tie.
    offers = [
        offer(number, power_w, rank * effect * 10)
        for number, (power_w, rank, effect) in enumerate(zip(powers, ranks, effects, strict=True))
    ]
    halves = [dict(list(enumerate(effects))[half::2]) for half in (0, 1)]
    areas = [area(draw(st.integers(1, 9000)), half) for half in halves if half]
    return book_of(offers, dso=areas)


@examples(200)
@given(simple_books(), st.randoms(use_true_random=False))
def test_what_was_allowed_stands_and_no_request_is_served_less(documents: Documents, chance: Random) -> None:
    """Nothing that was accepted and not refused gets less, what was refused in part keeps the rest."""
    pods = registry(64, limit_w=3000)
    session = clear_session(documents, pods, SEED, TERMS, ORACLE)
    for _ in range(MOST_ROUNDS - 1):
        technical = refusals_at_random(session.market, chance)
        again = clear_again(session, technical)
        allowed = validate_session(session, technical, ORACLE)
        for before, after in zip(
            allowed.list_of(OUTCOME_BY_OFFER).records(),
            again.market.list_of(OUTCOME_BY_OFFER).records(),
            strict=True,
        ):
            assert after.integer("acceptedW") >= before.integer("acceptedW")
        for request, served in relief(allowed).items():
            assert relief(again.market)[request] >= served
        session = again


def relief(outcome: ListDocument) -> dict[int, int]:
    """W times per mille by request."""
    out: dict[int, int] = {}
    for entry in outcome.list_of(OUTCOME_BY_REQUEST).records():
        effect = entry.integer("acceptedW") * entry.integer("effectivenessPermille")
        out[entry.integer("requestPosition")] = out.get(entry.integer("requestPosition"), 0) + effect
    return out


def test_the_dso_comes_first_in_a_later_round_as_well() -> None:
    """What the TSO had of PoD 2 the DSO needs now."""
    offers = [offer(0, 1000, 10_000), offer(2, 1000, 20_000)]
    first = cleared(offers, needs(1000), tso=(area(1000, {2: 1000}),))
    assert taken(first) == [(0, 0, 1000), (1, 0, 1000)]
    again = clear_again(first, refused(first, 1000))
    sides = [(entry.request.side, entry.accepted_w) for entry in again.clearing.acceptances]
    assert sides == [(Side.DSO_REQUEST, 1000)]
