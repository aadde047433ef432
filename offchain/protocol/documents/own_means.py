"""The DSO's own means as its control room gets them from the grid oracle: plans of switching and tap changes for a session.

Ours, so values are integers: violations in milli-percent of the rating or micro-pu, energy in Wh, times in Unix seconds.
"""

from typing import Annotated, Literal

from pydantic import Field

from offchain.protocol.documents.base import Document, Whole


class MeansAction(Document):
    """One switch opened (`to` 0) or closed (1), or one transformer's tap moved to a position, by the net's index; held from
    `start` to `end`."""

    kind: Literal["tap", "switch"]
    index: Whole
    to: Whole
    says: str
    start: Whole
    end: Whole


class MeansViolation(Document):
    """An element beyond a limit: in which slots, and the worst value there. `unit`: as refusals have it."""

    element: str
    side: Literal["above", "below"]
    unit: Whole
    limit: Whole
    worst: Whole
    slots: tuple[Whole, ...]


class MeansPlan(Document):
    """Actions that go together, what they do away with and what stays. `moves`: how often anything is moved within the window."""

    moves: Whole
    actions: Annotated[tuple[MeansAction, ...], Field(min_length=1)]
    removes: tuple[MeansViolation, ...]
    leaves: tuple[MeansViolation, ...]
    losses_wh: Whole


class MeansProposal(Document):
    """What the grid oracle found for a session's window, and within which bounds it searched. Plans are numbered from 1."""

    session: Whole
    delivery_start: Whole
    delivery_end: Whole
    before: tuple[MeansViolation, ...]
    losses_before_wh: Whole
    plans: tuple[MeansPlan, ...]
    checked: Whole
    cut: tuple[str, ...]


class MeansDecision(Document):
    """The number of the plan that the operator takes; 0: none, the market is asked."""

    plan: Whole
