"""Checking signed readings: EIP-712 digest and recovery of the signer, against eth-account.

eth-account installed by itself recovers in pure Python; with coincurve beside it, as in this project, in C.
Both are shown: the target holds against the first.
"""

import os
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from eth_account import Account
from eth_account.messages import encode_typed_data

from offchain.protocol.keccak import keccak256
from offchain.protocol.signatures import (
    address_of,
    domain_separator,
    recover_addresses,
    sign_digest,
    type_hash,
    typed_digests,
    typed_words,
)

READINGS = 20_000
NODES = 500
REPEATS = 3
TARGET = 50
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
MEMBERS = (
    ("bytes32", "pod"),
    ("address", "node"),
    ("uint64", "startTime"),
    ("uint32", "periodS"),
    ("uint32", "absorbedActiveWh"),
    ("uint32", "injectedActiveWh"),
    ("uint32", "absorbedInductiveVarh"),
    ("uint32", "injectedInductiveVarh"),
    ("uint32", "absorbedCapacitiveVarh"),
    ("uint32", "injectedCapacitiveVarh"),
    ("uint64", "sequence"),
)
READING = "Reading(" + ",".join(f"{kind} {name}" for kind, name in MEMBERS) + ")"
TARGET_WITH_COINCURVE = 5
PEERS = (
    ("NativeECCBackend", "eth-account by itself", 200, TARGET),
    ("CoinCurveECCBackend", "eth-account with coincurve", 400, TARGET_WITH_COINCURVE),
)


def run() -> list[dict[str, object]]:
    """Rows for the report. Raises RuntimeError where a signer isn't recovered."""
    keys = [keccak256(f"node {k}".encode()) for k in range(NODES)]
    signers = [address_of(key) for key in keys]
    values = [
        (keccak256(bytes([k % 7])), signers[k % NODES], 1_760_000_000 + 900 * k, 900, k, 0, 1, 2, 3, 4, k)
        for k in range(READINGS)
    ]
    words = _rows([typed_words(READING, value) for value in values], 32 * len(MEMBERS))
    separator = domain_separator("flexledger", "1", 1337, CONTRACT)
    digests = typed_digests(separator, type_hash(READING), words)
    signed = [sign_digest(keys[k % NODES], digest.tobytes()) for k, digest in enumerate(digests)]
    signatures = _rows(signed, 65)
    expected = [signers[k % NODES] for k in range(READINGS)]

    ours = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = recover_addresses(typed_digests(separator, type_hash(READING), words), signatures)
        ours.append(READINGS / (time.perf_counter() - start))
        if found != expected:
            raise RuntimeError("our batch didn't recover the signers")
    ours_per_s = sorted(ours)[REPEATS // 2]
    rows: list[dict[str, object]] = []
    for backend, peer_name, count, target in PEERS:
        peer_per_s = _eth_account(backend, values[:count], signed[:count], expected[:count])
        rows.append(
            {
                "name": f"signed readings checked, against {peer_name}",
                "unit": "1/s",
                "ours": ours_per_s,
                "peer": peer_per_s,
                "peer_name": peer_name,
                "ratio": ours_per_s / peer_per_s,
                "target": target,
            }
        )
    return rows


def _eth_account(
    backend: str,
    values: list[tuple[Any, ...]],
    signed: list[bytes],
    expected: list[str],
) -> float:
    """Readings a second that eth-account checks."""
    domain = {"name": "flexledger", "version": "1", "chainId": 1337, "verifyingContract": CONTRACT}
    types = {"Reading": [{"name": name, "type": kind} for kind, name in MEMBERS]}
    messages = [dict(zip([name for _, name in MEMBERS], value, strict=True)) for value in values]
    # Account.set_key_backend doesn't reach recovery, whose backend eth-keys takes from this variable.
    with patch.dict(os.environ, {"ECC_BACKEND_CLASS": f"eth_keys.backends.{backend}"}):
        start = time.perf_counter()
        found = [
            Account.recover_message(encode_typed_data(domain, types, message), signature=signature)
            for message, signature in zip(messages, signed, strict=True)
        ]
        seconds = time.perf_counter() - start
    if found != expected:
        raise RuntimeError("eth-account didn't recover the signers")
    return len(values) / seconds


def _rows(items: list[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(-1, width)


if __name__ == "__main__":
    print(run())
