"""A typed client of the market's contracts for daemons, platforms and tools."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property, partial
from json import JSONDecodeError
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import ABIFunction
from eth_utils.abi import function_abi_to_4byte_selector
from hexbytes import HexBytes
from requests import Session
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    BlockNotFound,
    ContractCustomError,
    ContractLogicError,
    ProviderConnectionError,
    RequestTimedOut,
    TimeExhausted,
    TooManyRequests,
    TransactionNotFound,
    Web3RPCError,
)
from web3.types import RPCEndpoint, RPCResponse, TxParams, Wei

from offchain.chain.manifest import Manifest
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.typed_data import contract_domain

MOST_GAS = 16_000_000
"""No transaction above this: consortium chains refuse them (see design.md)."""

LOGS_PER_QUERY_BLOCKS = 10_000
CHECKED_FOR_S = 10.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")

NO_ANSWER = (
    BadFunctionCallOutput,
    BadResponseFormat,
    BlockNotFound,
    ProviderConnectionError,
    RequestTimedOut,
    TooManyRequests,
    TransactionNotFound,
)
"""A node that answers, but not with what it was asked for."""

Result = TypeVar("Result")


class ChainUnavailable(FlexledgerError):
    """The node doesn't answer, or isn't the chain that the manifest names."""


class TransactionPending(FlexledgerError):
    """A transaction was sent, and wasn't mined in time: it still may be."""

    def __init__(self, call: str, transaction: bytes, waited_s: float) -> None:
        super().__init__(f"{call}: transaction 0x{transaction.hex()} isn't mined after {waited_s:g} s")
        self.call = call
        self.transaction = transaction


class ChainRefused(FlexledgerError):
    """A contract refused a call: `error` is the name of its custom error, `arguments` what it says."""

    def __init__(self, call: str, error: str, arguments: tuple[object, ...]) -> None:
        shown = ", ".join(str(argument) for argument in arguments)
        super().__init__(f"{call} was refused: {error}({shown})")
        self.call = call
        self.error = error
        self.arguments = arguments


class _Node(HTTPProvider):
    """A node by HTTP, held to be of one chain: ChainUnavailable where it doesn't answer, or is of another."""

    def __init__(self, rpc_url: str, chain_id: int) -> None:
        session = Session()
        # No proxy stands before this machine itself; to look for one and for passwords takes a third of a request's time.
        session.trust_env = urlsplit(rpc_url).hostname not in LOOPBACK
        super().__init__(rpc_url, request_kwargs={"timeout": 30}, session=session)
        self._chain_id = chain_id
        self._checked_s = -CHECKED_FOR_S

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """The node's answer."""
        # A connection that was closed between two requests is opened anew without a word: the port may be another's by then.
        if monotonic() >= self._checked_s + CHECKED_FOR_S:
            answer = self._ask(RPCEndpoint("eth_chainId"), [])
            if not isinstance(answer.get("result"), str):
                raise ChainUnavailable(f"eth_chainId: the node answers {answer.get('error')}")
            found = int(answer["result"], 16)
            if found != self._chain_id:
                raise ChainUnavailable(f"the node is of chain {found}, the manifest of {self._chain_id}")
            self._checked_s = monotonic()
        return self._ask(method, params)

    def _ask(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        try:
            return super().make_request(method, params)
        except (
            OSError,
            JSONDecodeError,
        ) as problem:  # the latter: who answers is no node, but a proxy before it, say
            self._checked_s = -CHECKED_FOR_S  # who answers next may be another
            raise ChainUnavailable(f"{method}: the node doesn't answer: {problem}") from None


@dataclass(frozen=True)
class Event:
    """A log of a contract of ours, decoded."""

    contract: str
    name: str
    args: Mapping[str, Any]
    block: int
    index: int
    transaction: bytes


@dataclass(frozen=True)
class Receipt:
    """A mined transaction: its hash, block and gas."""

    transaction: bytes
    block: int
    gas_used: int


class ChainClient:
    """Calls, transactions and events of one deployment, as one account (or none: reading only).

    The clock of the market is the chain's: `now_s` is the time of the newest block. `confirmations`: how many blocks
    must lie on top of one before its events are acted on (0 on the local chain).
    """

    def __init__(
        self,
        rpc_url: str,
        manifest: Manifest,
        private_key: bytes | None = None,
        confirmations: int = 0,
        receipt_timeout_s: float = 60.0,
    ) -> None:
        self._w3 = Web3(_Node(rpc_url, manifest.chainId))
        # It asks for the chain's id before every call: the node is held to it already, and a signature names it.
        self._w3.middleware_onion.remove("validation")
        self.manifest = manifest
        self._account: LocalAccount | None = Account.from_key(private_key) if private_key else None
        self._confirmations = confirmations
        self._receipt_timeout_s = receipt_timeout_s
        # A platform sends from several threads, and an account's transactions must follow each other.
        self._sending = Lock()
        self._contracts: dict[str, Contract] = {}
        self._times: dict[int, int] = {}

    @property
    def address(self) -> str:
        """The account that transactions come from."""
        if self._account is None:
            raise FlexledgerError("this client has no key: it can only read")
        return str(self._account.address)

    def address_of(self, contract: str) -> str:
        """Address of a contract of the deployment."""
        return str(Web3.to_checksum_address(self.manifest.contracts[contract].address))

    def now_s(self) -> int:
        """Time of the newest block."""
        return self._answering(lambda: int(self._w3.eth.get_block("latest")["timestamp"]))

    def time_of(self, block: int) -> int:
        """Time of a block."""
        if block not in self._times:
            self._times[block] = self._answering(lambda: int(self._w3.eth.get_block(block)["timestamp"]))
        return self._times[block]

    def head(self) -> int:
        """Newest block that is deep enough to act on."""
        return max(0, self._answering(lambda: int(self._w3.eth.block_number)) - self._confirmations)

    def call(self, contract: str, function: str, *args: object, block: int | None = None) -> Any:
        """Result of a view function; structs come as tuples. ChainRefused where it reverts."""
        bound = self._contract(contract).functions[function](*map(_plain, args))
        return self._refusing(
            f"{contract}.{function}", lambda: bound.call(block_identifier=block or "latest")
        )

    def call_at(self, address: str, interface: str, function: str, *args: object) -> Any:
        """As `call`, of a contract that isn't in the manifest but has an interface that is."""
        other = self._at(address, self.manifest.interfaces[interface])
        bound = other.functions[function](*map(_plain, args))
        return self._refusing(f"{interface}.{function}", lambda: bound.call())

    def ask(self, address: str, interface: str, function: str, *args: object, gas: int) -> bytes | None:
        """What a contract that nobody vouches for answers, undecoded, with so much gas to run on; None if it fails."""
        bound = self._at(address, self.manifest.interfaces[interface])
        data = bound.encode_abi(function, args=list(map(_plain, args)))
        asked = {
            "to": bound.address,
            "data": data,
            "gas": hex(gas + _intrinsic_gas(bytes.fromhex(data[2:]))),
        }
        # Past web3, which decodes what a contract reverts with: it fails at what is none of its errors, and fetches the URLs of one.
        answer = self._w3.provider.make_request(RPCEndpoint("eth_call"), [asked, "latest"])
        result = answer.get("result")
        return bytes(HexBytes(result)) if isinstance(result, str) else None

    def domain(self, contract: str) -> bytes:
        """EIP-712 domain separator of a contract of the deployment."""
        return contract_domain(contract, self.manifest.chainId, self.address_of(contract))

    def send(self, contract: str, function: str, *args: object) -> Receipt:
        """Send a transaction and wait until it is mined. ChainRefused where it would revert: nothing is sent then."""
        if self._account is None:
            raise FlexledgerError("this client has no key: it can only read")
        with self._sending:
            return self._send(self._account, contract, function, args)

    def _send(self, account: LocalAccount, contract: str, function: str, args: tuple[object, ...]) -> Receipt:
        label = f"{contract}.{function}"
        bound = self._contract(contract).functions[function](*map(_plain, args))
        gas = self._refusing(label, lambda: bound.estimate_gas({"from": account.address}))

        def submit() -> HexBytes:
            fee = self._w3.eth.get_block("latest").get("baseFeePerGas", 0)
            tip = self._w3.eth.max_priority_fee if fee else 0
            parameters: TxParams = {
                "from": account.address,
                "nonce": self._w3.eth.get_transaction_count(account.address, "pending"),
                "gas": min(MOST_GAS, gas + gas // 4),
                "chainId": self.manifest.chainId,
                "maxFeePerGas": Wei(2 * fee + tip),
                "maxPriorityFeePerGas": Wei(tip),
            }
            signed = account.sign_transaction(cast(dict[str, Any], bound.build_transaction(parameters)))
            return self._w3.eth.send_raw_transaction(signed.raw_transaction)

        transaction_hash = self._refusing(label, submit)
        try:
            receipt = self._refusing(
                label,
                lambda: self._w3.eth.wait_for_transaction_receipt(
                    transaction_hash, timeout=self._receipt_timeout_s, poll_latency=0.01
                ),
            )
        except TimeExhausted:
            raise TransactionPending(label, bytes(transaction_hash), self._receipt_timeout_s) from None
        if receipt["status"] != 1:
            raise ChainRefused(label, "reverted when mined", (transaction_hash.hex(),))
        return Receipt(bytes(transaction_hash), int(receipt["blockNumber"]), int(receipt["gasUsed"]))

    def events(
        self, contract: str, event: str, first_block: int | None = None, **indexed: object
    ) -> list[Event]:
        """Events of a contract up to `head`, oldest first, filtered by indexed arguments."""
        first = self.manifest.contracts[contract].block if first_block is None else first_block
        last = self.head()
        out = []
        bound = self._contract(contract).events[event]()
        while first <= last:
            upto = min(last, first + LOGS_PER_QUERY_BLOCKS - 1)
            query = partial(bound.get_logs, from_block=first, to_block=upto, argument_filters=indexed)
            for log in self._answering(query):
                out.append(
                    Event(
                        contract,
                        event,
                        dict(log["args"]),
                        int(log["blockNumber"]),
                        int(log["logIndex"]),
                        bytes(log["transactionHash"]),
                    )
                )
            first = upto + 1
        return out

    def arguments_of(self, transaction: bytes, contract: str, function: str) -> dict[str, Any] | None:
        """Arguments of a transaction that called a function of a contract; None if it called something else."""
        sent = self._answering(lambda: self._w3.eth.get_transaction(HexBytes(transaction)))
        bound = self._contract(contract)
        item = bound.get_function_by_name(function)
        data = bytes(sent["input"])
        if str(sent.get("to") or "").lower() != bound.address.lower():
            return None
        if data[:4] != _selector(cast(Mapping[str, Any], item.abi)):
            return None
        return dict(bound.decode_function_input(HexBytes(data))[1])

    def transactions(self) -> Iterator[tuple[str, str, int]]:
        """(contract, function, gas used) of every successful transaction to the deployment, oldest first."""
        functions = {
            (entry.address.lower(), _selector(item).hex()): (name, str(item["name"]))
            for name, entry in self.manifest.contracts.items()
            for item in entry.abi
            if item["type"] == "function"
        }
        for number in range(self.manifest.first_block, self.head() + 1):
            block = self._w3.eth.get_block(number, full_transactions=True)
            for transaction in cast(list[dict[str, Any]], block["transactions"]):
                to, selector = str(transaction.get("to") or "").lower(), bytes(transaction["input"])[:4].hex()
                if (to, selector) in functions:
                    receipt = self._w3.eth.get_transaction_receipt(transaction["hash"])
                    if receipt["status"] == 1:
                        yield (*functions[to, selector], int(receipt["gasUsed"]))

    def _contract(self, name: str) -> Contract:
        """A contract of the deployment, made when it is first asked for: web3 takes milliseconds for each."""
        if name not in self._contracts:
            entry = self.manifest.contracts[name]
            self._contracts[name] = self._at(entry.address, entry.abi)
        return self._contracts[name]

    def _at(self, address: str, abi: list[dict[str, Any]]) -> Contract:
        return self._w3.eth.contract(address=Web3.to_checksum_address(address), abi=abi)

    @cached_property
    def _errors(self) -> dict[bytes, tuple[str, list[str]]]:
        return _errors_by_selector(self.manifest)

    def _answering(self, action: Callable[[], Result]) -> Result:
        return self._refusing("the node", action)

    def _refusing(self, label: str, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except (ContractCustomError, ContractLogicError) as refusal:
            raise self._refusal(label, refusal.data if hasattr(refusal, "data") else None, refusal) from None
        except Web3RPCError as refusal:
            response = refusal.rpc_response or {}
            error = response.get("error")
            data = error.get("data") if isinstance(error, dict) else None
            raise self._refusal(label, data, refusal) from None
        except NO_ANSWER as problem:
            raise ChainUnavailable(f"{label}: {problem}") from None

    def _refusal(self, label: str, data: object, cause: Exception) -> ChainRefused:
        if isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
            raw = bytes.fromhex(data[2:])
            known = self._errors.get(raw[:4])
            if known is not None:
                name, types = known
                try:
                    return ChainRefused(label, name, decode(types, raw[4:]))
                except DecodingError:  # another's contract may revert with anything
                    return ChainRefused(label, name, ())
        return ChainRefused(label, str(cause), ())


def _intrinsic_gas(data: bytes) -> int:
    """What a transaction with this calldata costs before a contract runs (EIP-2028)."""
    return 21_000 + sum(16 if byte else 4 for byte in data)


def _errors_by_selector(manifest: Manifest) -> dict[bytes, tuple[str, list[str]]]:
    out: dict[bytes, tuple[str, list[str]]] = {}
    for entry in manifest.contracts.values():
        for item in entry.abi:
            if item["type"] == "error":
                out[_selector(item)] = (
                    str(item["name"]),
                    [str(parameter["type"]) for parameter in item["inputs"]],
                )
    return out


def _selector(item: Mapping[str, Any]) -> bytes:
    """First four bytes of the hash of a function's or custom error's signature."""
    return function_abi_to_4byte_selector(cast(ABIFunction, {**item, "type": "function"}))


def _plain(value: object) -> object:
    """A dataclass as the tuple that a struct is, lists of them alike."""
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(_plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(entry) for entry in value]
    return value
