"""Merkle trees equal, node for node, to those of OpenZeppelin's npm library `@openzeppelin/merkle-tree`.

A leaf's hash is keccak256(keccak256(abi.encode(fields))), a node's is keccak256 of its two children, the
smaller first. The tree is an array of 2n - 1 nodes: 0 is the root, the children of i are 2i + 1 and 2i + 2,
and the leaves fill the end from the back: the first leaf is the last node. Proofs verify with OpenZeppelin's
`MerkleProof` contract.

What lies under a node is such a tree again, of the leaves that `leaves_under` names. So the tree of a list of any length
needs only its upper nodes: `ListTree` makes the rest anew from the leaves where a proof asks for it.
"""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from eth_abi.abi import encode
from eth_abi.exceptions import ABITypeError, EncodingError, ParseError, PredicateMappingError

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES, as_words, in_parallel, keccak256, keccak256_rows

EMPTY_ROOT = bytes(HASH_BYTES)
"""Root of the list without leaves, which OpenZeppelin's library refuses to build.

No leaf verifies against it.
"""
SUBTREE_LEVELS = 12
"""Levels below the upper nodes of a ListTree: up to 2**12 leaves are hashed anew for a proof (milliseconds), and the upper
nodes are a two-thousandth of all."""

HashesOf = Callable[[int, int], npt.NDArray[np.uint8]]
"""(first, last) to the leaf hashes of these positions of a list, uint8 (n, 32). Asked by several threads at once."""


def leaf_hashes(encoded: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Leaf hashes of abi-encoded leaves of one length: uint8 (n, m) to uint8 (n, 32). Raises InvalidInput."""
    return keccak256_rows(keccak256_rows(encoded))


def standard_leaf_hash(types: Sequence[str], values: Sequence[object]) -> bytes:
    """Leaf hash of one leaf of any Solidity types, also dynamic ones. Raises InvalidInput as `abi_encoded`."""
    return keccak256(keccak256(abi_encoded(types, values)))


def abi_encoded(types: Sequence[str], values: Sequence[object]) -> bytes:
    """abi.encode of values of any Solidity types.

    Raises InvalidInput where a type is unknown or a value doesn't fit its type.
    """
    if len(types) != len(values):
        raise InvalidInput("values", len(values), f"must be {len(types)}, one for each type")
    try:
        return encode(types, values)
    except (EncodingError, ABITypeError, ParseError, PredicateMappingError) as error:
        raise InvalidInput("values", values, f"must fit {','.join(types)}: {error}") from error


def hash_pair(a: bytes, b: bytes) -> bytes:
    """Hash of a node from its two children, in either order.

    Raises InvalidInput unless both have 32 bytes.
    """
    for name, node in (("a", a), ("b", b)):
        if len(node) != HASH_BYTES:
            raise InvalidInput(name, node, f"must be {HASH_BYTES} bytes")
    return keccak256(a + b if a < b else b + a)


def verify(root: bytes, leaf_hash: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof leads from the leaf's hash to the root.

    Pairs are sorted, so a proof says that the leaf is in the tree, not where: positions are fields of our
    leaves. Raises InvalidInput where root, leaf hash or a node of the proof doesn't have 32 bytes.
    """
    for name, node in (("root", root), ("leaf_hash", leaf_hash)):
        if len(node) != HASH_BYTES:
            raise InvalidInput(name, node, f"must be {HASH_BYTES} bytes")
    node = leaf_hash
    for index, sibling in enumerate(proof):
        if len(sibling) != HASH_BYTES:
            raise InvalidInput(f"proof[{index}]", sibling, f"must be {HASH_BYTES} bytes")
        node = hash_pair(node, sibling)
    return node == root


class MerkleTree:
    """A tree over leaf hashes, in list order, or sorted, as is the npm library's default (`sort_leaves`)."""

    def __init__(self, leaf_hashes: npt.NDArray[np.uint8], sort_leaves: bool = False) -> None:
        """`leaf_hashes`: uint8 array of shape (n, 32), n may be 0.

        Raises InvalidInput for another shape or type.
        """
        if leaf_hashes.dtype != np.uint8 or leaf_hashes.ndim != 2 or leaf_hashes.shape[1] != HASH_BYTES:
            shown = f"{leaf_hashes.dtype} array of shape {leaf_hashes.shape}"
            raise InvalidInput("leaf_hashes", shown, f"must be uint8 of shape (n, {HASH_BYTES})")
        count = len(leaf_hashes)
        leaves = as_words(leaf_hashes)
        order = _sorted_order(leaves) if sort_leaves else np.arange(count)
        nodes = _nodes_over(leaves[order])
        self._node_of_position = np.empty(count, dtype=np.int64)
        self._node_of_position[order] = len(nodes) - 1 - np.arange(count)
        self.nodes: npt.NDArray[np.uint8] = nodes.view(np.uint8)
        """All nodes, shape (2n - 1, 32), in the npm library's order; not to be written to."""
        self.nodes.flags.writeable = False

    def __len__(self) -> int:
        """Number of leaves."""
        return len(self._node_of_position)

    @property
    def root(self) -> bytes:
        """The root, 32 bytes; EMPTY_ROOT without leaves."""
        return self.nodes[0].tobytes() if len(self) else EMPTY_ROOT

    def proof(self, position: int) -> list[bytes]:
        """Siblings from the leaf up to the root; `position` is the leaf's in the list given to the tree.

        Raises InvalidInput where there is no such position.
        """
        if not 0 <= position < len(self):
            raise InvalidInput("position", position, f"must be below the list's length, {len(self)}")
        return self.proof_of_node(int(self._node_of_position[position]))

    def proof_of_node(self, node: int) -> list[bytes]:
        """Siblings from any node, by its index in `nodes`, up to the root. InvalidInput where there is no such node."""
        if not 0 <= node < len(self.nodes):
            raise InvalidInput("node", node, f"must be below the number of nodes, {len(self.nodes)}")
        return _siblings(self.nodes, node)


class ListTree:
    """The tree of a list of any length: its upper nodes, and what lies below them made anew where it is asked for."""

    def __init__(
        self, count: int, hashes_of: HashesOf, upper_nodes: npt.NDArray[np.uint8] | None = None
    ) -> None:
        """`count` leaves, whose hashes `hashes_of` gives. `upper_nodes`: as kept of this tree before, not checked against
        the leaves; without them every leaf is hashed.

        Raises InvalidInput where the upper nodes can't be those of a list of this length.
        """
        self._count = count
        self._hashes_of = hashes_of
        deepest = max(0, 2 * count - 1).bit_length() - 1
        self._depth = max(0, deepest - SUBTREE_LEVELS)
        shape = ((2 << self._depth) - 1 if count else 0, HASH_BYTES)
        if upper_nodes is None:
            upper_nodes = self._hashed(shape)
        elif upper_nodes.dtype != np.uint8 or upper_nodes.shape != shape:
            shown = f"{upper_nodes.dtype} array of shape {upper_nodes.shape}"
            raise InvalidInput("upper_nodes", shown, f"must be uint8 of shape {shape}")
        self.upper_nodes: npt.NDArray[np.uint8] = upper_nodes
        """The first nodes of the tree's array: all down to one depth."""
        self._last_made: tuple[int, MerkleTree] | None = None
        self._making = threading.Lock()

    def __len__(self) -> int:
        """Number of leaves."""
        return self._count

    @property
    def root(self) -> bytes:
        """The root, 32 bytes; EMPTY_ROOT without leaves."""
        return self.upper_nodes[0].tobytes() if self._count else EMPTY_ROOT

    def proof(self, position: int) -> list[bytes]:
        """Siblings from the leaf up to the root, as MerkleTree's. InvalidInput where there is no such position."""
        if not 0 <= position < self._count:
            raise InvalidInput("position", position, f"must be below the list's length, {self._count}")
        node = 2 * self._count - 2 - position
        above = ((node + 1) >> ((node + 1).bit_length() - 1 - self._depth)) - 1
        deep, higher = leaves_under(self._count, above)
        place = position - deep.start if position in deep else len(deep) + position - higher.start
        return self._below(above).proof(place) + _siblings(self.upper_nodes, above)

    def _below(self, node: int) -> MerkleTree:
        """The tree under an upper node; the last one is kept, since who asks for a leaf asks for its neighbours."""
        with self._making:
            if self._last_made is None or self._last_made[0] != node:
                self._last_made = node, MerkleTree(self._leaves_below(node))
            return self._last_made[1]

    def _leaves_below(self, node: int) -> npt.NDArray[np.uint8]:
        parts = [self._hashes_of(part.start, part.stop) for part in leaves_under(self._count, node) if part]
        return np.concatenate(parts)

    def _hashed(self, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        upper = np.empty((shape[0], HASH_BYTES // 8), dtype=np.uint64)
        first = shape[0] // 2

        def work(start: int, end: int) -> None:
            for node in range(start, end):
                upper[node] = _nodes_over(as_words(self._leaves_below(node)))[0]

        in_parallel(work, first, shape[0], rows=1)
        _fill_parents(upper, first)
        return upper.view(np.uint8)


def leaves_under(count: int, node: int) -> tuple[range, range]:
    """Positions under a node of the tree of `count` leaves: those on its deepest level, and those on the level above.

    One after the other they are the leaves of a tree of their own, whose root the node is.
    """
    depth = (node + 1).bit_length() - 1
    deepest = (2 * count - 1).bit_length() - 1
    last_node = 2 * count - 2

    def positions(level: int) -> range:
        first = ((node + 1) << (level - depth)) - 1
        stop = first + (1 << (level - depth))
        first, stop = max(first, count - 1), min(stop, last_node + 1)
        return range(last_node + 1 - stop, last_node + 1 - first) if first < stop else range(0)

    return positions(deepest), positions(deepest - 1) if depth < deepest else range(0)


def _siblings(nodes: npt.NDArray[np.uint8], node: int) -> list[bytes]:
    """Siblings from a node of a tree's array up to its root."""
    proof = []
    while node > 0:
        proof.append(nodes[node + 1 if node % 2 else node - 1].tobytes())
        node = (node - 1) // 2
    return proof


def _nodes_over(leaves: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """All nodes of the tree over leaf hashes (n, 4) in the tree's order: shape (2n - 1, 4)."""
    count = len(leaves)
    nodes = np.empty((max(0, 2 * count - 1), HASH_BYTES // 8), dtype=np.uint64)
    nodes[count - 1 :] = leaves[::-1]
    _fill_parents(nodes, count - 1)
    return nodes


def _sorted_order(leaves: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Positions in rising order of the hashes as big-endian numbers; equal ones keep their order."""
    keys = leaves.byteswap()
    order = np.argsort(keys[:, 0], kind="stable")
    first = keys[order, 0]
    if np.any(first[1:] == first[:-1]):
        # Two of a million random hashes share their first 8 bytes once in 40 million trees: in practice,
        # duplicates.
        order = np.lexsort((keys[:, 3], keys[:, 2], keys[:, 1], keys[:, 0]))
    return order


def _fill_parents(nodes: npt.NDArray[np.uint64], parents: int) -> None:
    """Hash the first `parents` nodes from their children, level by level from the deepest."""
    # Loaded here for the reason given in keccak256_rows.
    from offchain.protocol.keccak_kernels import hash_parents

    def work(first: int, last: int) -> None:
        hash_parents(nodes, first, last)

    for depth in reversed(range(max(parents, 0).bit_length())):
        first = 2**depth - 1
        in_parallel(work, first, min(2 * first + 1, parents))
