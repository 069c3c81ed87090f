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

_INSIDE = "reaches into SQLiteSession's own connections, locks or tables"
_ATOMIC = "the SDK checks an encrypted item before it takes it back only in its own SQLiteSession, by isinstance"

SESSION_FAILS = {
    **dict.fromkeys(
        [
            "test_sqlite_session_close_closes_worker_thread_connections",
            "test_sqlite_session_reaps_connections_from_exited_worker_threads",
            "test_sqlite_session_closes_retired_connections_before_the_next_allocation",
            "test_sqlite_session_keeps_connections_of_live_worker_threads",
            "test_sqlite_session_pop_item_skips_corrupt_most_recent",
            "test_sqlite_session_pop_item_returns_none_after_dropping_only_corrupt_rows",
            "test_sqlite_session_get_items_limit_skips_corrupt_newest_rows",
            "test_sqlite_session_get_items_session_settings_limit_skips_corrupt_rows",
            "test_sqlite_session_file_lock_is_shared_across_instances",
            "test_sqlite_session_failed_clear_session_rolls_back",
            "test_sqlite_session_failed_pop_item_releases_write_lock",
            "test_sqlite_session_rollback_failure_evicts_connection",
            "test_sqlite_session_close_retries_quarantined_connection",
            "test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome",
            "test_settled_pop_failure_invalidates_response_chain",
            "test_settled_clear_failure_invalidates_response_chain",
        ],
        _INSIDE,
    ),
    "test_sqlite_session_closed_rejects_empty_add_items": "a DurableSession is not closed, its runtime is",
    "test_sqlite_session_failed_add_items_releases_write_lock": "an item that is no JSON is refused as NotEncodable",
    **dict.fromkeys(
        [
            "test_encrypted_pop_wrong_key_preserves_recoverable_history",
            "test_encrypted_pop_rechecks_authentication_after_expired_tail",
            "test_encrypted_pop_authentication_is_atomic_with_concurrent_mutations",
            "test_encrypted_pop_wrong_key_preserves_row_identity",
            "test_encrypted_pop_cancellation_waits_for_authentication_rollback",
        ],
        _ATOMIC,
    ),
}
"""The SDK's session tests that do not pass with a DurableSession in place of its SQLiteSession."""
