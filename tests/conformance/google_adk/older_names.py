"""A pytest plugin: helpers that ADK's tests import, and that ADK had when they were written; put in place where missing."""

from __future__ import annotations

from google.adk.workflow.utils import _workflow_hitl_utils as hitl


def calls(event, name):
    parts = (event.content.parts or ()) if event.content else ()
    return [part.function_call.id for part in parts if part.function_call and part.function_call.name == name]


NAMES = {
    "has_request_input_function_call": lambda event: bool(calls(event, "adk_request_input")),
    "has_auth_request_function_call": lambda event: bool(calls(event, "adk_request_credential")),
    "get_request_input_interrupt_ids": lambda event: calls(event, "adk_request_input"),
}

for name, helper in NAMES.items():
    if not hasattr(hitl, name):
        setattr(hitl, name, helper)
