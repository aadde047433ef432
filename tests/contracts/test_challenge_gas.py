"""Gas of each fraud proof with all that its strike costs, by proofs of depth 28: lists of 268 million leaves (SPECIFICATION.md
21.x to 24.x). Held to `challenge_gas.json` beside this file, written anew by FLEXLEDGER_WRITE_GAS=1.

Lists as long can't be made here. Their roots can: of a small tree and as many siblings above it as are missing.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from brownie import accounts

from offchain.protocol import lists
from offchain.protocol.keccak import keccak256
from offchain.protocol.merkle import ListTree, hash_pair
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import travel_to, undone
from tests.contracts.conftest import account_of
from tests.contracts.lies.market import CLEARING_PRICE_LIES, MARKET_LIES
from tests.contracts.lies.orders import ORDER_LIES
from tests.contracts.lies.play import Play
from tests.contracts.lies.real_time import real_time_lies
from tests.contracts.lies.refusals import REFUSAL_LIES
from tests.contracts.lies.reserve import RESERVE_LIES, VALIDATED_RESERVE_LIES
from tests.contracts.lies.settlement import settlement_lies
from tests.contracts.lies.validated import VALIDATED_LIES
from tests.contracts.orders import OFFERS, with_offers
from tests.contracts.outcomes import PODS
from tests.contracts.play import EURO, as_struct, fund, session_terms
from tests.contracts.real_time import create, day_ahead_terms, real_time_terms
from tests.contracts.real_time import play as play_real_time
from tests.contracts.reserves import with_reserve
from tests.contracts.results import Results, baselines_document, notarise_baseline, play_to_clearing
from tests.contracts.test_gas import NOISE, START_S

FIGURES = Path(__file__).parent / "challenge_gas.json"
SESSIONS_S = START_S + 100
DEPTH = 28
LIMIT = 200_000
DEARER = {
    "falselySold": "three proofs, a document's opening, and the deadlines of two sessions",
    "wrongReward": "a mechanism's answer, and a first payment to the customer",
}
"""What costs more than the limit though its calldata alone doesn't: each with why."""
AT_FLOOR = {
    "cheaperLeftOut",
    "cheaperRefused",
    "entryInvented",
    "groupBroken",
    "higherReadingTaken",
    "refusalIgnored",
    "refusalMisplaced",
    "reserveInvented",
    "reserveOfRefused",
    "takenAway",
    "takenWithoutRefusal",
    "wrongDelivery",
}
"""What costs no more than its calldata has to (EIP-7623)."""
DEARER_LIMIT = 260_000
SIBLINGS = [keccak256(b"sibling %d" % height) for height in range(DEPTH)]


class DeepTree(ListTree):
    """A small tree under as many siblings as make its longest proof `DEPTH` long."""

    @property
    def _above(self) -> list[bytes]:
        return SIBLINGS[: DEPTH - (len(self) - 1).bit_length()]

    @property
    def root(self) -> bytes:
        found = super().root
        for sibling in self._above:
            found = hash_pair(found, sibling)
        return found

    def proof(self, position: int) -> list[bytes]:
        return super().proof(position) + self._above


@pytest.fixture
def deep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list's tree is `DEPTH` deep."""
    monkeypatch.setattr(lists, "ListTree", DeepTree)


def test_gas_of_fraud_proofs_at_depth_28(deep: None, market: Any, operator: Any, auditor: Any) -> None:
    travel_to(START_S)
    used: dict[str, int] = {}
    at_floor = set()
    # The market's reserve isn't paid for the first time.
    fund(market, accounts.at(market.Vault.reserve(), force=True), EURO)

    def measure(lies: dict[str, Play], results: Results) -> None:
        for name, play in lies.items():
            with undone():
                tx = play(replace(results), auditor)
                assert tx.events["ResultStruck"]["challenger"] == auditor, name
                used[name] = int(tx.gas_used)
                if used[name] == calldata_floor(tx.input):
                    at_floor.add(name)

    with undone():
        measure(CLEARING_PRICE_LIES, play_to_clearing(market, a_session(market, operator, method=1)))
    with undone():
        terms = a_session(market, operator)
        measure(ORDER_LIES, play_to_clearing(market, terms, change=with_offers(OFFERS)))
    with undone():
        results = play_to_clearing(market, a_session(market, operator), change=with_reserve)
        measure(RESERVE_LIES, results)
        results.post_market()
        results.post_technical(results.refusals_of([(2, 500)]))
        measure(VALIDATED_RESERVE_LIES, results)
    with undone():
        travel_to(SESSIONS_S)
        ahead = create(market, day_ahead_terms())
        day = play_real_time(market, ahead, create(market, real_time_terms(ahead)))
        measure(real_time_lies(day), day.ahead)
    terms = a_session(market, operator)
    results = play_to_clearing(market, terms, before_gate=lambda: before_gate(market, terms))
    measure(MARKET_LIES, results)
    results.post_market()
    measure(REFUSAL_LIES, results)
    results.post_technical()
    measure(VALIDATED_LIES, results)
    results.post_validated()
    results.anchor_readings()
    measure(settlement_lies(results), results)
    if os.environ.get("FLEXLEDGER_WRITE_GAS") == "1":
        FIGURES.write_text(json.dumps(used, indent=2) + "\n")
    # Nothing that a contract does makes these cheaper: four and five proofs are so many bytes.
    assert at_floor == AT_FLOOR
    above = {name for name, gas in used.items() if gas > LIMIT}
    assert above - at_floor == DEARER.keys()
    assert {name: gas for name, gas in used.items() if gas > DEARER_LIMIT} == {}
    written = json.loads(FIGURES.read_text())
    assert used.keys() == written.keys()
    apart = {name: (gas, written[name]) for name, gas in used.items() if abs(gas - written[name]) > NOISE}
    assert apart == {}


def calldata_floor(calldata: str) -> int:
    """What a transaction costs at least, whatever it does: EIP-7623."""
    given = bytes.fromhex(calldata.removeprefix("0x"))
    zeros = given.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(given) - zeros))


def a_session(market: Any, operator: Any, method: int = 0) -> SessionTerms:
    """A session at a fixed time: blocks follow the machine's clock, and a slow one's session would begin a slot later."""
    travel_to(SESSIONS_S)
    terms = session_terms(method=method)
    market.MarketSessions.create(as_struct(terms), {"from": operator})
    return replace(terms, session=market.MarketSessions.count())


def before_gate(market: Any, terms: SessionTerms) -> None:
    """The first aggregator notarises another baseline, later; the PoD of which nothing is accepted is suspended."""
    market.PodRegistry.suspend(PODS[3], "meter broken", {"from": account_of("dso")})
    author = account_of("aggregator")
    travel_to(terms.baselineGate - 2)
    notarise_baseline(market, baselines_document(terms.session, author.address, (0, 1), 9_000), author)
