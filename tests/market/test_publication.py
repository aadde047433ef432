"""Each participant's part of an outcome: what it serves or is rejected, and what stands in reserve."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from offchain.market.publication import OutcomePublication
from offchain.messaging.mqtt import Message
from offchain.messaging.topics import DSO_OUTCOME, TSO_OUTCOME
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.outcome import Rejection, ValidatedOutcome, validated_outcome
from offchain.protocol.documents.time_frame import MarketType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OFFER
from offchain.protocol.lists import Record
from offchain.protocol.market_time import Window
from offchain.protocol.outcome_documents import Part, parts_of
from offchain.protocol.products import Side
from offchain.protocol.terms import SessionTerms
from oracles.clearing.core.session import clear_session
from tests.chain.small_market import START_S
from tests.oracles.clearing.books import AGGREGATORS, ORACLE, SEED, TERMS, area, book_of, offer, pod, registry

FIRST, SECOND = AGGREGATORS
DOCUMENTS = book_of(
    [offer(0, 3000, 10_000), offer(1, 3000, 20_000), offer(2, 3000, 30_000)],
    dso=[area(4000, {0: 1000, 1: 1000, 2: 1000}, reserve_permille=750)],
)


def offers_by_commitment() -> dict[int, tuple[str, list[Record]]]:
    return {
        reveal.commitment: (reveal.player, document.list_of(OFFER).records())
        for reveal, document in DOCUMENTS
        if reveal.side is Side.OFFER and document is not None
    }


def test_reserve_goes_to_who_asked_for_it_and_who_offered_it() -> None:
    market = clear_session(DOCUMENTS, registry(64), SEED, TERMS, ORACLE).market
    parts = parts_of(market, [reveal for reveal, _ in DOCUMENTS], offers_by_commitment())
    of_part = {
        who: [(row.pod, row.accepted_w, row.price_ueur_per_kw) for row in part.reserve]
        for who, part in parts.items()
    }
    picked = [("0x" + pod(1).hex(), 2000, 20_000), ("0x" + pod(2).hex(), 1000, 30_000)]
    assert of_part == {Side.DSO_REQUEST: picked, SECOND: picked[:1], FIRST: picked[1:]}
    assert [row.accepted_w for row in parts[Side.DSO_REQUEST].rows] == [3000, 1000]
    rejected = [row.pod for row in parts[FIRST].rows if row.rejection is Rejection.MARKET]
    assert rejected == ["0x" + pod(2).hex()], "no request takes it"


def test_it_is_told_beside_the_rest_and_only_where_there_is_some() -> None:
    market = clear_session(DOCUMENTS, registry(64), SEED, TERMS, ORACLE).market
    parts = parts_of(market, [reveal for reveal, _ in DOCUMENTS], offers_by_commitment())
    part, window = parts[FIRST], Window(START_S, 96)
    told = validated_outcome("0x" + "11" * 32, MarketType.DAY_AHEAD, window, part.rows, reserve=part.reserve)
    content = json.loads(dump(told))
    assert parse(ValidatedOutcome, dump(told)).reserve == told.reserve
    (reserved,) = content["reserve"]
    assert reserved["power"][0]["acceptedPValue"] == 1
    without = json.loads(dump(validated_outcome("0x" + "11" * 32, MarketType.DAY_AHEAD, window, part.rows)))
    assert "reserve" not in without


class Outcomes:
    """Two sessions' validated outcomes, of which the first one's names what isn't there."""

    def session_ids(self) -> list[int]:
        return [1, 2]

    def terms(self, session: int) -> SessionTerms:
        return replace(TERMS, session=session, deliveryStart=1_799_967_600, slots=96)

    def validated(self, session: int) -> Any:
        return SimpleNamespace(hash=lambda: bytes([session] * 32))

    def validated_parts(self, terms: SessionTerms, posted: object) -> defaultdict[Side | str, Part]:
        if terms.session == 1:
            raise InvalidInput("offerPosition", 7, "the book has no readable offer there")
        return defaultdict(Part)


def test_an_outcome_that_cant_be_told_keeps_no_other_from_being_told(tmp_path: Path) -> None:
    told: list[Message] = []
    publication = OutcomePublication(
        Outcomes(),  # type: ignore[arg-type]
        SimpleNamespace(publish=told.extend),
        {},
        tmp_path / "published.sqlite",
    )
    for _ in range(2):
        with pytest.raises(InvalidInput, match="no readable offer"):
            publication.step()
    assert [message.topic for message in told] == [DSO_OUTCOME, TSO_OUTCOME], "once"
    publication.close()
