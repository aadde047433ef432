"""Whatever is committed, replaced, retracted, revealed, forfeited and gathered, relayed or not, in whatever order, the book and
its money are what a plain Python model says.

The model knows each commitment's state, its bond or coverage, each player's nonce and free money, and which step the clock allows.
"""

from dataclasses import astuple, dataclass
from typing import Any

from brownie.exceptions import VirtualMachineError
from brownie.test import strategy
from eth_abi.abi import encode

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import BookState, Retraction
from tests.contracts.chain import now_s, speak_as, travel_to
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


class BookMachine:
    """Rules against the book of one session, from before its gate opens to after its documents deadline."""

    who = strategy("uint8", max_value=len(PLAYERS) - 1)
    cap = strategy("uint64", max_value=1200 * EURO)
    which = strategy("uint8", max_value=15)
    trick = strategy("uint8", max_value=7)
    relayed = strategy("bool")
    seconds = strategy("uint16", min_value=1, max_value=90)

    def __init__(cls, market: Any, terms: SessionTerms) -> None:  # noqa: N805
        cls.market, cls.terms, cls.session = market, terms, terms.session
        cls.book, cls.vault = market.CommitmentBook, market.Vault
        cls.certifier = speak_as(market.Availability.address)

    def setup(self) -> None:
        travel_to(self.terms.gateOpening - 30)
        self.known: list[Known] = []
        self.free = dict.fromkeys(PLAYERS, BALANCE_UEUR)
        self.nonces = dict.fromkeys(PLAYERS, 0)
        self.locked = dict.fromkeys(PLAYERS, 0)
        self.reserve_ueur = self.vault.free(self.vault.reserve())
        self.documents = 0

    def rule_wait(self, seconds: int) -> None:
        travel_to(now_s() + seconds)

    def rule_commit(self, who: int, cap: int, which: int, trick: int, relayed: bool) -> None:
        """Mostly sound; else with a nonce used before or too far on, or of a hash used before. Sometimes in another's place."""
        name = PLAYERS[who]
        player = account_of(name)
        side = DSO_REQUEST if name == "dso" else OFFER
        old = self._pick(which) if trick == 0 else None
        document = sealed(player, side, cap, f"{name} {len(self.known)}")
        used = trick == 1 and self._pick(which)
        if used:
            document = Sealed(player, side, cap, used.document.root, used.document.salt)
        nonce = self.nonces[name] + {2: 1, 3: -1}.get(trick, 0)
        if nonce < 0:
            return
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
            return
        if old:
            old.state, old.money_ueur = BookState.WITHDRAWN, 0
        self.free[name] += back - bond
        self.nonces[name] += 1
        self.known.append(Known(name, document, BookState.COMMITTED, bond))

    def rule_retract(self, which: int, trick: int, relayed: bool) -> None:
        entry = self._pick(which)
        if entry is None:
            return
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
        if self._went(move, taken):
            self.free[name] += entry.money_ueur
            self.nonces[name] += relayed
            entry.state, entry.money_ueur = BookState.WITHDRAWN, 0

    def rule_reveal(self, which: int, trick: int) -> None:
        entry = self._pick(which)
        if entry is None:
            return
        self._reach(self.terms.gateClosure, trick)
        opening = astuple(entry.document.opening(self.session))
        in_time = self.terms.gateClosure <= now_s() + 1 < self.terms.revealDeadline
        taken = in_time and entry.state is BookState.COMMITTED
        if self._went(lambda: self.book.reveal(opening, {"from": account_of("auditor")}), taken):
            available = self.free[entry.player] + entry.money_ueur
            entry.state, entry.money_ueur = BookState.REVEALED, min(available, entry.document.cap_ueur)
            self.free[entry.player] = available - entry.money_ueur

    def rule_make_available(self, which: int) -> None:
        entry = self._pick(which)
        if entry is None:
            return
        opening = astuple(entry.document.opening(self.session))
        taken = now_s() + 1 < self.terms.documentsDeadline and entry.state is BookState.REVEALED
        if self._went(lambda: self.book.makeAvailable(opening, {"from": self.certifier}), taken):
            entry.state = BookState.AVAILABLE
            self.documents += 1

    def rule_forfeit(self, which: int, trick: int) -> None:
        entry = self._pick(which)
        if entry is None:
            return
        if any(other.state is BookState.AVAILABLE for other in self.known):
            self._reach(self.terms.revealDeadline, trick)
        taken = now_s() + 1 >= self.terms.revealDeadline and entry.state is BookState.COMMITTED
        arguments = (self.session, account_of(entry.player), self._hash(entry))
        if self._went(lambda: self.book.forfeit(*arguments, {"from": account_of("auditor")}), taken):
            self.reserve_ueur += entry.money_ueur
            entry.state, entry.money_ueur = BookState.FORFEITED, 0

    def rule_gather(self, which: int, trick: int) -> None:
        entry = self._pick(which)
        if entry is None:
            return
        if now_s() >= self.terms.revealDeadline:
            self._reach(self.terms.documentsDeadline, trick)
        shown = entry.state in (BookState.REVEALED, BookState.AVAILABLE)
        taken = now_s() + 1 >= self.terms.documentsDeadline and shown and not entry.gathered
        lists = ([account_of(entry.player)], [self._hash(entry)])
        if self._went(lambda: self.book.gather(self.session, *lists, {"from": account_of("auditor")}), taken):
            entry.gathered = True
            self.locked[entry.player] += entry.money_ueur

    def rule_nobody_acts_for_another(self, which: int) -> None:
        entry = self._pick(which)
        if entry is None:
            return
        thief = account_of("auditor")
        made = entry.document.commitment(self.market, self.session)
        for move in (
            lambda: self.book.commit(astuple(made), {"from": thief}),
            lambda: self.book.retract(self.session, self._hash(entry), {"from": thief}),
            lambda: self.book.makeAvailable(astuple(entry.document.opening(self.session)), {"from": thief}),
        ):
            self._went(move, False)

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

    def _reach(self, deadline_s: int, trick: int) -> None:
        """Mostly wait for the step's time, once there is something to do then."""
        if len(self.known) > 3 and trick != 0 and now_s() < deadline_s:
            travel_to(deadline_s)

    def _coverage_key(self) -> bytes:
        return keccak256(encode(["uint64", "string"], [self.session, "cover"]))

    def _pick(self, which: int) -> Known | None:
        return self.known[-1 - which % len(self.known)] if self.known else None

    def _hash(self, entry: Known) -> bytes:
        return entry.document.hash(self.session)

    def _is_open(self) -> bool:
        return self.terms.gateOpening <= now_s() + 1 < self.terms.gateClosure

    def _went(self, move: Any, taken: bool) -> bool:
        """Whether a move went through; it must exactly if the model takes it."""
        went, why = True, "the model refuses this, the book doesn't"
        try:
            move()
        except VirtualMachineError as refusal:
            went, why = False, f"the book refuses this, the model doesn't: {refusal.revert_msg}"
        assert went == taken, why
        return went


def test_book_and_money_equal_their_model(market: Any, terms: SessionTerms, state_machine: Any) -> None:
    state_machine(BookMachine, market, terms, settings={"max_examples": 26, "stateful_step_count": 40})
