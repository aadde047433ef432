"""What a session that was cleared by several objectives could have had: its outcome's fronts, drawn."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from offchain.audit.verify import SessionReplay
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from oracles.clearing.core.service_program import Point

BLUE, RED = "#2f5d8a", "#b5403a"
OBJECTIVES = len(fields(Point))
EURO_UEUR, KW_W = 1_000_000, 1_000


class NoFront(FlexledgerError):
    """A session without a posted outcome by several objectives."""


def draw_front(replay: SessionReplay, path: Path) -> int:
    """Draw the fronts of a session's last market outcome as SVG; gives the number of points. Raises NoFront."""
    replay.require_session()
    stage, posted, _ = replay.last_outcomes()
    if posted is None:
        raise NoFront(f"session {replay.terms.session}: no market outcome is posted")
    return draw_fronts(replay.outcome_document(stage, posted), path)


def draw_fronts(market: ListDocument, path: Path) -> int:
    """Draw the fronts that a market outcome notes: cost over unserved relief, the more unreliable the redder, the more CO2 the
    larger, the chosen point ringed. Raises NoFront, and InvalidInput where the notes aren't fronts."""
    fronts = _fronts(market)
    if not fronts:
        raise NoFront(f"session {market.session} was cleared by price priority: it has no front")
    figure = Figure(figsize=(6 * len(fronts), 4.5), layout="constrained")
    for place, (side, chosen, points) in enumerate(fronts, start=1):
        axes = figure.add_subplot(1, len(fronts), place)
        most, most_co2_g = (max(1, *(point[axis] for point in points)) for axis in (2, 4))
        axes.scatter(
            [point[1] / KW_W for point in points],
            [point[0] / EURO_UEUR for point in points],
            c=[point[2] / most for point in points],
            cmap="coolwarm",
            s=[36 + 80 * point[4] / most_co2_g for point in points],
        )
        axes.scatter(
            chosen[1] / KW_W, chosen[0] / EURO_UEUR, s=160, facecolors="none", edgecolors=RED, label="chosen"
        )
        axes.set_xlabel("relief that stays unserved, kW and slot")
        axes.set_ylabel("cost, €")
        title = f"{side}, {len(points)} points; red: less reliable, large: more CO₂"
        axes.set_title(title, color=BLUE, fontsize=10)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg")
    return sum(len(points) for _, _, points in fronts)


def _fronts(market: ListDocument) -> list[tuple[str, Sequence[int], list[Sequence[int]]]]:
    noted: Any = market.notes.get("fronts", [])
    try:
        return [
            (
                Side(front["side"]).name.split("_")[0],
                [int(value) for value in front["chosen"]],
                [[int(value) for value in point] for point in front["points"]],
            )
            for front in noted
            if {len(front["chosen"]), *map(len, front["points"])} == {OBJECTIVES}
        ]
    except (KeyError, TypeError, ValueError) as problem:
        raise InvalidInput("notes.fronts", noted, f"must be fronts: {problem}") from None
