"""Contract tests run inside brownie's pytest plugin, the others without it: what the first need is set up here."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("pytest-brownie"):
        # Not above: the other tests would pay for brownie's import.
        from scripts.brownie_chain import wait_for_receipts

        wait_for_receipts()
