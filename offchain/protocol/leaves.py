"""The leaves of every list: their fields, in one place, and their exact bytes.

A leaf is hashed as OpenZeppelin's StandardMerkleTree does: keccak256(keccak256(abi.encode(kind, fields...))).
`kind` comes first, so that a leaf of one list can never stand in another. Every leaf then carries its position
and its list's length. `contracts/libraries/Leaves.sol` holds the same field lists as structs; a test compares them.

Many leaves are handled as columns (see `columns`): a mapping from field name to a column with one row per leaf. However
many there are, they are encoded and hashed a part at a time.

Integers stay below 2**53, so that canonical JSON (RFC 8785) carries them exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.columns import Column, Rows
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import PART_ROWS, Messages, as_words

Columns = Mapping[str, Column]
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
    def is_signed(self) -> bool:
        """An integer that may be below 0."""
        return self.type.startswith("int")

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

    def columns(self, rows: Sequence[Sequence[Value]]) -> dict[str, Column]:
        """Columns of rows whose values stand in the order of the fields.

        Raises InvalidInput naming leaf, field, value and rule where a value doesn't fit its type.
        """
        for index, row in enumerate(rows):
            if len(row) != len(self.fields):
                raise InvalidInput(f"{self.name}[{index}]", len(row), f"a leaf has {len(self.fields)} fields")
        columns: dict[str, Column] = {}
        for place, field in enumerate(self.fields):
            columns[field.name] = self._column(field, [row[place] for row in rows])
        return columns

    def _column(self, field: Field, values: list[Value]) -> Rows:
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

    def check(self, columns: Columns) -> None:
        """Raise InvalidInput naming field, value and rule unless the columns are exactly those of such leaves."""
        names = [field.name for field in self.fields]
        if sorted(columns) != sorted(names):
            raise InvalidInput(self.name, sorted(columns), f"must have the columns {', '.join(names)}")
        count = self.count(columns)
        for field in self.fields:
            column = columns[field.name]
            if len(column) != count:
                raise InvalidInput(f"{self.name}.{field.name}", len(column), f"must have {count} leaves")
            some = column[:1]
            self._check_type(field, some)
            if field.is_integer and not _always_fits(field, some.dtype):
                for first in range(0, count, PART_ROWS):
                    self.check_range(field, column[first : min(first + PART_ROWS, count)], first)

    def check_range(self, field: Field, part: Rows, first: int) -> None:
        """Raise InvalidInput for an integer that its field can't hold; `first` is the position of the part's first leaf."""
        low, high = field.bounds
        if not len(part) or _always_fits(field, part.dtype):
            return
        for index in (int(np.argmin(part)), int(np.argmax(part))):
            if not low <= int(part[index]) <= high:
                where = f"{self.name}[{first + index}].{field.name}"
                rule = f"must be an integer from {low} to {high} ({field.type})"
                raise InvalidInput(where, int(part[index]), rule)

    def _check_type(self, field: Field, some: Rows) -> None:
        shown = f"{some.dtype} array of shape {some.shape}"
        where = f"{self.name}.{field.name}"
        if field.is_integer:
            if some.dtype.kind not in "iu" or some.ndim != 1:
                raise InvalidInput(where, shown, "must be integers of shape (n,)")
        elif some.dtype != np.uint8 or some.shape[1:] != (field.width_bytes,):
            rule = f"must be uint8 of shape (n, {field.width_bytes}) ({field.type})"
            raise InvalidInput(where, shown, rule)

    def row(self, columns: Columns, position: int) -> tuple[Value, ...]:
        """Values of one leaf, in the order of the fields."""
        return self.rows(columns, position, position + 1)[0]

    def rows(self, columns: Columns, first: int, last: int) -> list[tuple[Value, ...]]:
        """Values of the leaves at positions first to last."""
        return list(
            zip(*(_values(field, columns[field.name][first:last]) for field in self.fields), strict=True)
        )

    def encode(self, columns: Columns, first: int = 0, last: int | None = None) -> npt.NDArray[np.uint8]:
        """abi.encode(kind, fields...) of the leaves at positions first to last: uint8 of shape (n, 32 * (1 + fields))."""
        count = (self.count(columns) if last is None else last) - first
        return self._messages.encoded(self._lanes(columns, first, first + count), count)

    def hashes(self, columns: Columns, first: int, last: int) -> npt.NDArray[np.uint8]:
        """Leaf hashes of the leaves at positions first to last: uint8 (n, 32). A few thousand at a time."""
        return self._messages.hashes(self._lanes(columns, first, last), last - first, twice=True)

    @cached_property
    def _messages(self) -> Messages:
        places = [4 * word + place for word, field in enumerate(self.fields, 1) for place in _places(field)]
        return Messages(self.number.to_bytes(WORD).ljust(WORD * (1 + len(self.fields)), b"\0"), places)

    def _lanes(self, columns: Columns, first: int, last: int) -> npt.NDArray[np.uint64]:
        """The 64-bit words in which leaves differ, a row for each, as they stand in memory: integers big-endian."""
        count = last - first
        lanes = self._messages.lanes(count)
        at = 0
        for field in self.fields:
            part = columns[field.name][first:last]
            if field.is_integer:
                numbers = part.astype(np.int64)
                for _ in range(len(_places(field)) - 1):
                    lanes[at, :count] = numbers >> 63
                    at += 1
                lanes[at, :count] = numbers.byteswap()
                at += 1
                continue
            if field.width_bytes < WORD:
                part = np.pad(part, ((0, 0), (WORD - field.width_bytes, 0)))
            lanes[at : at + 4, :count] = as_words(part).T
            at += 4
        return lanes


def _always_fits(field: Field, dtype: np.dtype[Any]) -> bool:
    """Whether all that an array of integers can hold fits the field."""
    low, high = field.bounds
    return low <= np.iinfo(dtype).min and np.iinfo(dtype).max <= high


def _places(field: Field) -> range:
    """Which of the four 64-bit words of a field's word may be other than zero."""
    return range(3, 4) if field.is_integer and not field.is_signed else range(4)


def _values(field: Field, part: Rows) -> list[Value]:
    if field.is_integer:
        return list(part.tolist())
    raw, width = part.tobytes(), field.width_bytes
    return [raw[at : at + width] for at in range(0, len(raw), width)]


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
    "uint32 position, uint32 length, uint32 area, bytes32 pod, uint16 effectivenessPermille, uint64 gridFeeUeurPerKw,"
    "bytes32 salt",
)
"""A PoD of an area, how much of each W there relieves the element, and what moving a kW there costs in grid fees, beside
an offer's price. Stands in the request's own document."""

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
    "uint64 gridFeeUeurPerKw, uint64 requestRunningWPermille, uint32 offerRunningW, uint32 podRunningW, uint32 podTotalW,"
    "uint32 nextForOffer, uint32 previousForPod, uint32 nextForPod, uint64 runningW, uint64 runningUeur,"
    "uint64 documentUeur, bytes32 salt",
)
"""An accepted quantity, in merit order within its request. Positions are the book's. The price is what is paid, without the
PoD's grid fee. Running sums include this leaf:
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
