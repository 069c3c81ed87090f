"""Durable execution for existing AI agents: every effect once, and with permission.

Guarantees: a finished step never runs again, a side effect declared ``once`` never runs twice, an effect that needs
approval never runs without a decision bound to its arguments. An adapter layer under LangGraph, the OpenAI Agents
SDK and Google ADK.
"""

from __future__ import annotations

from durable.checkpoint.records import Execution, Interrupt, Record
from durable.declare.breaker import Breaker
from durable.declare.budget import Budget
from durable.declare.policy import Approval, Done, NotDone, ToolPolicy, Unknown
from durable.declare.rate import Rate
from durable.declare.retry import Retry
from durable.errors import (
    AlreadyDecided,
    ArgumentsChanged,
    BudgetExceeded,
    DecisionExpired,
    DurableError,
    ExecutionBusy,
    ExecutionCancelled,
    ExecutionConflict,
    ExecutionFailed,
    InvalidDecision,
    LeaseLost,
    NotAllowedToDecide,
    StepFailed,
    Suspended,
    ThreadBusy,
    ToolNotAllowed,
    ToolRejected,
    Unsupported,
)
from durable.inbox.decision import Decision
from durable.live.scope import current
from durable.live.tool_context import ToolContext
from durable.run.calls import ask, sleep, step, wait_signal
from durable.run.handle import Handle, Result
from durable.run.tool import tool
from durable.runtime import Runtime

__all__ = [
    "AlreadyDecided",
    "Approval",
    "ArgumentsChanged",
    "Breaker",
    "Budget",
    "BudgetExceeded",
    "Decision",
    "DecisionExpired",
    "Done",
    "DurableError",
    "Execution",
    "ExecutionBusy",
    "ExecutionCancelled",
    "ExecutionConflict",
    "ExecutionFailed",
    "Handle",
    "Interrupt",
    "InvalidDecision",
    "LeaseLost",
    "NotAllowedToDecide",
    "NotDone",
    "Rate",
    "Record",
    "Result",
    "Retry",
    "Runtime",
    "StepFailed",
    "Suspended",
    "ThreadBusy",
    "ToolContext",
    "ToolNotAllowed",
    "ToolPolicy",
    "ToolRejected",
    "Unknown",
    "Unsupported",
    "ask",
    "current",
    "sleep",
    "step",
    "tool",
    "wait_signal",
]
