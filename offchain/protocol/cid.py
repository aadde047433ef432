"""Content ids (CIDv1) of documents, equal to those that IPFS gives the same bytes.

They are those of `ipfs add --cid-version=1`: chunks of 256 KiB as raw blocks; a file of one chunk is that
block; a longer one is a balanced tree of dag-pb nodes with UnixFS data and up to 174 links each; all hashed
with SHA-256. On chain stand the digest (bytes32) and the codec.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from offchain.protocol.errors import InvalidInput

RAW = 0x55
DAG_PB = 0x70
CHUNK_BYTES = 262_144
MAX_LINKS = 174
_VERSION = 1
_SHA2_256 = 0x12
_DIGEST_BYTES = 32
_UNIXFS_FILE = 2
_VARINT, _BYTES = 0, 2


@dataclass(frozen=True)
class Cid:
    """A CIDv1 with a SHA-256 digest: `codec` is RAW or DAG_PB, `digest` 32 bytes. `str` gives base32.

    Raises InvalidInput for any other codec or length.
    """

    codec: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.codec not in (RAW, DAG_PB):
            raise InvalidInput("cid.codec", self.codec, f"must be {RAW:#x} (raw) or {DAG_PB:#x} (dag-pb)")
        if len(self.digest) != _DIGEST_BYTES:
            raise InvalidInput("cid.digest", self.digest, f"must be {_DIGEST_BYTES} bytes")

    def __bytes__(self) -> bytes:
        """The binary form, as it stands in dag-pb links: version, codec, hash function, length, digest."""
        return bytes((_VERSION, self.codec, _SHA2_256, _DIGEST_BYTES)) + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(bytes(self)).decode().lower().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Cid":
        """The Cid of its text.

        Raises InvalidInput unless it is the one base32 spelling of a Cid of the kind above.
        """
        rule = "must be a CIDv1 in lower-case base32, raw or dag-pb, with a SHA-256 digest"
        if not text.startswith("b") or text != text.lower():
            raise InvalidInput("cid", text, rule)
        body = text[1:].upper()
        try:
            binary = base64.b32decode(body + "=" * (-len(body) % 8))
        except (binascii.Error, ValueError) as error:
            raise InvalidInput("cid", text, rule) from error
        if len(binary) != 4 + _DIGEST_BYTES:
            raise InvalidInput("cid", text, rule)
        cid = cls(binary[1], binary[4:])
        if str(cid) != text:
            raise InvalidInput("cid", text, rule)
        return cid


@dataclass(frozen=True)
class _Block:
    """A node of the file's tree: its id, the bytes of all blocks from it down, the file's bytes in them."""

    cid: Cid
    dag_bytes: int
    file_bytes: int


def cid_of(data: bytes | memoryview) -> Cid:
    """The content id that IPFS gives a file with these bytes, which may be empty, or a mapped file of any size."""
    level = [
        _raw_block(data[start : start + CHUNK_BYTES]) for start in range(0, max(len(data), 1), CHUNK_BYTES)
    ]
    while len(level) > 1:
        level = [_parent_block(level[start : start + MAX_LINKS]) for start in range(0, len(level), MAX_LINKS)]
    return level[0].cid


def _raw_block(chunk: bytes | memoryview) -> _Block:
    return _Block(Cid(RAW, sha256(chunk).digest()), len(chunk), len(chunk))


def _parent_block(children: list[_Block]) -> _Block:
    """A dag-pb node, its links before its data as the format orders them; every link has an empty name."""
    file_bytes = sum(child.file_bytes for child in children)
    links = b"".join(
        _field(2, _field(1, bytes(child.cid)) + _field(2, b"") + _field(3, child.dag_bytes))
        for child in children
    )
    unixfs = _field(1, _UNIXFS_FILE) + _field(3, file_bytes)
    unixfs += b"".join(_field(4, child.file_bytes) for child in children)
    encoded = links + _field(1, unixfs)
    dag_bytes = len(encoded) + sum(child.dag_bytes for child in children)
    return _Block(Cid(DAG_PB, sha256(encoded).digest()), dag_bytes, file_bytes)


def _field(number: int, value: int | bytes) -> bytes:
    """A protobuf field."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
