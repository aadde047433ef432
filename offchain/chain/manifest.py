"""The manifest of a deployment: addresses, blocks and ABIs, written by `scripts/deploy.py`, read by every daemon."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from offchain.protocol.errors import InvalidInput


class DeployedContract(BaseModel):
    """Where a contract stands, since which block, and how it is talked to."""

    model_config = ConfigDict(frozen=True)

    address: str
    block: int
    abi: list[dict[str, Any]]


class Manifest(BaseModel):
    """A deployment of all contracts on one chain."""

    model_config = ConfigDict(frozen=True)

    chainId: int
    deployer: str
    contracts: dict[str, DeployedContract]
    interfaces: dict[str, list[dict[str, Any]]]
    """ABIs of what others may deploy, such as settlement mechanisms."""

    @property
    def first_block(self) -> int:
        """Block of the earliest contract: where events begin."""
        return min(contract.block for contract in self.contracts.values())

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a manifest; InvalidInput names what is wrong with it."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise InvalidInput("manifest", str(path), "no such file: deploy first (make demo does)") from None
        except (ValidationError, json.JSONDecodeError) as problem:
            raise InvalidInput("manifest", str(path), f"isn't a deployment manifest: {problem}") from None
