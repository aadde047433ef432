"""What all tests share: hypothesis's profiles; for contract tests, which run inside brownie's pytest plugin, what its chain needs."""

import pytest

from tests.examples import register_profiles


def pytest_configure(config: pytest.Config) -> None:
    # Before hypothesis's own plugin loads the profile that the command line names.
    register_profiles()
    if config.pluginmanager.has_plugin("pytest-brownie"):
        # Not above: the other tests would pay for brownie's import.
        from scripts.brownie_chain import wait_for_receipts

        wait_for_receipts()
