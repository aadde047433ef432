"""Points of measure (PoMs): to which node of the transmission grid each PoD belongs.

The TSO buys at its own nodes, the connection points of the distribution grid. A PoD belongs to the one from which its
bus is fed.
"""

from collections.abc import Iterable, Mapping

from offchain.protocol.errors import InvalidInput


def fed_buses(
    connection_points: Mapping[str, str], branches: Iterable[tuple[str, str]], buses: Iterable[str]
) -> dict[str, str | None]:
    """The PoM of every bus: bus name to PoM id, None where a switch is open and nothing feeds the bus.

    `connection_points`: bus at the transmission grid to the PoM's id. `branches`: pairs of buses that closed lines,
    transformers and switches connect. `buses`: all buses. Raises InvalidInput for a branch that ends nowhere and a bus
    fed from two PoMs.
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
    return {bus: pom_of_bus.get(bus) for bus in neighbours}


class PomsOfPods:
    """The PoM of each PoD while the network is switched as it is: what `DsoService` asks for one.

    `bus_of_pod`: the bus at which each PoD is connected. `pom_of_bus`: as `fed_buses` gives it.
    Raises InvalidInput for a PoD at an unknown bus.
    """

    def __init__(self, bus_of_pod: Mapping[str, str], pom_of_bus: Mapping[str, str | None]) -> None:
        self._bus_of_pod = dict(bus_of_pod)
        self.switched(pom_of_bus)

    def switched(self, pom_of_bus: Mapping[str, str | None]) -> None:
        """Take note of what feeds the buses now; `DsoService.map_again` makes it known."""
        for pod, bus in self._bus_of_pod.items():
            if bus not in pom_of_bus:
                raise InvalidInput(f"bus of {pod}", bus, "must be a bus of the grid")
        self._pom_of_bus = pom_of_bus

    def __call__(self, pod_id: str) -> str | None:
        """PoM of a PoD; None where the DSO doesn't know the PoD's bus, or nothing feeds it now."""
        bus = self._bus_of_pod.get(pod_id)
        return None if bus is None else self._pom_of_bus[bus]
