"""Tells other platforms of new, changed and removed PoDs."""

from collections.abc import Sequence

from offchain.rest.client import PlatformClient
from offchain.rest.registry import PseudonymousEntry, RegistryEntry


class PlatformPodListener:
    """A platform whose REST API takes registry entries at POST /pods."""

    def __init__(self, platform: PlatformClient) -> None:
        self._platform = platform

    def announce(self, entries: Sequence[RegistryEntry | PseudonymousEntry]) -> None:
        """Post entries, in order. Raises PlatformUnavailable or PlatformRefused."""
        self._platform.post("/pods", list(entries))
