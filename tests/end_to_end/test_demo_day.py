"""The demo day as a whole: what it leaves behind, that it goes on after a kill, and that nobody can touch it unseen."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from offchain.audit.reliability import told_reliability
from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.chain.local import LocalChain
from offchain.chain.manifest import Manifest
from offchain.chain.market_view import MarketView
from offchain.dso.flow_store import FlowStore
from offchain.dso.store import DsoStore
from offchain.dso.validation_records import FinalState, ValidationStatus
from offchain.dso.validation_store import ValidationStore
from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.products import DeliveryStatus
from offchain.store.documents import FolderStore
from oracles.clearing.facts import aggregators_of, record_at_gate
from tests.end_to_end.conftest import DAY_TIMEOUT_S, PROJECT, demo_command, summary_of

Verify = Callable[..., subprocess.CompletedProcess[str]]
KEYS = [
    "sessions",
    "own_means",
    "violations_before",
    "violations_after",
    "requested_wh",
    "offered_wh",
    "accepted_wh",
    "refused",
    "delivered_wh",
    "paid_ueur",
    "penalised_ueur",
    "tokens",
    "readings",
    "anchored_batches",
    "gas",
    "seconds",
]
PODS, SLOTS = 12, 96


def _killed_at(folder: Path, mark: str) -> None:
    """Play until a line of progress, then kill the process as a power cut would; the chain goes on."""
    log = folder.parent / f"{folder.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            demo_command(folder), cwd=PROJECT, stdout=output, stderr=output, env=_unbuffered()
        )
        deadline = time.monotonic() + DAY_TIMEOUT_S
        seen = log.stat().st_size
        while mark not in log.read_text()[seen:]:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.4)
        process.send_signal(signal.SIGKILL)
        process.wait()


def _unbuffered() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def test_killed_half_way_it_ends_the_same_with_nothing_posted_twice(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    for mark in ("Gate closed", "08:00"):
        _killed_at(folder, mark)
    finished = subprocess.run(
        demo_command(folder), cwd=PROJECT, capture_output=True, text=True, timeout=DAY_TIMEOUT_S, check=False
    )
    assert finished.returncode == 0, finished.stdout[-3000:]
    # Asked for only now, so that another test process plays it meanwhile.
    assert summary_of(folder) == summary_of(request.getfixturevalue("played"))


def test_the_summary_says_what_came_of_the_day(played: Path) -> None:
    summary = json.loads((played / "summary.json").read_text())
    assert set(KEYS) <= set(summary)
    assert summary["sessions"] == [1, 2]
    ahead, real_time = summary["own_means"]
    assert (ahead["session"], ahead["violations"], ahead["plans"]) == (1, summary["violations_before"], 0)
    assert 0 < real_time["removed"] < real_time["violations"], (
        "after the fan failed a tap would help, but not enough"
    )
    assert (ahead["taken"], real_time["taken"]) == (False, False), "the market is asked"
    assert summary["violations_before"] > summary["violations_after"]
    assert summary["offered_wh"] > summary["accepted_wh"] > summary["delivered_wh"] > 0
    assert summary["paid_ueur"] > 0
    assert summary["penalised_ueur"] > 0
    assert all(tokens > 0 for tokens in summary["tokens"].values())
    assert summary["readings"] == PODS * SLOTS
    assert summary["anchored_batches"] == SLOTS // 4
    assert summary["refused"]["COM_DEARER"] > 0


def test_the_dsos_platform_validated_and_keeps_the_final_outcomes(played: Path, tmp_path: Path) -> None:
    """Asked over REST for every round, answered, and the final outcomes of both sessions are what stands on chain."""
    for path in [*played.glob("validation.sqlite*"), *played.glob("dso.sqlite*")]:
        shutil.copy(path, tmp_path)
    store = ValidationStore(tmp_path / "validation.sqlite")
    asked, finals = store.asked_between(0, 2**40), store.finals(0, 2**40)
    store.close()
    assert {each.session for each in asked} == {1, 2}
    assert {each.status for each in asked} == {ValidationStatus.TOLD}
    assert [(each.session, each.state, each.reason) for each in finals] == [
        (1, FinalState.CONFIRMED, None),
        (2, FinalState.CONFIRMED, None),
    ]
    flows, dso = FlowStore(tmp_path / "dso.sqlite"), DsoStore(tmp_path / "dso.sqlite")
    (ahead, real_time), told = flows.summaries(0, 2**40), dso.alarms(0, 2**40)
    flows.close()
    dso.close()
    assert (ahead.slots, real_time.slots) == (SLOTS, 16)
    assert ahead.highest_loading is not None
    assert ahead.highest_loading.value > 100_000
    passed = [alarm for each in told for alarm in each.alarms if alarm.level != "warning"]
    assert passed
    assert all(alarm.type == "congestion" and alarm.helping for alarm in passed)


def test_the_report_needs_nothing_but_itself(played: Path) -> None:
    report = (played / "report.html").read_text()
    assert report.count("<svg") == 4
    assert report.count("Own means first") == 2
    for reference in ("<script src", "<link", 'href="http', "url(http", "<img"):
        assert reference not in report.replace('xlink:href="#', "")


def test_the_grid_oracle_has_fetched_and_verified_the_readings_before_real_time(played: Path) -> None:
    store = sqlite3.connect(f"file:{played / 'grid.sqlite'}?immutable=1", uri=True)
    (pods, readings), *_ = store.execute("SELECT count(DISTINCT pod), count(*) FROM readings").fetchall()
    store.close()
    assert pods == PODS
    assert PODS * SLOTS // 4 < readings < PODS * SLOTS


@pytest.mark.parametrize("session", [1, 2])
def test_an_auditor_replays_it(played: Path, verify: Verify, session: int) -> None:
    finished = verify(played, session=session)
    assert finished.stdout.splitlines()[-1] == "PASS", finished.stdout + finished.stderr
    assert finished.returncode == 0


def test_a_session_that_never_was_fails(played: Path, verify: Verify) -> None:
    finished = verify(played, session=3)
    assert finished.returncode == 1
    assert "FAIL" in finished.stdout


def test_one_byte_changed_in_any_stored_document_is_found_and_named(copied: Path, verify: Verify) -> None:
    documents = sorted(path for path in (copied / "documents").rglob("*") if path.is_file())
    kinds: dict[str, Path] = {}
    for path in documents:
        content = json.loads(path.read_bytes())
        if content.get("session") == 2:
            continue
        lists = ",".join(entry["kind"] for entry in content.get("lists", []))
        kinds.setdefault(f"{content.get('format', '')}{lists}", path)
    assert len(kinds) == 9, sorted(kinds)
    with LocalChain(copied / "chain") as chain:
        client = ChainClient(chain.url, Manifest.load(copied / "manifest.json"))
        for kind, path in kinds.items():
            sound = path.read_bytes()
            middle = len(sound) // 2
            path.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
            said: list[str] = []
            store = FolderStore(copied / "documents")
            assert not all(run(SessionReplay(client, store, session), said.append) for session in (1, 2)), (
                kind
            )
            assert said[-1].startswith(f"FAIL document {path.name}"), (kind, said)
            path.write_bytes(sound)
    posted = kinds["SettlementLeaf"]
    posted.write_bytes(posted.read_bytes().replace(b"1", b"2", 1))
    finished = verify(copied)
    assert finished.returncode == 1
    assert f"FAIL document {posted.name}" in finished.stdout


def test_a_document_that_is_gone_is_named(copied: Path, verify: Verify) -> None:
    posted = max(
        (p for p in (copied / "documents").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    posted.unlink()
    finished = verify(copied)
    assert finished.returncode == 1
    assert "FAIL" in finished.stdout


def test_who_delivered_how_much_is_known_to_the_next_session(copied: Path) -> None:
    """By the settlements' own leaves, once they are final; to the day's own session nobody had a record."""
    settlements = [
        content
        for path in (copied / "documents").glob("*/*")
        if (content := json.loads(path.read_bytes())).get("lists", [{}])[0].get("kind") == "SettlementLeaf"
    ]
    places = [field.name for field in SETTLEMENT.fields]
    delivered = [
        (row[places.index("pod")], min(row[places.index("deliveredW")], row[places.index("acceptedW")]))
        for settlement in settlements
        for row in settlement["lists"][0]["leaves"]
        if row[places.index("status")] != DeliveryStatus.EXCUSED
    ]
    assert delivered
    with LocalChain(copied / "chain") as chain:
        client = ChainClient(chain.url, Manifest.load(copied / "manifest.json"))
        view, store = MarketView(client), FolderStore(copied / "documents")
        terms = view.terms(1)
        assert next(told_reliability(view, store, terms)) == "0 aggregators with settled deliveries"
        later = replace(terms, gateClosure=client.now_s() + 1)
        record = record_at_gate(view, store, later)
        index = record.index_of_pods(aggregators_of(view.pods()))
        told = list(told_reliability(view, store, later))
    assert sum(each.delivered_w for each in record.aggregators.values()) == sum(w for _, w in delivered)
    assert [line.split()[1].rstrip(":") for line in told if "aggregator 0x" in line] == list(
        record.aggregators
    )
    assert sum("  PoD 0x" in line for line in told) == sum(permille < 1000 for permille in index.values())
    sums = {pod: sum(w for other, w in delivered if other == pod) for pod, _ in delivered}
    assert all(index[bytes.fromhex(pod[2:])] > 0 for pod, total_w in sums.items() if total_w)
    assert min(index.values()) < 1000, "somebody delivered less than was accepted"
