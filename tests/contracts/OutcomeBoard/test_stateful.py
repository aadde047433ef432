"""Whatever is posted, struck, held and released, the board and the vault hold what a plain Python model says.

The model knows what stands at each stage, whose bond lies behind it, and everybody's money. It plays a session from its book's
end to long after its settlement, with strikes at any time.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from brownie.exceptions import VirtualMachineError

from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, now_s, speak_as, travel_to
from tests.contracts.conftest import account_of
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    MARKET,
    MARKET_2,
    MARKET_3,
    OFFER,
    SETTLEMENT,
    TECHNICAL,
    TECHNICAL_2,
    TECHNICAL_3,
    VALIDATED,
    Played,
    outcome,
    play_book,
    post_market,
    post_settlement,
    post_technical,
    post_validated,
    sealed,
    settlement,
    technical_outcome,
)
from tests.contracts.stateful import Machine, play_runs

BOND = 10 * EURO
"""A tenth of the escrow of 100 euro."""
FAULT = b"Lie".ljust(32, b"\0")
STAGES = range(SETTLEMENT + 1)
MARKETS, TECHNICALS = (MARKET, MARKET_2, MARKET_3), (TECHNICAL, TECHNICAL_2, TECHNICAL_3)
POSTERS = {
    **dict.fromkeys(MARKETS, ("clearing_oracle", "other_clearing_oracle")),
    **dict.fromkeys(TECHNICALS, ("grid_oracle",)),
    VALIDATED: ("clearing_oracle", "other_clearing_oracle"),
    SETTLEMENT: ("settlement_oracle", "other_settlement_oracle"),
}


@dataclass
class Standing:
    """A result that stands."""

    hash: bytes
    poster: str
    posted_at_s: int
    bond_ueur: int = BOND


class BoardMachine(Machine):
    """Rules against the board of a session whose book is complete."""

    weights: ClassVar = {
        "step_post": 6,
        "step_unhold": 3,
        "step_release": 3,
        "step_wait": 2,
        "step_wait_for_delivery": 2,
    }
    stage = STAGES
    place = range(3 * len(STAGES))
    who = range(2)
    loss = range(12 * EURO + 1)
    seconds = range(1, 301)

    def __init__(self, market: Any, terms: SessionTerms) -> None:
        self.market, self.terms, self.session = market, terms, terms.session
        self.board = market.OutcomeBoard
        self.challenger = speak_as(market.OutcomeChallenges.address)
        self.people = sorted(
            {name for names in POSTERS.values() for name in names} | {"auditor", "aggregator"}
        )
        self.reserve = market.Vault.reserve()
        vault = self.market.Vault
        self.standing: dict[int, Standing] = {}
        self.struck: dict[int, tuple[str, int]] = {}
        self.final: dict[int, bytes] = {}
        self.holds: defaultdict[int, int] = defaultdict(int)
        self.shown_until_s: defaultdict[int, int] = defaultdict(int)
        self.tries = 0
        self.money = {name: self._money(name) for name in self.people}
        self.kept: defaultdict[str, int] = defaultdict(int)
        self.reserve_ueur = vault.free(self.reserve)

    def step_wait(self, seconds: int) -> bool:
        travel_to(now_s() + seconds)
        return True

    def step_wait_for_delivery(self) -> bool:
        """Once a validated outcome stands: the session runs on to its end of delivery."""
        if VALIDATED not in self.standing or now_s() >= self.terms.delivery_end_s:
            return False
        travel_to(self.terms.delivery_end_s)
        return True

    def step_post(self, place: int, who: int) -> bool:
        """By an oracle of the stage; the model says whether the board takes it. Mostly of the next stage."""
        stage = self._next_stage(place) if place > SETTLEMENT else place
        name = POSTERS[stage][who % len(POSTERS[stage])]
        self.tries += 1
        hash_ = self._taken(stage, account_of(name))
        assert (hash_ is not None) == self._may_post(stage, name, now_s())
        if hash_ is None:
            return False
        self.standing[stage] = Standing(hash_, name, now_s())
        self.kept[name] += BOND
        return True

    def step_strike(self, place: int, loss: int) -> bool:
        """The auditor proves a result false, by which the aggregator lost. Mostly one that stands."""
        stage = self._mostly_standing(place)
        found = self.standing.get(stage)
        wronged, auditor = account_of("aggregator"), account_of("auditor")
        arguments = (self.session, stage, FAULT, auditor, wronged, loss)
        if found is None or found.bond_ueur == 0:
            self._is_refused(lambda: self.board.strike(*arguments, {"from": self.challenger}))
            return False
        self.board.strike(*arguments, {"from": self.challenger})
        compensation = min(loss, BOND * 80 // 100)
        prize = (BOND - compensation) // 2
        self.kept[found.poster] -= BOND
        self.money[found.poster] -= BOND
        self.money["aggregator"] += compensation
        self.money["auditor"] += prize
        self.reserve_ueur += BOND - compensation - prize
        found.bond_ueur = 0
        if self._is_operative(stage, found):
            return True
        del self.standing[stage]
        self.struck[stage] = (found.poster, now_s())
        if stage != SETTLEMENT and not (stage in MARKETS and stage + 1 not in self.standing):
            for later in range(stage + 1, SETTLEMENT):
                resting = self.standing.pop(later, None)
                if resting:
                    self.kept[resting.poster] -= resting.bond_ueur
                    self.struck.pop(later, None)
        return True

    def step_hold(self, stage: int) -> bool:
        next_block_at(now_s() + 1)
        found = self.standing.get(stage)
        if found and self._is_over(stage, found, now_s() + 1):
            self._is_refused(lambda: self.board.hold(self.session, stage, True, {"from": self.challenger}))
            return False
        self.board.hold(self.session, stage, True, {"from": self.challenger})
        self.holds[stage] += 1
        return True

    def step_unhold(self, place: int) -> bool:
        """Mostly one that is held."""
        held = sorted(stage for stage, times in self.holds.items() if times)
        stage = held[place % len(held)] if held and place > SETTLEMENT else place % len(STAGES)
        if not self.holds[stage]:
            self._is_refused(lambda: self.board.unhold(self.session, stage, True, {"from": self.challenger}))
            return False
        self.board.unhold(self.session, stage, True, {"from": self.challenger})
        self.holds[stage] -= 1
        self.shown_until_s[stage] = now_s() + self.terms.demandWindowS
        return True

    def step_release(self, place: int) -> bool:
        """Anybody asks for a bond to be given back."""
        next_block_at(now_s() + 1)
        stage = self._mostly_standing(place)
        found = self.standing.get(stage)
        ask = lambda: self.board.releaseBond(self.session, stage, {"from": account_of("auditor")})  # noqa: E731
        if not found or not found.bond_ueur or not self._is_over(stage, found, now_s() + 1):
            self._is_refused(ask)
            return False
        ask()
        self.kept[found.poster] -= BOND
        found.bond_ueur = 0
        return True

    def invariant_what_stands_is_the_models(self) -> None:
        for stage in STAGES:
            found = self.standing.get(stage)
            posted = self.board.posting(self.session, stage)
            assert bytes(posted["hash"]) == (found.hash if found else bytes(32))
            assert posted["bondUeur"] == (found.bond_ueur if found else 0)

    def invariant_money_is_the_models(self) -> None:
        for name in self.people:
            assert self._money(name) == self.money[name], name
            assert self.market.Vault.bonded(account_of(name)) == self.kept[name], name
        assert self.market.Vault.free(self.reserve) == self.reserve_ueur

    def invariant_nothing_final_changes(self) -> None:
        """A settlement that was final once, or an outcome once it was operative, stays what it was."""
        for stage, hash_ in self.final.items():
            assert bytes(self.board.outcomeHash(self.session, stage)) == hash_
        for stage, found in self.standing.items():
            over = self._is_over(stage, found, now_s())
            assert self.board.isFinal(self.session, stage) == over
            if over and self._is_operative(stage, found):
                self.final.setdefault(stage, found.hash)

    def _mostly_standing(self, place: int) -> int:
        standing = sorted(self.standing)
        return standing[place % len(standing)] if standing and place > SETTLEMENT else place % len(STAGES)

    def _taken(self, stage: int, oracle: Any) -> bytes | None:
        try:
            return self._post(stage, oracle)
        except VirtualMachineError:
            return None

    def _post(self, stage: int, oracle: Any) -> bytes:
        market, session, terms = self.market, self.session, self.terms
        made: Any
        if stage in MARKETS:
            seed = bytes(market.CommitmentBook.seed(session))
            basis = seed if stage == MARKET else self._hash_of(stage - 1)
            made = outcome(session, basis, totalUeur=self.tries)
            post_market(market, terms, made, oracle)
        elif stage in TECHNICALS:
            made = technical_outcome(session, self._hash_of(stage - 1), refusedWSlots=self.tries)
            post_technical(market, terms, made, oracle)
        elif stage == VALIDATED:
            made = outcome(session, self._hash_of(self._last_assessment()), totalUeur=self.tries)
            post_validated(market, terms, made, oracle)
        else:
            played = Played(market, terms, self._hash_of(VALIDATED))
            made = settlement(played, rewardsUeur=self.tries)
            post_settlement(played, made, [], oracle, now_s() + 1)
        return bytes(market.OutcomeBoard.outcomeHash(session, stage))

    def _hash_of(self, stage: int) -> bytes:
        found = self.standing.get(stage)
        return found.hash if found else b"\1" * 32

    def _next_stage(self, place: int) -> int:
        """What may be posted next: after an assessment another round, or the validated outcome."""
        if VALIDATED in self.standing:
            return SETTLEMENT
        missing = next((stage for stage in STAGES if stage not in self.standing), SETTLEMENT)
        return VALIDATED if missing in MARKETS[1:] and place % 2 else missing

    def _last_assessment(self) -> int:
        return max((stage for stage in TECHNICALS if stage in self.standing), default=TECHNICAL)

    def _may_post(self, stage: int, name: str, time_s: int) -> bool:
        terms = self.terms
        before = self._last_assessment() if stage == VALIDATED else stage - 1
        if stage in self.standing or (stage != MARKET and before not in self.standing):
            return False
        if MARKET_2 <= stage < VALIDATED and VALIDATED in self.standing:
            return False
        last_part_s = terms.validatedOutcomeDeadline - terms.takeoverS
        if stage == VALIDATED and before + 1 in self.standing and time_s < last_part_s:
            return False
        if self.struck.get(stage, ("", 0))[0] == name:
            return False
        if stage == SETTLEMENT:
            until = terms.settlementDeadline
            if stage in self.struck:
                until = max(until, self.struck[stage][1] + terms.challengeWindowS)
            return terms.delivery_end_s <= time_s < until
        until = terms.validatedOutcomeDeadline
        if stage == MARKET and stage not in self.struck:
            until = terms.marketOutcomeDeadline
        if stage in MARKETS[1:]:
            until = last_part_s
        return terms.documentsDeadline <= time_s < until

    def _is_operative(self, stage: int, found: Standing) -> bool:
        """Whether a struck result stays: who follows it, or was paid by it, is in the right."""
        if stage == SETTLEMENT:
            return self._is_over(stage, found, now_s())
        return now_s() >= self.terms.validatedOutcomeDeadline

    def _is_over(self, stage: int, found: Standing, time_s: int) -> bool:
        """Whether a result can be challenged no more."""
        end_s = max(found.posted_at_s + self.terms.challengeWindowS, self.shown_until_s[stage])
        return time_s >= end_s and not self.holds[stage]

    def _is_refused(self, move: Any) -> None:
        try:
            move()
        except VirtualMachineError:
            return
        raise AssertionError("the model refuses this, the board doesn't")

    def _money(self, name: str) -> int:
        vault, account = self.market.Vault, account_of(name)
        return int(vault.free(account) + vault.bonded(account))


@pytest.mark.hypothesis
def test_board_and_money_equal_their_model(
    market: Any, terms: SessionTerms, aggregator: Any, dso: Any, grid_oracle: Any
) -> None:
    documents = [sealed(aggregator, OFFER, 100 * EURO), sealed(dso, DSO_REQUEST, 100 * EURO)]
    play_book(market, terms, documents, grid_oracle)
    travel_to(terms.documentsDeadline)
    play_runs(BoardMachine, market, terms)
