"""What platforms tell each other about a PoD: D2.3's model (Table 2), and who is behind it."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from offchain.messaging.topics import check_user
from offchain.protocol.documents.base import Document, Identifier, broken_rule
from offchain.protocol.documents.light_node import Word
from offchain.protocol.documents.pod import Pod
from offchain.protocol.errors import InvalidInput
from offchain.protocol.signatures import checksum_address, parse_address


def _address(text: str) -> str:
    try:
        return checksum_address(parse_address("", text))
    except InvalidInput as refusal:
        raise broken_rule("", refusal.value, refusal.rule) from None


def _user(text: str) -> str:
    try:
        return check_user(text)
    except InvalidInput as refusal:
        raise broken_rule("", refusal.value, refusal.rule) from None


Address = Annotated[str, StringConstraints(max_length=42), AfterValidator(_address)]
"""An account's address; checksummed once it is read."""
BrokerUser = Annotated[str, AfterValidator(_user)]


class PodRegistration(Document):
    """A PoD as its aggregator registers it: with its customer's wallet, its Light Node's key and broker user."""

    pod: Pod
    customer_wallet: Address
    node_address: Address
    node_user: BrokerUser


class RegistryEntry(PodRegistration):
    """A registered PoD as the Shared Customer Database tells it to those who may link the pseudonym."""

    pseudonym: Word


class PseudonymousEntry(Document):
    """A registered PoD as it is told to everyone else: `pod.podId` is the pseudonym."""

    pod: Pod
    node_address: Address


class PomAssociation(Document):
    """The PoM to which a PoD belongs."""

    po_m_id: Identifier = Field(alias="poMId")
