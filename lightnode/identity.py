"""The node's identity: a secp256k1 key in a file that only its owner may read."""

import os
import re
import stat
from pathlib import Path

from coincurve import PrivateKey

from offchain.protocol.errors import InvalidInput
from offchain.protocol.signatures import address_of, sign_digest

_HEX_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}", re.ASCII)


class Identity:
    """Signs with the node's key. The key never leaves this object, not even into its representation."""

    def __init__(self, private_key: bytes) -> None:
        """`private_key`: 32 bytes. Raises InvalidInput for a key that the curve refuses."""
        self.address = address_of(private_key)
        """Checksummed address under which the PoD registry knows the node."""
        self.public_key = PrivateKey(private_key).public_key.format(compressed=False)
        """Its public key, uncompressed: 65 bytes."""
        self._key = private_key

    @classmethod
    def load(cls, path: Path) -> "Identity":
        """The identity of a key file: 64 hex digits.

        Raises InvalidInput if the file is missing, is open to group or others, or holds no key.
        """
        text = read_secret("key_file", path)
        if not _HEX_KEY.fullmatch(text):
            raise InvalidInput("key_file", str(path), "must hold one key of 64 hex digits")
        return cls(bytes.fromhex(text.removeprefix("0x")))

    def sign(self, digest: bytes) -> bytes:
        """Signature of a 32-byte digest: 65 bytes r || s || v."""
        return sign_digest(self._key, digest)

    def __repr__(self) -> str:
        return f"Identity({self.address})"


def read_secret(field: str, path: Path) -> str:
    """The text of a file that only its owner may read. Raises InvalidInput naming the setting and the rule."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as problem:
        raise InvalidInput(field, str(path), f"must be a readable file: {problem.strerror}") from None
    with os.fdopen(descriptor) as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise InvalidInput(field, str(path), f"must be open to its owner only (chmod 600), is {mode:o}")
        return file.read().strip()
