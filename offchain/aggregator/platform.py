"""The aggregator's platform in operation: takes its validated outcomes from its topic, and dispatches set points.

An outcome is on disk before the broker hears that it arrived. Set points of an activation are sent once its four
hours come near; sent again after a restart they are the same to the byte, so that nobody carries them out twice.
"""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from offchain.aggregator.dispatch import AcceptedPower, Baseline, SetPoint, by_activation, set_points
from offchain.customer_database.documents import AttributedActivation
from offchain.messaging.mqtt import Message
from offchain.protocol.documents.base import Document, build, parse
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.light_node import SetPoint as SetPointDocument
from offchain.protocol.documents.outcome import ValidatedOutcome
from offchain.protocol.documents.time_frame import product_of
from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SLOT_S
from offchain.protocol.units import datetime_to_unix_s, kw_to_w

logger = logging.getLogger(__name__)

AHEAD_S = 3600
"""How long before its first quarter-hour an activation is sent; at least 15 minutes are asked for."""


class Platform(Protocol):
    """Another platform's REST API."""

    def post(self, path: str, document: Document | list[Document]) -> None:
        """Post documents. Raises PlatformUnavailable or PlatformRefused."""


class AggregatorPlatform:
    """`baseline`: what this aggregator nominated, by pseudonym and slot. `now_s`: UTC Unix seconds."""

    def __init__(
        self,
        folder: Path,
        dso: Platform,
        customer_database: Platform,
        baseline: Baseline,
        now_s: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._dso = dso
        self._customer_database = customer_database
        self._baseline = baseline
        self._now_s = now_s

    def on_outcome(self, message: Message) -> None:
        """Keep a validated outcome (the messaging client's handler). InvalidInput if it isn't one."""
        outcome = parse(ValidatedOutcome, message.payload)
        # Named by a hash: an id is any text, a path to elsewhere as well.
        path = self._folder / f"{keccak256(outcome.market_outcome.encode()).hex()}.json"
        if path.exists():
            return
        record = {"receivedS": self._now_s(), "outcome": message.payload.decode()}
        aside = path.with_suffix(".part")
        aside.write_text(json.dumps(record))
        aside.replace(path)

    def outcomes(self) -> dict[str, ValidatedOutcome]:
        """Kept outcomes by their id."""
        return {outcome.market_outcome: outcome for _, _, outcome in self._kept()}

    def step(self) -> int:
        """Send the set points that are due, to the DSO and the Shared Customer Database; gives how many activations."""
        sent = 0
        for path, received_s, outcome in self._kept():
            for start_s, activations in self._activations(outcome, received_s).items():
                marker = path.with_suffix(f".{start_s}.sent")
                if start_s - AHEAD_S <= self._now_s() and not marker.exists():
                    attributed = [
                        build(
                            AttributedActivation,
                            market_outcome_id=outcome.market_outcome,
                            activation=activation,
                        )
                        for activation in activations
                    ]
                    self._dso.post("/setPoints", list(activations))
                    self._customer_database.post("/setPoints", list(attributed))
                    marker.touch()
                    sent += len(activations)
                    logger.info("%d activations sent for %d", len(activations), start_s)
        return sent

    def set_points_of(self, outcome: ValidatedOutcome) -> Mapping[str, list[SetPoint]]:
        """Set points of an outcome by pseudonym."""
        accepted = []
        for entry in outcome.flexibility:
            for power in entry.power:
                for active, value in ((True, power.accepted_p_value), (False, power.accepted_q_value)):
                    power_w = kw_to_w("acceptedValue", value or 0)
                    if power_w:
                        product = product_of(power_w, active=active)
                        accepted.append(AcceptedPower(entry.pod, power.index, product, abs(power_w)))
        return set_points(accepted, self._baseline)

    def _kept(self) -> list[tuple[Path, int, ValidatedOutcome]]:
        out = []
        for path in sorted(self._folder.glob("*.json")):
            record = json.loads(path.read_text())
            outcome = parse(ValidatedOutcome, str(record["outcome"]).encode())
            out.append((path, int(record["receivedS"]), outcome))
        return out

    def _activations(self, outcome: ValidatedOutcome, received_s: int) -> dict[int, list[ActivationService]]:
        """Activations by the start of their first set point's quarter-hour, over all PoDs of a four-hour block."""
        if outcome.start_time is None:
            return {}
        start_s = datetime_to_unix_s("startTime", outcome.start_time)
        blocks: dict[int, list[tuple[str, list[SetPoint]]]] = {}
        for pod, points in self.set_points_of(outcome).items():
            for block, some in by_activation(points).items():
                blocks.setdefault(block, []).append((pod, some))
        out = {}
        for block, entries in sorted(blocks.items()):
            first_slot = min(points[0].slot for _, points in entries)
            out[start_s + first_slot * SLOT_S] = [
                _activation(outcome.market_outcome, pod, block, points, start_s, received_s)
                for pod, points in entries
            ]
        return out


def _activation(
    outcome: str, pod: str, block: int, points: list[SetPoint], start_s: int, received_s: int
) -> ActivationService:
    documents = tuple(
        build(
            SetPointDocument,
            active_power=point.power_w,
            reactive_power=point.reactive_var,
            quarter_hour=start_s + point.slot * SLOT_S,
        )
        for point in points
    )
    return build(
        ActivationService,
        pod=pod,
        activation_id=keccak256(f"{outcome}/{pod}/{block}".encode()),
        set_points=documents,
        timestamp=received_s,
    )
