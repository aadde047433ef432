"""A real-time session's forecast goes by the PoDs that there were when the day-ahead gate closed."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from offchain.chain.market_view import MarketView, Notice
from offchain.protocol.book_documents import BaselineEntry, baseline_document
from offchain.protocol.leaves import BASELINE
from offchain.protocol.metering import Net
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.store.documents import FolderStore
from oracles.grid.facts import expected_from_chain
from tests.oracles.clearing.books import AGGREGATORS, pod, registry, salt
from tests.oracles.grid.test_expected import AHEAD, FIRST_SLOT, SECOND

DAY_AHEAD, REAL_TIME = replace(AHEAD, session=1), replace(SECOND, session=2)
ONE, OTHER = AGGREGATORS
BOTH = registry(2)
"""PoD 0 of the first aggregator, PoD 1 of the second."""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def view_of(
    store: FolderStore,
    now: dict[bytes, PodFacts],
    at_gate: dict[bytes, PodFacts],
    replaced: dict[bytes, bytes],
    *nominated: tuple[SessionTerms, str, BaselineEntry],
) -> MarketView:
    """What the contracts say where the day-ahead session ended empty and each aggregator nominated one entry."""
    notices: dict[int, list[Notice]] = {1: [], 2: []}
    for terms, author, entry in nominated:
        document = baseline_document(terms.session, author, [entry], salt)
        cid, root = store.put(document.to_bytes()), document.list_of(BASELINE).root
        notices[terms.session].append(Notice(author, root, cid, 0, bytes(32)))
    view = SimpleNamespace(
        pods=lambda: now,
        pods_at_gate=lambda terms: at_gate if terms == DAY_AHEAD else now,
        replaced_pods=lambda: replaced,
        day_ahead_of=lambda terms: DAY_AHEAD if terms == REAL_TIME else None,
        validated_outcome=lambda _: None,
        book=lambda _: [],
        is_before=lambda *_: True,
        notices=lambda kind, session: notices[session] if kind is NoticeKind.BASELINE else [],
    )
    return cast(MarketView, view)


def entry(number: int, slot: int, power_w: int) -> BaselineEntry:
    return BaselineEntry(pod(number), slot, power_w, 0)


def expected(store: FolderStore, view: MarketView) -> dict[tuple[bytes, int], Net]:
    nets = expected_from_chain(view, store, REAL_TIME).nets
    return {place: net for place, net in nets.items() if place[1] < 4}


def test_a_pod_that_left_the_market_since_still_absorbs_what_was_nominated_for_it(store: FolderStore) -> None:
    view = view_of(store, {}, BOTH, {}, (DAY_AHEAD, ONE, entry(0, FIRST_SLOT, 700)))
    assert expected(store, view) == {(pod(0), 0): Net(700, 0)}


def test_what_was_nominated_for_a_pod_that_came_later_says_nothing_of_the_day_ahead(
    store: FolderStore,
) -> None:
    """Nor does its new aggregator's word of a day when it was another's."""
    view = view_of(store, BOTH, {}, {}, (DAY_AHEAD, ONE, entry(0, FIRST_SLOT, 700)))
    assert expected(store, view) == {}


def test_a_customer_that_went_to_another_aggregator_is_expected_once(store: FolderStore) -> None:
    """In slot 0 as it was nominated day ahead, in slot 1 as its new aggregator nominates."""
    now = {pod(1): BOTH[pod(1)]}
    nominated = [
        (DAY_AHEAD, ONE, entry(0, FIRST_SLOT, 700)),
        (REAL_TIME, OTHER, entry(1, 1, 500)),
    ]
    view = view_of(store, now, {pod(0): BOTH[pod(0)]}, {pod(0): pod(1)}, *nominated)
    assert expected(store, view) == {(pod(1), 0): Net(700, 0), (pod(1), 1): Net(500, 0)}
