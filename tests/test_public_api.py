"""The names that users may import. A name that is added or taken away is added or taken away here, on purpose."""

from __future__ import annotations

from importlib import import_module

import pytest

PUBLIC = {
    "durable": """
        Runtime Handle Result Execution Interrupt Record
        tool step ask sleep wait_signal current
        ToolContext ToolPolicy Approval Budget Rate Breaker Decision Retry Done NotDone Unknown
        DurableError Suspended Unsupported
        ExecutionBusy ExecutionCancelled ExecutionConflict ExecutionFailed LeaseLost ThreadBusy
        AlreadyDecided ArgumentsChanged DecisionExpired InvalidDecision NotAllowedToDecide StepFailed ToolRejected
        ToolNotAllowed BudgetExceeded
    """,
    "durable.adapters": "",
    "durable.adapters.google_adk": "durable_runner serve_durably DurableSessionService DurableArtifactService",
    "durable.kit": """
        Invocation register start find_open take opened Drive driving each_within outcome
        Pause mirror take_answers answered unanswered approves_nothing
        Difference compare
        Tool tool_call asks always_asked arguments_of policy_of READ
        Call model_call lenient place Placed Pending run_step run_step_async stream_step stream_step_async decided_ahead
        Scope scope here root within Segment others_first
        hook commit owner_of
    """,
    "durable.openapi": "api_tools",
    "durable.testing": "APP MESSAGE AdapterFixture Call Entry Script Turn adapter_suite",
    "durable.secrets": "Environment Files Keyring RedactingFilter",
    "durable.adapters.langgraph": "durable_graph DurableSaver",
    "durable.adapters.openai_agents": "DurableSession durable_agent durable_runs",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_exactly_these_names(module):
    assert sorted(getattr(import_module(module), "__all__", [])) == sorted(PUBLIC[module].split())


@pytest.mark.parametrize("module", PUBLIC)
def test_every_exported_name_is_there_and_documented(module):
    found = import_module(module)
    for name in getattr(found, "__all__", []):
        assert getattr(found, name).__doc__, f"{module}.{name} has no docstring"


def test_the_drawn_error_tree_has_every_error():
    """The tree at the top of the errors module is what people read to know what to catch."""
    errors = import_module("durable.errors")
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    drawn = {word for line in (errors.__doc__ or "").splitlines() for word in line.split()}
    assert {name for name in defined if issubclass(getattr(errors, name), errors.DurableError)} <= drawn
