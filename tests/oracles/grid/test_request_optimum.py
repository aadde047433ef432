"""What a request plans costs what pandapower's AC optimal power flow says, and keeps the limits in AC."""

import random
from collections import Counter
from datetime import date

import numpy as np
import pytest

from offchain.protocol.products import Product
from oracles.grid.core.flexible_pods import Flexibility, FlexiblePod
from oracles.grid.core.from_pandapower import LimitSettings
from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.request import RequestSettings, size_request
from oracles.grid.core.violations import find_violations
from oracles.grid.simbench_case import load_simbench_case, load_simbench_net
from tests.oracles.grid.activation import activated
from tests.oracles.grid.optimal_power_flow import cost_ueur, net_of_document, optimal_cost, set_limits
from tests.oracles.grid.small_grids import radial_document

MOST = 1.01
"""Cost against the optimum's."""


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_on_a_small_grid(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randint(2, 8)
    parents = [chance.randint(1, 1 + index) for index in range(count)]
    lengths = [chance.uniform(0.02, 0.25) for _ in parents]
    document = radial_document(parents, lengths, chance.choice((0.06, 0.142, 0.3)), (0.94, 1.06))
    model = grid_model_from_document(document)
    p_w = np.zeros((1, model.nodes), dtype=np.int64)
    p_w[0, 2:] = [chance.randint(-45_000, 45_000) for _ in parents]
    q_var = p_w // 10
    pods = [
        FlexiblePod(
            node.to_bytes(32),
            node,
            {
                product: Flexibility(np.array([30_000]), chance.randint(20_000, 200_000))
                for product in chance.sample(list(Product), 3)
            },
        )
        for node in range(2, model.nodes)
    ]
    request = size_request(model, p_w, q_var, pods)
    assert request.before
    assert request.remaining == ()
    assert find_violations(run_power_flow(model, *activated(p_w, q_var, pods, request.planned))) == ()
    net = net_of_document(document)
    set_limits(net, model, RequestSettings())
    least = optimal_cost(net, model, p_w[0], q_var[0], pods, 0)
    assert cost_ueur(request.planned, pods, 0) <= MOST * least


@pytest.mark.parametrize(
    ("code", "limits"),
    [
        ("1-LV-rural1--2-no_sw", LimitSettings()),
        ("1-LV-rural2--2-no_sw", LimitSettings(max_vm_pu=1.05)),
    ],
)
def test_on_a_simbench_grid_with_active_and_reactive_power(code: str, limits: LimitSettings) -> None:
    """An overloaded transformer, and a grid of which all voltages are too high, in the slot with most violations."""
    case = load_simbench_case(code, date(2026, 6, 1), limits)
    p_w, q_var = case.at_nodes(case.p_w), case.at_nodes(case.q_var)
    slots = Counter(each.slot for each in find_violations(run_power_flow(case.model, p_w, q_var)))
    slot = slots.most_common(1)[0][0]
    p_w, q_var = p_w[[slot]], q_var[[slot]]
    chance = random.Random(0)
    pods = []
    for index, pod in enumerate(case.pods):
        net_w = int(case.p_w[slot, index])
        if not net_w:
            continue
        active = Product.ACTIVE_UP if net_w > 0 else Product.ACTIVE_DOWN
        flexibility = {active: Flexibility(np.array([abs(net_w)]), chance.randint(20_000, 200_000))}
        for reactive in (Product.REACTIVE_UP, Product.REACTIVE_DOWN):
            most_var = np.array([abs(net_w) // 2])
            flexibility[reactive] = Flexibility(most_var, chance.randint(5_000, 60_000))
        pods.append(FlexiblePod(index.to_bytes(32), pod.node, flexibility))
    request = size_request(case.model, p_w, q_var, pods)
    assert len(request.before) == slots[slot]
    assert {area.product.is_active for area in request.areas} == {True, False}
    assert request.remaining == ()
    for amounts in (request.planned, request.expected):
        assert find_violations(run_power_flow(case.model, *activated(p_w, q_var, pods, amounts))) == ()
    net = load_simbench_net(code)
    set_limits(net, case.model, RequestSettings())
    least = optimal_cost(net, case.model, p_w[0], q_var[0], pods, 0)
    assert cost_ueur(request.planned, pods, 0) <= MOST * least
    assert cost_ueur(request.expected, pods, 0) <= MOST * least
