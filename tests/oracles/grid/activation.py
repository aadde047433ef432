"""A grid's state after flexibility, reckoned by the tests."""

from collections.abc import Mapping, Sequence

from offchain.protocol.products import Product
from oracles.grid.core.flexible_pods import FlexiblePod
from oracles.grid.core.network import Integers


def activated(
    p_w: Integers, q_var: Integers, pods: Sequence[FlexiblePod], amounts: Mapping[Product, Integers]
) -> tuple[Integers, Integers]:
    """Net absorbed (slots, nodes), W and var, after amounts (slots, pods) by product and what they pay back."""
    p_after, q_after = p_w.copy(), q_var.copy()
    for index, pod in enumerate(pods):
        for product in pod.flexibility:
            given = product.sign * amounts[product][:, index]
            if not product.is_active:
                q_after[:, pod.node] -= given
                continue
            p_after[:, pod.node] -= given
            for after, permille in enumerate(pod.payback_permille, start=1):
                p_after[after:, pod.node] += given[:-after] * permille // 1000
    return p_after, q_after
