"""Fixtures of the tests of secrets: a listener for traces, and a database of its own."""

from __future__ import annotations

import pytest

from tests.telemetry.conftest import Listener


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.close()
