"""Lies in the market outcome of a real-time session about what was sold day ahead."""

from dataclasses import astuple
from typing import Any

from offchain.protocol.products import OfferStatus
from tests.contracts.lies.play import ANSWER, Play, call
from tests.contracts.outcomes import with_lie
from tests.contracts.play import MARKET
from tests.contracts.real_time import RealTimeDay
from tests.contracts.results import Results


def real_time_lies(day: RealTimeDay) -> dict[str, Play]:
    """What was sold day ahead taken again, and an offer called sold by another PoD's entry."""

    def sold_twice(_: Results, sender: Any) -> Any:
        made, ahead = day.post(day.sold_again()), day.sold
        shown = (astuple(made.outcome), MARKET, made.entry(0), astuple(ahead.outcome), ahead.entry(0))
        return call(day.ahead, "RealTimeChallenges", "soldTwice", *shown, sender=sender)

    def falsely_sold(_: Results, sender: Any) -> Any:
        values = {"status": int(OfferStatus.COM_SOLD), "because": 1, "acceptedW": 0, "firstByRequest": 0}
        made, ahead = day.post(with_lie(day.cleared().market, ANSWER, 3, **values)), day.sold
        shown = (astuple(made.outcome), MARKET, made.answer(3), day.book.offer(1, 1))
        ahead_shown = (astuple(ahead.outcome), ahead.entry(0))
        return call(day.ahead, "RealTimeChallenges", "falselySold", *shown, *ahead_shown, sender=sender)

    return {"soldTwice": sold_twice, "falselySold": falsely_sold}
