"""Mixed-integer programs: what no row joins is solved apart, and the whole is what it is when solved as one."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.clearing.core.mixed_integer import (
    LEAST_NODES,
    OPTIMALITY_GAP,
    MixedIntegerProgram,
    ProgramInfeasible,
    value_of,
)
from tests.examples import examples

A = TypeVar("A")
B = TypeVar("B")


class Counting:
    """Does one thing after the other, and remembers how many there were."""

    def __init__(self) -> None:
        self.parts = 0

    def __call__(self, function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
        for thing in things:
            self.parts += 1
            yield function(thing)


def knapsacks(sizes: list[list[int]], integer: list[bool], joining: bool) -> MixedIntegerProgram:
    """A row for each list of sizes, of which at most half fit; and, if they are to be one program, a row that all keep to anyway."""
    program = MixedIntegerProgram()
    terms: dict[int, float] = {}
    for of_row, is_integer in zip(sizes, integer, strict=True):
        row = {program.column(1, integer=is_integer): float(size) for size in of_row}
        program.row(row, at_most=sum(of_row) / 2)
        terms |= row
    if joining:
        program.row(terms, at_most=sum(terms.values()))
    return program


@examples(60)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_parts_give_the_whole(rows: list[tuple[list[int], bool]], chance: object) -> None:
    sizes, integer = [row for row, _ in rows], [each for _, each in rows]
    count = sum(map(len, sizes))
    costs = {column: -float(chance.randint(1, 100)) for column in range(count)}  # type: ignore[attr-defined]
    apart, as_one = Counting(), Counting()
    found = knapsacks(sizes, integer, joining=False).minimise(costs, map_parts=apart)
    whole = knapsacks(sizes, integer, joining=True).minimise(costs, map_parts=as_one)
    assert apart.parts == sum(integer) + (not all(integer))
    assert as_one.parts == 1
    assert value_of(costs, found) == pytest.approx(value_of(costs, whole), rel=2 * OPTIMALITY_GAP)
    start = 0
    for of_row in sizes:
        assert np.array(of_row) @ found[start : start + len(of_row)] <= sum(of_row) / 2 + 1e-6
        start += len(of_row)


def test_a_bound_over_all_makes_one_of_them() -> None:
    program, costs = knapsacks([[2, 3], [5]], [True, True], joining=False), dict.fromkeys(range(3), -1.0)
    counting = Counting()
    found = program.minimise(costs, (dict.fromkeys(range(3), 1.0), 1), map_parts=counting)
    assert counting.parts == 1
    assert found.sum() == pytest.approx(1)


def test_a_column_in_no_row_takes_its_better_bound() -> None:
    program = MixedIntegerProgram()
    for _ in range(2):
        program.column(3)
    assert program.minimise({0: -1.0, 1: 1.0}).tolist() == [3, 0]


def test_what_cant_be_kept_is_said() -> None:
    program = MixedIntegerProgram()
    program.row({program.column(1): 1.0}, at_least=2)
    with pytest.raises(ProgramInfeasible):
        program.minimise({})
    empty = MixedIntegerProgram()
    empty.column(1)
    empty.row({}, at_least=1)
    with pytest.raises(ProgramInfeasible):
        empty.minimise({})


@pytest.mark.parametrize(("parts", "nodes"), [(1, 20_000), (10, 2_000), (1000, LEAST_NODES)])
def test_parts_share_the_nodes(parts: int, nodes: int) -> None:
    most: set[int] = set()

    def remember(function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
        for thing in things:
            most.add(thing.most_nodes)  # type: ignore[attr-defined]
            yield function(thing)

    knapsacks([[2, 3]] * parts, [True] * parts, joining=False).minimise({0: -1.0}, map_parts=remember)
    assert most == {nodes}
