"""Fixtures of the races: the world outside."""

from __future__ import annotations

import pytest

from tests.races.racers import Ledger


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")
