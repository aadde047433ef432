"""The index of reliability: from settled leaves alone, fair to newcomers, deaf to what was excused."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.leaves import SETTLEMENT, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import DeliveryStatus
from oracles.clearing.core.reliability import PRIOR_W, DeliveryRecord
from tests.oracles.clearing.books import AGGREGATORS, pod

FIRST, SECOND = AGGREGATORS
OWNERS = {pod(0): FIRST, pod(2): FIRST, pod(1): SECOND}
Delivery = tuple[int, int, int]


def reliability_index(settlements: Sequence[ListDocument], aggregators: dict[bytes, str]) -> dict[bytes, int]:
    """Of these PoDs, over these settlements."""
    return DeliveryRecord(settlements).index_of_pods(aggregators)


def settled(*deliveries: Delivery, status: DeliveryStatus = DeliveryStatus.MEASURED) -> ListDocument:
    """A settlement of (PoD's number, accepted W, delivered W)."""
    rows: list[list[Value]] = []
    for position, (number, accepted_w, delivered_w) in enumerate(deliveries):
        row: dict[str, Value] = {
            field.name: 0 if field.is_integer else bytes(field.width_bytes) for field in SETTLEMENT.fields
        }
        row |= {"position": position, "length": len(deliveries), "pod": pod(number)}
        row |= {"payee": bytes.fromhex(AGGREGATORS[number % 2][2:]), "status": int(status)}
        row |= {"acceptedW": accepted_w, "deliveredW": delivered_w}
        rows.append(list(row.values()))
    return ListDocument(1, FIRST, (LeafList.of_rows(SETTLEMENT, rows),))


def test_without_a_record_everybody_is_trusted() -> None:
    assert reliability_index([], OWNERS) == dict.fromkeys(OWNERS, 1000)


def test_a_newcomer_starts_with_its_aggregators_record() -> None:
    """The first aggregator delivered 60 of 100 kW; the second has no record."""
    index = reliability_index([settled((0, 100_000, 60_000))], OWNERS)
    assert index[pod(2)] == 600
    assert index[pod(1)] == 1000


def test_an_aggregators_own_index_is_its_record_over_all_its_pods() -> None:
    """Of the second nothing is known, what was excused isn't counted, more than accepted makes up for nothing."""
    record = DeliveryRecord(
        [
            settled((0, 60_000, 30_000), (2, 40_000, 90_000)),
            settled((0, 1_000, 0), (1, 1_000, 0), status=DeliveryStatus.EXCUSED),
        ]
    )
    assert list(record.aggregators) == [FIRST]
    found = record.aggregators[FIRST]
    assert (found.accepted_w, found.delivered_w, found.permille()) == (100_000, 70_000, 700)


def test_its_own_record_counts_the_more_the_longer_it_is() -> None:
    """PoD 2 delivers all, its aggregator over all 3/4: with as much of its own as the prior, half-way between."""
    index = reliability_index([settled((0, PRIOR_W, PRIOR_W // 2), (2, PRIOR_W, PRIOR_W))], OWNERS)
    assert index[pod(2)] == (1000 + 750) // 2
    assert index[pod(0)] == (500 + 750) // 2
    longer = [settled((0, PRIOR_W, PRIOR_W // 2), *[(2, PRIOR_W, PRIOR_W)] * 9)]
    assert reliability_index(longer, OWNERS)[pod(2)] > 990


def test_more_than_was_accepted_makes_up_for_nothing() -> None:
    index = reliability_index([settled((0, 1_000, 5_000), (0, 1_000, 0))], {pod(0): FIRST})
    assert index[pod(0)] == 500


def test_what_was_excused_isnt_counted() -> None:
    documents = [settled((0, 1_000, 0), status=DeliveryStatus.EXCUSED)]
    assert reliability_index(documents, OWNERS)[pod(0)] == 1000


def test_no_reading_is_no_delivery() -> None:
    documents = [settled((0, 1_000, 0), status=DeliveryStatus.NO_READING)]
    assert reliability_index(documents, OWNERS)[pod(0)] == 0


def test_what_a_pod_did_under_another_aggregator_stays_that_ones_record() -> None:
    """Its own record goes with it, the aggregator's doesn't."""
    index = reliability_index([settled((0, PRIOR_W, 0))], {pod(0): SECOND, pod(2): FIRST})
    assert index == {pod(0): 500, pod(2): 0}


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50_000), st.integers(0, 60_000)), max_size=12),
    st.integers(1, 4),
)
def test_lies_between_none_and_all_in_whatever_order_and_parts(
    deliveries: list[Delivery], parts: int
) -> None:
    whole = reliability_index([settled(*deliveries)], OWNERS)
    assert all(0 <= permille <= 1000 for permille in whole.values())
    split = [settled(*deliveries[part::parts]) for part in range(parts)]
    assert reliability_index(split[::-1], OWNERS) == whole


@pytest.mark.parametrize("address", [FIRST.upper().replace("0X", "0x"), FIRST])
def test_an_aggregator_is_known_however_its_address_is_written(address: str) -> None:
    assert reliability_index([settled((0, 1_000, 0))], {pod(2): address})[pod(2)] == 0
