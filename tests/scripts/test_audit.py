"""What `make audit` takes for a failure: the runs themselves are its own."""

import tomllib
from typing import Any

import pytest

from scripts.audit import forge, slither
from scripts.audit.slither import Finding

REPORT = """
Ran 1 test for tests/forge/Money.t.sol:MoneyInvariants
[PASS] invariant_money_is_conserved() (runs: 256, calls: 128000, reverts: 6)
| Contract | Selector | Calls | Reverts | Discards |
| Handler  | commit   | 70000 | 6       | 0        |
| Handler  | reveal   | 58000 | 0       | 0        |
Ran 1 test for tests/forge/Challenges.t.sol:ChallengesFuzz
[PASS] testFuzz_honest_sums_stand((uint24,bool)) (runs: 20000, μ: 322570, ~: 326974)
"""


def test_a_full_report_has_no_problems() -> None:
    assert forge.problems(REPORT) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("calls: 128000", "calls: 99999", "invariants of money: 99999 calls: must be 100000 or more"),
        ("runs: 20000", "runs: 14285", "fuzz of challenges: 99995 calls: must be 100000 or more"),
        ("| 58000 | 0  ", "| 58000 | 58000", "reveal: never succeeded, and so tested nothing"),
        ("| Handler", "  Handler", "no table of the handler's calls"),
        ("[PASS] inv", "[FAIL] inv", "invariants of money: 0 calls: must be 100000 or more"),
    ],
)
def test_a_report_that_lacks_something(old: str, new: str, problem: str) -> None:
    assert forge.problems(REPORT.replace(old, new)) == [problem]


def found(*entries: tuple[str, str, str]) -> dict[str, Any]:
    names = ("impact", "check", "description")
    return {"results": {"detectors": [dict(zip(names, entry, strict=True)) for entry in entries]}}


def test_findings_are_named_by_check_and_function() -> None:
    report = found(
        ("High", "reentrancy-eth", "Reentrancy in Vault.withdraw(uint256) (contracts/Vault.sol#1-2):\n..."),
        ("Medium", "unused-return", "PodRegistry.pods(bytes32) (contracts/PodRegistry.sol#3) ignores ..."),
        ("Low", "timestamp", "Vault.deposit(uint256) uses timestamp"),
    )
    assert set(slither.findings(report)) == {
        Finding("reentrancy-eth", "Vault.withdraw"),
        Finding("unused-return", "PodRegistry.pods"),
    }


def test_what_is_new_and_what_is_gone_are_problems() -> None:
    known = {Finding("a", "Vault.lock"), Finding("b", "Vault.move")}
    assert slither.problems(dict.fromkeys(known, ""), known) == []
    assert slither.problems(
        {Finding("a", "Vault.lock"): "", Finding("c", "Market.x"): "why it is bad"}, known
    ) == [
        "new: c: why it is bad",
        "accepted, but found no more: b in Vault.move",
    ]


def test_every_accepted_finding_has_a_reason() -> None:
    document = tomllib.loads(slither.ACCEPTED.read_text())
    assert slither.accepted(document)
    document["accepted"][0]["why"] = " "
    with pytest.raises(ValueError, match="accepted without a why"):
        slither.accepted(document)
