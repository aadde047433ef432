"""Merkle trees equal, node for node, to those of OpenZeppelin's npm library `@openzeppelin/merkle-tree`.

A leaf's hash is keccak256(keccak256(abi.encode(fields))), a node's is keccak256 of its two children, the
smaller first. The tree is an array of 2n - 1 nodes: 0 is the root, the children of i are 2i + 1 and 2i + 2,
and the leaves fill the end from the back: the first leaf is the last node. Proofs verify with OpenZeppelin's
`MerkleProof` contract.
"""

from collections.abc import Sequence

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
        nodes = np.empty((max(0, 2 * count - 1), HASH_BYTES // 8), dtype=np.uint64)
        nodes[count - 1 :] = leaves[order[::-1]]
        _fill_parents(nodes, count - 1)
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
        proof = []
        while node > 0:
            sibling = node + 1 if node % 2 else node - 1
            proof.append(self.nodes[sibling].tobytes())
            node = (node - 1) // 2
        return proof


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
