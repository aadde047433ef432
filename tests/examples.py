"""How hard properties are tried.

Every run draws the same examples, so that a commit which passed passes anywhere, however slow the machine. `make explore` draws other
ones, and many more.
"""

from typing import Any

from hypothesis import HealthCheck, settings

REPEATABLE, EXPLORE = "repeatable", "explore"
EXAMPLES = 100
"""Of a property that doesn't say how many, in a repeatable run."""
MORE_WHEN_EXPLORING = 20


def register_profiles() -> None:
    """Make both profiles known to hypothesis and load the repeatable one: brownie has loaded its own."""
    settings.register_profile(
        REPEATABLE,
        settings.get_profile("default"),
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile(
        EXPLORE,
        settings.get_profile("default"),
        max_examples=EXAMPLES * MORE_WHEN_EXPLORING,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile(REPEATABLE)


def examples(count: int, **others: Any) -> settings:
    """Settings of a property for which so many examples are enough, or as many times more as the loaded profile asks for."""
    return settings(max_examples=count * settings.default.max_examples // EXAMPLES, **others)
