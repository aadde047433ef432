"""The DSO's operator at its platform: decides on its own means before the market is asked."""

from offchain.dso.records import ProposedMeans
from offchain.protocol.documents.base import build
from offchain.protocol.documents.own_means import MeansDecision
from offchain.rest.client import PlatformClient
from oracles.grid.daemon import GridDaemon
from scripts.demo.stage import Stage

NOTICE_S = 8 * 3600
"""What a crew needs to get to a station: switches and taps of a distribution grid are moved by hand."""


class Operator:
    """Takes what removes all violations with the fewest actions, if there is time to do it, else nothing: then the market is asked."""

    def __init__(self, stage: Stage, grid: GridDaemon) -> None:
        self._stage = stage
        self._grid = grid
        self._client = PlatformClient(stage.dso_url, stage.token_of("dso"))
        stage.exits.callback(self._client.close)

    def step(self) -> None:
        """What the grid oracle has to do, with a decision on what it proposes, if it waits for one."""
        self._grid.step()
        waiting = [known for known in proposed(self._stage) if not known.closed and known.plan is None]
        for known in waiting:
            plans = known.proposal.plans
            solves = bool(plans) and not plans[0].leaves
            in_time = known.proposal.delivery_start >= self._stage.operator.now_s() + NOTICE_S
            decision = build(MeansDecision, plan=1 if solves and in_time else 0)
            self._client.post(f"/ownMeans/{known.proposal.session}", decision)
        if waiting:
            self._grid.step()


def proposed(stage: Stage) -> list[ProposedMeans]:
    """What was proposed for the day's sessions, and the decisions."""
    starts = stage.case.case.slot_starts_s
    return stage.dso.own_means(starts[0], starts[-1])
