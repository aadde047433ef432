"""The contracts' interfaces, as clients outside the project know them. Held to `abi.json` beside this file: a change there is a
change for them, to be named in CHANGELOG.md. Written anew by FLEXLEDGER_WRITE_ABI=1.
"""

import json
import os
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).parent / "abi.json"


def signature(entry: dict[str, Any]) -> str:
    """Such as `function free(address account) view returns (uint256)`."""
    words = [f"{entry['type']} {entry.get('name', '')}({parameters(entry.get('inputs', []))})"]
    if entry.get("stateMutability") not in (None, "nonpayable"):
        words.append(entry["stateMutability"])
    if entry.get("outputs"):
        words.append(f"returns ({parameters(entry['outputs'])})")
    return " ".join(words)


def parameters(entries: list[dict[str, Any]]) -> str:
    """Types and names; a struct is shown by its fields."""
    shown = []
    for entry in entries:
        kind = entry["type"]
        if kind.startswith("tuple"):
            kind = f"({parameters(entry['components'])}){kind.removeprefix('tuple')}"
        indexed = "indexed " if entry.get("indexed") else ""
        shown.append(f"{kind} {indexed}{entry['name']}".strip())
    return ", ".join(shown)


def test_interfaces_are_those_of_the_snapshot(market: Any) -> None:
    contracts = json.loads(market.manifest.read_text())["contracts"]
    contracts.pop("Euro")
    found = {name: sorted(map(signature, contracts[name]["abi"])) for name in sorted(contracts)}
    if os.environ.get("FLEXLEDGER_WRITE_ABI") == "1":
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n")
    known = json.loads(SNAPSHOT.read_text())
    assert found.keys() == known.keys()
    changed = {
        name: sorted(set(found[name]) ^ set(known[name])) for name in found if found[name] != known[name]
    }
    assert changed == {}
