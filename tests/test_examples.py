"""Properties are tried as `examples.py` says: the same way everywhere, or much harder on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.examples import EXPLORE, MORE_WHEN_EXPLORING, REPEATABLE, examples

TESTS = Path(__file__).parent


@pytest.fixture(params=[REPEATABLE, EXPLORE])
def profile(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings._current_profile
    settings.load_profile(request.param)
    yield request.param
    settings.load_profile(before)


def test_no_profile_asks_the_machine_how_fast_it_is(profile: str) -> None:
    assert examples(7).deadline is None


def test_only_exploring_draws_other_examples_and_more(profile: str) -> None:
    found = examples(7)
    assert found.derandomize is (profile == REPEATABLE)
    assert found.max_examples == (7 if profile == REPEATABLE else 7 * MORE_WHEN_EXPLORING)


def test_no_test_has_settings_of_its_own() -> None:
    """They would hold against the profile's."""
    own = ("max_" + "examples=", "@" + "settings(")
    written = {path.relative_to(TESTS).as_posix(): path.read_text() for path in TESTS.rglob("*.py")}
    assert [name for name, text in written.items() if any(each in text for each in own)] == ["examples.py"]
