"""Why a platform says no to a caller, besides bad input (`InvalidInput`)."""

from offchain.protocol.errors import FlexledgerError


class Unauthenticated(FlexledgerError):
    """The caller didn't say who it is, or its token is nobody's."""


class Forbidden(FlexledgerError):
    """The caller is known but may not do this."""


class NotFound(FlexledgerError):
    """What is asked for isn't there, or isn't the caller's: it isn't told which."""


class Conflict(FlexledgerError):
    """What is sent contradicts what is already there."""
