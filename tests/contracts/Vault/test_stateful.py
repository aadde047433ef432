"""Whatever is done to the vault, it holds what a plain Python model says, and never owes more than it has."""

from collections import defaultdict
from typing import Any

from brownie import project
from brownie.test import strategy

from tests.contracts.chain import refused

MINTED = 1_000_000
ROLE = 2
KEYS = (b"\x01" * 32, b"\x02" * 32)


class VaultMachine:
    """Rules against a vault whose controller is an account."""

    account = strategy("uint8", max_value=2)
    other = strategy("uint8", max_value=2)
    key = strategy("uint8", max_value=1)
    amount = strategy("uint32", max_value=MINTED // 2)

    def __init__(cls, vault: Any, euro: Any, players: list[Any], controller: Any) -> None:  # noqa: N805
        cls.vault, cls.euro, cls.players, cls.controller = vault, euro, players, controller

    def setup(self) -> None:
        self.free: defaultdict[int, int] = defaultdict(int)
        self.locked: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.bonded: defaultdict[int, int] = defaultdict(int)
        self.outside = dict.fromkeys(range(len(self.players)), MINTED)

    def rule_deposit(self, account: int, amount: int) -> None:
        amount = min(amount, self.outside[account])
        if amount == 0:
            with refused("VaultNothingArrived", self.players[account], 0):
                self.vault.deposit(0, {"from": self.players[account]})
            return
        self.vault.deposit(amount, {"from": self.players[account]})
        self.outside[account] -= amount
        self.free[account] += amount

    def rule_deposit_for(self, account: int, other: int, amount: int) -> None:
        amount = min(amount, self.outside[account])
        if amount:
            self.vault.depositFor(self.players[other], amount, {"from": self.players[account]})
            self.outside[account] -= amount
            self.free[other] += amount

    def rule_withdraw(self, account: int, amount: int) -> None:
        if self._refuses_beyond_free(account, amount, self.vault.withdraw, amount, self.players[account]):
            return
        self.free[account] -= amount
        self.outside[account] += amount

    def rule_lock(self, account: int, key: int, amount: int) -> None:
        arguments = (KEYS[key], self.players[account], amount)
        if self._refuses_beyond_free(account, amount, self.vault.lock, *arguments, self.controller):
            return
        self.free[account] -= amount
        self.locked[key, account] += amount

    def rule_bond(self, account: int, amount: int) -> None:
        arguments = (self.players[account], ROLE, amount)
        if self._refuses_beyond_free(account, amount, self.vault.bond, *arguments, self.controller):
            return
        self.free[account] -= amount
        self.bonded[account] += amount

    def rule_slash_or_unbond(self, account: int, other: int, key: int, amount: int) -> None:
        player, to = self.players[account], self.players[other]
        change = (lambda: self.vault.slash(player, amount, (to, amount // 3, to, amount - amount // 3), {"from": self.controller})) if key else (
            lambda: self.vault.unbond(player, amount, {"from": self.controller})
        )  # fmt: skip
        if amount > self.bonded[account]:
            with refused("VaultInsufficientBonded", player, self.bonded[account], amount):
                change()
            return
        change()
        self.bonded[account] -= amount
        self.free[other if key else account] += amount

    def rule_release(self, account: int, key: int, amount: int) -> None:
        arguments = (KEYS[key], self.players[account], amount)
        if self._refuses_beyond_locked(account, key, amount, self.vault.release, *arguments):
            return
        self.locked[key, account] -= amount
        self.free[account] += amount

    def rule_move(self, account: int, other: int, key: int, amount: int) -> None:
        arguments = (KEYS[key], self.players[account], self.players[other], amount)
        if self._refuses_beyond_locked(account, key, amount, self.vault.move, *arguments):
            return
        self.locked[key, account] -= amount
        self.free[other] += amount

    def rule_players_dont_control(self, account: int, key: int, amount: int) -> None:
        player = self.players[account]
        with refused("VaultNotAController", player):
            self.vault.move(KEYS[key], self.players[account], player, amount, {"from": player})

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


def test_vault_equals_its_model(
    market: Any, admin: Any, dso: Any, aggregator: Any, customer: Any, stranger: Any, state_machine: Any
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
    settings = {"stateful_step_count": 30, "max_examples": 26}
    state_machine(VaultMachine, vault, market.Euro, players, stranger, settings=settings)
