"""Signed packets of two PoDs, and a chain that only remembers what is anchored."""

from dataclasses import dataclass, field

import pytest

from lightnode.identity import Identity
from lightnode.meter import Counters
from lightnode.packets import PacketSigner
from offchain.protocol.cid import Cid
from oracles.anchoring.core.verify import Domain

START_S = 1_800_000_000
DOMAIN = Domain(31337, "0x00000000000000000000000000000000000000A1")
ORACLE = "0x00000000000000000000000000000000000000b2"
POD_A, POD_B = bytes([0xA1] * 32), bytes([0xB2] * 32)
NODE_A, NODE_B = Identity(bytes([1] * 32)), Identity(bytes([2] * 32))
NODES = {POD_A: NODE_A.address, POD_B: NODE_B.address}
ENERGIES = Counters(1_000, 0, 10, 0, 0, 0)


def signer(identity: Identity, pod: bytes, domain: Domain = DOMAIN) -> PacketSigner:
    return PacketSigner(identity, pod, domain.chain_id, domain.reading_anchor)


def reading(slot: int, sequence: int, pod: bytes = POD_A, energies: Counters = ENERGIES) -> bytes:
    """A PoD's true packet."""
    identity = NODE_A if pod == POD_A else NODE_B
    return signer(identity, pod).reading(START_S + 900 * slot, energies, sequence)


@dataclass
class MemoryChain:
    """ReadingAnchor and PodRegistry, as the daemon needs them."""

    address: str = ORACLE
    domain: Domain = DOMAIN
    nodes: dict[bytes, str] = field(default_factory=lambda: NODES)
    anchored: dict[bytes, bytes] = field(default_factory=dict)
    sent: list[bytes] = field(default_factory=list)

    def node_of(self, pod: bytes) -> str | None:
        return self.nodes.get(pod)

    def anchored_by(self, root: bytes) -> bytes | None:
        return self.anchored.get(root)

    def anchor(self, root: bytes, length: int, cid: Cid) -> bytes:
        assert root not in self.anchored, "the contract refuses a root that it knows"
        assert length > 0
        self.sent.append(root)
        self.anchored[root] = len(self.sent).to_bytes(32, "big")
        return self.anchored[root]


@pytest.fixture
def chain() -> MemoryChain:
    return MemoryChain()
