"""Who takes part in the demo, and their keys: made from the demo's seed, for a local chain and nothing else."""

from dataclasses import dataclass

from offchain.protocol.keccak import keccak256
from offchain.protocol.roles import Role
from offchain.protocol.signatures import address_of

STORE_NAMES = ("operator", "dso", "auditor")
AGGREGATOR_NAMES = ("AggOne", "AggTwo")
ORACLE_ROLES = {
    "clearing": Role.CLEARING_ORACLE,
    "grid": Role.GRID_ORACLE,
    "settlement": Role.SETTLEMENT_ORACLE,
    "anchoring": Role.ANCHORING_ORACLE,
}
"""What each oracle's account may do, by what the oracle does."""


@dataclass(frozen=True)
class Person:
    """A participant: name, private key, address."""

    name: str
    key: bytes
    address: str


@dataclass(frozen=True)
class Cast:
    """Everybody of the demo day. The same seed makes the same people, so that a restarted demo finds its own again."""

    seed: str

    def person(self, name: str) -> Person:
        """The participant of a name."""
        key = self.secret("key", name)
        return Person(name, key, address_of(key))

    def secret(self, purpose: str, name: str) -> bytes:
        """32 bytes for a purpose, such as a PoD's salt or a platform's token."""
        return keccak256(f"{self.seed}/{purpose}/{name}".encode())

    @property
    def operator(self) -> Person:
        """The market operator: deploys, registers, creates sessions, relays."""
        return self.person("operator")

    @property
    def dso(self) -> Person:
        """The distribution system operator."""
        return self.person("dso")

    @property
    def tso(self) -> Person:
        """The transmission system operator."""
        return self.person("tso")

    @property
    def aggregators(self) -> list[Person]:
        """The aggregators."""
        return [self.person(name) for name in AGGREGATOR_NAMES]

    @property
    def stores(self) -> list[Person]:
        """Who keeps documents and answers for them."""
        return [self.person(f"{name}-store") for name in STORE_NAMES]

    @property
    def auditor(self) -> Person:
        """Who replays sessions and challenges what is false."""
        return self.person("auditor")

    @property
    def arbiter(self) -> Person:
        """Who rules what no leaf decides."""
        return self.person("arbiter")

    @property
    def oracles(self) -> dict[str, Person]:
        """The oracles' operators, by what their oracle does."""
        return {kind: self.person(f"{kind}-oracle") for kind in ORACLE_ROLES}
