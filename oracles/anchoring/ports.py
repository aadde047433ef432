"""What the anchoring daemon needs of the world outside it."""

from collections.abc import Sequence
from typing import Protocol

from offchain.messaging.mqtt import Message
from offchain.protocol.cid import Cid
from oracles.anchoring.core.verify import Domain


class AnchorChain(Protocol):
    """The contracts ReadingAnchor and PodRegistry, as the anchoring oracle."""

    @property
    def address(self) -> str:
        """The oracle's own account."""

    @property
    def domain(self) -> Domain:
        """The deployment that Light Nodes sign for."""

    def node_of(self, pod: bytes) -> str | None:
        """Checksummed address of a PoD's Light Node; None if the PoD isn't registered."""

    def anchored_by(self, root: bytes) -> bytes | None:
        """Hash of the transaction that anchored a root; None if it isn't anchored."""

    def anchor(self, root: bytes, length: int, cid: Cid) -> bytes:
        """Anchor a root and wait until it is mined; gives the transaction's hash."""


class Publisher(Protocol):
    """Takes certified packets to the Shared Customer Database."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish and wait until all are taken over. Raises MessagingUnavailable."""
