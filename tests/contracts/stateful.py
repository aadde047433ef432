"""Stateful tests against a Python model: hypothesis gives each run's seed, the seed all of its steps.

hypothesis's own state machines switch rules off in each run (swarm testing) and, in the version that brownie comes with, repeat
themselves: a session, whose steps need each other, hardly got beyond its first ones.
"""

import random
from collections import Counter
from inspect import signature
from typing import Any, ClassVar

from brownie.test import given
from hypothesis import HealthCheck, Phase, note
from hypothesis import strategies as st

from tests.examples import examples

STEPS = 40


class Machine:
    """Steps (`step_...`) and what always holds (`invariant_...`). A step's parameters are chosen from the ranges that are class
    attributes of the same name; it gives whether it went through, or was refused as it must be."""

    weights: ClassVar[dict[str, int]] = {}
    """How much more often than another a step is taken, by name."""

    def play(self, dice: random.Random, went: Counter[str]) -> None:
        """One run; counts the steps that went through."""
        names = [name for name in dir(self) if name.startswith("step_")]
        weights = [self.weights.get(name, 1) for name in names]
        invariants = [getattr(self, name) for name in dir(self) if name.startswith("invariant_")]
        for name in dice.choices(names, weights, k=STEPS):
            step = getattr(self, name)
            arguments = {each: dice.choice(getattr(self, each)) for each in signature(step).parameters}
            note(f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})")
            went[name] += bool(step(**arguments))
            for holds in invariants:
                holds()


def play_runs(kind: type[Machine], *arguments: Any, runs: int = 12) -> None:
    """Play new machines, made with these arguments, each from the chain as it is now.

    Each step must go through at least once in all: a model of what never happens shows nothing.
    """
    went: Counter[str] = Counter({name: 0 for name in dir(kind) if name.startswith("step_")})

    @examples(runs, phases=[Phase.generate], suppress_health_check=HealthCheck.all())
    @given(seed=st.integers(0, 2**64 - 1))
    def run(seed: int) -> None:
        kind(*arguments).play(random.Random(seed), went)

    run()
    assert min(went.values()) > 0, went
