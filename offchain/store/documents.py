"""Content-addressed documents: what is read back is what was stored, or an error that names the document.

The content id is the same from a folder and from IPFS, so that either can serve what the other stored.
"""

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.errors import FlexledgerError

Data = TypeVar("Data", bytes, memoryview)


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

    A document is there whole or not at all: it is written beside its place, flushed to disk and then renamed. One that
    memory shouldn't hold is written by `put_written` and read by `mapped`.
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
        return self.put_written(lambda file: file.write(data))

    def put_written(self, write: Callable[[BinaryIO], object]) -> Cid:
        """Store the document that `write` writes to a file, and give its content id."""
        with _written(self._path, write) as temporary:
            cid = cid_of(_mapped(temporary))
            path = self.path_of(cid)
            path.parent.mkdir(exist_ok=True)
            temporary.replace(path)
        _flush_folder(path.parent)
        _flush_folder(self._path)
        return cid

    def put_beside(self, cid: Cid, name: str, data: bytes) -> None:
        """Keep what follows from a document beside it, under a name; what was there under it is replaced."""
        path = self._beside(cid, name)
        with _written(path.parent, lambda file: file.write(data)) as temporary:
            temporary.replace(path)
        _flush_folder(path.parent)

    def beside(self, cid: Cid, name: str) -> memoryview | None:
        """What is kept beside a document under a name, as a mapped file and not checked; None if nothing is."""
        try:
            return _mapped(self._beside(cid, name))
        except FileNotFoundError:
            return None

    def _beside(self, cid: Cid, name: str) -> Path:
        return self.path_of(cid).with_suffix(f".{name}")

    def get(self, cid: Cid) -> bytes:
        """The document. Raises DocumentMissing or DocumentCorrupt, naming content id and path."""
        return bytes(self.mapped(cid))

    def mapped(self, cid: Cid) -> memoryview:
        """The document as a mapped file, its content id recomputed. Errors as `get`."""
        return checked(cid, self.unchecked(cid), str(self.path_of(cid)))

    def unchecked(self, cid: Cid) -> memoryview:
        """As `mapped`, for who holds what is read from it to a root: gigabytes aren't read for one leaf."""
        path = self.path_of(cid)
        try:
            return _mapped(path)
        except FileNotFoundError:
            raise DocumentMissing(cid, str(path)) from None

    def cids(self) -> list[Cid]:
        """Content ids of all documents here, in no order."""
        return [Cid.parse(path.name) for path in self._path.glob("*/*") if "." not in path.name]

    def has(self, cid: Cid) -> bool:
        """Whether there is a file for this content id."""
        return self.path_of(cid).exists()


def checked(cid: Cid, data: Data, where: str) -> Data:
    """The bytes found under a content id. Raises DocumentCorrupt unless they have it."""
    found = cid_of(data)
    if found != cid:
        raise DocumentCorrupt(cid, where, found)
    return data


@contextmanager
def _written(folder: Path, write: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """A new file in a folder, written and flushed to disk; gone when the block ends, unless it was given another name."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _flush_folder(path: Path) -> None:
    """Make the names in a folder last: a renamed file is lost in a power cut without it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
