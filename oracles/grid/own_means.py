"""Own means before the market: proposed to the DSO's control room, whose decision the anchored grid is made of."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from offchain.protocol.documents.base import build
from offchain.protocol.documents.own_means import MeansAction, MeansPlan, MeansProposal, MeansViolation
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.own_means import (
    Action,
    Actions,
    MeansKind,
    MeansSettings,
    Operable,
    OwnMeans,
    Plan,
    described,
    operable_of,
    propose_own_means,
)
from oracles.grid.core.violations import Element, Violation
from oracles.grid.switched_network import PlacedNetwork, SwitchedNetwork

logger = logging.getLogger(__name__)

DECISION_S = 300
"""The operator decides at the latest so long before the gate opens; who doesn't, goes to the market."""


class ControlRoom(Protocol):
    """Where the DSO's operator sees own means and takes a plan, or none."""

    def proposed(self, session: int) -> MeansProposal | None:
        """What was proposed for a session."""

    def propose(self, proposal: MeansProposal) -> None:
        """Propose; the first proposal of a session stays."""

    def decided(self, session: int) -> bool:
        """Whether the operator has decided."""

    def close(self, session: int) -> MeansPlan | None:
        """The plan that is taken for a session, if any; from now on that stays."""

    def standing(self, session: int, at_s: int) -> Sequence[MeansPlan]:
        """Plans that were taken for other sessions, in whose delivery an instant lies."""


@dataclass(frozen=True)
class OwnMeansFirst:
    """Finds own means for a session and waits for the decision. A plan holds for its session's delivery: the real-time sessions
    of a day start from what was taken day ahead, and after it the grid is as it normally is.

    `network`: as it normally is by now. `operable`: None: what the net says. `decision_s`: as DECISION_S.
    """

    network: Callable[[], SwitchedNetwork]
    control_room: ControlRoom
    settings: MeansSettings = MeansSettings()
    operable: Operable | None = None
    decision_s: int = DECISION_S

    def network_at(self, session: int, at_s: int) -> SwitchedNetwork:
        """The network at an instant, with the plans that were taken for other sessions than this."""
        taken = self.control_room.standing(session, at_s)
        return self.network().after(_held_at(at_s, [action for plan in taken for action in plan.actions]))

    def decided_network(
        self, terms: SessionTerms, expected: Mapping[PodSlot, Net], market_s: int
    ) -> PlacedNetwork | None:
        """The network as it will be operated in a session's delivery; None while the operator may still decide.

        `expected`: net power of the market's PoDs. Killed at any instant, the next call goes on. Where no search is possible
        the market is asked: also where the network is switched in the window already, by what was taken for another session.
        """
        session = terms.session
        taken = self.control_room.standing(session, terms.deliveryStart)
        standing = [action for plan in taken for action in plan.actions]
        proposal = self.control_room.proposed(session)
        if proposal is None:
            found = self._found(terms, expected, ranges_of(standing, terms))
            if found is None:
                return self.network().over(ranges_of(standing, terms))
            proposal = found
            self.control_room.propose(proposal)
            logger.info("session %d: %d plans of own means", session, len(proposal.plans))
        is_open = market_s < terms.gateOpening - self.decision_s and not self.control_room.decided(session)
        if proposal.plans and is_open:
            return None
        plan = self.control_room.close(session)
        return self.network().over(ranges_of([*standing, *(plan.actions if plan else ())], terms))

    def _found(
        self, terms: SessionTerms, expected: Mapping[PodSlot, Net], ranges: Sequence[tuple[int, Actions]]
    ) -> MeansProposal | None:
        """What to propose for a network that is as `ranges` say; None where no search is possible."""
        if len(ranges) > 1:
            logger.warning("session %d: no own means: the network is switched in its window", terms.session)
            return None
        network = self.network().after(ranges[0][1])
        forecast = network.at_buses(terms, expected)
        operable = operable_of(network.net) if self.operable is None else self.operable
        try:
            found = propose_own_means(network.net, forecast, operable, network.limits, self.settings)
        except FlexledgerError as problem:
            logger.error("session %d: no own means: %s", terms.session, problem)
            return None
        return proposal_of(terms, network.net, found)


def ranges_of(actions: Sequence[MeansAction], terms: SessionTerms) -> list[tuple[int, Actions]]:
    """What is held in a session's window, range by range: how many slots, and the actions; of two of one element the later named
    holds. The slots after the window that a forecast covers are as its last one."""
    held: list[tuple[int, Actions]] = []
    for slot in range(terms.slots):
        held.append((1, _held_at(terms.deliveryStart + slot * SLOT_S, actions)))
    held.append((FORECAST_BEYOND_SLOTS, held[-1][1]))
    return [
        (sum(slots for slots, _ in some), change)
        for change, some in ((change, list(some)) for change, some in groupby(held, key=lambda each: each[1]))
    ]


def _held_at(at_s: int, actions: Iterable[MeansAction]) -> Actions:
    held = {
        (each.kind, each.index): Action(MeansKind(each.kind), each.index, each.to)
        for each in actions
        if each.start <= at_s < each.end
    }
    return frozenset(held.values())


def proposal_of(terms: SessionTerms, net: Any, found: OwnMeans) -> MeansProposal:
    """What is found as the control room gets it."""
    return build(
        MeansProposal,
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        before=shown_violations(found.before),
        losses_before_wh=found.losses_before_wh,
        plans=tuple(_shown_plan(terms, net, plan) for plan in found.plans),
        checked=found.checked,
        cut=found.cut,
    )


def told_means(net: Any, found: OwnMeans) -> Iterator[str]:
    """What is found, line by line."""
    elements = sorted({violation.element.key for violation in found.before})
    yield f"{len(found.before)} violations without own means: {', '.join(elements) or 'none'}"
    for number, plan in enumerate(found.plans, start=1):
        more_wh = plan.losses_wh - found.losses_before_wh
        yield (
            f"plan {number}: {plan.moves} actions, removes {len(plan.removes)} violations, leaves {len(plan.leaves)},"
            f" losses {more_wh / 1000:+.1f} kWh"
        )
        for action, first_slot, end_slot in _held(plan):
            is_whole = (first_slot, end_slot) == (0, found.slots)
            yield f"  {described(net, action)}" + (
                "" if is_whole else f", slots {first_slot} to {end_slot - 1}"
            )
    yield f"{found.checked} changes checked by power flow"
    for bound in found.cut:
        yield f"  not everything was tried: {bound}"


def _held(plan: Plan) -> list[tuple[Action, int, int]]:
    """Each action with the slots from and before which it is held, without a break."""
    held: list[tuple[Action, int, int]] = []
    for each in plan.ranges:
        for action in each.actions:
            before = next((one for one in held if (one[0], one[2]) == (action, each.first_slot)), None)
            if before:
                held.remove(before)
            held.append((action, before[1] if before else each.first_slot, each.end_slot))
    return sorted(held, key=lambda one: (one[1], one[0], one[2]))


def _shown_plan(terms: SessionTerms, net: Any, plan: Plan) -> MeansPlan:
    actions = [
        build(
            MeansAction,
            kind=action.kind.value,
            index=action.index,
            to=action.to,
            says=described(net, action),
            start=terms.deliveryStart + first_slot * SLOT_S,
            end=terms.deliveryStart + end_slot * SLOT_S,
        )
        for action, first_slot, end_slot in _held(plan)
    ]
    return build(
        MeansPlan,
        moves=plan.moves,
        actions=tuple(actions),
        removes=shown_violations(plan.removes),
        leaves=shown_violations(plan.leaves),
        losses_wh=plan.losses_wh,
    )


def shown_violations(violations: Iterable[Violation]) -> tuple[MeansViolation, ...]:
    """Violations by element and side, each with its slots and the worst value."""
    by_element: dict[Element, list[Violation]] = {}
    for violation in violations:
        by_element.setdefault(violation.element, []).append(violation)
    return tuple(
        build(
            MeansViolation,
            element=element.key,
            side=element.side.value,
            unit=int(element.unit),
            limit=each[0].limit,
            worst=max(each, key=lambda violation: violation.excess).value,
            slots=tuple(violation.slot for violation in each),
        )
        for element, each in by_element.items()
    )
