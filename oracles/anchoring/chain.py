"""The anchoring oracle's view of the contracts."""

from offchain.chain.client import ChainClient
from offchain.protocol.cid import Cid
from oracles.anchoring.core.verify import Domain

NOBODY = "0x" + "00" * 20


class DeployedAnchor:
    """ReadingAnchor and PodRegistry of a deployment, through an account that is a registered anchoring oracle."""

    def __init__(self, chain: ChainClient) -> None:
        self._chain = chain
        self._nodes: dict[bytes, str] = {}

    @property
    def address(self) -> str:
        """The oracle's own account."""
        return self._chain.address

    @property
    def domain(self) -> Domain:
        """The deployment that Light Nodes sign for."""
        return Domain(self._chain.manifest.chainId, self._chain.address_of("ReadingAnchor"))

    def node_of(self, pod: bytes) -> str | None:
        """Checksummed address of a PoD's Light Node; None if the PoD isn't registered."""
        # A pseudonym's record is never changed once it is made, so what was found holds.
        if pod not in self._nodes:
            node = str(self._chain.call("PodRegistry", "nodeOf", pod))
            if node == NOBODY:
                return None
            self._nodes[pod] = node
        return self._nodes[pod]

    def anchored_by(self, root: bytes) -> bytes | None:
        """Hash of the transaction that anchored a root; None if it isn't anchored."""
        if self._chain.call("ReadingAnchor", "anchoredAt", root) == 0:
            return None
        found = self._chain.events("ReadingAnchor", "BatchAnchored", root=root)
        return found[0].transaction if found else None

    def anchor(self, root: bytes, length: int, cid: Cid) -> bytes:
        """Anchor a root and wait until it is mined; gives the transaction's hash. Raises ChainRefused."""
        receipt = self._chain.send("ReadingAnchor", "anchor", root, cid.digest, cid.codec)
        return receipt.transaction
