"""The aggregator's platform: outcomes kept, set points sent once, and the same again after a kill."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from offchain.aggregator.dispatch import Baseline
from offchain.aggregator.platform import AHEAD_S, AggregatorPlatform
from offchain.customer_database.documents import AttributedActivation
from offchain.messaging.mqtt import Message
from offchain.protocol.documents.base import Document, dump
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.outcome import Rejection, ValidatedRow, validated_outcome
from offchain.protocol.documents.time_frame import MarketType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window, day_start_s, real_time_windows
from offchain.protocol.products import Product
from offchain.rest.client import PlatformUnavailable

DAY = date(2026, 9, 10)
START_S = day_start_s(DAY)
KEY_A, KEY_B = bytes([0xA1] * 32), bytes([0xB2] * 32)
POD_A, POD_B = "0x" + KEY_A.hex(), "0x" + KEY_B.hex()
BASELINE = {(pod, slot): (4000, 100) for pod in (POD_A, POD_B) for slot in range(96)}
REAL_TIME_BASELINE = {(pod, slot): (6000, 300) for pod in (POD_A, POD_B) for slot in range(16)}
OUTCOME = "0x" + "0c" * 32


def row(pod: str, slot: int, accepted_w: int, product: Product = Product.ACTIVE_UP) -> ValidatedRow:
    rejection = None if accepted_w else Rejection.TECHNICAL
    return ValidatedRow(
        pod=pod,
        slot=slot,
        product=product,
        accepted_w=accepted_w,
        price_ueur_per_kw=50_000,
        rejection=rejection,
        player_service_id="1",
    )


ROWS = [
    row(POD_A, 20, 1500),
    row(POD_A, 21, 500),
    row(POD_B, 22, 300),
    row(POD_B, 23, 0),
    row(POD_A, 40, 700),
]


def message(rows: Sequence[ValidatedRow] = ROWS, outcome_id: str = OUTCOME) -> Message:
    document = validated_outcome(outcome_id, MarketType.DAY_AHEAD, Window(START_S, 96), rows)
    return Message("outcomes", dump(document))


@dataclass
class Other:
    """Another platform, which may be away."""

    away: bool = False
    posted: list[tuple[str, bytes]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)

    def post(self, path: str, document: Document | list[Document]) -> None:
        if self.away:
            raise PlatformUnavailable("away")
        documents = [document] if isinstance(document, Document) else document
        self.documents += documents
        self.posted.append((path, b"".join(dump(entry) for entry in documents)))


@dataclass
class House:
    """The platform, which can be killed and started again on the same folder."""

    folder: Path
    now_s: int = START_S - 50_000
    dso: Other = field(default_factory=Other)
    customer_database: Other = field(default_factory=Other)
    real_time: Baseline = field(default_factory=dict)

    def baselines(self, kind: MarketType, start_s: int) -> Baseline:
        """Day-ahead of the day, and of the real-time session that starts at slot 16."""
        known = {
            (MarketType.DAY_AHEAD, START_S): BASELINE,
            (MarketType.REAL_TIME, slot_s(16)): self.real_time,
        }
        return known[kind, start_s]

    def platform(self) -> AggregatorPlatform:
        return AggregatorPlatform(
            self.folder, self.dso, self.customer_database, self.baselines, lambda: self.now_s
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "aggregator")


def slot_s(slot: int) -> int:
    return START_S + 900 * slot


def test_each_activation_goes_out_an_hour_ahead_and_once(house: House) -> None:
    platform = house.platform()
    platform.on_outcome(message())
    house.now_s = slot_s(20) - AHEAD_S - 1
    assert platform.step() == 0
    house.now_s += 1
    assert platform.step() == 2, "both PoDs of the block of slots 16 to 31"
    assert platform.step() == 0
    house.now_s = slot_s(40) - AHEAD_S
    assert platform.step() == 1
    assert [path for path, _ in house.dso.posted] == ["/setPoints"] * 2
    assert [path for path, _ in house.customer_database.posted] == ["/setPoints"] * 2


def test_set_points_are_baseline_less_accepted_at_their_quarter_hours(house: House) -> None:
    platform = house.platform()
    platform.on_outcome(message())
    house.now_s = slot_s(96)
    platform.step()
    sent = {}
    for document in house.dso.documents:
        assert isinstance(document, ActivationService)
        for point in document.set_points:
            sent[document.pod, point.quarter_hour] = (point.active_power, point.reactive_power)
    assert sent == {
        (KEY_A, slot_s(20)): (2500, 100),
        (KEY_A, slot_s(21)): (3500, 100),
        (KEY_B, slot_s(22)): (3700, 100),
        (KEY_A, slot_s(40)): (3300, 100),
    }
    keys = [
        document.activation_id for document in house.dso.documents if isinstance(document, ActivationService)
    ]
    assert len(set(keys)) == 3


def test_the_customer_database_learns_of_which_outcome_they_are(house: House) -> None:
    platform = house.platform()
    platform.on_outcome(message())
    house.now_s = slot_s(96)
    platform.step()
    told = [entry for entry in house.customer_database.documents if isinstance(entry, AttributedActivation)]
    assert {entry.market_outcome_id for entry in told} == {OUTCOME}
    assert [entry.activation for entry in told] == house.dso.documents


def test_started_again_it_sends_nothing_twice(house: House) -> None:
    first = house.platform()
    first.on_outcome(message())
    house.now_s = slot_s(20) - AHEAD_S
    first.step()
    again = house.platform()
    house.now_s += 300
    again.on_outcome(message())
    assert again.step() == 0
    assert len(house.dso.posted) == 1
    assert set(again.outcomes()) == {OUTCOME}


def test_killed_between_two_platforms_it_sends_the_same_to_the_byte(house: House) -> None:
    first = house.platform()
    first.on_outcome(message())
    house.now_s = slot_s(20) - AHEAD_S
    house.customer_database.away = True
    with pytest.raises(PlatformUnavailable):
        first.step()
    house.customer_database.away = False
    house.now_s += 300
    again = house.platform()
    again.on_outcome(message())
    assert again.step() == 2
    before, after = house.dso.posted
    assert before == after
    assert len(house.customer_database.posted) == 1


def test_an_outcomes_id_is_no_path(house: House) -> None:
    platform = house.platform()
    platform.on_outcome(message(outcome_id="../../elsewhere"))
    platform.on_outcome(message())
    assert set(platform.outcomes()) == {"../../elsewhere", OUTCOME}
    assert {path.parent for path in house.folder.parent.rglob("*.json")} == {house.folder}


def test_an_outcome_without_accepted_power_sends_nothing(house: House) -> None:
    platform = house.platform()
    platform.on_outcome(message([row(POD_A, 20, 0)]))
    house.now_s = slot_s(96)
    assert platform.step() == 0
    assert house.dso.posted == []


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"flexibility": NaN}'])
def test_what_isnt_an_outcome_is_refused_and_not_kept(house: House, payload: bytes) -> None:
    platform = house.platform()
    with pytest.raises(InvalidInput):
        platform.on_outcome(Message("outcomes", payload))
    assert platform.outcomes() == {}
    platform.on_outcome(message())
    assert set(platform.outcomes()) == {OUTCOME}


class TestRealTime:
    """The second real-time session of the day, slots 16 to 31: its outcome comes twenty minutes before delivery."""

    ID = "0x" + "0d" * 20

    def message(self, rows: Sequence[ValidatedRow]) -> Message:
        window = real_time_windows(DAY)[1]
        document = validated_outcome(self.ID, MarketType.REAL_TIME, window, rows)
        return Message("outcomes", dump(document))

    def test_its_set_points_stand_beside_the_day_aheads_on_its_own_baseline(self, house: House) -> None:
        house.real_time = REAL_TIME_BASELINE
        platform = house.platform()
        platform.on_outcome(message())
        house.now_s = slot_s(16) - 1200
        platform.on_outcome(self.message([row(POD_A, 0, 900), row(POD_B, 8, 400)]))
        platform.step()
        house.now_s = slot_s(20) - AHEAD_S
        platform.step()
        assert points_of(house) == {
            (KEY_A, slot_s(16)): [(5100, 300)],
            (KEY_A, slot_s(20)): [(2500, 100)],
            (KEY_A, slot_s(21)): [(3500, 100)],
            (KEY_B, slot_s(22)): [(3700, 100)],
            (KEY_B, slot_s(24)): [(5600, 300)],
        }
        assert platform.step() == 0
        assert house.platform().step() == 0

    def test_where_it_moves_the_other_kind_of_power_the_later_set_point_says_both(self, house: House) -> None:
        house.real_time = REAL_TIME_BASELINE
        platform = house.platform()
        platform.on_outcome(message([row(POD_A, 16, 1500)]))
        house.now_s = slot_s(16) - AHEAD_S
        platform.step()
        house.now_s = slot_s(16) - 1200
        platform.on_outcome(self.message([row(POD_A, 0, 50, Product.REACTIVE_UP)]))
        platform.step()
        assert points_of(house) == {(KEY_A, slot_s(16)): [(2500, 100), (2500, 250)]}

    def test_what_wasnt_sent_before_it_isnt_sent_after_it(self, house: House) -> None:
        house.real_time = REAL_TIME_BASELINE
        platform = house.platform()
        platform.on_outcome(self.message([row(POD_A, 4, 50, Product.REACTIVE_UP)]))
        platform.on_outcome(message())
        house.now_s = slot_s(40)
        platform.step()
        assert points_of(house)[KEY_A, slot_s(20)] == [(2500, 250)]
        assert points_of(house)[KEY_A, slot_s(21)] == [(3500, 100)]
        assert points_of(house)[KEY_A, slot_s(40)] == [(3300, 100)]

    def test_killed_before_it_comes_the_day_aheads_are_sent_again_as_they_were(self, house: House) -> None:
        house.real_time = REAL_TIME_BASELINE
        platform = house.platform()
        platform.on_outcome(message())
        house.now_s = slot_s(20) - AHEAD_S
        house.customer_database.away = True
        with pytest.raises(PlatformUnavailable):
            platform.step()
        house.customer_database.away = False
        platform.on_outcome(self.message([row(POD_A, 4, 50, Product.REACTIVE_UP)]))
        house.platform().step()
        ahead = [payload for path, payload in house.dso.posted if b"2500" in payload]
        assert ahead.count(house.dso.posted[0][1]) == 2


def points_of(house: House) -> dict[tuple[bytes, int], list[tuple[int, int]]]:
    """What the DSO was sent for each PoD and quarter-hour, oldest first."""
    out: dict[tuple[bytes, int], list[tuple[int, int]]] = {}
    for document in house.dso.documents:
        assert isinstance(document, ActivationService)
        for point in document.set_points:
            place = (document.pod, point.quarter_hour)
            out.setdefault(place, []).append((point.active_power, point.reactive_power))
    return out


@pytest.mark.parametrize("field", ["startTime", "marketType"])
def test_an_outcome_without_its_frame_is_refused(house: House, field: str) -> None:
    content = json.loads(message().payload)
    del content[field]
    with pytest.raises(InvalidInput, match=field):
        house.platform().on_outcome(Message("outcomes", json.dumps(content).encode()))
