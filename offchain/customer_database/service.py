"""What the Shared Customer Database does: keeps PoDs, baselines and set points, and tells who may know."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Protocol

from offchain.customer_database.documents import AttributedActivation, BaselineNomination
from offchain.customer_database.records import (
    Anomaly,
    AnomalySource,
    Baseline,
    Pod,
    PodEvent,
    Reading,
    SetPoint,
)
from offchain.customer_database.store import CustomerStore
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.pod import ActionType, MaxFlexibility, flexibility_limits
from offchain.protocol.documents.pod import Pod as PodDocument
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import day_window, slot_start_s
from offchain.protocol.pods import check_pod_id, pod_pseudonym
from offchain.protocol.units import datetime_to_unix_s, kw_to_w
from offchain.rest.client import PlatformRefused, PlatformUnavailable
from offchain.rest.refusals import Conflict, NotFound
from offchain.rest.registry import PodRegistration, PseudonymousEntry, RegistryEntry

logger = logging.getLogger(__name__)

MOST_PER_ANNOUNCEMENT = 1000


class PodListener(Protocol):
    """A platform that is told of every PoD: the DSO's, the market's, the TSO's."""

    def announce(self, entries: Sequence[RegistryEntry | PseudonymousEntry]) -> None:
        """Take entries, in order; some may come a second time. Raises PlatformUnavailable or PlatformRefused."""


@dataclass(frozen=True)
class Subscription:
    """A listener, and whether it may know which PoD is behind a pseudonym (the DSO may; market and TSO may not)."""

    listener: PodListener
    may_link: bool


@dataclass(frozen=True)
class Measurement:
    """A PoD's quarter-hour with a set point: what it was told last, and what its meter said.

    `readings`: none where no reading came, more than one where its node has signed readings that differ.
    """

    pod: Pod
    set_point: SetPoint
    readings: tuple[Reading, ...]


class CustomerDatabase:
    """The registry and its data. `clock`: UTC Unix seconds. `new_salt`: 32 secret random bytes at each call."""

    def __init__(
        self,
        store: CustomerStore,
        subscriptions: Mapping[str, Subscription],
        clock: Callable[[], int],
        new_salt: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._clock = clock
        self._new_salt = new_salt

    def register(self, aggregator: str, registrations: Sequence[PodRegistration]) -> list[Pod]:
        """Register PoDs, all or none, each under a new pseudonym; listeners are told by `step`.

        Raises InvalidInput, and Conflict for a PoD, Light Node key or broker user that is registered already.
        """
        now_s = self._clock()
        pods = []
        for index, registration in enumerate(registrations):
            self._check(aggregator, registration, f"[{index}]", ActionType.ACTIVATE)
            pod_id, salt = registration.pod.pod_id, self._new_salt()
            pods.append(_record(registration, pod_pseudonym(pod_id, salt), salt, now_s))
        with self._store.transaction():
            self._check_unique(pods)
            self._store.add(pods)
            self._tell(pods, ActionType.ACTIVATE)
        return pods

    def modify(self, aggregator: str, pod_id: str, registration: PodRegistration) -> Pod:
        """Change what is registered of a PoD; its pseudonym and PoM stay.

        Raises NotFound if it isn't this aggregator's, else as `register` does.
        """
        self._check(aggregator, registration, "", ActionType.MODIFY)
        if registration.pod.pod_id != pod_id:
            raise InvalidInput("pod.podId", registration.pod.pod_id, f"must be that of the path, {pod_id}")
        with self._store.transaction():
            known = self._own(aggregator, [pod_id])[0]
            changed = _record(registration, known.pseudonym, known.salt, known.validity_start_s)
            changed = replace(changed, pom_id=known.pom_id)
            self._check_nodes([changed])
            self._store.replace_pod(changed)
            self._tell([changed], ActionType.MODIFY)
        return changed

    def remove(self, aggregator: str, pod_id: str) -> None:
        """End a PoD's registration; its data stay. Raises NotFound if it isn't this aggregator's."""
        with self._store.transaction():
            removed = replace(self._own(aggregator, [pod_id])[0], removed_s=self._clock())
            self._store.replace_pod(removed)
            self._tell([removed], ActionType.DELETE)

    def associate(self, pod_id: str, pom_id: str) -> None:
        """Take a PoD's PoM from the DSO. Raises NotFound for an unknown PoD."""
        with self._store.transaction():
            known = self._own(None, [pod_id])[0]
            if known.pom_id == pom_id:
                return
            changed = replace(known, pom_id=pom_id)
            self._store.replace_pod(changed)
            # Who gave the PoM needn't be told of it; to tell all the same would go round for ever.
            others = [name for name, subscription in self._subscriptions.items() if not subscription.may_link]
            self._store.queue_events(others, [(changed.pseudonym, ActionType.MODIFY)])

    def pods(self, aggregator: str | None) -> list[Pod]:
        """Registered PoDs of an aggregator, or (None) all, in order of their ids."""
        return self._store.pods(aggregator=aggregator)

    def nominate(self, aggregator: str, nominations: Sequence[BaselineNomination]) -> int:
        """Take baselines, all or none; one for the same PoD and day replaces the earlier one.

        Gives the number of quarter-hours. Raises NotFound for a PoD that isn't this aggregator's, and InvalidInput
        for a PoD and day that stand there twice.
        """
        rows: list[Baseline] = []
        taken: set[tuple[bytes, date]] = set()
        with self._store.transaction():
            pods = self._own(aggregator, [nomination.pod_id for nomination in nominations])
            for index, (nomination, pod) in enumerate(zip(nominations, pods, strict=True)):
                if (pod.pseudonym, nomination.day) in taken:
                    where = f"[{index}].podId"
                    raise InvalidInput(
                        where, nomination.pod_id, f"must stand there once for {nomination.day}"
                    )
                taken.add((pod.pseudonym, nomination.day))
                rows.extend(_baselines(nomination, pod, f"[{index}]"))
            if rows:
                self._store.replace_baselines(rows)
        return len(rows)

    def baselines(self, aggregator: str | None, pod_id: str, from_s: int, to_s: int) -> list[Baseline]:
        """A PoD's baselines that start in [from_s, to_s). Raises NotFound."""
        return self._store.baselines(self._pseudonyms(aggregator, pod_id), from_s, to_s)

    def readings(self, aggregator: str | None, pod_id: str, from_s: int, to_s: int) -> list[Reading]:
        """A PoD's certified readings that start in [from_s, to_s). Raises NotFound."""
        return self._store.readings(self._pseudonyms(aggregator, pod_id), from_s, to_s)

    def attribute(self, aggregator: str, activations: Sequence[AttributedActivation]) -> int:
        """Take set points, all or none, and attribute them to their PoDs; gives how many are new.

        The same activation again changes nothing. Raises NotFound for a PoD that isn't this aggregator's, Conflict
        for an activation id used before with other content.
        """
        rows: list[SetPoint] = []
        with self._store.transaction():
            known = self._store.pods_by_pseudonym([entry.activation.pod for entry in activations])
            for index, entry in enumerate(activations):
                activation = entry.activation
                pod = known.get(activation.pod)
                if pod is None or pod.aggregator != aggregator or pod.removed_s is not None:
                    shown = "0x" + activation.pod.hex()
                    raise NotFound(
                        f"[{index}].activation.PoD = {shown!r}: must be a PoD of aggregator {aggregator!r}"
                    )
                points = _set_points(entry)
                before = self._store.activation(activation.pod, activation.activation_id)
                before = before or [row for row in rows if row.activation == activation.activation_id]
                before = [row for row in before if row.pseudonym == activation.pod]
                if not before:
                    rows.extend(points)
                elif before != points:
                    shown = "0x" + activation.activation_id.hex()
                    raise Conflict(
                        f"[{index}].activation.ActivationId = {shown!r}: was sent before otherwise"
                    )
            self._store.add(rows)
        return len(rows)

    def measurements(self, aggregator: str | None, day: date) -> list[Measurement]:
        """A local day's quarter-hours with set points, of one aggregator's PoDs or (None) all, by PoD and time."""
        window = day_window(day)
        told = self._store.pods_with_set_points(window.start_s, window.end_s)
        pods = {
            pseudonym: pod
            for pseudonym, pod in self._store.pods_by_pseudonym(told).items()
            if aggregator is None or pod.aggregator == aggregator
        }
        readings: dict[tuple[bytes, int], list[Reading]] = {}
        for reading in self._store.readings(list(pods), window.start_s, window.end_s):
            readings.setdefault((reading.pseudonym, reading.start_s), []).append(reading)
        # They come in order of time, so that the set point sent last is the one that stays.
        points = {
            (point.pseudonym, point.start_s): point
            for point in self._store.set_points(list(pods), window.start_s, window.end_s)
        }
        return [
            Measurement(pods[place[0]], point, tuple(readings.get(place, ())))
            for place, point in sorted(points.items())
        ]

    def anomalies(self, from_s: int, to_s: int) -> list[Anomaly]:
        """Anomalies and field errors that concern [from_s, to_s)."""
        return self._store.anomalies(from_s, to_s)

    def step(self) -> None:
        """Tell the listeners of what has changed. Who can't be reached is told at a later step."""
        for name, subscription in self._subscriptions.items():
            try:
                while events := self._store.events(name, MOST_PER_ANNOUNCEMENT):
                    self._announce(name, subscription, events)
            except PlatformUnavailable as problem:
                logger.warning("%s isn't told of PoDs yet: %s", name, problem)

    def _announce(self, name: str, subscription: Subscription, events: Sequence[PodEvent]) -> None:
        pods = self._store.pods_by_pseudonym([event.pseudonym for event in events])
        entries = [_entry(pods[event.pseudonym], ActionType(event.action), subscription) for event in events]
        try:
            subscription.listener.announce(entries)
        except PlatformRefused:
            self._announce_each(name, subscription, entries)
        self._store.delivered(name, events[-1].number)

    def _announce_each(
        self, name: str, subscription: Subscription, entries: Sequence[RegistryEntry | PseudonymousEntry]
    ) -> None:
        """One entry after the other, so that one that is refused doesn't keep the others from being known."""
        for entry in entries:
            try:
                subscription.listener.announce([entry])
            except PlatformRefused as problem:
                logger.error("%s refuses a PoD: %s", name, problem)
                refusal = Anomaly(
                    entry.pod.pod_id,
                    "POD_REFUSED",
                    f"{name}: {problem}",
                    AnomalySource.DATABASE,
                    self._clock(),
                )
                self._store.add([refusal])

    def _check(self, aggregator: str, registration: PodRegistration, where: str, action: ActionType) -> None:
        pod = registration.pod
        prefix = f"{where}.pod" if where else "pod"
        check_pod_id(f"{prefix}.podId", pod.pod_id)
        if pod.aggregator_id != aggregator:
            raise InvalidInput(
                f"{prefix}.aggregatorId", pod.aggregator_id, f"must be the caller, {aggregator}"
            )
        if pod.action_type not in (None, action):
            raise InvalidInput(f"{prefix}.actionType", str(pod.action_type), f"must be {action} here")
        if pod.po_m_id is not None:
            raise InvalidInput(f"{prefix}.poMId", pod.po_m_id, "must be left out: the DSO gives it")

    def _check_unique(self, pods: Sequence[Pod]) -> None:
        known = {pod.pod_id for pod in self._store.pods(pod_ids=[pod.pod_id for pod in pods])}
        for index, pod in enumerate(pods):
            if pod.pod_id in known:
                raise Conflict(f"[{index}].pod.podId = {pod.pod_id!r}: must not be registered already")
            known.add(pod.pod_id)
        self._check_nodes(pods)

    def _check_nodes(self, pods: Sequence[Pod]) -> None:
        """Each Light Node, and each broker user, is one PoD's."""
        replaced = {pod.pseudonym for pod in pods}
        known = self._store.nodes_in_use([pod.node_address for pod in pods], [pod.node_user for pod in pods])
        others = [pod for pod in known if pod.pseudonym not in replaced]
        addresses = {pod.node_address for pod in others}
        users = {pod.node_user for pod in others}
        for index, pod in enumerate(pods):
            for field, value, taken in (
                ("nodeAddress", pod.node_address, addresses),
                ("nodeUser", pod.node_user, users),
            ):
                if value in taken:
                    raise Conflict(f"[{index}].{field} = {value!r}: must not be another PoD's")
                taken.add(value)

    def _own(self, aggregator: str | None, pod_ids: Sequence[str]) -> list[Pod]:
        """The registered PoDs with these ids, in this order."""
        known = {pod.pod_id: pod for pod in self._store.pods(aggregator=aggregator, pod_ids=pod_ids)}
        for index, pod_id in enumerate(pod_ids):
            if pod_id not in known:
                whose = "registered" if aggregator is None else f"a PoD of aggregator {aggregator!r}"
                raise NotFound(f"[{index}].podId = {pod_id!r}: must be {whose}")
        return [known[pod_id] for pod_id in pod_ids]

    def _pseudonyms(self, aggregator: str | None, pod_id: str) -> list[bytes]:
        """Every pseudonym that the PoD has had, with this aggregator or any."""
        found = self._store.pods(aggregator=aggregator, pod_ids=[pod_id], removed=True)
        if not found:
            raise NotFound(
                f"podId = {pod_id!r}: must be a PoD {'' if aggregator is None else 'of ' + aggregator}"
            )
        return [pod.pseudonym for pod in found]

    def _tell(self, pods: Sequence[Pod], action: ActionType) -> None:
        self._store.queue_events(list(self._subscriptions), [(pod.pseudonym, action) for pod in pods])


def entry_of(pod: Pod) -> RegistryEntry:
    """A PoD as those see it who may link its pseudonym."""
    return RegistryEntry(
        pod=_document(pod),
        customer_wallet=pod.customer_wallet,
        node_address=pod.node_address,
        node_user=pod.node_user,
        pseudonym=pod.pseudonym,
    )


def pseudonymous_entry_of(pod: Pod) -> PseudonymousEntry:
    """A PoD as all others see it."""
    document = _document(pod).model_copy(update={"pod_id": "0x" + pod.pseudonym.hex()})
    return PseudonymousEntry(pod=document, node_address=pod.node_address)


def _entry(pod: Pod, action: ActionType, subscription: Subscription) -> RegistryEntry | PseudonymousEntry:
    entry = entry_of(pod) if subscription.may_link else pseudonymous_entry_of(pod)
    return entry.model_copy(update={"pod": entry.pod.model_copy(update={"action_type": action})})


def _document(pod: Pod) -> PodDocument:
    document = parse(PodDocument, pod.document.encode())
    return document if pod.pom_id is None else document.model_copy(update={"po_m_id": pod.pom_id})


def _record(registration: PodRegistration, pseudonym: bytes, salt: bytes, valid_s: int) -> Pod:
    document = registration.pod
    if document.validity_start is not None:
        valid_s = datetime_to_unix_s("pod.validityStart", document.validity_start)
    limits = flexibility_limits(document.max_flexibility or MaxFlexibility())
    return Pod(
        pod_id=document.pod_id,
        pseudonym=pseudonym,
        salt=salt,
        aggregator=document.aggregator_id,
        customer_wallet=registration.customer_wallet,
        node_address=registration.node_address,
        node_user=registration.node_user,
        max_up_w=limits.max_up_w,
        max_down_w=limits.max_down_w,
        max_up_var=limits.max_up_var,
        max_down_var=limits.max_down_var,
        validity_start_s=valid_s,
        document=dump(document).decode(),
    )


def _baselines(nomination: BaselineNomination, pod: Pod, where: str) -> list[Baseline]:
    start_s = day_window(nomination.day).start_s
    document = parse(PodDocument, pod.document.encode())
    rows = []
    for point in nomination.curve:
        at = f"{where}.curve[{point.index}]"
        _require_registered(f"{at}.p", point.p, document.pnp, document.inp)
        _require_registered(f"{at}.q", point.q, document.inq, document.cinq)
        power_w, reactive_var = kw_to_w(f"{at}.p", point.p), kw_to_w(f"{at}.q", point.q)
        rows.append(Baseline(pod.pseudonym, slot_start_s(start_s, point.index), power_w, reactive_var))
    return rows


def _require_registered(
    field: str, net: Decimal, absorbed_most: Decimal | None, injected_most: Decimal | None
) -> None:
    """Nobody nominates more than the power for which its PoD is registered, where it is for any."""
    if absorbed_most is not None and net > absorbed_most:
        raise InvalidInput(field, net, f"must be at most {absorbed_most}, for which the PoD is registered")
    if injected_most is not None and net < -injected_most:
        raise InvalidInput(field, net, f"must be at least -{injected_most}, for which the PoD is registered")


def _set_points(entry: AttributedActivation) -> list[SetPoint]:
    activation = entry.activation
    return [
        SetPoint(
            activation.pod,
            point.quarter_hour,
            activation.activation_id,
            entry.market_outcome_id,
            point.active_power,
            point.reactive_power,
            activation.timestamp,
        )
        for point in activation.set_points
    ]
