"""Receipts of stores for documents (IAvailability): who signed has the bytes and answers for them with its stake."""

from collections.abc import Iterable
from dataclasses import dataclass

from offchain.protocol.claims import claim_tree, claims_of
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.signatures import recover_address, to_compact, typed_words
from offchain.protocol.typed_data import Receipt


@dataclass(frozen=True)
class StoreReceipts:
    """Receipts of several stores for one document, as a contract takes them."""

    until: int
    signatures: bytes


def content(*trees: tuple[bytes, int]) -> bytes:
    """What a receipt is for: keccak256(abi.encode(root, length, ...)) over the document's trees, 32 bytes."""
    members = ",".join(f"bytes32 root{k},uint256 length{k}" for k in range(len(trees)))
    return keccak256(typed_words(f"Content({members})", [value for tree in trees for value in tree]))


def content_of(document: ListDocument, *, joint: bool) -> bytes:
    """Content of a document of lists. `joint`: its lists share one tree (documents of the book). A settlement's claims
    have a tree of their own."""
    if joint:
        return content((document.joint_tree.root, document.leaf_count))
    trees = [(leaves.root, len(leaves)) for leaves in document.lists]
    claims = claims_of(document)
    if claims is not None:
        trees.append((claim_tree(claims).root, len(claims)))
    return content(*trees)


def bundle(receipt: Receipt, domain: bytes, signatures: Iterable[bytes]) -> StoreReceipts:
    """Receipts in the order that the contract asks for: signers' addresses ascending.

    `signatures`: 65 bytes each, of `receipt` under the domain of Availability.
    """
    digest = receipt.digest(domain)
    ordered = sorted(signatures, key=lambda made: int(recover_address(digest, made), 16))
    return StoreReceipts(receipt.until, b"".join(b"".join(to_compact(made)) for made in ordered))
