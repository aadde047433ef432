"""pandapower's AC optimal power flow as an independent answer to what a request must cost."""

from collections.abc import Sequence
from typing import Any

import pandapower

from offchain.protocol.products import Product
from oracles.grid.core.flexible_pods import FlexiblePod
from oracles.grid.core.network import Document, GridModel, Integers
from oracles.grid.core.request import RequestSettings


def net_of_document(document: Document) -> Any:
    """A pandapower net of a radial document of the tests, without loads; its bus indices are the node numbers."""
    net = pandapower.create_empty_network(f_hz=document["frequency_hz"])
    for node in document["nodes"]:
        pandapower.create_bus(net, node["vn_kv"], node["name"])
    (slack,) = document["slacks"]
    pandapower.create_ext_grid(net, slack["node"], slack["vm_pu"])
    for trafo in document["transformers"]:
        pandapower.create_transformer_from_parameters(
            net,
            trafo["hv"],
            trafo["lv"],
            **{
                key: trafo[key]
                for key in (
                    "sn_mva",
                    "vn_hv_kv",
                    "vn_lv_kv",
                    "vkr_percent",
                    "vk_percent",
                    "pfe_kw",
                    "i0_percent",
                    "name",
                )
            },
        )
    for line in document["lines"]:
        pandapower.create_line_from_parameters(
            net,
            line["from"],
            line["to"],
            1.0,
            line["r_ohm"],
            line["x_ohm"],
            line["c_nf"],
            line["max_i_ka"],
            line["name"],
        )
    return net


def set_limits(net: Any, model: GridModel, settings: RequestSettings) -> None:
    """The model's limits less the margins of a request."""
    for bus, node in model.node_of_bus.items():
        free = node == model.slack
        margin = settings.voltage_margin_pu
        net.bus.loc[bus, "max_vm_pu"] = 2.0 if free else model.max_vm_pu[node] - margin
        net.bus.loc[bus, "min_vm_pu"] = 0.0 if free else model.min_vm_pu[node] + margin
    net.ext_grid["controllable"] = False
    transformers = len(model.transformer_names)
    for table, names, limits in (
        ("trafo", model.transformer_names, model.max_loading_percent[:transformers]),
        ("line", model.line_names, model.max_loading_percent[transformers:]),
    ):
        limit_of = dict(zip(names, limits.tolist(), strict=True))
        net[table]["max_loading_percent"] = [
            limit_of.get(name, 100.0) - settings.loading_margin_percent
            for name in net[table].name  # an open one isn't in the model
        ]


def optimal_cost(
    net: Any, model: GridModel, p_w: Integers, q_var: Integers, pods: Sequence[FlexiblePod], slot: int
) -> float:
    """Least cost (µ€) of a slot, with `p_w`, `q_var` (n,) absorbed at the nodes. Raises where there is no solution."""
    bus_of_node = {node: bus for bus, node in model.node_of_bus.items()}
    for table in ("load", "sgen", "storage", "poly_cost"):
        net[table] = net[table].iloc[0:0]
    for node, bus in bus_of_node.items():
        pandapower.create_load(net, bus, p_w[node] / 1e6, q_var[node] / 1e6, controllable=False)
    for pod in pods:
        for product, flexibility in pod.flexibility.items():
            most = float(flexibility.most_w[slot]) / 1e6
            bounds = (0.0, most) if product.sign > 0 else (-most, 0.0)
            active, none = product.is_active, (0.0, 0.0)
            (min_p, max_p), (min_q, max_q) = (bounds, none) if active else (none, bounds)
            unit = pandapower.create_sgen(
                net,
                bus_of_node[pod.node],
                p_mw=0.0,
                q_mvar=0.0,
                controllable=True,
                min_p_mw=min_p,
                max_p_mw=max_p,
                min_q_mvar=min_q,
                max_q_mvar=max_q,
            )
            price = product.sign * flexibility.price_ueur_per_kw / 1000
            costs = (
                {"cp1_eur_per_mw": price} if active else {"cp1_eur_per_mw": 0.0, "cq1_eur_per_mvar": price}
            )
            pandapower.create_poly_cost(net, unit, "sgen", **costs)
    pandapower.runopp(net)  # from a flat start: from a power flow it often finds none
    return float(net.res_cost) * 1e6


def cost_ueur(amounts: dict[Product, Integers], pods: Sequence[FlexiblePod], slot: int) -> float:
    """Cost of amounts (slots, pods) in a slot at the PoDs' prices, in the same unit."""
    return sum(
        float(amounts[product][slot, index]) * flexibility.price_ueur_per_kw / 1000
        for index, pod in enumerate(pods)
        for product, flexibility in pod.flexibility.items()
    )
