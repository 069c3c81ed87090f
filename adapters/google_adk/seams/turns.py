"""Turns: an agent that is a node of a workflow goes on with its turn where it stood, after a crash and after an answer.

Its earlier events are in the session. ADK looks at them in two places, where an agent that is entered again differs
from one that never stopped, and takes its turn for another one:

- The input of a single-turn node is put behind them, so that the agent sees none of them and begins anew. Here it is
  put before the first of them, where it was.
- A call without a response is run again if it is the last event. What the workflow, or a node beside, has written
  since then makes ADK wait for an answer that nobody owes. Here an agent looks at the events of its own turn.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.adk.events._node_path_builder import _NodePathBuilder
from google.adk.flows.llm_flows import base_llm_flow
from google.adk.workflow import _llm_agent_wrapper

from durable.live.scope import scope

if TYPE_CHECKING:
    from google.adk.agents.context import Context
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.events.event import Event

_HOOKED = "__durable_hooked__"


def hook_turns() -> None:
    """Put the seam in place, once per process. It does nothing outside of executions."""
    if getattr(_llm_agent_wrapper, _HOOKED, False):
        return
    prepare, decide = _llm_agent_wrapper.prepare_llm_agent_input, base_llm_flow.decide_step_resume

    @functools.wraps(prepare)
    def durable_prepare(agent: LlmAgent, ctx: Context, node_input: object) -> Event | None:
        first = None if scope() is None else _first_of_turn(ctx)
        if first is None:
            return prepare(agent, ctx, node_input)
        events = ctx.session.events
        entered = prepare(agent, _unanswered(ctx), node_input)
        if entered is not None:
            events.pop()
            events.insert(first, entered)
        return entered

    @functools.wraps(decide)
    def durable_decide(invocation_context: InvocationContext, tools_dict: dict[str, Any]) -> Any:
        own = invocation_context if scope() is None else OwnTurn(invocation_context)
        return decide(own, tools_dict)  # type: ignore[arg-type]  # the same, but for the events that it shows

    _llm_agent_wrapper.prepare_llm_agent_input = durable_prepare
    base_llm_flow.decide_step_resume = durable_decide
    setattr(_llm_agent_wrapper, _HOOKED, True)


@dataclass(frozen=True)
class OwnTurn:
    """An invocation as an agent in it sees it that looks for its own calls, and for the responses to them."""

    inner: InvocationContext

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _get_events(self, **which: bool) -> list[Event]:
        """Return ADK's own choice, without what others have written and what says nothing."""
        return [event for event in self.inner._get_events(**which) if event.content and self._is_own(event)]

    def _is_own(self, event: Event) -> bool:
        path, written = self.inner.node_path, event.node_info.path
        return event.author == "user" or not path or not written or _is_within(written, path)


def _first_of_turn(ctx: Context) -> int | None:
    """Return the place of the first event of this run of the node; None if it begins, or is tried again after an error.

    A run that ADK tries again (``retry_config``) begins anew, as in ADK.
    """
    first = None
    for place, event in enumerate(ctx.session.events):
        if event.invocation_id != ctx._invocation_context.invocation_id or not event.node_info.path:
            continue
        if event.error_code and event.node_info.path == ctx.node_path and not event.content:
            first = None
        elif first is None and _is_within(event.node_info.path, ctx.node_path):
            first = place
    return first


def _is_within(path: str, node_path: str) -> bool:
    own, inner = _NodePathBuilder.from_string(node_path), _NodePathBuilder.from_string(path)
    return bool(inner == own or inner.is_descendant_of(own))


def _unanswered(ctx: Context) -> Context:
    """Return the same context of a node that nobody has answered: to such a one ADK gives its input."""
    same = copy.copy(ctx)
    same._resume_inputs = {}
    return same
