"""LangGraph's tests that pass bare and not durably, each with its cause: refused by name, or another outcome.

A name means all parameters of a test, or those with the one in brackets. ``docs/reference/langgraph-compatibility.md``
says the same.
"""

REFUSED = {
    "test_interrupt_multiple": "Command(resume=...) with update= in one call is refused",
}

_EXIT = 'durability="exit" is as "async": the checkpoints in between are kept'
_STATELESS = "a graph without a checkpointer has its state kept, under its thread_id or under a thread of its own"
_FORKED = "a run that was forked from an earlier checkpoint and asked is not what Command(resume=...) resumes"
_UNNAMED = "a node returns an object of a class that no schema and no annotation names"
_LIVE = "a live object in the input, the config or a channel cannot be stored"
_SAVER = "the saver is a class of the test's own, made from the one in memory: it is replaced, what it overrides is not called"
_NAMED = "a @task made from a functools.partial without a name is shown under another name"

DIFFERS = {
    **dict.fromkeys(
        [
            "test_batch_update_as_input[exit]",
            "test_checkpoint_recovery[exit]",
            "test_checkpoint_recovery_async[exit]",
            "test_conditional_graph_state",
            "test_conditional_state_graph",
            "test_debug_nested_subgraphs[exit]",
            "test_debug_subgraphs[exit]",
            "test_doubly_nested_graph_state",
            "test_falsy_return_from_task",
            "test_message_graph",
            "test_nested_graph_state",
            "test_parent_command",
            "test_pending_writes_resume[exit]",
            "test_root_graph",
            "test_send_dedupe_on_resume[exit]",
            "test_send_react_interrupt",
            "test_send_react_interrupt_control",
            "test_state_graph_packets",
            "test_subgraph_checkpoint_true[exit]",
            "test_subgraph_durability_inherited[exit]",
            "test_update_as_input[exit]",
        ],
        _EXIT,
    ),
    **dict.fromkeys(
        [
            "test_async_entrypoint_without_checkpointer",
            "test_dynamic_interrupt",
            "test_dynamic_interrupt_subgraph",
            "test_entrypoint_without_checkpointer",
            "test_in_one_fan_out_out_one_graph_state",
            "test_in_one_fan_out_state_graph_defer_node",
            "test_partial_pending_checkpoint",
            "test_stream_mode_messages_command",
        ],
        _STATELESS,
    ),
    **dict.fromkeys(
        [
            "test_copy_fork_retriggers_interrupt",
            "test_fork_from_before_interrupt_refires",
            "test_fork_from_interrupt_checkpoint_refires",
            "test_sequential_interrupts_fork_from_middle",
        ],
        _FORKED,
    ),
    **dict.fromkeys(
        [
            "test_in_one_fan_out_state_graph_waiting_edge_custom_state_class",
            "test_in_one_fan_out_state_graph_waiting_edge_custom_state_class_pydantic2",
            "test_in_one_fan_out_state_graph_waiting_edge_custom_state_class_pydantic_input",
        ],
        _UNNAMED,
    ),
    **dict.fromkeys(
        ["test_nested_graph", "test_send_with_untracked_value", "test_server_info_user_from_auth_user"], _LIVE
    ),
    **dict.fromkeys(
        [
            "test_checkpoint_errors",
            "test_checkpoint_put_after_cancellation",
            "test_checkpoint_put_after_cancellation_stream_anext",
            "test_checkpoint_put_after_cancellation_stream_events_anext",
        ],
        _SAVER,
    ),
    "test_named_tasks_functional": _NAMED,
    "test_null_resume_disallowed_with_multiple_interrupts": "InvalidDecision in place of LangGraph's RuntimeError",
    "test_imp_exception": "astream_events shows the run of a task that failed once more",
    "test_astream_waiter_cleanup_on_cancel": "reaches into LangGraph's own stream: the task that waits in it is looked for",
}
