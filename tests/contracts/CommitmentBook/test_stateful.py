"""Whatever is committed, replaced, retracted, revealed, forfeited and gathered, relayed or not, in whatever order, the book and
its money are what a plain Python model says.

The model knows each commitment's state, its bond or coverage, each player's nonce and free money, and which step the clock allows.
"""

from dataclasses import astuple, dataclass
from typing import Any, ClassVar

import pytest
from brownie.exceptions import VirtualMachineError
from eth_abi.abi import encode

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import BookState, Retraction
from tests.contracts.chain import next_block_at, now_s, speak_as, travel_to
from tests.contracts.conftest import BALANCE_UEUR, account_of
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    FOREVER,
    OFFER,
    Sealed,
    domain,
    key_of,
    sealed,
)
from tests.contracts.stateful import Machine, play_runs

PLAYERS = ("aggregator", "other_aggregator", "dso")
NO_HASH = bytes(32)


@dataclass
class Known:
    """A commitment as the model has it."""

    player: str
    document: Sealed
    state: BookState
    money_ueur: int
    gathered: bool = False


class BookMachine(Machine):
    """Rules against the book of one session, from before its gate opens to after its documents deadline."""

    weights: ClassVar = {
        "step_commit": 6,
        "step_retract": 4,
        "step_reveal": 6,
        "step_make_available": 6,
        "step_forfeit": 3,
        "step_gather": 9,
        "step_next_phase": 5,
    }
    who = range(len(PLAYERS))
    cap = range(1200 * EURO + 1)
    which = range(16)
    trick = range(8)
    relayed = (False, True)

    def __init__(self, market: Any, terms: SessionTerms) -> None:
        self.market, self.terms, self.session = market, terms, terms.session
        self.book, self.vault = market.CommitmentBook, market.Vault
        self.certifier = speak_as(market.Availability.address)
        travel_to(self.terms.gateOpening - 1)
        self.known: list[Known] = []
        self.free = dict.fromkeys(PLAYERS, BALANCE_UEUR)
        self.nonces = dict.fromkeys(PLAYERS, 0)
        self.locked = dict.fromkeys(PLAYERS, 0)
        self.reserve_ueur = self.vault.free(self.vault.reserve())
        self.documents = 0

        # What every run has to work on, whatever else it does.
        for who in range(len(PLAYERS)):
            self.step_commit(who, cap=600 * EURO, which=0, trick=7, relayed=who == 0)
            self.step_commit(who, cap=90 * EURO * who, which=0, trick=7, relayed=False)

    def step_next_phase(self, trick: int) -> bool:
        """To the next deadline, or the second before it."""
        terms = self.terms
        deadlines = (terms.gateClosure, terms.revealDeadline, terms.documentsDeadline)
        to_come = [deadline_s for deadline_s in deadlines if deadline_s - 1 > now_s()]
        if not to_come:
            return False
        travel_to(to_come[0] - trick % 2)
        return True

    def step_commit(self, who: int, cap: int, which: int, trick: int, relayed: bool) -> bool:
        """Mostly sound; else with a nonce used before or too far on, or of a hash used before. Sometimes in another's place."""
        name = PLAYERS[who]
        player = account_of(name)
        side = DSO_REQUEST if name == "dso" else OFFER
        old = self._pick(which) if trick == 0 else None
        document = sealed(player, side, cap, f"{name} {len(self.known)}")
        if trick == 1:
            used = self._pick(which).document
            document = Sealed(player, side, cap, used.root, used.salt)
        nonce = self.nonces[name] + {2: 1, 3: -1}.get(trick, 0)
        if nonce < 0:
            return False
        replaces = self._hash(old) if old else NO_HASH
        made = document.commitment(self.market, self.session, nonce=nonce, replaces=replaces)
        bond = max(1 * EURO, -(-cap * self.terms.bondPermille // 1000))
        fits = old is None or (old.player == name and old.state is BookState.COMMITTED)
        back = old.money_ueur if old and fits else 0
        taken = (
            self._is_open()
            and nonce == self.nonces[name]
            and fits
            and self.free[name] + back >= bond
            and not any(self._hash(entry) == document.hash(self.session) for entry in self.known)
        )
        if relayed:
            signature = made.sign(domain(self.book), key_of(player))
            move = lambda: self.book.commitFor(astuple(made), signature, {"from": account_of("auditor")})  # noqa: E731
        else:
            move = lambda: self.book.commit(astuple(made), {"from": player})  # noqa: E731
        if not self._went(move, taken):
            return False
        if old:
            old.state, old.money_ueur = BookState.WITHDRAWN, 0
        self.free[name] += back - bond
        self.nonces[name] += 1
        self.known.append(Known(name, document, BookState.COMMITTED, bond))
        return True

    def step_retract(self, which: int, trick: int, relayed: bool) -> bool:
        entry = self._pick(which, BookState.COMMITTED)
        name, player = entry.player, account_of(entry.player)
        taken = self._is_open() and entry.state is BookState.COMMITTED
        if relayed:
            nonce = self.nonces[name] + (trick == 2)
            made = Retraction(self.session, player.address, self._hash(entry), nonce, FOREVER)
            signature = made.sign(domain(self.book), key_of(player))
            move = lambda: self.book.retractFor(astuple(made), signature, {"from": account_of("auditor")})  # noqa: E731
            taken = taken and trick != 2
        else:
            move = lambda: self.book.retract(self.session, self._hash(entry), {"from": player})  # noqa: E731
        went = self._went(move, taken)
        if went:
            self.free[name] += entry.money_ueur
            self.nonces[name] += relayed
            entry.state, entry.money_ueur = BookState.WITHDRAWN, 0
        return went

    def step_reveal(self, which: int) -> bool:
        entry = self._pick(which, BookState.COMMITTED)
        opening = astuple(entry.document.opening(self.session))
        in_time = self.terms.gateClosure <= now_s() + 1 < self.terms.revealDeadline
        taken = in_time and entry.state is BookState.COMMITTED
        went = self._went(lambda: self.book.reveal(opening, {"from": account_of("auditor")}), taken)
        if went:
            available = self.free[entry.player] + entry.money_ueur
            entry.state, entry.money_ueur = BookState.REVEALED, min(available, entry.document.cap_ueur)
            self.free[entry.player] = available - entry.money_ueur
        return went

    def step_make_available(self, which: int) -> bool:
        entry = self._pick(which, BookState.REVEALED)
        opening = astuple(entry.document.opening(self.session))
        taken = now_s() + 1 < self.terms.documentsDeadline and entry.state is BookState.REVEALED
        went = self._went(lambda: self.book.makeAvailable(opening, {"from": self.certifier}), taken)
        if went:
            entry.state = BookState.AVAILABLE
            self.documents += 1
        return went

    def step_forfeit(self, which: int) -> bool:
        entry = self._pick(which, BookState.COMMITTED)
        taken = now_s() + 1 >= self.terms.revealDeadline and entry.state is BookState.COMMITTED
        arguments = (self.session, account_of(entry.player), self._hash(entry))
        went = self._went(lambda: self.book.forfeit(*arguments, {"from": account_of("auditor")}), taken)
        if went:
            self.reserve_ueur += entry.money_ueur
            entry.state, entry.money_ueur = BookState.FORFEITED, 0
        return went

    def step_gather(self, which: int) -> bool:
        entry = self._pick(which, BookState.REVEALED, BookState.AVAILABLE)
        shown = entry.state in (BookState.REVEALED, BookState.AVAILABLE)
        taken = now_s() + 1 >= self.terms.documentsDeadline and shown and not entry.gathered
        lists = ([account_of(entry.player)], [self._hash(entry)])
        went = self._went(
            lambda: self.book.gather(self.session, *lists, {"from": account_of("auditor")}), taken
        )
        if went:
            entry.gathered = True
            self.locked[entry.player] += entry.money_ueur
        return went

    def step_nobody_acts_for_another(self, which: int) -> bool:
        entry = self._pick(which)
        thief = account_of("auditor")
        made = entry.document.commitment(self.market, self.session)
        for move in (
            lambda: self.book.commit(astuple(made), {"from": thief}),
            lambda: self.book.retract(self.session, self._hash(entry), {"from": thief}),
            lambda: self.book.makeAvailable(astuple(entry.document.opening(self.session)), {"from": thief}),
        ):
            self._went(move, False)
        return True

    def invariant_the_book_is_the_models(self) -> None:
        for entry in self.known:
            found = self.book.entry(self.session, entry.document.player, self._hash(entry))
            assert BookState(found["state"]) is entry.state
            assert (found["moneyUeur"], found["gathered"]) == (entry.money_ueur, entry.gathered)
        revealed = [e for e in self.known if e.state in (BookState.REVEALED, BookState.AVAILABLE)]
        tally = self.book.tally(self.session)
        assert tally["ungathered"] == sum(not entry.gathered for entry in revealed)
        assert tally["escrowUeur"] == sum(e.money_ueur for e in revealed if e.player == "dso")
        assert tally["documents"] == self.documents

    def invariant_money_is_the_models(self) -> None:
        key = "0x" + self._coverage_key().hex()
        for name in PLAYERS:
            account = account_of(name)
            assert self.vault.free(account) == self.free[name], name
            assert self.book.nonces(account) == self.nonces[name], name
            assert self.vault.locked(key, account) == self.locked[name], name
            book = sum(e.money_ueur for e in self.known if e.player == name and not e.gathered)
            if not any(e.player == name and e.state is BookState.FORFEITED for e in self.known):
                assert self.free[name] + self.locked[name] + book == BALANCE_UEUR
        assert self.vault.free(self.vault.reserve()) == self.reserve_ueur

    def _coverage_key(self) -> bytes:
        return keccak256(encode(["uint64", "string"], [self.session, "cover"]))

    def _pick(self, which: int, *states: BookState) -> Known:
        """A commitment, mostly one in these states."""
        fitting = [entry for entry in self.known if entry.state in states and not entry.gathered]
        chosen = fitting if fitting and which < 13 else self.known
        return chosen[which % len(chosen)]

    def _hash(self, entry: Known) -> bytes:
        return entry.document.hash(self.session)

    def _is_open(self) -> bool:
        return self.terms.gateOpening <= now_s() + 1 < self.terms.gateClosure

    def _went(self, move: Any, taken: bool) -> bool:
        """Whether a move went through, a second after the newest block; it must exactly if the model takes it."""
        next_block_at(now_s() + 1)
        went, why = True, "the model refuses this, the book doesn't"
        try:
            move()
        except VirtualMachineError as refusal:
            went, why = False, f"the book refuses this, the model doesn't: {refusal.revert_msg}"
        assert went == taken, why
        return went


@pytest.mark.hypothesis
def test_book_and_money_equal_their_model(market: Any, terms: SessionTerms) -> None:
    play_runs(BookMachine, market, terms)
