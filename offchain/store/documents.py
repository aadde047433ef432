"""Content-addressed documents: what is read back is what was stored, or an error that names the document.

The content id is the same from a folder and from IPFS, so that either can serve what the other stored.
"""

import os
import tempfile
from pathlib import Path
from typing import Protocol

from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.errors import FlexledgerError


class DocumentMissing(FlexledgerError):
    """The store holds no document with this content id."""

    def __init__(self, cid: Cid, where: str) -> None:
        super().__init__(f"document {cid}: not found at {where}")
        self.cid = cid


class DocumentCorrupt(FlexledgerError):
    """The bytes found don't have the content id under which they are kept."""

    def __init__(self, cid: Cid, where: str, found: Cid) -> None:
        super().__init__(f"document {cid}: the bytes at {where} have the content id {found}")
        self.cid = cid
        self.found = found


class StoreUnavailable(FlexledgerError):
    """The store doesn't answer, or refuses."""


class DocumentStore(Protocol):
    """Keeps documents by content id."""

    def put(self, data: bytes) -> Cid:
        """Store a document and give its content id; storing it again changes nothing. Raises StoreUnavailable."""

    def get(self, cid: Cid) -> bytes:
        """The document, its content id recomputed. Raises DocumentMissing, DocumentCorrupt or StoreUnavailable."""

    def has(self, cid: Cid) -> bool:
        """Whether a document is kept under this content id; `get` says whether it is sound."""


class FolderStore:
    """A file for each document, named by its content id, in subfolders that share the load.

    A document is there whole or not at all: it is written beside its place, flushed to disk and then renamed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def path_of(self, cid: Cid) -> Path:
        """Where a document is kept. The shard is taken near the end of the name, as all names begin alike."""
        name = str(cid)
        return self._path / name[-3:-1] / name

    def put(self, data: bytes) -> Cid:
        """Store a document and give its content id; a file that has been changed since is mended."""
        cid = cid_of(data)
        path = self.path_of(cid)
        if path.exists() and path.read_bytes() == data:
            return cid
        path.parent.mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)
        _flush_folder(self._path)
        return cid

    def get(self, cid: Cid) -> bytes:
        """The document. Raises DocumentMissing or DocumentCorrupt, naming content id and path."""
        path = self.path_of(cid)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DocumentMissing(cid, str(path)) from None
        return checked(cid, data, str(path))

    def cids(self) -> list[Cid]:
        """Content ids of all documents here, in no order."""
        return [Cid.parse(path.name) for path in self._path.glob("*/*") if not path.name.startswith(".")]

    def has(self, cid: Cid) -> bool:
        """Whether there is a file for this content id."""
        return self.path_of(cid).exists()


def checked(cid: Cid, data: bytes, where: str) -> bytes:
    """The bytes found under a content id. Raises DocumentCorrupt unless they have it."""
    found = cid_of(data)
    if found != cid:
        raise DocumentCorrupt(cid, where, found)
    return data


def _flush_folder(path: Path) -> None:
    """Make the names in a folder last: a renamed file is lost in a power cut without it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
