"""ADK's tests that pass bare and not durably, each with its cause: refused by name, or another outcome.

A name means all parameters of a test, or those with the one in brackets. ``docs/reference/google-adk-compatibility.md``
says the same.
"""

_LIVE = "run_live is refused: ADK cannot resume a live run"
_CREDENTIALS = "a tool or node that asks the user for credentials is refused: they would be kept in the session"

REFUSED = {
    **dict.fromkeys(
        [
            "test_dynamic_node_scheduling_of_live_node",
            "test_hybrid_live_non_live_nodes",
            "test_live_node_output_passed_to_downstream",
            "test_nested_live_node_and_outer_live_node",
            "test_nested_workflow_has_live_node",
            "test_output_key_visibility_in_run_live",
            "test_single_turn_agent_runs_as_non_live_in_live_session",
        ],
        _LIVE,
    ),
    **dict.fromkeys(
        [
            "test_function_get_auth_response",
            "test_function_get_auth_response_partial",
            "test_function_request_euc_args_are_json_serializable",
            "test_workflow_pause_and_resume_auth_node",
        ],
        _CREDENTIALS,
    ),
}

_CONFIRMED = "a confirmation is shown in another form, at the end of the call, and only the inbox approves it"
_RESUMABLE = "resumability is forced on: ADK yields the events of a resumable app"
_ANSWER = "an answer that fits nothing is InvalidDecision, where ADK raises ValueError in its own words"
_CONTENT = "a Content that a function node returns is its JSON for the next node"
_LONG = "a long-running call takes one answer"
_TIME = "a session's last_update_time is the database's, not the event's"

DIFFERS = {
    **dict.fromkeys(
        [
            "test_confirmation_flow",
            "test_pause_and_resume_on_request_confirmation",
            "test_pause_and_resume_on_request_confirmation_without_invocation_id",
            "test_workflow_pause_and_resume_tool_confirmation",
        ],
        _CONFIRMED,
    ),
    **dict.fromkeys(
        [
            "test_function_node_adk_events",
            "test_function_node_no_data_returns_none",
            "test_function_node_yield_content",
            "test_function_node_yield_event_with_content",
            "test_progressive_sse_partials_share_event_id",
            "test_progressive_sse_streaming_function_calls",
        ],
        _RESUMABLE,
    ),
    **dict.fromkeys(
        [
            "test_mixed_fr_and_text_raises",
            "test_resume_raises_on_multi_invocation_fr",
            "test_resume_raises_on_unmatched_fr",
            "test_resume_with_schema_validation_failure",
            "test_resume_with_schema_validation_failure_nested",
            "test_resume_with_schema_validation_failure_no_rerun",
        ],
        _ANSWER,
    ),
    **dict.fromkeys(
        ["test_tool_node_accepts_content_with_json_string", "test_tool_node_rejects_non_dict_content"], _CONTENT
    ),
    **dict.fromkeys(["test_async_function", "test_async_function_with_none_response"], _LONG),
    "test_session_last_update_time_updates_on_event": _TIME,
    "test_model_input_context_without_user_message_is_prepended_before_history": (
        "a run without a message or an invocation id goes on with what was left, and does not ask the model again"
    ),
    "test_three_layer_llm_agent_transfer_round_trip": (
        "new words under the invocation id of an earlier call: the id names an execution, whose input they are not"
    ),
    "test_workflow_tool_with_dynamic_node_hitl_resume": (
        "a function node inside a tool that runs a node which asks: StepAborted in place of the question"
    ),
    "test_function_node_ctx_state_delta_generator": "what a generator node yields is handed on when it has ended",
    "test_fail_fast_preserves_completed_siblings": "the test counts calls of a private method of Workflow at an instant",
    "test_append_event_when_session_is_same_ref_as_storage_session": "reaches into the dict of the service in memory",
}
