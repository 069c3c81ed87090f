"""The SDK's tests that do not pass durably, and the executions that come to something else when repeated: each with its cause.

A name is the beginning of a test's name. ``docs/reference/openai-agents-compatibility.md`` says the same.
"""

FAILS = {
    "test_persistent_hosted_mcp_approval_does_not_cross_servers": (
        "approvals of hosted MCP tools without a callback are refused"
    ),
    "test_runner_resume_preserves_guardrail_results_on_reinterruption": (
        "its RunState holds a double (SimpleNamespace) that the SDK itself cannot store"
    ),
}

_GUARDRAIL = "the test changes the agent's guardrails after that run, and guardrails run again"
_PATCHED = "the test puts doubles in the place of the SDK's own turn, which are gone when the execution is repeated"

DIFFERS = {
    "test_non_streamed_trip_preserves_prior_run_state_side_effect": _GUARDRAIL,
    "test_resumed_max_turns_handler_does_not_append_to_caller_state_items[guardrail_error": _GUARDRAIL,
    "test_resumed_max_turns_handler_preserves_checkpoint_after_continuation": _GUARDRAIL,
    "test_session_persists_only_new_step_items": _PATCHED,
    "test_runner_resume_preserves_guardrail_results": _PATCHED,
    "test_agent_as_tool_resume_survives_cancellation_after_nested_output_commit": (
        "a state that was cancelled in the middle of a call: the SDK refuses its stored form"
    ),
    "test_agent_as_tool_streaming_settles_final_text_after_nested_mcp_failure": (
        "the context given to the run is a ToolContext of the SDK, which remembers the call as executed"
    ),
    "test_consumer_cancellation_at_terminal_wait_propagates[guardrail]": (
        "its guardrail never returns, and guardrails run again"
    ),
}
