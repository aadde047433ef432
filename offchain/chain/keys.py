"""Private keys from files: an encrypted keystore (JSON, as wallets make it), or 32 bytes as hex that only their owner reads."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

from eth_account import Account

from offchain.protocol.errors import InvalidInput

KEY_BYTES = 32
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_key(path: Path, password: Callable[[], str]) -> bytes:
    """The key in a file; `password` is asked for a keystore only.

    Raises InvalidInput for what is neither, for a wrong password, and for a plain key that others may read. No error says
    anything of the key.
    """
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidInput("key file", str(path), f"must be readable: {problem}") from None
    if text.startswith("{"):
        try:
            return bytes(Account.decrypt(json.loads(text), password()))
        except (ValueError, KeyError, TypeError):
            raise InvalidInput("key file", str(path), "must be a keystore that this password opens") from None
    if path.stat().st_mode & OTHERS:
        raise InvalidInput(
            "key file", str(path), "holds a plain key: nobody but its owner may read it (chmod 600)"
        )
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInput("key file", str(path), f"must hold a keystore, or {KEY_BYTES} bytes as hex")
    return key
