"""Points of measure (PoMs): to which node of the transmission grid each PoD belongs.

The TSO buys at its own nodes, the connection points of the distribution grid. A PoD belongs to the one from which its
bus is fed.
"""

from collections.abc import Iterable, Mapping

from offchain.protocol.errors import InvalidInput


def fed_buses(
    connection_points: Mapping[str, str], branches: Iterable[tuple[str, str]], buses: Iterable[str]
) -> dict[str, str]:
    """The PoM of every bus: bus name to PoM id.

    `connection_points`: bus at the transmission grid to the PoM's id. `branches`: pairs of buses that closed lines,
    transformers and switches connect. `buses`: all buses. Raises InvalidInput for a branch that ends nowhere, a bus
    fed from nowhere and a bus fed from two PoMs.
    """
    neighbours: dict[str, list[str]] = {bus: [] for bus in buses}
    for index, (first, second) in enumerate(branches):
        for bus in (first, second):
            if bus not in neighbours:
                raise InvalidInput(f"branches[{index}]", bus, "must end at a bus of the grid")
        neighbours[first].append(second)
        neighbours[second].append(first)
    pom_of_bus: dict[str, str] = {}
    for start, pom in connection_points.items():
        if start not in neighbours:
            raise InvalidInput("connection_points", start, "must be a bus of the grid")
        reached = [start]
        while reached:
            bus = reached.pop()
            other = pom_of_bus.setdefault(bus, pom)
            if other != pom:
                raise InvalidInput("bus", bus, f"must be fed from one PoM, not from both {other} and {pom}")
            reached.extend(next_bus for next_bus in neighbours[bus] if pom_of_bus.get(next_bus) != pom)
    lost = sorted(neighbours.keys() - pom_of_bus.keys())
    if lost:
        raise InvalidInput("bus", lost[0], f"must be fed from a PoM: {len(lost)} are not")
    return pom_of_bus


def poms_of_pods(bus_of_pod: Mapping[str, str], pom_of_bus: Mapping[str, str]) -> dict[str, str]:
    """PoM id by PoD id, from the bus at which each PoD is connected. Raises InvalidInput for an unknown bus."""
    for pod, bus in bus_of_pod.items():
        if bus not in pom_of_bus:
            raise InvalidInput(f"bus of {pod}", bus, "must be a bus of the grid")
    return {pod: pom_of_bus[bus] for pod, bus in bus_of_pod.items()}
