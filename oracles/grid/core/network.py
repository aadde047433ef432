"""The grid as the power flow sees it, and the document that fixes it.

The document is what is hashed and anchored before the gate: plain JSON values from which everybody computes the same
admittances. `GridModel` is built from nothing else, so DSO and auditor can't work on different grids.

Document (`MODEL_FORMAT`), lists sorted by name:

- `nodes`: electrical nodes, each a set of buses joined by closed switches (none for the star point of a three-winding
  transformer), with nominal voltage and voltage band;
- `slacks`: nodes that hold magnitude and angle and supply what is missing;
- `generators`: nodes that hold a magnitude, with the active power that they inject;
- `given_powers`: what else the model itself absorbs at a node, `shunts`: the same at nominal voltage, with its square;
- `transformers`, `lines`, `impedances`: ends, parameters and, but for impedances, ratings and highest loading. A
  transformer is `rated` at both ends, or at the one that isn't a star point;
- `open_lines`, `open_transformers`: energised from one end only; they draw something, but carry nothing;
- `frequency_hz`.

The limits stand in it, so that one hash fixes grid and limits. So does what generators inject: without it a set point of
voltage means little, and nobody in the market sells it. A slot in which one injects otherwise says so by the difference in
what is absorbed at its node.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.factors import Factors, factorise
from oracles.grid.core.two_ports import (
    TwoPort,
    impedance_two_port,
    line_two_port,
    seen_from,
    transformer_two_port,
)

Document = dict[str, Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Complexes = npt.NDArray[np.complex128]

MODEL_FORMAT = "flexledger-grid-model-2"
BASE_VA = 1_000_000
"""Per-unit base of power. Voltages are per unit of each node's nominal voltage."""
_BASE_MVA = BASE_VA / 1e6


@dataclass(frozen=True, eq=False)
class GridModel:
    """n nodes, b branches: transformers first, then lines, then impedances, each sorted by name.

    `node_of_bus` gives the node of a bus by the bus's index in the net that the document was made from.
    `slacks` (k,) hold the complex voltages `slack_voltage_pu` (k,); `held` (h,) are further nodes whose magnitude is held at
    `held_vm_pu` (h,). `loads` are all nodes but the slacks, `held` ones included. `given_power_pu` (n,) is complex power that
    the model itself absorbs, generators' counted negative.
    `admittance` (n, n) is sparse; `factors` are those of its part between `loads`, and `no_load_pu` are their complex
    voltages with nothing connected.
    `branch_admittance_pu` (4, b): from-from, from-to, to-from, to-to. `branch_percent_per_pu` (2, b): loading in
    percent of the rating per per-unit current, at the from and the to end; 0 where nothing is rated.
    Limits: `min_vm_pu`, `max_vm_pu` (n,), `max_loading_percent` (b,).
    """

    name: str
    node_names: tuple[str, ...]
    node_vn_kv: Floats
    min_vm_pu: Floats
    max_vm_pu: Floats
    max_loading_percent: Floats
    node_of_bus: Mapping[int, int]
    slacks: Integers
    slack_voltage_pu: Complexes
    held: Integers
    held_vm_pu: Floats
    given_power_pu: Complexes
    transformer_names: tuple[str, ...]
    line_names: tuple[str, ...]
    impedance_names: tuple[str, ...]
    branch_ends: Integers
    branch_admittance_pu: Complexes
    branch_percent_per_pu: Floats
    admittance: csr_array
    loads: Integers
    factors: Factors
    no_load_pu: Complexes

    @property
    def nodes(self) -> int:
        """Number of electrical nodes, slacks included."""
        return len(self.node_names)

    @property
    def branches(self) -> int:
        """Number of transformers, lines and impedances."""
        return int(self.branch_ends.shape[1])

    @property
    def slack(self) -> int:
        """The node that stands for the network above: the first of `slacks`."""
        return int(self.slacks[0])

    @property
    def slack_vm_pu(self) -> float:
        """Voltage magnitude that `slack` holds."""
        return float(np.abs(self.slack_voltage_pu[0]))

    @property
    def rating_w(self) -> int:
        """Apparent power (VA) that all transformers together, or without any the strongest line, may carry."""
        count = len(self.transformer_names)
        percent_per_pu = self.branch_percent_per_pu.max(axis=0)
        # Of a three-winding transformer's legs the one at the high-voltage side counts.
        counted = percent_per_pu[:count][self.branch_percent_per_pu[0, :count] > 0]
        lines = percent_per_pu[count : count + len(self.line_names)]
        return int((100 * BASE_VA / counted).sum() if count else 100 * BASE_VA / lines.min())

    @cached_property
    def admittance_pu(self) -> Complexes:
        """`admittance` in full, (n, n): only for grids whose square fits in memory."""
        return np.asarray(self.admittance.toarray())

    @cached_property
    def impedance_pu(self) -> Complexes:
        """Inverse of the admittance between `loads`: only for grids whose square fits in memory."""
        between = self.admittance_pu[np.ix_(self.loads, self.loads)]
        return np.asarray(np.linalg.inv(between), dtype=np.complex128)


def grid_model_from_document(document: Mapping[str, Any]) -> GridModel:
    """Rebuild the model from its document, and from nothing else.

    Raises InvalidInput where the document isn't one of this format, misses a field, names a node or an element twice,
    or where a value gives no finite admittance or a node hangs on no slack.
    """
    if document.get("format") != MODEL_FORMAT:
        raise InvalidInput("gridModel.format", document.get("format"), f"must be {MODEL_FORMAT!r}")
    try:
        return _build(document)
    except KeyError as missing:
        raise InvalidInput("gridModel", missing.args[0], "this field is missing") from missing
    except (ArithmeticError, IndexError, TypeError, ValueError) as problem:
        raise InvalidInput("gridModel", str(problem), "must hold what the format says") from problem


@dataclass(frozen=True)
class _Branch:
    name: str
    start: int
    end: int
    port: TwoPort
    percent_per_pu: tuple[float, float]
    max_loading_percent: float


def _build(document: Mapping[str, Any]) -> GridModel:
    nodes = document["nodes"]
    vn_kv = np.array([node["vn_kv"] for node in nodes], dtype=np.float64)
    names = {kind: _names(document, kind) for kind in ("nodes", "transformers", "lines", "impedances")}
    branches = [
        *(_transformer(transformer, vn_kv) for transformer in document["transformers"]),
        *(_line(line, vn_kv, document["frequency_hz"]) for line in document["lines"]),
        *(_impedance(impedance) for impedance in document["impedances"]),
    ]
    ends = np.array([(branch.start, branch.end) for branch in branches], dtype=np.int64).reshape(-1, 2).T
    ports = np.array([branch.port for branch in branches], dtype=np.complex128).reshape(-1, 4).T
    for branch in branches:
        if not np.isfinite(branch.port).all():
            raise InvalidInput(f"gridModel:{branch.name}", branch.port, "its admittances must be finite")
    admittance = _admittance(document, ends, ports, vn_kv)
    _check_joined(admittance, document["slacks"])
    slacks = np.array([slack["node"] for slack in document["slacks"]], dtype=np.int64)
    slack_voltage = np.array(
        [slack["vm_pu"] * np.exp(1j * np.radians(slack["va_degree"])) for slack in document["slacks"]],
        dtype=np.complex128,
    )
    held = {int(each["node"]): float(each["vm_pu"]) for each in document["generators"]}
    held_nodes = np.array(sorted(set(held) - set(slacks.tolist())), dtype=np.int64)
    given = np.zeros(len(nodes), dtype=np.complex128)
    for generator in document["generators"]:
        given[generator["node"]] -= generator["p_mw"] / _BASE_MVA
    for power in document["given_powers"]:
        given[power["node"]] += complex(power["p_mw"], power["q_mvar"]) / _BASE_MVA
    loads = np.setdiff1d(np.arange(len(nodes), dtype=np.int64), slacks)
    of_loads = admittance[loads]
    factors, no_load = factorise(of_loads[:, loads].tocsc(), -(of_loads[:, slacks] @ slack_voltage))
    return GridModel(
        name=document["name"],
        node_names=names["nodes"],
        node_vn_kv=vn_kv,
        min_vm_pu=np.array([node["min_vm_pu"] for node in nodes], dtype=np.float64),
        max_vm_pu=np.array([node["max_vm_pu"] for node in nodes], dtype=np.float64),
        max_loading_percent=np.array([branch.max_loading_percent for branch in branches], dtype=np.float64),
        node_of_bus={int(bus): position for position, node in enumerate(nodes) for bus in node["buses"]},
        slacks=slacks,
        slack_voltage_pu=slack_voltage,
        held=held_nodes,
        held_vm_pu=np.array([held[node] for node in held_nodes.tolist()], dtype=np.float64),
        given_power_pu=given,
        transformer_names=names["transformers"],
        line_names=names["lines"],
        impedance_names=names["impedances"],
        branch_ends=ends,
        branch_admittance_pu=ports,
        branch_percent_per_pu=np.array([branch.percent_per_pu for branch in branches], dtype=np.float64)
        .reshape(-1, 2)
        .T,
        admittance=admittance,
        loads=loads,
        factors=factors,
        no_load_pu=no_load,
    )


def _names(document: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    names = tuple(str(each["name"]) for each in document[kind])
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidInput(f"gridModel.{kind}", twice[0], "names must be unique")
    return names


def _check_joined(admittance: csr_array, slacks: Sequence[Mapping[str, Any]]) -> None:
    """Every node hangs on a slack, and no node is two."""
    nodes = [int(slack["node"]) for slack in slacks]
    if not nodes or len(set(nodes)) < len(nodes):
        raise InvalidInput("gridModel.slacks", nodes, "must be one node or several, each once")
    _, island = connected_components(abs(admittance), directed=False)
    alone = np.flatnonzero(~np.isin(island, island[nodes]))
    if len(alone):
        raise InvalidInput("gridModel.nodes", int(alone[0]), "must be joined to a slack")


def _transformer(transformer: Mapping[str, Any], vn_kv: Floats) -> _Branch:
    hv, lv = int(transformer["hv"]), int(transformer["lv"])
    rated_mva = transformer["sn_mva"] * transformer["parallel"] * transformer["df"]
    return _Branch(
        transformer["name"],
        hv,
        lv,
        transformer_two_port(transformer, float(vn_kv[hv]), float(vn_kv[lv]), _BASE_MVA),
        (
            100
            * transformer["vn_hv_kv"]
            / vn_kv[hv]
            / rated_mva
            * _BASE_MVA
            * (transformer["rated"] != "lv"),
            100
            * transformer["vn_lv_kv"]
            / vn_kv[lv]
            / rated_mva
            * _BASE_MVA
            * (transformer["rated"] != "hv"),
        ),
        transformer["max_loading_percent"],
    )


def _line(line: Mapping[str, Any], vn_kv: Floats, frequency_hz: float) -> _Branch:
    start, end = int(line["from"]), int(line["to"])
    port = line_two_port(line, float(vn_kv[start]), frequency_hz, _BASE_MVA)
    percents = (
        100 * _BASE_MVA / (np.sqrt(3) * vn_kv[start] * line["max_i_ka"]),
        100 * _BASE_MVA / (np.sqrt(3) * vn_kv[end] * line["max_i_ka"]),
    )
    return _Branch(line["name"], start, end, port, percents, line["max_loading_percent"])


def _impedance(impedance: Mapping[str, Any]) -> _Branch:
    port = impedance_two_port(impedance)
    return _Branch(impedance["name"], int(impedance["from"]), int(impedance["to"]), port, (0.0, 0.0), 100.0)


def _admittance(document: Mapping[str, Any], ends: Integers, ports: Complexes, vn_kv: Floats) -> csr_array:
    start, end = ends
    at = [start, start, end, end]
    to = [start, end, start, end]
    values = list(ports)
    own = []
    for line in document["open_lines"]:
        port = line_two_port(line, float(vn_kv[line["at"]]), document["frequency_hz"], _BASE_MVA)
        own.append((line["at"], seen_from(0, port)))
    for transformer in document["open_transformers"]:
        # The open end's nominal voltage cancels out.
        on_hv = transformer["closed"] == "hv"
        at_kv = float(vn_kv[transformer["at"]])
        hv_vn_kv = at_kv if on_hv else transformer["vn_hv_kv"]
        lv_vn_kv = transformer["vn_lv_kv"] if on_hv else at_kv
        port = transformer_two_port(transformer, hv_vn_kv, lv_vn_kv, _BASE_MVA)
        own.append((transformer["at"], seen_from(0 if on_hv else 1, port)))
    for shunt in document["shunts"]:
        own.append((shunt["node"], complex(shunt["p_mw"], -shunt["q_mvar"]) / _BASE_MVA))
    diagonal = np.array([node for node, _ in own], dtype=np.int64)
    values.append(np.array([value for _, value in own], dtype=np.complex128))
    at.append(diagonal)
    to.append(diagonal)
    n = len(vn_kv)
    shape = (np.concatenate(values), (np.concatenate(at), np.concatenate(to)))
    return coo_array(shape, shape=(n, n)).tocsr()
