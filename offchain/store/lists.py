"""Documents of lists as the store has them, held to what the chain holds for them."""

from collections.abc import Mapping

from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import REFUSAL, LeafKind
from offchain.protocol.lists import ListDocument
from offchain.protocol.typed_data import TechnicalOutcome
from offchain.store.documents import DocumentStore


class RootMismatch(FlexledgerError):
    """A stored document's leaves don't give the root that the chain holds for it."""

    def __init__(self, what: str, cid: Cid, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"{what} {cid}: its leaves give root 0x{found.hex()}, the chain has 0x{expected.hex()}"
        )


def fetch_list_document(
    store: DocumentStore, what: str, cid: Cid, roots: Mapping[LeafKind, bytes]
) -> ListDocument:
    """A document of lists with a tree each, held to the roots that the chain has for them."""
    document = ListDocument.from_bytes(store.get(cid), joint=False)
    for kind, expected in roots.items():
        found = document.list_of(kind).root
        if found != expected:
            raise RootMismatch(what, cid, expected, found)
    return document


def fetch_refusals(store: DocumentStore, technical: TechnicalOutcome) -> ListDocument:
    """Document of a technical outcome, held to its root and length: who names a refusal beyond that length names none."""
    cid = Cid(technical.cidCodec, technical.cidDigest)
    document = fetch_list_document(store, "technical outcome", cid, {REFUSAL: technical.refusalRoot})
    length = len(document.list_of(REFUSAL))
    if technical.refusalLength != length:
        raise InvalidInput("refusalLength", technical.refusalLength, f"its document has {length} refusals")
    return document
