"""What is signed (EIP-712) and what is hashed on chain: the same structs as in `interfaces/`, field for field.

Field names are Solidity's, so that a struct of the chain and its dataclass are one thing to look at. `digest` gives what
is signed, `hash` what a contract keeps of a struct. Addresses are hex text, `bytes32` are 32 bytes. A value that doesn't
fit its Solidity type is refused with InvalidInput naming the field.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import ClassVar

from offchain.protocol.cid import Cid
from offchain.protocol.keccak import keccak256
from offchain.protocol.signatures import (
    WORD_BYTES,
    domain_separator,
    sign_digest,
    struct_hash,
    typed_digest,
    typed_words,
)

VERSION = "1"
"""EIP-712 version of every domain of the market."""

READING_ANCHOR = "ReadingAnchor"
"""The contract under whose domain Light Nodes sign."""

NO_POD = bytes(32)
"""What a consent to a PoD that replaces none says."""


class NoticeKind(IntEnum):
    """Kinds of documents that `DataNotary` notarises (NoticeKinds.sol)."""

    BASELINE = 1
    GRID_MODEL = 2
    FORECAST = 3
    FLEXIBILITY_SERVICE = 4
    SET_POINTS = 5
    ANOMALY = 6
    MEASUREMENTS = 7
    OTHER = 8
    ACTIVATION = 9
    POD_ASSOCIATION = 10
    RESERVE_ORDER = 11
    REFERENCE_PRICES = 12
    WEATHER = 13
    SETTLEMENT_REPORT = 14
    EVIDENCE = 15
    CONTRACT = 16
    KPI_REPORT = 17
    CLEARING_PARAMETERS = 18


class BookState(IntEnum):
    """Where a commitment stands (ICommitmentBook)."""

    NONE = 0
    COMMITTED = 1
    WITHDRAWN = 2
    FORFEITED = 3
    REVEALED = 4
    AVAILABLE = 5


def contract_domain(contract: str, chain_id: int, address: str) -> bytes:
    """EIP-712 domain separator of a contract of the market, such as "CommitmentBook"."""
    return domain_separator(f"flexledger {contract}", VERSION, chain_id, address)


@dataclass(frozen=True)
class _Struct:
    """A Solidity struct of static fields; `MEMBERS` is its type string after the name."""

    MEMBERS: ClassVar[str]

    @property
    def _type(self) -> str:
        return f"{type(self).__name__}({self.MEMBERS})"

    def _values(self) -> list[object]:
        return [getattr(self, field.name) for field in fields(self)]

    def words(self) -> bytes:
        """The struct's ABI encoding. Its fields are static: it is what EIP-712 hashes too, 32 bytes a field."""
        return typed_words(self._type, self._values())


@dataclass(frozen=True)
class _Signed(_Struct):
    """A struct that is signed under a contract's domain."""

    def digest(self, domain: bytes) -> bytes:
        """What is signed, under a domain separator of `contract_domain`: 32 bytes."""
        return typed_digest(domain, struct_hash(self._type, self._values()))

    def sign(self, domain: bytes, private_key: bytes) -> bytes:
        """Signature of the digest: 65 bytes r || s || v."""
        return sign_digest(private_key, self.digest(domain))


@dataclass(frozen=True)
class _SignedByNode(_Struct):
    """A struct that a Light Node signs. Nodes know their deployment by chain id and address of ReadingAnchor."""

    def digest(self, chain_id: int, reading_anchor: str) -> bytes:
        """What the node signs: 32 bytes."""
        domain = contract_domain(READING_ANCHOR, chain_id, reading_anchor)
        return typed_digest(domain, struct_hash(self._type, self._values()))


@dataclass(frozen=True)
class _Posted(_Struct):
    """A struct of which a contract keeps the hash of its ABI encoding."""

    def hash(self) -> bytes:
        """keccak256(abi.encode(struct)): 32 bytes."""
        return keccak256(self.words())


@dataclass(frozen=True)
class Commitment(_Signed):
    """A player's sealed commitment (ICommitmentBook), under the domain of CommitmentBook."""

    MEMBERS = (
        "uint64 session,address player,uint8 side,bytes32 sealedHash,uint64 capUeur,bytes32 replaces,uint64 nonce,"
        "uint48 deadline"
    )

    session: int
    player: str
    side: int
    sealedHash: bytes
    capUeur: int
    replaces: bytes
    nonce: int
    deadline: int


@dataclass(frozen=True)
class Retraction(_Signed):
    """A player takes a commitment back (ICommitmentBook), under the domain of CommitmentBook."""

    MEMBERS = "uint64 session,address player,bytes32 sealedHash,uint64 nonce,uint48 deadline"

    session: int
    player: str
    sealedHash: bytes
    nonce: int
    deadline: int


@dataclass(frozen=True)
class Opening(_Posted):
    """What a sealed hash hides (ICommitmentBook); its hash is the sealed hash."""

    MEMBERS = "uint64 session,address player,bytes32 root,bytes32 salt,uint32 leafCount,bytes32 cidDigest,uint8 cidCodec"

    session: int
    player: str
    root: bytes
    salt: bytes
    leafCount: int
    cidDigest: bytes
    cidCodec: int

    @property
    def cid(self) -> Cid:
        """Where the document's bytes are."""
        return Cid(self.cidCodec, self.cidDigest)


@dataclass(frozen=True)
class Receipt(_Signed):
    """A store has a document's bytes and answers for them (IAvailability), under the domain of Availability.

    `content`: see `offchain.protocol.receipts`.
    """

    MEMBERS = "bytes32 content,bytes32 cidDigest,uint8 cidCodec,uint48 until"

    content: bytes
    cidDigest: bytes
    cidCodec: int
    until: int


@dataclass(frozen=True)
class RelayReceipt(_Signed):
    """A relayer's receipt for a commitment that it sends on (IRelayStakes), under the domain of RelayStakes.

    `commitment` is the commitment's digest, `signature` the Keccak hash of its player's signature; nonce and deadline are
    the commitment's.
    """

    MEMBERS = "uint64 session,bytes32 commitment,bytes32 signature,uint64 nonce,uint48 deadline"

    session: int
    commitment: bytes
    signature: bytes
    nonce: int
    deadline: int


@dataclass(frozen=True)
class Registration(_Signed):
    """A customer's consent to a PoD's part in the market (IPodRegistry), under the domain of PodRegistry.

    `replaces`: the customer's PoD that this one takes the place of, `NO_POD` if none.
    """

    MEMBERS = (
        "bytes32 pod,address aggregator,address customer,address node,address mechanism,uint32 maxUpW,"
        "uint32 maxDownW,uint32 maxUpVar,uint32 maxDownVar,bytes32 replaces,uint64 nonce,uint48 deadline"
    )

    pod: bytes
    aggregator: str
    customer: str
    node: str
    mechanism: str
    maxUpW: int
    maxDownW: int
    maxUpVar: int
    maxDownVar: int
    replaces: bytes
    nonce: int
    deadline: int


@dataclass(frozen=True)
class Revocation(_Signed):
    """A customer's end of a PoD's part in the market (IPodRegistry), under the domain of PodRegistry."""

    MEMBERS = "bytes32 pod,uint64 nonce,uint48 deadline"

    pod: bytes
    nonce: int
    deadline: int


@dataclass(frozen=True)
class NodeKey(_Signed):
    """A PoD's new Light Node key, signed by that key and by a DSO (IPodRegistry), under the domain of PodRegistry."""

    MEMBERS = "bytes32 pod,address node,uint48 deadline"

    pod: bytes
    node: str
    deadline: int


@dataclass(frozen=True)
class Reading(_SignedByNode):
    """A slot's energies at a PoD: Wh and varh over `periodS` from `startTime`; `sequence` counts the node's packets."""

    MEMBERS = (
        "bytes32 pod,uint64 startTime,uint32 periodS,uint32 absorbedActiveWh,uint32 injectedActiveWh,"
        "uint32 absorbedInductiveVarh,uint32 injectedInductiveVarh,uint32 absorbedCapacitiveVarh,"
        "uint32 injectedCapacitiveVarh,uint64 sequence"
    )

    pod: bytes
    startTime: int
    periodS: int
    absorbedActiveWh: int
    injectedActiveWh: int
    absorbedInductiveVarh: int
    injectedInductiveVarh: int
    absorbedCapacitiveVarh: int
    injectedCapacitiveVarh: int
    sequence: int


@dataclass(frozen=True)
class SetPoints(_SignedByNode):
    """Set points carried out: which (`setPointsHash`), when sent, received and taken over by the EMS."""

    MEMBERS = (
        "bytes32 pod,bytes32 activationId,uint64 startTime,bytes32 setPointsHash,uint48 sentAt,uint48 receivedAt,"
        "uint48 emsAt"
    )

    pod: bytes
    activationId: bytes
    startTime: int
    setPointsHash: bytes
    sentAt: int
    receivedAt: int
    emsAt: int


@dataclass(frozen=True)
class Outcome(_Posted):
    """A market or validated outcome as posted (IOutcomeBoard)."""

    MEMBERS = (
        "uint64 session,bytes32 byOfferRoot,uint32 byOfferLength,bytes32 byRequestRoot,uint32 byRequestLength,"
        "bytes32 reserveRoot,uint32 reserveLength,bytes32 cidDigest,uint8 cidCodec,uint64 acceptedWSlots,"
        "uint64 totalUeur,bytes32 basis"
    )

    session: int
    byOfferRoot: bytes
    byOfferLength: int
    byRequestRoot: bytes
    byRequestLength: int
    reserveRoot: bytes
    reserveLength: int
    cidDigest: bytes
    cidCodec: int
    acceptedWSlots: int
    totalUeur: int
    basis: bytes


@dataclass(frozen=True)
class TechnicalOutcome(_Posted):
    """What the DSO refuses of a market outcome, as posted (IOutcomeBoard)."""

    MEMBERS = (
        "uint64 session,bytes32 marketOutcomeHash,bytes32 refusalRoot,uint32 refusalLength,bytes32 gridModel,"
        "bytes32 cidDigest,uint8 cidCodec,uint64 refusedWSlots"
    )

    session: int
    marketOutcomeHash: bytes
    refusalRoot: bytes
    refusalLength: int
    gridModel: bytes
    cidDigest: bytes
    cidCodec: int
    refusedWSlots: int


@dataclass(frozen=True)
class Pair(_Struct):
    """What a payer owes a payee for a session, and the penalty the other way, in µ€ (ISettlementLedger)."""

    MEMBERS = "address payer,address payee,uint64 paymentUeur,uint64 penaltyUeur"

    payer: str
    payee: str
    paymentUeur: int
    penaltyUeur: int


@dataclass(frozen=True)
class Settlement(_Struct):
    """A settlement as posted (ISettlementLedger)."""

    MEMBERS = (
        "uint64 session,bytes32 validatedOutcomeHash,bytes32 settlementRoot,uint32 settlementLength,"
        "bytes32 claimRoot,uint32 claimLength,bytes32 cidDigest,uint8 cidCodec,uint64 rewardsUeur"
    )

    session: int
    validatedOutcomeHash: bytes
    settlementRoot: bytes
    settlementLength: int
    claimRoot: bytes
    claimLength: int
    cidDigest: bytes
    cidCodec: int
    rewardsUeur: int

    def hash(self, pairs: Sequence[Pair]) -> bytes:
        """What the ledger keeps, keccak256(abi.encode(settlement, pairs)): 32 bytes."""
        head = self.words()
        tail = typed_words("Array(uint256 offset,uint256 length)", [len(head) + WORD_BYTES, len(pairs)])
        return keccak256(head + tail + b"".join(pair.words() for pair in pairs))


def seed_share(player: str, salt: bytes) -> bytes:
    """What a reveal adds (XOR) to its session's seed: 32 bytes."""
    return keccak256(typed_words("SeedShare(address player,bytes32 salt)", [player, salt]))
