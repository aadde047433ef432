"""A Merkle tree of 200,000 leaves: ours against OpenZeppelin's npm library, from values to root."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from offchain.protocol.leaves import BASELINE, Columns
from offchain.protocol.lists import LeafList

LEAVES = 200_000
REPEATS = 3
TARGET = 100
PROJECT = Path(__file__).parents[2]

# Builds the same leaves by the same formula; prints seconds and root. Times encoding, hashing and tree only.
NPM_TREE = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const [count, ...types] = process.argv.slice(1);
const n = Number(count);
const word = (i) => "0x" + BigInt(i).toString(16).padStart(64, "0");
const values = Array.from({ length: n }, (_, i) =>
  [%d, i, n, word(i), i %% 96, 3000 - i, i, word(n + i)]);
const start = process.hrtime.bigint();
const tree = StandardMerkleTree.of(values, types, { sortLeaves: false });
console.log(Number(process.hrtime.bigint() - start) / 1e9, tree.root);
"""


def run() -> list[dict[str, object]]:
    """Rows for the report. Raises RuntimeError where the roots differ, or node or the library isn't there."""
    columns = _columns()
    _ = LeafList(BASELINE, columns).root  # compiles the kernels, or loads them from the cache
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        root = LeafList(BASELINE, columns).root
        seconds.append(time.perf_counter() - start)
    ours_s = sorted(seconds)[REPEATS // 2]
    peer_s, peer_root = _npm_tree()
    if peer_root != "0x" + root.hex():
        raise RuntimeError(f"roots differ: ours 0x{root.hex()}, OpenZeppelin's {peer_root}")
    print(f"both roots of {LEAVES} leaves: {peer_root}")
    return [
        {
            "name": f"Merkle tree of {LEAVES} leaves, from values to root",
            "unit": "s",
            "ours": ours_s,
            "peer": peer_s,
            "peer_name": "npm @openzeppelin/merkle-tree",
            "ratio": peer_s / ours_s,
            "target": TARGET,
        }
    ]


def _columns() -> Columns:
    """Baseline leaves by the formula that stands in NPM_TREE."""
    i = np.arange(LEAVES, dtype=np.int64)
    pods = np.zeros((LEAVES, 32), dtype=np.uint8)
    pods[:, 24:] = i.astype(">u8").view(np.uint8).reshape(-1, 8)
    salts = np.zeros((LEAVES, 32), dtype=np.uint8)
    salts[:, 24:] = (LEAVES + i).astype(">u8").view(np.uint8).reshape(-1, 8)
    return {
        "position": i,
        "length": np.full(LEAVES, LEAVES),
        "pod": pods,
        "slot": i % 96,
        "powerW": 3000 - i,
        "reactiveVar": i,
        "salt": salts,
    }


def _npm_tree() -> tuple[float, str]:
    """Seconds and root of the npm library."""
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    if node is None:
        raise RuntimeError("node is missing: install the project's Python requirements, which bring it along")
    command = [node, "-e", NPM_TREE % BASELINE.number, str(LEAVES), *BASELINE.types]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"OpenZeppelin's library failed: {result.stderr.strip()[-500:]}")
    seconds, root = result.stdout.split()
    return float(seconds), root


if __name__ == "__main__":
    print(run())
