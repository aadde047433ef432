"""Roles of the market's participants (IParticipantRegistry.Role)."""

from enum import IntEnum


class Role(IntEnum):
    """A role; its number is its bit in a mask of roles."""

    DSO = 0
    TSO = 1
    AGGREGATOR = 2
    CLEARING_ORACLE = 3
    GRID_ORACLE = 4
    SETTLEMENT_ORACLE = 5
    ANCHORING_ORACLE = 6
    STORE = 7
    AUDITOR = 8
    OPERATOR = 9
    ARBITER = 10

    @property
    def mask(self) -> int:
        """The role alone, as a mask."""
        return 1 << self
