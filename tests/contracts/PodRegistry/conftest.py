"""A customer's consent, and how it is used."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pytest
from brownie import project

from offchain.protocol.keccak import keccak256
from offchain.protocol.typed_data import NO_POD, Registration
from tests.contracts.conftest import account_of
from tests.contracts.play import FOREVER, domain

POD = keccak256(b"pod and salt")
OTHER_POD = keccak256(b"other pod and salt")
Register = Callable[..., Any]


def key_of(account: Any) -> bytes:
    """An account's private key."""
    return bytes.fromhex(account.private_key.removeprefix("0x"))


@pytest.fixture
def registration(market: Any, aggregator: Any, customer: Any, node: Any) -> Registration:
    """What the customer consents to; any contract may be the mechanism."""
    return Registration(
        pod=POD,
        aggregator=aggregator.address,
        customer=customer.address,
        node=node.address,
        mechanism=market.DataNotary.address,
        maxUpW=6000,
        maxDownW=5000,
        maxUpVar=2000,
        maxDownVar=1000,
        replaces=NO_POD,
        nonce=0,
        deadline=FOREVER,
    )


@pytest.fixture
def register(market: Any, aggregator: Any, customer: Any) -> Register:
    """Registers with the customer's consent to exactly that."""

    def act(registration: Registration, sender: Any = aggregator, signer: Any = customer) -> Any:
        signature = registration.sign(domain(market.PodRegistry), key_of(signer))
        return market.PodRegistry.register(astuple(registration), signature, {"from": sender})

    return act


@pytest.fixture
def registered(registration: Registration, register: Register) -> Registration:
    """A PoD that takes part."""
    register(registration)
    return registration


@pytest.fixture
def wallet(market: Any) -> Any:
    """A contract wallet of the account "owner of a wallet"."""
    owner = account_of("owner of a wallet")
    return project.get_loaded_projects()[0].TestWallet.deploy(owner, {"from": owner})


@pytest.fixture
def registry_alone(market: Any, admin: Any) -> Any:
    """A PoD registry that knows no reading anchor yet."""
    code = project.get_loaded_projects()[0].PodRegistry
    return code.deploy(market.Administration, market.ParticipantRegistry, {"from": admin})
