"""What a net's switches join: which buses hang together, and where they are connected to the grid above."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oracles.grid.core.pandapower_elements import unique_names


@dataclass(frozen=True)
class Topology:
    """A net as `offchain.dso.pom_mapping.fed_buses` asks for it, by bus names.

    `connection_points`: bus of each slack in service to the name of its point of measure (PoM), the slack's own, or
    else the bus's. `branches`: pairs of buses that what is in service and closed connects. `buses`: all, out of service or not.
    """

    connection_points: Mapping[str, str]
    branches: tuple[tuple[str, str], ...]
    buses: tuple[str, ...]


def topology(net: Any) -> Topology:
    """The topology of a checked net under its present switch states."""
    names = bus_names(net)
    in_service = in_service_buses(net)
    slacks = net.ext_grid[net.ext_grid.in_service.astype(bool) & net.ext_grid.bus.isin(in_service)]
    return Topology(
        {
            names[int(bus)]: name if isinstance(name, str) and name else names[int(bus)]
            for bus, name in zip(slacks.bus, slacks.name, strict=True)
        },
        tuple((names[first], names[second]) for first, second in connections(net)),
        tuple(names.values()),
    )


def bus_names(net: Any) -> dict[int, str]:
    """A name of its own for each bus: the net's, with the index where it is missing or not the only one."""
    return unique_names("bus", list(zip(net.bus.index, net.bus.name, strict=True)))


def in_service_buses(net: Any) -> set[int]:
    """Buses in service."""
    return {int(bus) for bus in net.bus.index[net.bus.in_service.astype(bool)]}


def connections(net: Any) -> list[tuple[int, int]]:
    """Pairs of buses in service that lines, transformers, impedances and bus-bus switches connect."""
    in_service = in_service_buses(net)
    pairs: list[tuple[int, int]] = []
    for table, kind, ends in (
        ("line", "l", ("from_bus", "to_bus")),
        ("trafo", "t", ("hv_bus", "lv_bus")),
        ("trafo3w", "t3", ("hv_bus", "mv_bus", "lv_bus")),
        ("impedance", "i", ("from_bus", "to_bus")),
    ):
        cut = _open_ends(net, kind)
        rows = net[table][net[table].in_service.astype(bool)]
        for index, *buses in zip(rows.index, *(rows[end] for end in ends), strict=True):
            joined = [
                int(bus) for bus in buses if int(bus) in in_service and (int(index), int(bus)) not in cut
            ]
            pairs.extend((joined[0], other) for other in joined[1:])
    closed = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    for first, second in zip(closed.bus, closed.element, strict=True):
        if int(first) in in_service and int(second) in in_service:
            pairs.append((int(first), int(second)))
    return pairs


def _open_ends(net: Any, kind: str) -> set[tuple[int, int]]:
    rows = net.switch[(net.switch.et == kind) & ~net.switch.closed.astype(bool)]
    return {(int(element), int(bus)) for element, bus in zip(rows.element, rows.bus, strict=True)}
