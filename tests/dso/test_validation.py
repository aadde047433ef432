"""Validation between market and DSO's platform: two real servers, a real chain, and what a liar between them can't do.

The session is that of `tests.audit.test_rounds`: the grid cuts what the market takes in rounds 1 and 2, and takes round 3 whole.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from offchain.chain.market_view import MarketView, Round
from offchain.dso.api import create_app
from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.dso.validation import PATIENCE_S, MarketPlatformClient, ValidationDesk
from offchain.dso.validation_store import ValidationStore
from offchain.market.api import create_app as create_market_app
from offchain.market.publication import OutcomePublication
from offchain.market.service import MarketService
from offchain.market.validation import AGAIN_AFTER_S, DsoPlatformClient, TechnicalValidation
from offchain.messaging.topics import DSO_OUTCOME
from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.documents.base import dump
from offchain.protocol.products import Product
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome
from offchain.rest.client import PlatformClient, PlatformRefused, PlatformUnavailable
from offchain.rest.server import serve
from offchain.rest.settings import Role
from offchain.store.outcomes import AnchoredOutcomes
from offchain.store.receipts import Stores
from tests.audit.conftest import play_to_clearing
from tests.audit.test_rounds import NEEDED_W, OFFERED_W, anchor_grid, clearing_step, grid_step
from tests.chain.small_market import ADMIN, FIRST, TERMS, SmallMarket, pod, prepared
from tests.chain.workers import shared_folder
from tests.dso.conftest import DEPLOYMENT, Broker, PomDesk, desks_of
from tests.market.desk import offers, open_desk, request
from tests.rest.callers import client_of, settings_of

PARTICIPANTS = {"market": Role.MARKET, "dso": Role.DSO, "acme": Role.AGGREGATOR}
Content = dict[str, Any]


@dataclass
class Platforms:
    """Market and DSO's platform, with HTTP clients by platform and participant."""

    market: SmallMarket
    outcomes: AnchoredOutcomes
    asking: TechnicalValidation
    to_dso: DsoPlatformClient
    desk: ValidationDesk
    at_dso: dict[str, httpx.Client]
    at_market: dict[str, httpx.Client]

    def ask(self) -> None:
        """The market asks for what stands, the DSO's platform tells what it knows."""
        self.asking.step(self.to_dso)
        self.desk.step()

    def anchored(self, round_: int = 1) -> Content:
        """A round's market outcome as the market sends it."""
        document = self.outcomes.market_document(TERMS, self.outcomes.rounds(TERMS.session)[round_ - 1])
        return dict(json.loads(dump(document)))

    def shown(self) -> list[Content]:
        """What the operator sees of validations."""
        return list(self.at_dso["dso"].get("/marketOutcomes").json())

    def publish(self, folder: Path, message: Callable[[bytes], bytes] = bytes) -> None:
        """The market publishes what is validated; the DSO's topic brings what `message` makes of it."""
        sent = Broker()
        publication = OutcomePublication(self.outcomes, sent, {}, folder / "published.sqlite")
        publication.step()
        publication.close()
        for each in sent.messages:
            if each.topic == DSO_OUTCOME:
                self.desk.on_outcome(message(each.payload))
        self.desk.step()

    def finals(self) -> list[Content]:
        """What the operator sees of final outcomes."""
        return list(self.at_dso["dso"].get("/validatedOutcomes").json())


@contextmanager
def platforms(market: SmallMarket, folder: Path) -> Iterator[Platforms]:
    """Both platforms over HTTP, on the chain as it stands."""
    settings, tokens = settings_of(PARTICIPANTS)
    operator = market.operator
    outcomes, clock = AnchoredOutcomes(MarketView(operator), market.documents), operator.now_s
    asking = TechnicalValidation(outcomes, folder / "asked by the market.sqlite", clock)
    service = MarketService(operator, market.documents, Stores([], operator), ADMIN.key)
    dso_store, store = DsoStore(folder / "dso.sqlite"), ValidationStore(folder / "asked of the DSO.sqlite")
    dso = DsoService(dso_store, Broker(), PomDesk(), {}.get, clock, DEPLOYMENT)
    with serve(create_market_app(service, asking, settings)) as market_url:
        to_market = PlatformClient(market_url, tokens["dso"])
        desk = ValidationDesk(store, outcomes, MarketPlatformClient(to_market), clock)
        with serve(create_app(replace(desks_of(dso, folder), validation=desk), settings)) as dso_url:
            to_dso = PlatformClient(dso_url, tokens["market"])
            clients = [
                {name: client_of(url, token) for name, token in tokens.items()}
                for url in (dso_url, market_url)
            ]
            yield Platforms(market, outcomes, asking, DsoPlatformClient(to_dso), desk, *clients)
            for client in (to_dso, to_market, *clients[0].values(), *clients[1].values()):
                client.close()
    for each in (asking, store, dso_store):
        each.close()


def changed(content: Content, *path: str | int, to: object) -> Content:
    """A copy with another value at a place."""
    copy = json.loads(json.dumps(content))
    place = copy
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return dict(copy)


class OneRound:
    """A session of which one round is cleared."""

    def session_ids(self) -> list[int]:
        return [TERMS.session]

    def terms(self, session: int) -> SessionTerms:
        return TERMS

    def market_time_s(self, session: int) -> int:
        return TERMS.documentsDeadline

    def rounds(self, session: int) -> list[Round]:
        nothing = bytes(32)
        return [Round(1, Outcome(1, nothing, 0, nothing, 0, nothing, 0, nothing, 0, 0, 0, nothing), None)]

    def market_document(self, terms: SessionTerms, round_: Round) -> None:
        return None


FORGERIES: dict[str, tuple[Callable[[Content], Content], str]] = {
    "more than was matched": (
        lambda told: changed(told, "flexibility", 0, "power", 0, "p", to=9.5),
        "flexibility[0].power[0].p",
    ),
    "another order of merit": (
        lambda told: changed(told, "flexibility", 0, "power", 0, "priorityP", to=2),
        "flexibility[0].power[0].priorityP",
    ),
    "another PoD": (
        lambda told: changed(told, "flexibility", 0, "pod", to="0x" + pod(3).hex()),
        "flexibility[0].pod",
    ),
    "one left out": (
        lambda told: changed(told, "flexibility", to=told["flexibility"][:-1]),
        "flexibility.length",
    ),
    "another day": (lambda told: changed(told, "startTime", to="2026-09-11T00:00:00+02:00"), "startTime"),
    "no such session": (lambda told: changed(told, "marketSession", to="7"), "marketSession"),
    "no session's number": (lambda told: changed(told, "marketSession", to="01"), "marketSession"),
    "an id of nothing": (lambda told: changed(told, "_id", to="0x" + "ab" * 32), "_id"),
    "no id": (lambda told: {name: value for name, value in told.items() if name != "_id"}, "_id"),
    "no such field": (lambda told: told | {"signature": "0x"}, "signature"),
    "half a watt": (
        lambda told: changed(told, "flexibility", 0, "power", 0, "p", to=1.0005),
        "flexibility[0].power[0].p",
    ),
}


@dataclass
class Story:
    """What the platforms said while the session was played to its end."""

    forged: dict[str, httpx.Response] = field(default_factory=dict)
    asked_by: dict[str, int] = field(default_factory=dict)
    again: list[int] = field(default_factory=list)
    unasked: httpx.Response | None = None
    unanchored: httpx.Response | None = None
    stale: httpx.Response | None = None
    late: httpx.Response | None = None
    forged_answer: httpx.Response | None = None
    shown: list[list[Content]] = field(default_factory=list)
    at_market: list[Content] = field(default_factory=list)
    first: Content = field(default_factory=dict)
    finals: list[Content] = field(default_factory=list)
    finals_soon: list[str] = field(default_factory=list)
    of_aggregator: list[int] = field(default_factory=list)


def play(on: Platforms, folder: Path) -> Story:
    story, market = Story(), on.market
    story.first = on.anchored()
    for name, (forge, _) in FORGERIES.items():
        story.forged[name] = on.at_dso["market"].post("/marketOutcomes", json=forge(story.first))
    for name in ("dso", "acme"):
        story.asked_by[name] = on.at_dso[name].post("/marketOutcomes", json=story.first).status_code
    answer = {"marketOutcome": story.first["_id"], "flexibility": []}
    story.unasked = on.at_market["dso"].post("/technicalOutcome", json=answer)
    on.ask()
    story.unanchored = on.at_market["dso"].post("/technicalOutcome", json=answer)
    story.shown.append(on.shown())
    story.again.append(on.at_dso["market"].post("/marketOutcomes", json=story.first).status_code)
    grid_step(market)
    on.ask()
    story.shown.append(on.shown())
    told = story.shown[-1][0]["technicalOutcome"]
    story.forged_answer = on.at_market["dso"].post(
        "/technicalOutcome", json=changed(told, "flexibility", 0, "power", 0, "acceptedPValue", to=10)
    )
    clearing_step(market)
    # Round 2 isn't asked for, and is assessed all the same.
    second = on.anchored(2)
    grid_step(market)
    clearing_step(market)
    story.stale = on.at_dso["market"].post("/marketOutcomes", json=second)
    on.ask()
    grid_step(market)
    third = on.anchored(3)
    clearing_step(market)
    story.late = on.at_dso["market"].post("/marketOutcomes", json=second)
    story.again.append(on.at_dso["market"].post("/marketOutcomes", json=third).status_code)
    on.ask()
    story.shown.append(on.shown())
    story.at_market = on.at_market["market"].get("/validations").json()
    on.publish(folder)
    on.publish(folder / "again")
    on.publish(folder / "forged", lambda raw: raw.replace(b'"acceptedPValue":', b'"acceptedPValue":1', 1))
    unknown = json.dumps({"marketOutcome": "0x" + "cd" * 32, "flexibility": []}).encode()
    for payload in (unknown, b"nothing"):
        on.desk.on_outcome(payload)
    on.desk.step()
    story.finals_soon = [each["state"] for each in on.finals()]
    market.chain.advance_to(market.operator.now_s() + PATIENCE_S)
    on.desk.step()
    story.finals = on.finals()
    story.of_aggregator = [
        on.at_dso["acme"].get(path).status_code for path in ("/marketOutcomes", "/validatedOutcomes")
    ]
    return story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    original = prepared(shared_folder(tmp_path_factory) / "small-market")
    folder = tmp_path_factory.mktemp("validation")
    entries = [
        OfferEntry(pod(number), 0, Product.ACTIVE_UP, OFFERED_W, price)
        for number, price in ((0, 20_000), (2, 30_000))
    ]
    with open_desk(original, folder, anchor_grid) as desk:
        play_to_clearing(desk, of_first=offers(FIRST, entries), of_dso=request(NEEDED_W))
        clearing_step(desk.market)
        with platforms(desk.market, folder) as opened:
            yield play(opened, folder)


def test_the_market_asks_and_is_told_what_came_of_it(story: Story) -> None:
    pending, told, _ = story.shown
    assert [(each["id"], each["status"]) for each in pending] == [(story.first["_id"], "pending")]
    assert pending[0]["marketOutcome"] == story.first
    assert [each["status"] for each in told] == ["told"]
    asked_w = [power["p"] for pod_ in story.first["flexibility"] for power in pod_["power"]]
    answer = told[0]["technicalOutcome"]
    assert answer["marketOutcome"] == story.first["_id"]
    powers = [power for pod_ in answer["flexibility"] for power in pod_["power"]]
    assert [power["acceptedP"] for power in powers] == ["OK", "OK"]
    assert 6 < powers[0]["acceptedPValue"] < 6.5 < asked_w[0] == 10
    assert powers[1]["acceptedPValue"] == asked_w[1] == 5


def test_asking_again_is_no_harm_also_when_all_is_over(story: Story) -> None:
    assert story.again == [200, 200]


@pytest.mark.parametrize("name", FORGERIES)
def test_what_isnt_anchored_is_refused_by_field_value_and_rule(story: Story, name: str) -> None:
    answer = story.forged[name]
    assert (answer.status_code, answer.json()["field"]) == (422, FORGERIES[name][1]), answer.text
    assert answer.json()["rule"]
    assert story.shown[0][0]["receivedTime"], "and taken for nothing"
    assert len(story.shown[0]) == 1


def test_a_round_that_is_over_is_refused(story: Story) -> None:
    assert story.stale is not None
    assert story.stale.status_code == 409
    assert "round 3 stands after round 2" in story.stale.json()["error"]
    assert story.late is not None
    assert story.late.status_code == 409


def test_a_market_that_doesnt_ask_holds_nobody_up(story: Story) -> None:
    """Round 2 was never asked for: it is assessed, and round 3 rests on it."""
    last = story.shown[-1]
    assert [(each["round"], each["status"]) for each in last] == [(1, "told"), (3, "told")]
    assert [(each["round"], each["refusal"]) for each in story.at_market] == [(1, None), (3, None)]
    assert all(each["answeredTime"] for each in story.at_market)


def test_an_answer_counts_as_far_as_it_is_anchored(story: Story) -> None:
    assert story.unasked is not None
    assert story.unasked.status_code == 404
    assert story.unanchored is not None
    assert story.unanchored.status_code == 409
    assert story.forged_answer is not None
    assert story.forged_answer.status_code == 422
    assert story.forged_answer.json()["field"] == "flexibility[0].power[0].acceptedPValue"


def test_only_the_market_asks_and_only_the_dso_sees(story: Story) -> None:
    assert story.asked_by == {"dso": 403, "acme": 403}
    assert story.of_aggregator == [403, 403]


def test_final_outcomes_are_kept_and_held_to_the_chain(story: Story) -> None:
    confirmed, forged, unknown, nothing = story.finals
    assert (confirmed["session"], confirmed["state"], confirmed["reason"]) == (
        TERMS.session,
        "confirmed",
        None,
    )
    powers = [power for each in confirmed["outcome"]["flexibility"] for power in each["power"]]
    assert sum(power["acceptedPValue"] for power in powers) == NEEDED_W / 1000
    assert forged["state"] == unknown["state"] == nothing["state"] == "refused"
    assert forged["reason"].startswith("flexibility[0].power[0].acceptedPValue = ")
    assert "must be a validated outcome that stands on chain" in unknown["reason"]
    assert nothing["outcome"] is None
    assert story.finals_soon == ["confirmed", "refused", "unchecked", "refused"], "a node may be behind"


def test_a_platform_that_is_away_is_asked_later(tmp_path: Path) -> None:
    class Away:
        def ask(self, outcome: object) -> None:
            raise PlatformUnavailable("away")

    class Refusing:
        def ask(self, outcome: object) -> None:
            raise PlatformRefused("422: no")

    class Taking:
        def ask(self, outcome: object) -> None:
            """Does."""

    now = [7]
    asking = TechnicalValidation(OneRound(), tmp_path / "asked.sqlite", lambda: now[0])  # type: ignore[arg-type]
    asking.step(Away())
    assert asking.asked() == []
    asking.step(Refusing())
    (asked,) = asking.asked()
    assert asked.refusal == "422: no"
    asking.step(Away())
    assert asking.asked() == [asked], "who refuses is left alone for a while"
    now[0] += AGAIN_AFTER_S
    asking.step(Taking())
    assert [each.refusal for each in asking.asked()] == [None], "its node was behind"
    asking.close()
