"""From a city's book in columns to the outcome's roots, against the Keccak permutations alone; and a proof from the stored tree.

Clears the whole city in a process of its own (154 million leaves: minutes), whose peak memory counts. Its document is then
written to a folder with the trees' upper nodes, some 7 GB, and another process takes proofs from there.

The permutations are those of a leaf as it is: one for its salt, its encoding's blocks, the second hash, its parent. A
sample of them is run by the bare kernel on as many threads, in turn with the steps, and scaled to all.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from offchain.protocol.cid import Cid
from offchain.protocol.columns import Column, Positions, Rows
from offchain.protocol.keccak import keccak256
from offchain.protocol.keccak_kernels import RATE_WORDS, W, _permute
from offchain.protocol.leaves import WORD, LeafKind
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import ListTree, verify
from offchain.protocol.pods import OutcomeSalts
from offchain.store.documents import FolderStore
from offchain.store.proofs import ProvenLeaves
from oracles.clearing.core.outcome import outcome_document
from oracles.clearing.core.price_priority import clear
from tests.benchmarks.city import CitySize, city_of

MOST_GIB = 12
MOST_TIMES = 4
MOST_PROOF_S = 1
SAMPLE = 20_000_000
"""Permutations of a sample; there are four."""
PROOFS = 20
THREADS = os.cpu_count() or 1
PROJECT = Path(__file__).parents[2]
AUTHOR = "0x" + "c0" * 20


def run(pods: int = CitySize().pods) -> list[dict[str, object]]:
    """Rows for the report, of a city of so many PoDs. Raises RuntimeError where a part of it fails."""
    with tempfile.TemporaryDirectory(dir=PROJECT / "build") as folder:
        made = _in_own_process("outcome", str(pods), folder)
        print(made["told"])
        proof_s = _in_own_process("proofs", folder, json.dumps(made["document"]))["seconds"]
    leaves = made["leaves"]
    return [
        {
            "name": f"book to outcome roots, {leaves:,} leaves",
            "unit": "s",
            "ours": made["seconds"],
            "peer": made["permutations_s"],
            "peer_name": f"its Keccak permutations alone, {THREADS} threads",
            "ratio": made["permutations_s"] / made["seconds"],
            "target": 1 / MOST_TIMES,
        },
        {
            "name": f"book to outcome roots, {leaves:,} leaves, peak memory",
            "unit": "GiB",
            "ours": made["peak_gib"],
            "peer": MOST_GIB,
            "peer_name": "limit",
            "ratio": MOST_GIB / made["peak_gib"],
            "target": 1,
        },
        {
            "name": f"proof for one leaf of {leaves:,}, from the stored tree",
            "unit": "s",
            "ours": proof_s,
            "peer": MOST_PROOF_S,
            "peer_name": "limit",
            "ratio": MOST_PROOF_S / proof_s,
            "target": 1,
        },
    ]


def _in_own_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_outcome_root", *arguments]
    result = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments[:2])} failed")
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


@dataclass
class _Steps:
    """Seconds of each step, CPU seconds of all threads together, and samples of the bare kernel between them."""

    wall_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    samples_s: list[float] = field(default_factory=list)
    samples_cpu_s: list[float] = field(default_factory=list)

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Do and time a step, after a sample."""
        self.sample()
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        self.wall_s[name] = time.perf_counter() - wall
        self.cpu_s[name] = time.process_time() - cpu
        return done

    def sample(self) -> None:
        """Run a sample of permutations."""
        wall, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(_permutations, [SAMPLE // THREADS // W] * THREADS))
        self.samples_s.append(time.perf_counter() - wall)
        self.samples_cpu_s.append(time.process_time() - cpu)


@dataclass
class _Clock:
    """CPU seconds that threads spend in something."""

    seconds: list[float] = field(default_factory=list)

    def timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, clocked."""

        def clocked(*arguments: Any) -> Any:
            start = time.thread_time()
            done = work(*arguments)
            self.seconds.append(time.thread_time() - start)
            return done

        return clocked


@dataclass(frozen=True)
class _ClockedColumn:
    column: Column
    clock: _Clock

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        taken: Rows = self.clock.timed(self.column.__getitem__)(rows)
        return taken


def _outcome(pods: int, folder: str) -> dict[str, object]:
    """Clear a city, hash its outcome, and write it to a folder."""
    city = city_of(CitySize(pods=pods))
    offers = len(city.book.columns)
    _warm_up()
    steps, drawn, salts, hashes = _Steps(), _Clock(), _Clock(), _Clock()
    clearing = steps.step("clearing", lambda: clear(city.book, city.pods, city.seed))
    document = steps.step(
        "columns of both lists",
        lambda: outcome_document(city.book, clearing, city.terms.session, AUTHOR),
    )

    def trees() -> list[ListTree]:
        made = []
        for leaves in document.lists:
            clocked = _clocked(leaves, drawn, salts)
            made.append(ListTree(len(leaves), hashes.timed(clocked.hashes)))
        return made

    made = steps.step("trees", trees)
    steps.sample()
    peak_gib = _peak_gib()
    permutations = sum(_permutations_of(leaves.kind) * len(leaves) for leaves in document.lists)
    scale = permutations / (SAMPLE // THREADS // W * W * THREADS) / len(steps.samples_s)
    seconds, bare_s = sum(steps.wall_s.values()), sum(steps.samples_s) * scale
    of_trees = {
        "the city's salts drawn": sum(drawn.seconds),
        "salts": sum(salts.seconds) - sum(drawn.seconds),
        "encoding and leaf hashes": sum(hashes.seconds) - sum(salts.seconds),
        "trees": steps.cpu_s["trees"] - sum(hashes.seconds),
    }
    told = [
        f"{offers:,} offers; leaves: {', '.join(f'{len(each):,} {each.kind.name}' for each in document.lists)}",
        f"{seconds:.0f} s and {peak_gib:.1f} GiB; {permutations:,} permutations alone: {bare_s:.0f} s, from"
        f" {len(steps.samples_s)} samples of {SAMPLE:,}; {seconds / bare_s:.2f} times",
        f"CPU of all threads: {sum(steps.cpu_s.values()):.0f} s, permutations {sum(steps.samples_cpu_s) * scale:.0f} s,"
        f" {sum(steps.cpu_s.values()) / sum(steps.samples_cpu_s) / scale:.2f} times; shares of it:",
    ]
    of_all = {**steps.cpu_s, **of_trees}
    told += [f"  {name}: {each_s / sum(steps.cpu_s.values()):.1%}" for name, each_s in of_all.items()]
    return {
        "told": "\n".join(told),
        "leaves": sum(len(each) for each in document.lists),
        "seconds": seconds,
        "permutations_s": bare_s,
        "peak_gib": peak_gib,
        "document": _stored(document, made, folder),
    }


def _clocked(leaves: LeafList, drawn: _Clock, salts: _Clock) -> LeafList:
    """The same list, its salts clocked, and within them those of the book."""
    salt = leaves.columns["salt"]
    if isinstance(salt, OutcomeSalts):
        salt = replace(salt, offer_salts=_ClockedColumn(salt.offer_salts, drawn))
    return LeafList(leaves.kind, {**leaves.columns, "salt": _ClockedColumn(salt, salts)})


def _stored(document: ListDocument, trees: Sequence[ListTree], folder: str) -> dict[str, object]:
    documents = FolderStore(Path(folder))
    cid = documents.put_written(document.write)
    ProvenLeaves(documents).keep(cid, trees)
    return {"cid": str(cid), "root": trees[0].root.hex(), "leaves": len(document.lists[0])}


def _proofs(folder: str, document: dict[str, Any]) -> dict[str, object]:
    """Seconds of a proof of a leaf of the first list, the median of some, each by who has just opened the folder."""
    cid, root = Cid.parse(document["cid"]), bytes.fromhex(document["root"])
    _warm_up()
    seconds = []
    for position in random.Random(1).sample(range(document["leaves"]), PROOFS):
        start = time.perf_counter()
        encoded, proof = ProvenLeaves(FolderStore(Path(folder))).leaf(cid, 0, root, position)
        seconds.append(time.perf_counter() - start)
        if not verify(root, keccak256(keccak256(encoded)), proof):
            raise RuntimeError(f"no proof of {position}")
    return {"seconds": sorted(seconds)[PROOFS // 2]}


def _permutations_of(kind: LeafKind) -> int:
    """For a leaf: its salt, its encoding, the hash of that, its parent."""
    return 1 + (1 + len(kind.fields)) * WORD // (RATE_WORDS * 8) + 1 + 1 + 1


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _permutations(times: int) -> int:
    """The kernel alone: W permutations side by side, so many times."""
    state = np.zeros(25 * W, dtype=np.uint64)
    for _ in range(times):
        _permute(state)
    return int(state[0])


def _warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    _permutations(1)
    city = city_of(CitySize(pods=300, secondary=12, primary=3, aggregators=4))
    cleared = clear(city.book, city.pods, city.seed)
    outcome = outcome_document(city.book, cleared, city.terms.session, AUTHOR)
    _ = [leaves.root for leaves in outcome.lists]


def _peak_gib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    raise RuntimeError("no VmHWM: peak memory is measured on Linux")


if __name__ == "__main__":
    if sys.argv[1:2] == ["outcome"]:
        print(json.dumps(_outcome(int(sys.argv[2]), sys.argv[3])))
    elif sys.argv[1:2] == ["proofs"]:
        print(json.dumps(_proofs(sys.argv[2], json.loads(sys.argv[3]))))
    else:
        print(json.dumps(run(*map(int, sys.argv[1:])), indent=1))
