"""The command that compares stock ADK with ours sees what stock does twice, and nothing twice of ours."""

from __future__ import annotations

import pytest

from tests.adk_matrix import ROWS, Ours, Stock, tell
from tests.openapi.server import Api


@pytest.fixture
def api():
    made = Api()
    yield made
    made.close()


def test_nodes_that_return_nothing_run_again_in_stock_adk_and_not_in_ours(api):
    (row,) = (row for row in ROWS if row.name == "nodes that return None")
    stock, ours = tell(row, Stock, api), tell(row, Ours, api)
    assert stock.twice == {"n1": 2, "n2": 2, "n3": 2}
    assert (ours.twice, ours.doubted, sum(ours.arrived.values())) == ({}, ["n3"], 3)
