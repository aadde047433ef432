"""Whatever is done to the vault, it holds what a plain Python model says, and never owes more than it has."""

from collections import defaultdict
from typing import Any, ClassVar

import pytest
from brownie import project

from tests.contracts.chain import refused
from tests.contracts.stateful import Machine, play_runs

MINTED = 1_000_000
ROLE = 2
KEYS = (b"\x01" * 32, b"\x02" * 32)


class VaultMachine(Machine):
    """Rules against a vault whose controller is an account."""

    account = range(3)
    other = range(3)
    key = range(2)
    weights: ClassVar = {"step_deposit": 2, "step_lock": 2, "step_bond": 2}
    amount = range(MINTED // 10 + 1)
    part = range(MINTED // 50 + 1)

    def __init__(self, vault: Any, euro: Any, players: list[Any], controller: Any) -> None:
        self.vault, self.euro, self.players, self.controller = vault, euro, players, controller
        self.free: defaultdict[int, int] = defaultdict(int)
        self.locked: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.bonded: defaultdict[int, int] = defaultdict(int)
        self.outside = dict.fromkeys(range(len(self.players)), MINTED)

    def step_deposit(self, account: int, amount: int) -> bool:
        amount = min(amount, self.outside[account])
        if amount == 0:
            with refused("VaultNothingArrived", self.players[account], 0):
                self.vault.deposit(0, {"from": self.players[account]})
            return False
        self.vault.deposit(amount, {"from": self.players[account]})
        self.outside[account] -= amount
        self.free[account] += amount
        return True

    def step_deposit_for(self, account: int, other: int, amount: int) -> bool:
        amount = min(amount, self.outside[account])
        if amount == 0:
            return False
        self.vault.depositFor(self.players[other], amount, {"from": self.players[account]})
        self.outside[account] -= amount
        self.free[other] += amount
        return True

    def step_withdraw(self, account: int, part: int) -> bool:
        if self._refuses_beyond_free(account, part, self.vault.withdraw, part, self.players[account]):
            return False
        self.free[account] -= part
        self.outside[account] += part
        return True

    def step_lock(self, account: int, key: int, amount: int) -> bool:
        arguments = (KEYS[key], self.players[account], amount)
        if self._refuses_beyond_free(account, amount, self.vault.lock, *arguments, self.controller):
            return False
        self.free[account] -= amount
        self.locked[key, account] += amount
        return True

    def step_bond(self, account: int, amount: int) -> bool:
        arguments = (self.players[account], ROLE, amount)
        if self._refuses_beyond_free(account, amount, self.vault.bond, *arguments, self.controller):
            return False
        self.free[account] -= amount
        self.bonded[account] += amount
        return True

    def step_slash_or_unbond(self, account: int, other: int, key: int, part: int) -> bool:
        player, to = self.players[account], self.players[other]
        part = self._mostly_within(part, self.bonded[account])
        change = (lambda: self.vault.slash(player, part, (to, part // 3, to, part - part // 3), {"from": self.controller})) if key else (
            lambda: self.vault.unbond(player, part, {"from": self.controller})
        )  # fmt: skip
        if part > self.bonded[account]:
            with refused("VaultInsufficientBonded", player, self.bonded[account], part):
                change()
            return False
        change()
        self.bonded[account] -= part
        self.free[other if key else account] += part
        return True

    def step_release(self, account: int, key: int, part: int) -> bool:
        part = self._mostly_within(part, self.locked[key, account])
        arguments = (KEYS[key], self.players[account], part)
        if self._refuses_beyond_locked(account, key, part, self.vault.release, *arguments):
            return False
        self.locked[key, account] -= part
        self.free[account] += part
        return True

    def step_move(self, account: int, other: int, key: int, part: int) -> bool:
        part = self._mostly_within(part, self.locked[key, account])
        arguments = (KEYS[key], self.players[account], self.players[other], part)
        if self._refuses_beyond_locked(account, key, part, self.vault.move, *arguments):
            return False
        self.locked[key, account] -= part
        self.free[other] += part
        return True

    def step_players_dont_control(self, account: int, key: int, amount: int) -> bool:
        player = self.players[account]
        with refused("VaultNotAController", player):
            self.vault.move(KEYS[key], self.players[account], player, amount, {"from": player})
        return True

    def invariant_equals_the_model(self) -> None:
        for account, player in enumerate(self.players):
            assert self.vault.free(player) == self.free[account]
            assert self.vault.bonded(player) == self.bonded[account]
            assert self.euro.balanceOf(player) == self.outside[account]
            for key, word in enumerate(KEYS):
                assert self.vault.locked(word, player) == self.locked[key, account]

    def invariant_owes_what_it_has(self) -> None:
        owed = sum(self.free.values()) + sum(self.locked.values()) + sum(self.bonded.values())
        assert self.euro.balanceOf(self.vault) == owed

    def _mostly_within(self, part: int, held: int) -> int:
        return min(part, held) if part % 4 else part

    def _refuses_beyond_free(self, account: int, amount: int, change: Any, *rest: Any) -> bool:
        *arguments, sender = rest
        if amount <= self.free[account]:
            change(*arguments, {"from": sender})
            return False
        with refused("VaultInsufficientFree", self.players[account], self.free[account], amount):
            change(*arguments, {"from": sender})
        return True

    def _refuses_beyond_locked(
        self, account: int, key: int, amount: int, change: Any, *arguments: Any
    ) -> bool:
        held = self.locked[key, account]
        if amount <= held:
            change(*arguments, {"from": self.controller})
            return False
        with refused("VaultInsufficientLocked", KEYS[key], self.players[account], held, amount):
            change(*arguments, {"from": self.controller})
        return True


@pytest.mark.hypothesis
def test_vault_equals_its_model(
    market: Any, admin: Any, dso: Any, aggregator: Any, customer: Any, stranger: Any
) -> None:
    rules = market.MarketSessions.rules()
    made = project.get_loaded_projects()[0].Market
    vault = made.deploy(market.Administration, rules, market.Euro, admin, {"from": admin})
    vault.setControllers([stranger], {"from": admin})
    players = [dso, aggregator, customer]
    for player in players:
        vault.register(player, 1 << ROLE, "player", {"from": admin})
        market.Euro.mint(player, MINTED, {"from": player})
        market.Euro.approve(vault, 2**256 - 1, {"from": player})
    play_runs(VaultMachine, vault, market.Euro, players, stranger)
