"""The aggregator's platform in operation: takes its validated outcomes from its topic, and dispatches set points.

An outcome is on disk before the broker hears that it arrived. Set points of an activation are sent once its four
hours come near; sent again after a restart they are the same to the byte, so that nobody carries them out twice.

A real-time outcome's set points stand beside the day-ahead's: no PoD's slot is in both, but where real time moves the other
kind of power. Then the later set point says all that holds, and what wasn't sent of the day-ahead's yet isn't any more.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from offchain.aggregator.dispatch import AcceptedPower, Baseline, SetPoint, by_activation, set_points
from offchain.customer_database.documents import AttributedActivation
from offchain.messaging.mqtt import Message
from offchain.protocol.documents.base import Document, build, dump, parse
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.light_node import SetPoint as SetPointDocument
from offchain.protocol.documents.outcome import ValidatedOutcome
from offchain.protocol.documents.time_frame import MarketType, product_of
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.market_time import local_date
from offchain.protocol.terms import SLOT_S
from offchain.protocol.units import datetime_to_unix_s, kw_to_w

logger = logging.getLogger(__name__)

AHEAD_S = 3600
"""How long before its first quarter-hour an activation is sent; at least 15 minutes are asked for."""


class Platform(Protocol):
    """Another platform's REST API."""

    def post(self, path: str, document: Document | list[Document]) -> None:
        """Post documents. Raises PlatformUnavailable or PlatformRefused."""


Baselines = Callable[[MarketType, int], Baseline]
"""What this aggregator nominated for the session of a kind that delivers from an instant, by pseudonym and slot."""


class AggregatorPlatform:
    """`baselines`: as nominated for each session. `now_s`: UTC Unix seconds."""

    def __init__(
        self,
        folder: Path,
        dso: Platform,
        customer_database: Platform,
        baselines: Baselines,
        now_s: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._dso = dso
        self._customer_database = customer_database
        self._baselines = baselines
        self._now_s = now_s

    def on_outcome(self, message: Message) -> None:
        """Keep a validated outcome (the messaging client's handler). InvalidInput if it isn't one."""
        outcome = parse(ValidatedOutcome, message.payload)
        for name, value in (("startTime", outcome.start_time), ("marketType", outcome.market_type)):
            if value is None:
                raise InvalidInput(name, value, "must be given: set points are for its quarter-hours")
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
        return {kept.outcome.market_outcome: kept.outcome for kept in self._kept()}

    def step(self) -> int:
        """Send the set points that are due, to the DSO and the Shared Customer Database; gives how many activations."""
        sent = 0
        for day in _by_day(self._kept()):
            for kept in day:
                for start_s, activations in self._activations(kept, day).items():
                    marker = kept.path.with_suffix(f".{start_s}.sent")
                    if start_s - AHEAD_S <= self._now_s() and not marker.exists():
                        due = kept.path.with_suffix(f".{start_s}.due")
                        sent += self._send(kept.outcome.market_outcome, due, activations)
                        marker.touch()
        return sent

    def _send(self, outcome_id: str, due: Path, activations: Sequence[ActivationService]) -> int:
        """Send activations as they were when they first were due."""
        if not due.exists():
            aside = due.with_suffix(".part")
            aside.write_bytes(b"\n".join(dump(activation) for activation in activations))
            aside.replace(due)
        activations = [parse(ActivationService, line) for line in due.read_bytes().splitlines()]
        if activations:
            attributed = [
                build(AttributedActivation, market_outcome_id=outcome_id, activation=activation)
                for activation in activations
            ]
            self._dso.post("/setPoints", list(activations))
            self._customer_database.post("/setPoints", list(attributed))
            logger.info("%d activations sent of %s", len(activations), outcome_id)
        return len(activations)

    def _set_points(self, kept: "_Kept", day: Sequence["_Kept"]) -> dict[str, list[SetPoint]]:
        """Set points of an outcome by pseudonym. `day`: all outcomes of its local day."""
        accepted = []
        for entry in kept.outcome.flexibility:
            for power in entry.power:
                for active, value in ((True, power.accepted_p_value), (False, power.accepted_q_value)):
                    power_w = kw_to_w("acceptedValue", value or 0)
                    if power_w:
                        product = product_of(power_w, active=active)
                        accepted.append(AcceptedPower(entry.pod, power.index, product, abs(power_w)))
        baseline = self._baselines(kept.kind, kept.start_s)
        if kept.kind is MarketType.DAY_AHEAD:
            return set_points(accepted, baseline)
        ahead = self._by_time(MarketType.DAY_AHEAD, day)
        standing = {(pod, (at_s - kept.start_s) // SLOT_S): point for (pod, at_s), point in ahead.items()}
        return set_points(accepted, baseline, standing)

    def _by_time(self, kind: MarketType, day: Sequence["_Kept"]) -> dict[tuple[str, int], SetPoint]:
        """Set points of a day's sessions of a kind, by PoD and start of the quarter-hour."""
        return {
            (pod, kept.start_s + point.slot * SLOT_S): point
            for kept in day
            if kept.kind is kind
            for pod, points in self._set_points(kept, day).items()
            for point in points
        }

    def _kept(self) -> list["_Kept"]:
        out = []
        for path in sorted(self._folder.glob("*.json")):
            record = json.loads(path.read_text())
            outcome = parse(ValidatedOutcome, str(record["outcome"]).encode())
            out.append(_Kept(path, int(record["receivedS"]), outcome))
        return out

    def _activations(self, kept: "_Kept", day: Sequence["_Kept"]) -> dict[int, list[ActivationService]]:
        """Activations by the start of their first set point's quarter-hour, over all PoDs of a four-hour block."""
        is_ahead = kept.kind is MarketType.DAY_AHEAD
        superseded = self._by_time(MarketType.REAL_TIME, day) if is_ahead else {}
        blocks: dict[int, list[tuple[str, list[SetPoint]]]] = {}
        for pod, points in self._set_points(kept, day).items():
            for block, some in by_activation(points).items():
                blocks.setdefault(block, []).append((pod, some))
        out = {}
        for block, entries in sorted(blocks.items()):
            first_slot = min(points[0].slot for _, points in entries)
            left = [
                (
                    pod,
                    [
                        point
                        for point in points
                        if (pod, kept.start_s + point.slot * SLOT_S) not in superseded
                    ],
                )
                for pod, points in entries
            ]
            out[kept.start_s + first_slot * SLOT_S] = [
                _activation(kept, pod, block, points) for pod, points in left if points
            ]
        return out


@dataclass(frozen=True)
class _Kept:
    """A kept outcome: its file and when it arrived."""

    path: Path
    received_s: int
    outcome: ValidatedOutcome

    @property
    def kind(self) -> MarketType:
        """Day-ahead or real time."""
        assert self.outcome.market_type is not None, "checked when it arrived"
        return self.outcome.market_type

    @property
    def start_s(self) -> int:
        """When its first slot starts."""
        assert self.outcome.start_time is not None, "checked when it arrived"
        return datetime_to_unix_s("startTime", self.outcome.start_time)


def _by_day(outcomes: Sequence[_Kept]) -> list[list[_Kept]]:
    """Outcomes of each local day together."""
    days: dict[date, list[_Kept]] = {}
    for kept in outcomes:
        days.setdefault(local_date(kept.start_s), []).append(kept)
    return list(days.values())


def _activation(kept: _Kept, pod: str, block: int, points: list[SetPoint]) -> ActivationService:
    documents = tuple(
        build(
            SetPointDocument,
            active_power=point.power_w,
            reactive_power=point.reactive_var,
            quarter_hour=kept.start_s + point.slot * SLOT_S,
        )
        for point in points
    )
    return build(
        ActivationService,
        pod=pod,
        activation_id=keccak256(f"{kept.outcome.market_outcome}/{pod}/{block}".encode()),
        set_points=documents,
        timestamp=kept.received_s,
    )
