"""Own means before the market: proposed to the DSO's control room, whose decision the anchored grid is made of."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from offchain.protocol.documents.base import build
from offchain.protocol.documents.own_means import MeansAction, MeansPlan, MeansProposal, MeansViolation
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.own_means import (
    Action,
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
from oracles.grid.switched_network import SwitchedNetwork

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

    `operable`: None: what the net says. `decision_s`: as DECISION_S.
    """

    network: SwitchedNetwork
    control_room: ControlRoom
    settings: MeansSettings = MeansSettings()
    operable: Operable | None = None
    decision_s: int = DECISION_S

    def network_at(self, session: int, at_s: int) -> SwitchedNetwork:
        """The network at an instant, with the plans that were taken for other sessions than this."""
        taken = self.control_room.standing(session, at_s)
        return self.network.after(action for plan in taken for action in actions_of(plan))

    def decided_network(
        self, terms: SessionTerms, expected: Mapping[PodSlot, Net], market_s: int
    ) -> SwitchedNetwork | None:
        """The network as it will be operated in a session's delivery; None while the operator may still decide.

        `expected`: net power of the market's PoDs. Killed at any instant, the next call goes on. Where no search is possible
        the market is asked.
        """
        session = terms.session
        network = self.network_at(session, terms.deliveryStart)
        proposal = self.control_room.proposed(session)
        if proposal is None:
            forecast = network.at_buses(terms, expected)
            operable = operable_of(network.net) if self.operable is None else self.operable
            try:
                found = propose_own_means(network.net, forecast, operable, network.limits, self.settings)
            except FlexledgerError as problem:
                logger.error("session %d: no own means: %s", session, problem)
                return network
            proposal = proposal_of(terms, network.net, found)
            self.control_room.propose(proposal)
            logger.info("session %d: %d plans of own means", session, len(found.plans))
        is_open = market_s < terms.gateOpening - self.decision_s and not self.control_room.decided(session)
        if proposal.plans and is_open:
            return None
        plan = self.control_room.close(session)
        return network if plan is None else network.after(actions_of(plan))


def actions_of(plan: MeansPlan) -> tuple[Action, ...]:
    """A plan's actions as the core takes them."""
    return tuple(Action(MeansKind(action.kind), action.index, action.to) for action in plan.actions)


def proposal_of(terms: SessionTerms, net: Any, found: OwnMeans) -> MeansProposal:
    """What is found as the control room gets it."""
    return build(
        MeansProposal,
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        before=shown_violations(found.before),
        losses_before_wh=found.losses_before_wh,
        plans=tuple(_shown_plan(net, plan) for plan in found.plans),
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
            f"plan {number}: {len(plan.actions)} actions, removes {len(plan.removes)} violations, leaves {len(plan.leaves)},"
            f" losses {more_wh / 1000:+.1f} kWh"
        )
        for action in plan.actions:
            yield f"  {described(net, action)}"
    yield f"{found.checked} changes checked by power flow"
    for bound in found.cut:
        yield f"  not everything was tried: {bound}"


def _shown_plan(net: Any, plan: Plan) -> MeansPlan:
    actions = [
        build(
            MeansAction,
            kind=action.kind.value,
            index=action.index,
            to=action.to,
            says=described(net, action),
        )
        for action in plan.actions
    ]
    return build(
        MeansPlan,
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
