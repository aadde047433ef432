"""What every daemon does: look at session after session."""

import logging
from collections.abc import Callable, Iterable

from offchain.protocol.errors import FlexledgerError

logger = logging.getLogger(__name__)


def for_each_session(sessions: Iterable[int], look_at: Callable[[int], None]) -> None:
    """Look at every session, and then raise the first one's fault: it keeps no other session waiting."""
    faults = []
    for session in sessions:
        try:
            look_at(session)
        except FlexledgerError as fault:
            logger.error("session %d: %s", session, fault)
            faults.append(fault)
    if faults:
        raise faults[0]
