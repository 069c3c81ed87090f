"""Every clause of LangGraph's own conformance suite for checkpointers, on both databases, none skipped."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.checkpoint.conformance.report import ProgressCallbacks

CLAUSES = {
    Capability.PUT: 17,
    Capability.PUT_WRITES: 10,
    Capability.GET_TUPLE: 10,
    Capability.LIST: 16,
    Capability.DELETE_THREAD: 5,
    Capability.DELETE_FOR_RUNS: 7,
    Capability.COPY_THREAD: 8,
    Capability.PRUNE: 8,
}
"""How many clauses the suite had when this was written: fewer would mean that some are not run."""


@pytest.mark.parametrize("capability", list(Capability), ids=lambda capability: capability.value)
async def test_every_clause_of_the_capability_passes(saver, capability):
    @checkpointer_test(name="DurableSaver")
    async def savers():
        yield saver

    results = {}
    progress = ProgressCallbacks(on_test_result=lambda _, name, passed, error: results.update({name: error}))
    report = await validate(savers, capabilities={capability.value}, progress=progress)

    assert {name: error for name, error in results.items() if error} == {}
    result = report.results[capability.value]
    assert (result.detected, result.passed, result.tests_failed, result.tests_skipped) == (True, True, 0, 0)
    assert result.tests_passed == len(results) >= CLAUSES[capability]


def test_the_suite_has_no_capability_that_is_not_run_here():
    assert set(CLAUSES) == set(Capability)
