"""A market deployed by the project's own script, and its participants, one fixture a role."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from brownie import accounts, chain, web3

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from scripts.brownie_chain import hurry
from scripts.deploy import LEAST_STAKE_UEUR, Deployment, deploy_market
from tests.contracts.play import EURO, as_struct, fund, session_terms

ROLES = {
    "dso": 0,
    "tso": 1,
    "aggregator": 2,
    "other_aggregator": 2,
    "clearing_oracle": 3,
    "grid_oracle": 4,
    "settlement_oracle": 5,
    "anchoring_oracle": 6,
    "store": 7,
    "other_store": 7,
    "auditor": 8,
    "operator": 9,
    "arbiter": 10,
    "other_clearing_oracle": 3,
    "other_settlement_oracle": 5,
}
STORES = ("store", "other_store")
BALANCE_UEUR = 1000 * EURO


def account_of(name: str) -> Any:
    """An account with a key of its own, made from a name."""
    return accounts.add("0x" + keccak256(name.encode()).hex())


def newest_block() -> str:
    """Hash of the newest block."""
    return str(web3.eth.get_block("latest").hash.hex())


def set_up(folder: Path) -> SimpleNamespace:
    """A new market's contracts by name, with every role registered and every participant's balance in the vault."""
    admin = account_of("admin")
    path = folder / "manifest.json"
    deployment = Deployment(path, admin)
    contracts = deploy_market(deployment, admin)
    market = SimpleNamespace(
        **contracts,
        Euro=deployment.deploy("Euro", code="TestEuro"),
        manifest=path,
        stores=[account_of(name).address for name in STORES],
    )
    for name, role in ROLES.items():
        market.ParticipantRegistry.register(account_of(name), 1 << role, name, {"from": admin})
        fund(market, account_of(name), BALANCE_UEUR)
    for name in STORES:
        market.Availability.stake(LEAST_STAKE_UEUR, {"from": account_of(name)})
    return market


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stateful tests first: at the end one process would wait for another's."""
    items.sort(key=lambda item: item.path.stem != "test_stateful")


@pytest.fixture(autouse=True)
def isolation(fn_isolation: None) -> None:
    """Every test starts from the chain as its module's fixtures left it."""


@pytest.fixture(scope="session", autouse=True)
def deployed(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The market that every module starts from, set up once in each process."""
    hurry()
    market = set_up(tmp_path_factory.mktemp("deployment"))
    # brownie's module isolation goes back to here from now on.
    chain._reset_id = chain._take_snapshot()
    market.head = newest_block()
    return market


@pytest.fixture(scope="module")
def admin(deployed: SimpleNamespace, module_isolation: None) -> Any:
    assert newest_block() == deployed.head, "the module before has left something on the chain"
    # brownie keeps the accounts that the module before has added.
    accounts._reset()
    for name in ROLES:
        account_of(name)
    return account_of("admin")


@pytest.fixture(scope="module")
def market(deployed: SimpleNamespace, admin: Any) -> SimpleNamespace:
    """The contracts by name, and what `set_up` says of them."""
    return SimpleNamespace(**vars(deployed))


@pytest.fixture
def terms(market: Any, operator: Any) -> SessionTerms:
    """A session that was just created."""
    terms = session_terms()
    market.MarketSessions.create(as_struct(terms), {"from": operator})
    return replace(terms, session=market.MarketSessions.count())


@pytest.fixture
def dso(market: Any) -> Any:
    return account_of("dso")


@pytest.fixture
def tso(market: Any) -> Any:
    return account_of("tso")


@pytest.fixture
def aggregator(market: Any) -> Any:
    return account_of("aggregator")


@pytest.fixture
def other_aggregator(market: Any) -> Any:
    return account_of("other_aggregator")


@pytest.fixture
def clearing_oracle(market: Any) -> Any:
    return account_of("clearing_oracle")


@pytest.fixture
def grid_oracle(market: Any) -> Any:
    return account_of("grid_oracle")


@pytest.fixture
def settlement_oracle(market: Any) -> Any:
    return account_of("settlement_oracle")


@pytest.fixture
def anchoring_oracle(market: Any) -> Any:
    return account_of("anchoring_oracle")


@pytest.fixture
def operator(market: Any) -> Any:
    return account_of("operator")


@pytest.fixture
def customer(market: Any) -> Any:
    return account_of("customer")


@pytest.fixture
def node(market: Any) -> Any:
    return account_of("light node")


@pytest.fixture
def stranger(market: Any) -> Any:
    """Somebody without any role."""
    return account_of("stranger")


@pytest.fixture
def auditor(market: Any) -> Any:
    return account_of("auditor")


@pytest.fixture
def arbiter(market: Any) -> Any:
    return account_of("arbiter")


@pytest.fixture
def store(market: Any) -> Any:
    return account_of("store")


@pytest.fixture
def other_clearing_oracle(market: Any) -> Any:
    return account_of("other_clearing_oracle")


@pytest.fixture
def other_settlement_oracle(market: Any) -> Any:
    return account_of("other_settlement_oracle")
