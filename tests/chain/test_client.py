"""The client of the contracts: refusals by name, a node that is away or of another chain, transactions and events."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from offchain.chain.client import ChainClient, ChainRefused, ChainUnavailable, TransactionPending
from offchain.protocol.errors import FlexledgerError
from tests.chain.small_market import ADMIN, FIRST, FUNDS_UEUR, PODS_AT_START, STRANGER, SmallMarket, pod

DEAD_URL = "http://127.0.0.1:9"


def test_a_custom_error_comes_with_its_name_and_arguments(market: SmallMarket) -> None:
    with pytest.raises(ChainRefused) as caught:
        market.operator.call("MarketSessions", "terms", 7)
    assert (caught.value.error, caught.value.arguments) == ("MarketSessionsUnknownSession", (7,))
    assert str(caught.value) == "MarketSessions.terms was refused: MarketSessionsUnknownSession(7)"


def test_a_transaction_that_would_revert_is_not_sent(market: SmallMarket) -> None:
    stranger, before = market.speaking_as(STRANGER), market.operator.head()
    with pytest.raises(ChainRefused) as caught:
        stranger.send("PodRegistry", "setPom", pod(0), bytes(32))
    dso = 0
    assert caught.value.error == "ParticipantRegistryMissingRole"
    assert caught.value.arguments == (STRANGER.address.lower(), dso)
    assert market.operator.head() == before


def test_a_token_s_own_error_is_known(market: SmallMarket) -> None:
    with pytest.raises(ChainRefused) as caught:
        market.speaking_as(FIRST).send("Vault", "withdraw", FUNDS_UEUR + 1)
    assert caught.value.error.startswith("Vault")
    assert FUNDS_UEUR in caught.value.arguments
    assert FUNDS_UEUR + 1 in caught.value.arguments


def test_without_a_key_it_only_reads(market: SmallMarket) -> None:
    reader = ChainClient(market.chain.url, market.manifest)
    assert reader.call("MarketSessions", "count") == 1
    with pytest.raises(FlexledgerError, match="no key"):
        reader.send("Vault", "withdraw", 1)
    with pytest.raises(FlexledgerError, match="no key"):
        _ = reader.address


ASKING: dict[str, Callable[[ChainClient], object]] = {
    "call": lambda client: client.call("MarketSessions", "count"),
    "send": lambda client: client.send("Vault", "withdraw", 1),
    "events": lambda client: client.events("MarketSessions", "SessionCreated"),
    "now_s": lambda client: client.now_s(),
    "head": lambda client: client.head(),
    "transactions": lambda client: list(client.transactions()),
}


@pytest.mark.parametrize("how", ASKING)
def test_a_node_that_is_away_is_said_so(market: SmallMarket, how: str) -> None:
    client = ChainClient(DEAD_URL, market.manifest, ADMIN.key)
    with pytest.raises(ChainUnavailable, match="doesn't answer"):
        ASKING[how](client)


@pytest.mark.parametrize("how", ASKING)
def test_a_node_of_another_chain_is_not_talked_to(market: SmallMarket, how: str) -> None:
    elsewhere = market.manifest.model_copy(update={"chainId": 5})
    client = ChainClient(market.chain.url, elsewhere, ADMIN.key)
    with pytest.raises(ChainUnavailable, match="is of chain 31337, the manifest of 5"):
        ASKING[how](client)


class OfAnotherChain(BaseHTTPRequestHandler):
    """Answers whatever it is asked as a node of chain 5 does for its chain id."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x5"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_who_answers_for_a_node_that_went_away_is_asked_for_its_chain(market: SmallMarket) -> None:
    client = market.operator
    assert client.call("MarketSessions", "count") == 1
    market.chain.stop()
    with pytest.raises(ChainUnavailable, match="doesn't answer"):
        client.call("MarketSessions", "count")
    port = int(market.chain.url.rsplit(":", 1)[1])
    with HTTPServer(("127.0.0.1", port), OfAnotherChain) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(ChainUnavailable, match="is of chain 5, the manifest of 31337"):
                client.call("MarketSessions", "count")
        finally:
            server.shutdown()
            thread.join()


def test_transactions_are_counted_by_contract_and_function(market: SmallMarket) -> None:
    sent = Counter(f"{contract}.{function}" for contract, function, _ in market.operator.transactions())
    assert sent["PodRegistry.register"] == PODS_AT_START
    assert sent["MarketSessions.create"] == 1
    receipt = market.speaking_as(FIRST).send("Vault", "withdraw", 1)
    *_, last = market.operator.transactions()
    assert last == ("Vault", "withdraw", receipt.gas_used)


def test_one_account_sends_from_several_threads(market: SmallMarket) -> None:
    client = market.speaking_as(FIRST)
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda amount: client.send("Vault", "withdraw", amount), range(1, 9)))
    assert len({receipt.transaction for receipt in receipts}) == 8
    assert client.call("Vault", "free", FIRST.address) == FUNDS_UEUR - sum(range(1, 9))


def test_events_come_filtered_and_in_order(market: SmallMarket) -> None:
    client = market.operator
    everything = client.events("PodRegistry", "PodRegistered")
    assert [bytes(event.args["pod"]) for event in everything] == [pod(n) for n in range(PODS_AT_START)]
    assert client.events("PodRegistry", "PodRegistered", pod=pod(2)) == everything[2:3]
    assert client.events("PodRegistry", "PodRegistered", first_block=everything[1].block) == everything[1:]


def test_unconfirmed_blocks_are_not_acted_on(market: SmallMarket) -> None:
    careful = ChainClient(market.chain.url, market.manifest, confirmations=2)
    owner = market.speaking_as(FIRST)
    owner.send("PodRegistry", "remove", pod(0))
    assert careful.events("PodRegistry", "PodRemoved", pod=pod(0)) == []
    for _ in range(2):
        owner.send("Vault", "withdraw", 1)
    assert len(careful.events("PodRegistry", "PodRemoved", pod=pod(0))) == 1


def ask_node(market: SmallMarket, method: str, parameters: list[object]) -> None:
    """What only a local node does."""
    answer = HTTPProvider(market.chain.url).make_request(RPCEndpoint(method), parameters)
    assert "error" not in answer, answer


def test_a_transaction_that_isnt_mined_in_time_is_said_so_with_its_hash(market: SmallMarket) -> None:
    hurried = ChainClient(market.chain.url, market.manifest, FIRST.key, receipt_timeout_s=0.2)
    ask_node(market, "evm_setAutomine", [False])
    with pytest.raises(TransactionPending) as caught:
        hurried.send("Vault", "withdraw", 1)
    assert caught.value.call == "Vault.withdraw"
    ask_node(market, "evm_mine", [])
    assert market.operator.arguments_of(caught.value.transaction, "Vault", "withdraw") == {"amountUeur": 1}


def test_a_node_that_refuses_a_transaction_is_a_refusal(market: SmallMarket) -> None:
    ask_node(market, "anvil_setNextBlockBaseFeePerGas", [hex(10**9)])
    ask_node(market, "anvil_mine", ["0x1"])
    ask_node(market, "anvil_setBalance", [FIRST.address, "0x0"])
    with pytest.raises(FlexledgerError, match=r"Vault\.withdraw.*[Ii]nsufficient funds"):
        market.speaking_as(FIRST).send("Vault", "withdraw", 1)


def test_arguments_are_told_of_calls_to_that_function_only(market: SmallMarket) -> None:
    sent = market.speaking_as(FIRST).send("Vault", "withdraw", 5)
    assert market.operator.arguments_of(sent.transaction, "Vault", "withdraw") == {"amountUeur": 5}
    assert market.operator.arguments_of(sent.transaction, "Vault", "deposit") is None
    assert market.operator.arguments_of(sent.transaction, "Availability", "publish") is None


def test_a_contract_that_nobody_vouches_for_answers_or_doesnt(market: SmallMarket) -> None:
    client = market.operator
    made = client.events("SettlementMechanismFactory", "MechanismCreated")[0].args["mechanism"]
    question = ("ISettlementMechanism", "customerPriceUeurPerKw", 0, 0, 10_000)
    answer = client.ask(made, *question, gas=100_000)
    assert answer is not None
    assert int.from_bytes(answer, "big") == 20_000
    assert client.ask(made, *question, gas=100) is None, "it has no more gas than it is given"
    assert client.ask(client.address_of("Vault"), *question, gas=100_000) is None
    assert client.ask(STRANGER.address, *question, gas=100_000) == b""
