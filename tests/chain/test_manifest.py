"""The manifest: read as the deploy script writes it, refused where it isn't one."""

import json
from pathlib import Path

import pytest

from offchain.chain.manifest import Manifest
from offchain.protocol.errors import InvalidInput


def test_reads_what_the_deploy_script_writes(original: Path) -> None:
    content = json.loads((original / "manifest.json").read_text())
    manifest = Manifest.load(original / "manifest.json")
    assert manifest.chainId == 31337
    assert manifest.first_block == min(entry["block"] for entry in content["contracts"].values())
    assert {"CommitmentBook", "OutcomeBoard", "SettlementLedger"} <= set(manifest.contracts)


def test_a_missing_manifest_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="deploy first") as caught:
        Manifest.load(tmp_path / "manifest.json")
    assert caught.value.value == str(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"chainId": 1', b'{"chainId": "one"}', b'{"chainId": 1, "deployer": "0x"}', b"\xff\xfe"],
)
def test_refuses_what_isnt_a_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="isn't a deployment manifest") as caught:
        Manifest.load(path)
    assert caught.value.field == "manifest"
