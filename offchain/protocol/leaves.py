"""The leaves of every list: their fields, in one place, and their exact bytes.

A leaf is hashed as OpenZeppelin's StandardMerkleTree does: keccak256(keccak256(abi.encode(kind, fields...))).
`kind` comes first, so that a leaf of one list can never stand in another. Every leaf then carries its position
and its list's length. `contracts/libraries/Leaves.sol` holds the same field lists as structs; a test compares them.

Many leaves are handled as columns: a mapping from field name to an array with one row per leaf. Integers are
int64 or uint64 arrays of shape (n,), `bytes32` are uint8 arrays of shape (n, 32), addresses of shape (n, 20).

Integers stay below 2**53, so that canonical JSON (RFC 8785) carries them exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput
from offchain.protocol.merkle import MerkleTree, leaf_hashes

Columns = Mapping[str, npt.NDArray[np.generic]]
Value = int | bytes
WORD = 32
MAX_JSON_INTEGER = 2**53 - 1


@dataclass(frozen=True)
class Field:
    """One field of a leaf: its name, as in the Solidity struct, and its Solidity type."""

    name: str
    type: str

    @property
    def width_bytes(self) -> int:
        """Bytes that the value takes inside its 32-byte word: 32 for bytes32, 20 for address, else 8."""
        return {"bytes32": 32, "address": 20}.get(self.type, 8)

    @property
    def is_integer(self) -> bool:
        """An integer, signed or not."""
        return self.type not in ("bytes32", "address")

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and greatest integer that the type and canonical JSON both hold."""
        bits = int(self.type.removeprefix("u").removeprefix("int"))
        low, high = (
            (0, 2**bits - 1) if self.type.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        return max(low, -MAX_JSON_INTEGER), min(high, MAX_JSON_INTEGER)


@dataclass(frozen=True)
class LeafKind:
    """A kind of leaf: its number, its struct's name in Solidity and its fields in order."""

    number: int
    name: str
    fields: tuple[Field, ...]

    @property
    def types(self) -> list[str]:
        """Solidity types of the hashed words, as OpenZeppelin's library wants them: kind first."""
        return ["uint8", *(field.type for field in self.fields)]

    def columns(self, rows: Sequence[Sequence[Value]]) -> dict[str, npt.NDArray[np.generic]]:
        """Columns of rows whose values stand in the order of the fields.

        Raises InvalidInput naming leaf, field, value and rule where a value doesn't fit its type.
        """
        for index, row in enumerate(rows):
            if len(row) != len(self.fields):
                raise InvalidInput(f"{self.name}[{index}]", len(row), f"a leaf has {len(self.fields)} fields")
        columns: dict[str, npt.NDArray[np.generic]] = {}
        for place, field in enumerate(self.fields):
            columns[field.name] = self._column(field, [row[place] for row in rows])
        return columns

    def _column(self, field: Field, values: list[Value]) -> npt.NDArray[np.generic]:
        if field.is_integer:
            low, high = field.bounds
            for index, value in enumerate(values):
                if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                    where = f"{self.name}[{index}].{field.name}"
                    raise InvalidInput(
                        where, value, f"must be an integer from {low} to {high} ({field.type})"
                    )
            return np.array(values, dtype=np.int64)
        width = field.width_bytes
        for index, value in enumerate(values):
            if not isinstance(value, bytes) or len(value) != width:
                raise InvalidInput(
                    f"{self.name}[{index}].{field.name}", value, f"must be {width} bytes ({field.type})"
                )
        joined = b"".join(value for value in values if isinstance(value, bytes))
        return np.frombuffer(joined, dtype=np.uint8).reshape(len(values), width)

    def count(self, columns: Columns) -> int:
        """Number of leaves in columns."""
        return len(columns[self.fields[0].name])

    def row(self, columns: Columns, position: int) -> tuple[Value, ...]:
        """Values of one leaf, in the order of the fields."""
        return tuple(
            int(columns[field.name][position])
            if field.is_integer
            else bytes(columns[field.name][position].tobytes())
            for field in self.fields
        )

    def encode(self, columns: Columns) -> npt.NDArray[np.uint8]:
        """abi.encode(kind, fields...) of every leaf: uint8 array of shape (n, 32 * (1 + fields))."""
        n = self.count(columns)
        out = np.zeros((n, WORD * (1 + len(self.fields))), dtype=np.uint8)
        out[:, WORD - 1] = self.number
        for place, field in enumerate(self.fields, start=1):
            column = columns[field.name]
            word = out[:, WORD * place : WORD * (place + 1)]
            if field.is_integer:
                signed = column.astype(np.int64)
                word[:, 24:] = signed.astype(">i8").view(np.uint8).reshape(n, 8)
                if field.type.startswith("int"):
                    word[signed < 0, :24] = 0xFF
            else:
                word[:, WORD - field.width_bytes :] = column
        return out

    def tree(self, columns: Columns) -> MerkleTree:
        """The list's Merkle tree, leaves in list order."""
        return MerkleTree(leaf_hashes(self.encode(columns)))


def _kind(number: int, name: str, fields: str) -> LeafKind:
    pairs = [entry.split() for entry in fields.split(",")]
    return LeafKind(
        number, name, tuple(Field(field_name, solidity_type) for solidity_type, field_name in pairs)
    )


OFFER = _kind(
    1,
    "OfferLeaf",
    "uint32 position, uint32 length, bytes32 pod, uint16 slot, uint16 lastSlot, uint16 durationSlots, uint8 product,"
    "uint32 powerW, uint32 minPowerW, uint64 priceUeurPerKw, uint32 exclusiveGroup, uint32 linkedTo, uint8 options,"
    "bytes32 payback, bytes32 salt",
)
"""A quantity of one product at one PoD, for `durationSlots` slots from `slot` (a flexible block: anywhere up to
`lastSlot`). `minPowerW`: least that may be accepted (0: divisible; powerW: all or nothing). `exclusiveGroup`: at most
one offer of the group is taken (0: none). `linkedTo`: position + 1 of the offer of the same document without which
this one isn't taken (0: none). `options`: bits of OfferOption. `payback`: eight int32, W (positive: up) in the
slots after the activation."""

REQUEST = _kind(
    2,
    "RequestLeaf",
    "uint32 position, uint32 length, uint32 area, uint16 slot, uint8 product, uint32 reliefW, uint64 priceCapUeurPerKw,"
    "uint16 reservePermille, uint64 availabilityPriceUeurPerKw, bytes32 element, bytes32 gridModel, bytes32 salt",
)
"""Relief needed in a slot by an area (what loads one element of the grid), in W at effectiveness 1000."""

EFFECTIVENESS = _kind(
    3,
    "EffectivenessLeaf",
    "uint32 position, uint32 length, uint32 area, bytes32 pod, uint16 effectivenessPermille, bytes32 salt",
)
"""A PoD of an area and how much of each W there relieves the element. Stands in the request's own document."""

BASELINE = _kind(
    4,
    "BaselineLeaf",
    "uint32 position, uint32 length, bytes32 pod, uint16 slot, int32 powerW, int32 reactiveVar, bytes32 salt",
)
"""Net power (absorbed minus injected) that a PoD would have without activation."""

OUTCOME_BY_OFFER = _kind(
    5,
    "OutcomeByOfferLeaf",
    "uint32 position, uint32 length, uint32 commitment, uint32 offerPosition, uint32 countedW, uint32 acceptedW,"
    "uint8 status, uint16 startSlot, uint32 firstByRequest, uint32 because, uint64 coverUeur, bytes32 salt",
)
"""What became of an offer of the book; `position` is the book's. `commitment`: its document's number. `countedW`: as far
as collateral covers it; `coverUeur`: collateral that its document needed up to and with this offer. `firstByRequest`:
position + 1 of its first entry in the list by request (0: none). `because` proves the status: position + 1 of a leaf of
its document that breaks a rule (VOID), of an entry by request that used its PoD (COM_EXCLUDED), of its first entry in the
reserve (RESERVED), of one there that used its PoD (RESERVE_EXCLUDED), of a refusal (TEC, or partly accepted in a validated
outcome); else 0."""

OUTCOME_BY_REQUEST = _kind(
    6,
    "OutcomeByRequestLeaf",
    "uint32 position, uint32 length, uint32 requestPosition, uint32 effectivenessPosition, uint32 offerPosition,"
    "bytes32 pod, uint16 slot, uint8 product, uint32 acceptedW, uint64 priceUeurPerKw, uint16 effectivenessPermille,"
    "uint64 requestRunningWPermille, uint32 offerRunningW, uint32 podRunningW, uint32 podTotalW, uint32 nextForOffer,"
    "uint32 previousForPod, uint32 nextForPod, uint64 runningW, uint64 runningUeur, uint64 documentUeur, bytes32 salt",
)
"""An accepted quantity, in merit order within its request. Positions are the book's. Running sums include this leaf:
of the request (W times per mille), of the offer in this slot, of the PoD in this slot and product (`podTotalW`: its
last), of W and money over the whole list, and of money over the request's document. `next...`, `previous...`:
position + 1 of the chain's next leaf (0: last), or of the one before (0: first)."""

OUTCOME_RESERVE = LeafKind(7, "OutcomeReserveLeaf", OUTCOME_BY_REQUEST.fields)
"""A quantity picked beyond a request, up to its reserve margin, at its offer's price. As OUTCOME_BY_REQUEST, but what is said of
PoDs runs on from that list: `podRunningW` and `podTotalW` count both, and in `next...` and `previous...` the reserve's positions
follow the last of the list by request. All other sums are the reserve's own."""

REFUSAL = _kind(
    8,
    "RefusalLeaf",
    "uint32 position, uint32 length, uint32 byRequestPosition, uint32 offerPosition, uint16 slot, uint8 product,"
    "uint32 refusedW, uint64 runningW, bytes32 element, int64 margin, uint8 marginUnit, bytes32 gridModel, bytes32 salt",
)
"""A quantity that the DSO refused: the element that it would have brought, or pushed further, beyond its limit, by
how much (`margin`, in MarginUnit), and the anchored grid model that says so. One for an entry by request at most, in
their order; `runningW` sums refused W over the list."""

READING = _kind(
    9,
    "ReadingLeaf",
    "uint32 position, uint32 length, bytes32 pod, address node, uint64 startTime, uint32 periodS,"
    "uint32 absorbedActiveWh, uint32 injectedActiveWh, uint32 absorbedInductiveVarh, uint32 injectedInductiveVarh,"
    "uint32 absorbedCapacitiveVarh, uint32 injectedCapacitiveVarh, uint64 sequence, bytes32 r, bytes32 vs",
)
"""A signed meter reading; `r` and `vs` are the node's compact signature (EIP-2098) of the reading's EIP-712 digest.
The signature hides the values as a salt would."""

SETTLEMENT = _kind(
    10,
    "SettlementLeaf",
    "uint32 position, uint32 length, bytes32 pod, uint16 slot, uint8 product, address payer, address payee,"
    "uint32 acceptedW, uint32 deliveredW, uint8 status, uint64 paymentUeur, uint64 penaltyUeur, uint64 rewardUeur,"
    "uint64 rewardPenaltyUeur, uint64 pairPaymentUeur, uint64 pairPenaltyUeur, uint64 podRewardUeur,"
    "uint64 podRewardPenaltyUeur, uint32 previousForPair, uint32 nextForPair, uint32 previousForPod, uint32 nextForPod,"
    "uint32 claimPosition, uint8 claimIndex, bytes32 baselineRoot, uint32 baselinePosition, bytes32 readingRoot,"
    "uint32 readingPosition, bytes32 salt",
)
"""What an accepted quantity earned and cost; stands at its leaf's position in the outcome by request. `pair...` are
running sums of the payer and payee, `pod...` of the PoD, this leaf included; `next...` and `previous...` as in the
outcome. The PoD's reward stands at `claimIndex` of the claim leaf at `claimPosition`. `baseline...`, `reading...`: the
anchored leaves by which it was judged (root zero: there is none)."""

CLAIM_NUMBER = 11
CLAIM_TYPES = ["uint8", "uint32", "uint32", "address[]", "int64[]"]
"""A claim leaf: kind, position, length, wallets, and for each what it earned less what it lost, in µ€ of the token. Up to
100 PoDs a leaf; one below 0 is carried over."""

KINDS = {
    kind.name: kind
    for kind in (
        OFFER,
        REQUEST,
        EFFECTIVENESS,
        BASELINE,
        OUTCOME_BY_OFFER,
        OUTCOME_BY_REQUEST,
        OUTCOME_RESERVE,
        REFUSAL,
        READING,
        SETTLEMENT,
    )
}
