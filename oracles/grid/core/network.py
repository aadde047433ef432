"""The grid as the power flow sees it, and the document that fixes it.

The document is what is hashed and anchored before the gate: plain JSON values from which everybody computes the same
admittances. `GridModel` is built from nothing else, so DSO and auditor can't work on different grids.

Document (`MODEL_FORMAT`): `nodes` (electrical nodes, each a set of buses joined by closed switches, with nominal
voltage and voltage band), `slack` (node and voltage magnitude), `transformers` and `lines` (ends, parameters,
ratings, highest loading), `open_lines` (energised from one end only: they charge, but carry nothing), `frequency_hz`.
Lists are sorted by name. The limits stand in it, so that one hash fixes grid and limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput

Document = dict[str, Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Complexes = npt.NDArray[np.complex128]

MODEL_FORMAT = "flexledger-grid-model-1"
BASE_VA = 1_000_000
"""Per-unit base of power. Voltages are per unit of each node's nominal voltage."""


@dataclass(frozen=True, eq=False)
class GridModel:
    """One slack, PQ everywhere else. n nodes, b branches: transformers first, then lines, both sorted by name.

    `node_of_bus` gives the node of a bus by the bus's index in the net that the document was made from.
    `admittance_pu` (n, n). `loads` (n - 1,) are all nodes but the slack; `impedance_pu` (n - 1, n - 1) is the inverse
    of their admittances and `no_load_pu` (n - 1,) their complex voltages with nothing connected.
    `branch_admittance_pu` (4, b): from-from, from-to, to-from, to-to. `branch_percent_per_pu` (2, b): loading in
    percent of the rating per per-unit current, at the from and the to end.
    Limits: `min_vm_pu`, `max_vm_pu` (n,), `max_loading_percent` (b,).
    """

    name: str
    node_names: tuple[str, ...]
    node_vn_kv: Floats
    min_vm_pu: Floats
    max_vm_pu: Floats
    max_loading_percent: Floats
    node_of_bus: Mapping[int, int]
    slack: int
    slack_vm_pu: float
    transformer_names: tuple[str, ...]
    line_names: tuple[str, ...]
    branch_ends: Integers
    branch_admittance_pu: Complexes
    branch_percent_per_pu: Floats
    admittance_pu: Complexes
    loads: Integers
    impedance_pu: Complexes
    no_load_pu: Complexes

    @property
    def nodes(self) -> int:
        """Number of electrical nodes, slack included."""
        return len(self.node_names)

    @property
    def branches(self) -> int:
        """Number of transformers and lines."""
        return len(self.transformer_names) + len(self.line_names)

    @property
    def rating_w(self) -> int:
        """Apparent power (VA) that all transformers together, or without any the strongest line, may carry."""
        count = len(self.transformer_names)
        rating_va = 100 * BASE_VA / self.branch_percent_per_pu.max(axis=0)
        return int(rating_va[:count].sum() if count else rating_va.max())

    def nodes_below(self, branch: int) -> frozenset[int]:
        """Nodes that lose the slack when a branch (position among transformers, then lines) opens; none in a ring."""
        reached = {self.slack}
        frontier = [self.slack]
        neighbours: dict[int, list[int]] = {node: [] for node in range(self.nodes)}
        for position, (start, end) in enumerate(self.branch_ends.T.tolist()):
            if position != branch:
                neighbours[start].append(end)
                neighbours[end].append(start)
        while frontier:
            for node in neighbours[frontier.pop()]:
                if node not in reached:
                    reached.add(node)
                    frontier.append(node)
        return frozenset(range(self.nodes)) - reached


def grid_model_from_document(document: Mapping[str, Any]) -> GridModel:
    """Rebuild the model from its document, and from nothing else.

    Lines are pi circuits; transformers T circuits turned into pi, with the tap on the ratio (IEC 60909 parameters, as
    pandapower's documentation of `line` and `trafo` gives them). Phase shifts are left out: magnitudes don't depend
    on them where all transformers between two voltages share theirs, which the document's maker checks.
    Raises InvalidInput where the document isn't one of this format or misses a field.
    """
    if document.get("format") != MODEL_FORMAT:
        raise InvalidInput("gridModel.format", document.get("format"), f"must be {MODEL_FORMAT!r}")
    try:
        return _build(document)
    except KeyError as missing:
        raise InvalidInput("gridModel", missing.args[0], "this field is missing") from missing


def _build(document: Mapping[str, Any]) -> GridModel:
    nodes = document["nodes"]
    n = len(nodes)
    vn_kv = np.array([node["vn_kv"] for node in nodes], dtype=np.float64)
    slack = int(document["slack"]["node"])
    slack_vm_pu = float(document["slack"]["vm_pu"])
    ends: list[tuple[int, int]] = []
    admittances: list[tuple[complex, complex, complex, complex]] = []
    percents: list[tuple[float, float]] = []
    for transformer in document["transformers"]:
        hv, lv = int(transformer["hv"]), int(transformer["lv"])
        ends.append((hv, lv))
        admittances.append(_transformer_admittance(transformer, vn_kv[hv], vn_kv[lv]))
        rated = transformer["sn_mva"] * transformer["parallel"] * transformer["df"]
        percents.append(
            (
                100 * transformer["vn_hv_kv"] / vn_kv[hv] / rated * BASE_VA / 1e6,
                100 * transformer["vn_lv_kv"] / vn_kv[lv] / rated * BASE_VA / 1e6,
            )
        )
    for line in document["lines"]:
        start, end = int(line["from"]), int(line["to"])
        ends.append((start, end))
        admittances.append(_line_admittance(line, vn_kv[start], document["frequency_hz"]))
        percents.append(
            (
                100 * BASE_VA / 1e6 / (np.sqrt(3) * vn_kv[start] * line["max_i_ka"]),
                100 * BASE_VA / 1e6 / (np.sqrt(3) * vn_kv[end] * line["max_i_ka"]),
            )
        )
    branch_ends = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    branch_admittance = np.array(admittances, dtype=np.complex128).reshape(-1, 4).T
    admittance = np.zeros((n, n), dtype=np.complex128)
    start_nodes, end_nodes = branch_ends
    for rows, columns, values in (
        (start_nodes, start_nodes, branch_admittance[0]),
        (start_nodes, end_nodes, branch_admittance[1]),
        (end_nodes, start_nodes, branch_admittance[2]),
        (end_nodes, end_nodes, branch_admittance[3]),
    ):
        np.add.at(admittance, (rows, columns), values)
    for line in document["open_lines"]:
        at = int(line["at"])
        from_from, from_to, to_from, to_to = _line_admittance(line, vn_kv[at], document["frequency_hz"])
        admittance[at, at] += from_from - from_to * to_from / to_to
    loads = np.array([node for node in range(n) if node != slack], dtype=np.int64)
    impedance = np.asarray(np.linalg.inv(admittance[np.ix_(loads, loads)]), dtype=np.complex128)
    return GridModel(
        name=document["name"],
        node_names=tuple(node["name"] for node in nodes),
        node_vn_kv=vn_kv,
        min_vm_pu=np.array([node["min_vm_pu"] for node in nodes], dtype=np.float64),
        max_vm_pu=np.array([node["max_vm_pu"] for node in nodes], dtype=np.float64),
        max_loading_percent=np.array(
            [branch["max_loading_percent"] for branch in (*document["transformers"], *document["lines"])],
            dtype=np.float64,
        ),
        node_of_bus={int(bus): position for position, node in enumerate(nodes) for bus in node["buses"]},
        slack=slack,
        slack_vm_pu=slack_vm_pu,
        transformer_names=tuple(transformer["name"] for transformer in document["transformers"]),
        line_names=tuple(line["name"] for line in document["lines"]),
        branch_ends=branch_ends,
        branch_admittance_pu=branch_admittance,
        branch_percent_per_pu=np.array(percents, dtype=np.float64).reshape(-1, 2).T,
        admittance_pu=admittance,
        loads=loads,
        impedance_pu=impedance,
        no_load_pu=-impedance @ admittance[loads, slack] * slack_vm_pu,
    )


def _line_admittance(
    line: Mapping[str, Any], vn_kv: float, frequency_hz: float
) -> tuple[complex, complex, complex, complex]:
    """Pi circuit of a line in per unit."""
    base_ohm = vn_kv**2 / (BASE_VA / 1e6)
    series = base_ohm / complex(line["r_ohm"], line["x_ohm"])
    charging_s = complex(line["g_us"] * 1e-6, 2 * np.pi * frequency_hz * line["c_nf"] * 1e-9)
    own = series + charging_s * base_ohm / 2
    return own, -series, -series, own


def _transformer_admittance(
    transformer: Mapping[str, Any], hv_vn_kv: float, lv_vn_kv: float
) -> tuple[complex, complex, complex, complex]:
    """T circuit of a transformer turned into pi, in per unit of the low-voltage side, ratio at the high-voltage side."""
    sn_mva, parallel = transformer["sn_mva"], transformer["parallel"]
    tap_factor = 1 + transformer["tap_steps"] * transformer["tap_step_percent"] / 100
    vn_hv_kv = transformer["vn_hv_kv"] * (tap_factor if transformer["tap_side"] == "hv" else 1)
    vn_lv_kv = transformer["vn_lv_kv"] * (tap_factor if transformer["tap_side"] == "lv" else 1)
    base_mva = BASE_VA / 1e6
    lv_square = (vn_lv_kv / lv_vn_kv) ** 2 * base_mva
    z = transformer["vk_percent"] / 100 / sn_mva * lv_square
    r = transformer["vkr_percent"] / 100 / sn_mva * lv_square
    short_circuit = complex(r, np.sqrt(z**2 - r**2)) / parallel
    iron_mw = transformer["pfe_kw"] * 1e-3
    magnetising_mvar = np.sqrt(max((transformer["i0_percent"] / 100 * sn_mva) ** 2 - iron_mw**2, 0.0))
    shunt = complex(iron_mw, -magnetising_mvar) * parallel / lv_square
    half = short_circuit / 2
    # Star of two halves of the short-circuit impedance and the magnetising branch, turned into a delta.
    through = short_circuit + half * half * shunt
    side = half * shunt / through
    series = 1 / through
    ratio = (vn_hv_kv / vn_lv_kv) * (lv_vn_kv / hv_vn_kv)
    own = series + side
    return own / ratio**2, -series / ratio, -series / ratio, own
