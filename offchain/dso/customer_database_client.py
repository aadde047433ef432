"""What the DSO's platform asks of the Shared Customer Database and tells it."""

import logging
from collections.abc import Callable

from offchain.dso.records import KnownPod
from offchain.protocol.documents.base import build
from offchain.protocol.documents.certified_reading import CertifiedReading
from offchain.rest.app import read_each
from offchain.rest.client import PlatformClient, PlatformRefused
from offchain.rest.registry import PomAssociation

logger = logging.getLogger(__name__)

MOST_READINGS = 10_000
"""In one answer: three months of a PoD's quarter-hours."""


class CustomerDatabaseClient:
    """The Shared Customer Database's REST API, as far as the DSO's platform uses it."""

    def __init__(self, platform: PlatformClient) -> None:
        self._platform = platform

    def associate(self, pod_id: str, pom_id: str) -> None:
        """Post a PoD's PoM. Raises PlatformUnavailable or PlatformRefused."""
        self._platform.post(f"/pods/{pod_id}/pom", build(PomAssociation, po_m_id=pom_id))

    def readings(self, pod_id: str, from_s: int, to_s: int) -> list[CertifiedReading]:
        """A PoD's readings that start in [from_s, to_s).

        Raises PlatformUnavailable, PlatformRefused, or InvalidInput for an answer that is no list of readings.
        """
        asked: dict[str, str | int] = {"podId": pod_id, "fromTime": from_s, "toTime": to_s}
        return read_each(CertifiedReading, self._platform.get("/readings", asked), MOST_READINGS)


class FlexibleCustomers:
    """What the DSO's oracle asks, which knows PoDs by their pseudonyms. `known`: the PoD behind one, None for a stranger."""

    def __init__(self, database: CustomerDatabaseClient, known: Callable[[bytes], KnownPod | None]) -> None:
        self._database = database
        self._known = known

    def readings(self, pod: bytes, from_s: int, to_s: int) -> list[CertifiedReading] | None:
        """A PoD's readings that start in [from_s, to_s); None for one that the DSO or the database doesn't know.

        Raises PlatformUnavailable, or InvalidInput for an answer that is no list of readings.
        """
        known = self._known(pod)
        if known is None:
            return None
        try:
            return self._database.readings(known.pod_id, from_s, to_s)
        except PlatformRefused as problem:
            logger.warning("no readings of 0x%s: %s", pod.hex(), problem)
            return None
