"""A session on low-voltage grids under a medium-voltage one: both levels' limits are held, and replayed from what is anchored.

The auditor has the chain and the documents that are named there, and no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from offchain.audit.verify import SessionReplay, run
from offchain.chain.market_view import Stage
from offchain.market.client import MarketClient
from offchain.protocol.book_documents import (
    Area,
    BaselineEntry,
    OfferEntry,
    baseline_document,
    request_document,
)
from offchain.protocol.documents.alarm import SessionAlarms
from offchain.protocol.leaves import BASELINE, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind
from oracles.clearing.daemon import ClearingDaemon
from oracles.grid.composed_network import ComposedNetwork, compose
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.violations import Violation, find_violations
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.facts import AnchoredGrid, anchored_grid
from oracles.grid.loading.composed import load_composed
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, SmallMarket, pod
from tests.market.desk import Desk, leaf_salt, offers, open_desk
from tests.oracles.grid.composed_case import BASELINE_W, LIMITS, PLACES, backgrounds, written

GRID, CLEARING = CAST.oracles["grid"], CAST.oracles["clearing"]
CAP_UEUR = 90_000
OF_AGGREGATOR = {FIRST: (0, 2), SECOND: (1, 3)}


@dataclass
class ControlRoom:
    """Where the operator sees alarms."""

    told: list[SessionAlarms] = field(default_factory=list)

    def alarm(self, alarms: SessionAlarms) -> None:
        """Keep them."""
        self.told.append(alarms)


@dataclass
class RequestDesk:
    """The DSO's player, once the market's API is open."""

    client: MarketClient | None = None
    areas: list[Area] = field(default_factory=list)

    def submit(self, terms: SessionTerms, areas: Sequence[Area]) -> None:
        """Commit to the request."""
        self.areas = list(areas)
        assert self.client is not None
        document = request_document(terms.session, CAST.dso.address, areas, leaf_salt)
        self.client.commit(document, Side.DSO_REQUEST, terms.gateClosure)


def grid_daemon(
    market: SmallMarket, grid: ComposedNetwork, desk: RequestDesk, room: ControlRoom
) -> GridDaemon:
    return GridDaemon(
        market.speaking_as(GRID),
        market.documents,
        market.stores,
        grid.network,
        desk,
        GridDaemonSettings(CAP_UEUR),
        alarm_desk=room,
        watched=grid.watched,
    )


def anchor_baselines(market: SmallMarket) -> None:
    for person, numbers in OF_AGGREGATOR.items():
        entries = [BaselineEntry(pod(number), slot, BASELINE_W, 0) for number in numbers for slot in range(3)]
        document = baseline_document(TERMS.session, person.address, entries, leaf_salt)
        cid = market.documents.put(document.to_bytes())
        root = document.list_of(BASELINE).root
        market.speaking_as(person).send(
            "DataNotary", "notarise", NoticeKind.BASELINE, TERMS.session, root, cid.digest, cid.codec
        )


def violations(grid: AnchoredGrid, accepted_w: dict[tuple[bytes, int], int]) -> tuple[Violation, ...]:
    """What is violated where PoDs absorb so much less than forecast."""
    p_w = grid.forecast.p_w[: TERMS.slots].copy()
    for (pod_, slot), power_w in accepted_w.items():
        p_w[slot, grid.forecast.node_of_pod[pod_]] -= power_w
    return find_violations(run_power_flow(grid.model, p_w, grid.forecast.q_var[: TERMS.slots]))


def test_a_session_holds_the_limits_of_both_levels(original: Path, tmp_path: Path) -> None:
    nets = load_composed(written(tmp_path / "networks"))
    network, requests, room = compose(nets, PLACES, backgrounds(), LIMITS), RequestDesk(), ControlRoom()
    daemons: list[GridDaemon] = []

    def before_opening(market: SmallMarket) -> None:
        anchor_baselines(market)
        market.chain.advance_to(TERMS.baselineGate)
        daemons.append(grid_daemon(market, network, requests, room))
        daemons[0].step()

    with open_desk(original, tmp_path, before_opening) as desk:
        market, view = desk.market, desk.market.view
        at_once, alarms = room.told
        assert {alarm.element for alarm in at_once.alarms} < {alarm.element for alarm in alarms.alarms}
        of_elements = {(alarm.element, alarm.first_slot): alarm.level for alarm in alarms.alarms}
        assert of_elements["line:CS A: line 2", 0] == "critical"
        assert of_elements["line:MV line 1", 1] == "alarm"
        assert of_elements["line:CS C: line 2", 2] == "critical", "a grid that is only watched"
        (below,) = alarms.watched
        anchored = anchored_grid(view, market.documents, TERMS, GRID.address)
        assert (below.name, below.unsolved_slots) == ("CS C", ())
        at_cs_c = anchored.forecast.p_w[: TERMS.slots, anchored.model.node_names.index("MV 3")]
        assert 0 < below.losses_wh < below.drawn_wh == pytest.approx(at_cs_c.sum() / 4, abs=1)
        assert {each.slot for each in violations(anchored, {})} == {0, 1}

        requests.client = desk.client(CAST.dso)
        daemons[0].step()
        by_element = {area.name: dict(area.effectiveness) for area in requests.areas}
        assert set(by_element["line:CS A: line 2"]) == {pod(0)}
        assert set(by_element["line:MV line 1"]) == set(PLACES), "PoDs of both levels relieve the MV line"

        play(desk, requests.client)
        clearing = ClearingDaemon(market.speaking_as(CLEARING), market.documents, market.stores)
        clearing.step()
        daemons[0].step()
        clearing.step()
        assert len(room.told) == 2
        replay = SessionReplay(market.operator, market.documents, TERMS.session)
        posted = view.validated_outcome(TERMS.session)
        assert posted is not None
        assert violations(anchored, accepted(replay.outcome_document(Stage.VALIDATED, posted))) == ()
        said: list[str] = []
        assert run(replay, said.append), said


def play(desk: Desk, dso: MarketClient) -> None:
    """Offers of half of every PoD's power, until the validated outcome."""
    market = desk.market
    sealed = []
    for person, numbers in OF_AGGREGATOR.items():
        entries = [
            OfferEntry(pod(number), slot, Product.ACTIVE_UP, BASELINE_W // 2, 40_000 + 1_000 * number)
            for number in numbers
            for slot in (0, 1)
        ]
        client = desk.client(person)
        sealed.append((client, client.commit(offers(person, entries), Side.OFFER, TERMS.gateClosure)))
    market.chain.advance_to(TERMS.gateClosure)
    sealed += [(dso, entry) for entry in dso.pending(TERMS.session)]
    for client, entry in sealed:
        client.reveal(entry)
    market.chain.advance_to(TERMS.documentsDeadline)


def accepted(outcome: ListDocument) -> dict[tuple[bytes, int], int]:
    """W by PoD and slot."""
    found: dict[tuple[bytes, int], int] = {}
    for entry in outcome.list_of(OUTCOME_BY_REQUEST).records():
        place = entry.word("pod"), entry.integer("slot")
        found[place] = found.get(place, 0) + entry.integer("acceptedW")
    return found
