"""Some tries are made only with ``--every-point``, as ``make crash`` gives it: they take minutes."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    if config.getoption("--every-point"):
        return
    chosen = [item for item in items if item.get_closest_marker("every_point") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture
def root(tmp_path):
    """A folder for places."""
    made = tmp_path / "places"
    made.mkdir()
    return made
