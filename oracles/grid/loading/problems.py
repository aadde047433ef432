"""What is wrong with a network: every problem with table, element, column, value and rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from offchain.protocol.errors import FlexledgerError

MOST_SHOWN = 200
"""Characters of a value that a message shows."""


def printable(text: str) -> str:
    """Text from a file as it may be shown on a terminal: control characters are spelt out."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


class Severity(StrEnum):
    """An error makes the network unusable; a warning says what was assumed or left out."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """`element`: name or index in its table, or empty where it is the table that is meant; so with `column`."""

    severity: Severity
    table: str
    element: str
    column: str
    value: object
    rule: str

    def __str__(self) -> str:
        element = f" {self.element}" if self.element else ""
        column = f".{self.column}" if self.column else ""
        value = repr(self.value)
        shown = value if len(value) <= MOST_SHOWN else value[:MOST_SHOWN] + "..."
        return printable(f"{self.severity}: {self.table}{element}{column} = {shown}: {self.rule}")


class UnusableNetwork(FlexledgerError):
    """A network with errors; the message lists them all."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.errors = tuple(problem for problem in problems if problem.severity is Severity.ERROR)
        super().__init__("\n".join((f"{source}: {len(self.errors)} errors", *map(str, self.errors))))
