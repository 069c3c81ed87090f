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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.adk.events._node_path_builder import _NodePathBuilder
from google.adk.flows.llm_flows import base_llm_flow
from google.adk.workflow import _llm_agent_wrapper

from durable.kit import hook
from durable.live.scope import segment as segment_here
from durable.record.events import SessionEvent, unpack_if

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.adk.agents.context import Context
    from google.adk.agents.invocation_context import InvocationContext
    from google.adk.agents.llm_agent import LlmAgent
    from google.adk.events.event import Event

    from durable.live.segment import Segment


def hook_turns() -> None:
    """Put the hooks in place where ADK gives a node its input, and where it looks for calls to run again."""
    hook(_llm_agent_wrapper, "prepare_llm_agent_input", _durable_input)
    hook(base_llm_flow, "decide_step_resume", _durable_decision)


def _durable_input(prepare: Callable[..., Event | None]) -> Callable[..., Event | None]:
    def durable_input(agent: LlmAgent, ctx: Context, node_input: object) -> Event | None:
        segment, events = segment_here(), ctx.session.events
        turn = [] if segment is None else turn_of(segment, _of(events, ctx.invocation_id), ctx.node_path)
        if not turn:
            return prepare(agent, ctx, node_input)
        place = next(number for number, event in enumerate(events) if event is turn[0])
        entered = prepare(agent, _unanswered(ctx), node_input)
        if entered is not None:
            events.insert(place, events.pop())
        return entered

    return durable_input


def _durable_decision(decide: Callable[..., Any]) -> Callable[..., Any]:
    def durable_decision(invocation_context: InvocationContext, tools_dict: dict[str, Any]) -> Any:
        segment = segment_here()
        return decide(invocation_context if segment is None else OwnTurn(invocation_context, segment), tools_dict)

    return durable_decision


@dataclass(frozen=True)
class OwnTurn:
    """An invocation as an agent in it sees it that looks for its own calls, and for the responses to them."""

    inner: InvocationContext
    segment: Segment

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _get_events(self, **which: bool) -> list[Event]:
        """Return ADK's own choice, without what others have written and what says nothing."""
        events, path = self.inner._get_events(**which), self.inner.node_path
        if path:
            turn = {event.id for event in turn_of(self.segment, _of(events, self.inner.invocation_id), path)}
            events = [
                event for event in events if event.author == "user" or not event.node_info.path or event.id in turn
            ]
        return [event for event in events if event.content]


def turn_of(segment: Segment, events: Sequence[Event], path: str) -> list[Event]:
    """Return those events that are of this run of a node, without those of attempts that ADK has given up.

    An attempt is given up (``retry_config``) if another one begins in the same claim. What comes after an error in a
    later claim goes on where it happened: the execution was opened again.
    """
    turn: list[Event] = []
    failed_in: int | None = None
    own = [event for event in events if _is_within(event.node_info.path, path)]
    epochs = _epochs(segment) if any(event.error_code for event in own) else {}
    for event in own:
        epoch = epochs.get(event.id, segment.journal.epoch)
        if failed_in == epoch:
            turn = []
        failed_in = epoch if event.error_code and event.node_info.path == path and not event.content else None
        turn.append(event)
    return [] if failed_in == segment.journal.epoch else turn


def _epochs(segment: Segment) -> dict[str, int]:
    """Return the claim in which each event was stored."""
    stored = ((unpack_if(record, SessionEvent), record.epoch) for record in segment.records)
    return {event.event: epoch for event, epoch in stored if event is not None}


def _of(events: Iterable[Event], invocation_id: str) -> list[Event]:
    return [event for event in events if event.invocation_id == invocation_id]


def _is_within(path: str, node_path: str) -> bool:
    own, inner = _NodePathBuilder.from_string(node_path), _NodePathBuilder.from_string(path)
    return bool(path) and bool(inner == own or inner.is_descendant_of(own))


def _unanswered(ctx: Context) -> Context:
    """Return the same context of a node that nobody has answered: to such a one ADK gives its input."""
    same = copy.copy(ctx)
    same._resume_inputs = {}
    return same
