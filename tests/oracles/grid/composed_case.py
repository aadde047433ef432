"""A small medium-voltage network with three substations of one low-voltage type: PoDs in two of them, and at medium voltage.

In slot 0 the end of CS A is overloaded: only the PoD there helps. In slot 1 the first medium-voltage line is, for which every PoD
helps. CS C, without participants, is overloaded in slot 2.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandapower

from offchain.protocol.terms import SessionTerms
from oracles.grid.composed_network import BusBackground, ComposedNetwork, compose
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.from_pandapower import LimitSettings
from oracles.grid.core.network import Integers
from oracles.grid.loading.composed import MEDIUM, ComposedNets, Place
from oracles.grid.loading.joined import LowVoltageNet
from tests.chain.small_market import pod

LIMITS = LimitSettings(min_vm_pu=0.85, max_vm_pu=1.15)
BASELINE_W = 60_000
"""Of every PoD, in the first three slots."""
PLACES = {
    pod(0): Place("CS A", "end"),
    pod(1): Place("CS B", "end"),
    pod(2): Place(MEDIUM, "MV 2"),
    pod(3): Place("CS A", "near"),
}
COMPOSITION = """
medium = "medium.json"

[low."CS A"]
network = "low.json"
bus = "MV 1"

[low."CS B"]
network = "low.json"
bus = "MV 2"

[low."CS C"]
network = "low.json"
bus = "MV 3"
"""
LOADS_W = {
    MEDIUM: ("MV 1", (100_000, 600_000, 100_000)),
    "CS A": ("end", (60_000, 10_000, 10_000)),
    "CS B": ("near", (20_000, 20_000, 20_000)),
    "CS C": ("end", (30_000, 50_000, 120_000)),
}
"""Of everybody outside the market: at one bus of each network, in the first three slots; nobody draws anything after them."""


def medium_net() -> Any:
    """A busbar and three lines in a row."""
    net = pandapower.create_empty_network(name="medium")
    names = ("busbar", "MV 1", "MV 2", "MV 3")
    buses = [
        pandapower.create_bus(net, 20.0, name=name, min_vm_pu=0.85, max_vm_pu=1.15, index=10 * place)
        for place, name in enumerate(names)
    ]
    pandapower.create_ext_grid(net, buses[0], vm_pu=1.0, name="PoM 1")
    kind = "NA2XS2Y 1x95 RM/25 12/20 kV"
    for place in (1, 2, 3):
        at = buses[place - 1], buses[place]
        pandapower.create_line(net, *at, 1.0, kind, name=f"MV line {place}", max_loading_percent=100.0)
    net.line["max_i_ka"] = 0.026
    return net


def low_net() -> Any:
    """A substation's transformer and a feeder of two lines."""
    net = pandapower.create_empty_network(name="low")
    buses = [
        pandapower.create_bus(net, kv, name=name, min_vm_pu=0.85, max_vm_pu=1.15)
        for kv, name in ((20.0, "hv"), (0.4, "busbar"), (0.4, "near"), (0.4, "end"))
    ]
    pandapower.create_ext_grid(net, buses[0])
    pandapower.create_transformer(
        net, *buses[:2], "0.4 MVA 20/0.4 kV", name="trafo", max_loading_percent=100.0
    )
    net.trafo["tap_changer_type"] = "Ratio"
    for place in (1, 2):
        at = buses[place], buses[place + 1]
        pandapower.create_line(
            net, *at, 0.03, "NAYY 4x50 SE", name=f"line {place}", max_loading_percent=100.0
        )
    net.line["parallel"] = [2, 1]
    return net


def written(folder: Path, composition: str = COMPOSITION, medium: Any = None, low: Any = None) -> str:
    """The composition's file, with the networks beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    pandapower.to_json(medium_net() if medium is None else medium, str(folder / "medium.json"))
    pandapower.to_json(low_net() if low is None else low, str(folder / "low.json"))
    (folder / "grid.toml").write_text(composition)
    return str(folder / "grid.toml")


def others(net: Any, bus: str, load_w: tuple[int, ...]) -> BusBackground:
    """Who isn't in the market in one network."""

    def background(terms: SessionTerms) -> tuple[Integers, Integers]:
        p_w = np.zeros((terms.slots + FORECAST_BEYOND_SLOTS, 1), dtype=np.int64)
        p_w[: len(load_w), 0] = load_w
        return p_w, p_w // 5

    return BusBackground((int(net.bus.index[net.bus.name == bus][0]),), background)


def backgrounds() -> dict[str, BusBackground]:
    """By network."""
    return {
        grid: others(low_net() if grid else medium_net(), bus, load_w)
        for grid, (bus, load_w) in LOADS_W.items()
    }


def nets(joined: tuple[str, ...] = ()) -> ComposedNets:
    """What the file holds."""
    low = low_net()
    hung = {f"CS {name}": LowVoltageNet(low, bus) for name, bus in (("A", 10), ("B", 20), ("C", 30))}
    return ComposedNets(medium_net(), hung, frozenset(joined))


def composed(limits: LimitSettings = LIMITS, joined: tuple[str, ...] = ()) -> ComposedNetwork:
    """The case as the grid daemon gets it."""
    return compose(nets(joined), PLACES, backgrounds(), limits)
