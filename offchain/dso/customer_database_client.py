"""Tells the Shared Customer Database to which PoM a PoD belongs."""

from offchain.protocol.documents.base import build
from offchain.rest.client import PlatformClient
from offchain.rest.registry import PomAssociation


class CustomerDatabaseClient:
    """The Shared Customer Database's REST API, as far as the DSO's platform uses it."""

    def __init__(self, platform: PlatformClient) -> None:
        self._platform = platform

    def associate(self, pod_id: str, pom_id: str) -> None:
        """Post a PoD's PoM. Raises PlatformUnavailable or PlatformRefused."""
        self._platform.post(f"/pods/{pod_id}/pom", build(PomAssociation, po_m_id=pom_id))
