"""What the Shared Customer Database's REST API takes besides D2.3's and D3.3's own documents."""

from datetime import date
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from offchain.protocol.documents.base import Document, Identifier, Kw, PodReference, Whole, broken_rule
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.market_time import slots_of_day


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise broken_rule("", value, "must be a day that exists, as YYYY-MM-DD")


Day = Annotated[date, BeforeValidator(_day), PlainSerializer(date.isoformat, when_used="json")]
"""A local day of Europe/Rome."""


class NominatedPower(Document):
    """Net power (absorbed minus injected) in a quarter-hour of the day, counted from local midnight: kW and kvar."""

    index: Annotated[Whole, Field(ge=0, lt=100)]
    p: Kw
    q: Kw


class BaselineNomination(Document):
    """A PoD's baseline of one local day: every quarter-hour once, in order (92, 96 or 100 of them)."""

    pod_id: PodReference
    day: Day
    curve: tuple[NominatedPower, ...]

    @model_validator(mode="after")
    def _check_complete(self) -> Self:
        slots = slots_of_day(self.day)
        if len(self.curve) != slots:
            raise broken_rule("curve", len(self.curve), f"must have {slots} quarter-hours on {self.day}")
        for place, point in enumerate(self.curve):
            if point.index != place:
                raise broken_rule(
                    f"curve[{place}].index", point.index, f"must be {place}: every index in order"
                )
        return self


class AttributedActivation(Document):
    """Set points of a PoD (D3.3 Table 18) and the market outcome that they carry out (D2.3 Table 21)."""

    market_outcome_id: Identifier
    activation: ActivationService
