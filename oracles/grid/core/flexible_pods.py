"""PoDs that may be asked for flexibility, and as arrays what they could give: a resource is a PoD's product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import Product
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.sensitivity import add_at_nodes

SLOTS_PER_HOUR = 4


@dataclass(frozen=True, eq=False)
class Flexibility:
    """What a PoD could give of one product, in W or var. `most_w` (slots,).

    The price (µ€ per kW or kvar and slot) weighs resources against each other: the reference price published for it, or
    the same for all. Discrete: at least `least_w` if any, and only whole multiples of `step_w`.
    """

    most_w: Integers
    price_ueur_per_kw: int = 1
    least_w: int = 0
    step_w: int = 1


@dataclass(frozen=True, eq=False)
class FlexiblePod:
    """A PoD that may be asked, and what it could give by product. Slots are quarter-hours.

    `most_wh`: active energy, up and down together, that it could move over all slots; None: no such limit.
    `payback_permille`: of each W activated, what turns the other way in each of the slots after.
    """

    pod: bytes
    node: int
    flexibility: Mapping[Product, Flexibility]
    most_wh: int | None = None
    payback_permille: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Resources:
    """r resources of p PoDs in n rows, each a slot: the PoDs in order of their pseudonyms, each with its products in order.

    Where PoDs pay back, the rows are consecutive slots. Amounts are (rows, r), each at least 0.
    """

    pods: tuple[FlexiblePod, ...]
    rows: tuple[int, ...]
    kinds: tuple[tuple[int, Product], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "kinds",
            tuple(
                (index, product)
                for index, pod in enumerate(self.pods)
                for product in sorted(pod.flexibility)
                if pod.flexibility[product].most_w.any()
            ),
        )

    def __len__(self) -> int:
        return len(self.kinds)

    def _each(self) -> list[Flexibility]:
        return [self.pods[index].flexibility[product] for index, product in self.kinds]

    @cached_property
    def pod(self) -> Integers:
        """Number of each one's PoD, (r,)."""
        return np.array([index for index, _ in self.kinds], dtype=np.int64)

    @cached_property
    def product(self) -> Integers:
        """Each one's product, (r,)."""
        return np.array([int(product) for _, product in self.kinds], dtype=np.int64)

    @cached_property
    def sign(self) -> Integers:
        """1 for up, -1 for down, (r,)."""
        return np.array([product.sign for _, product in self.kinds], dtype=np.int64)

    @cached_property
    def reactive(self) -> Integers:
        """1 for var, 0 for W, (r,)."""
        return np.array([not product.is_active for _, product in self.kinds], dtype=np.int64)

    @cached_property
    def opposite(self) -> Integers:
        """The same PoD's resource the other way, -1 where there is none, (r,)."""
        column_of = {kind: column for column, kind in enumerate(self.kinds)}
        return np.array(
            [column_of.get((index, product.opposite), -1) for index, product in self.kinds], dtype=np.int64
        )

    @cached_property
    def node(self) -> Integers:
        """Node of each, (r,)."""
        return np.array([self.pods[index].node for index in self.pod], dtype=np.int64)

    @cached_property
    def price(self) -> Floats:
        """µ€ per kW (kvar) and slot, (r,)."""
        return np.array([each.price_ueur_per_kw for each in self._each()], dtype=np.float64)

    @cached_property
    def least_w(self) -> Integers:
        """Least of each if any, (r,)."""
        return np.array([each.least_w for each in self._each()], dtype=np.int64)

    @cached_property
    def step_w(self) -> Integers:
        """What each comes in multiples of, (r,)."""
        return np.array([each.step_w for each in self._each()], dtype=np.int64)

    @cached_property
    def discrete(self) -> Integers:
        """1 where not every amount may be, (r,)."""
        return ((self.step_w > 1) | (self.least_w > 1)).astype(np.int64)

    @cached_property
    def most_w(self) -> Integers:
        """Most of each, a multiple of its step and 0 where that isn't its least, (rows, r)."""
        given = np.array([each.most_w[list(self.rows)] for each in self._each()], dtype=np.int64)
        most = given.reshape(len(self), len(self.rows)).T // self.step_w * self.step_w
        return np.where(most < self.least_w, 0, most)

    @cached_property
    def most_wh(self) -> dict[int, int]:
        """Energy limits by number of the PoD."""
        return {index: pod.most_wh for index, pod in enumerate(self.pods) if pod.most_wh is not None}

    @cached_property
    def payback(self) -> Floats:
        """Share of each amount that turns the other way in each slot after, (slots after, r)."""
        slots_after = max((len(pod.payback_permille) for pod in self.pods), default=0)
        shares = np.zeros((slots_after, len(self)))
        for column, (index, product) in enumerate(self.kinds):
            if product.is_active:
                permille = self.pods[index].payback_permille
                shares[: len(permille), column] = np.array(permille) / 1000
        return shares

    @property
    def coupled(self) -> bool:
        """Whether what is taken in one slot bears on another."""
        return bool(self.most_wh) or len(self.payback) > 0

    def paid_back(self, amounts: Integers) -> Floats:
        """What turns the other way in each row for amounts of rows before, (rows, r)."""
        out = np.zeros(amounts.shape)
        for after, share in enumerate(self.payback, start=1):
            out[after:] += share * amounts[:-after]
        return out

    def moved(self, p_w: Integers, q_var: Integers, amounts: Integers | Floats) -> tuple[Integers, Integers]:
        """Net absorbed at the nodes in each row, (rows, nodes) W and var, after net amounts that are up or down."""
        up = np.rint(self.sign * amounts).astype(np.int64)
        active = self.reactive == 0
        return (
            add_at_nodes(p_w, self.node[active], up[:, active]),
            add_at_nodes(q_var, self.node[~active], up[:, ~active]),
        )


def check_flexible_pods(pods: Sequence[FlexiblePod], slots: int, nodes: int) -> None:
    """Raises InvalidInput, by field and value, on what can't be a PoD of a grid of so many nodes for so many slots."""
    if len({pod.pod for pod in pods}) < len(pods):
        raise InvalidInput("pods", sorted(pod.pod.hex() for pod in pods), "must be distinct")
    for pod in pods:
        where = f"pods[{pod.pod.hex()}]"
        if not 0 <= pod.node < nodes:
            raise InvalidInput(f"{where}.node", pod.node, f"must be one of the grid's {nodes}")
        if pod.most_wh is not None and pod.most_wh < 0:
            raise InvalidInput(f"{where}.most_wh", pod.most_wh, "must be at least 0")
        if any(not 0 <= permille <= 1000 for permille in pod.payback_permille):
            raise InvalidInput(f"{where}.payback_permille", pod.payback_permille, "must be 0 to 1000 each")
        for product, each in pod.flexibility.items():
            field_ = f"{where}.{product.name}"
            if each.most_w.shape != (slots,) or (each.most_w < 0).any():
                raise InvalidInput(f"{field_}.most_w", each.most_w.tolist(), f"must be {slots} values >= 0")
            for name, value, lowest in (
                ("price_ueur_per_kw", each.price_ueur_per_kw, 1),
                ("least_w", each.least_w, 0),
                ("step_w", each.step_w, 1),
            ):
                if value < lowest:
                    raise InvalidInput(f"{field_}.{name}", value, f"must be at least {lowest}")
