"""Relayers' receipts, kept on the player's machine until it is known whether they were kept."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from offchain.protocol.keccak import keccak256
from offchain.protocol.typed_data import Commitment, RelayReceipt


@dataclass(frozen=True)
class Promise:
    """A commitment, its player's signature, and the relayer's over the receipt for both."""

    commitment: Commitment
    signature: bytes
    relayers_signature: bytes

    def receipt(self, book_domain: bytes) -> RelayReceipt:
        """What the relayer signed."""
        made = self.commitment
        return RelayReceipt(
            session=made.session,
            commitment=made.digest(book_domain),
            signature=keccak256(self.signature),
            nonce=made.nonce,
            deadline=made.deadline,
        )


class PromiseFolder:
    """A file for each promise, named by the commitment's sealed hash; the newest one counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def keep(self, promise: Promise) -> None:
        """Keep a promise: it is there whole or not at all."""
        commitment: dict[str, Any] = asdict(promise.commitment)
        commitment["sealedHash"] = promise.commitment.sealedHash.hex()
        commitment["replaces"] = promise.commitment.replaces.hex()
        record = {
            "commitment": commitment,
            "signature": promise.signature.hex(),
            "relayersSignature": promise.relayers_signature.hex(),
        }
        path = self._file(promise.commitment.sealedHash)
        aside = path.with_suffix(".part")
        aside.write_text(json.dumps(record))
        aside.replace(path)

    def of(self, sealed_hash: bytes) -> Promise | None:
        """The promise for a commitment, None if its player sent it itself."""
        try:
            return self._read(self._file(sealed_hash))
        except FileNotFoundError:
            return None

    def all(self) -> list[Promise]:
        """Every promise that is kept."""
        return [self._read(path) for path in sorted(self._path.glob("*.json"))]

    def _read(self, path: Path) -> Promise:
        record = json.loads(path.read_text())
        commitment = record["commitment"]
        for name in ("sealedHash", "replaces"):
            commitment[name] = bytes.fromhex(commitment[name])
        return Promise(
            Commitment(**commitment),
            bytes.fromhex(record["signature"]),
            bytes.fromhex(record["relayersSignature"]),
        )

    def _file(self, sealed_hash: bytes) -> Path:
        return self._path / f"{sealed_hash.hex()}.json"
