"""How much is enumerated: every kind of point once, or every point with ``--every-point`` (``make crash``)."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config, items):
    """Tests marked ``every_point`` belong to the whole enumeration only."""
    if config.getoption("--every-point"):
        return
    left_out = [item for item in items if item.get_closest_marker("every_point")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def every_point(request):
    """Whether this session enumerates every point."""
    return request.config.getoption("--every-point")
