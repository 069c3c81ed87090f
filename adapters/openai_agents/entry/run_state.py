"""RunState: the SDK's own way to approve and to go on, over the one inbox.

A state that came from a durable run belongs to its execution: what it approves and rejects is recorded there as
decisions, first one wins, and the execution goes on from its own record, however often the state is given. A state
from elsewhere starts an execution, whose id is made of the state without its decisions. Either way the table counts: a
flag in a state opens no call that a policy gates, and none that somebody else has decided.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from agents.exceptions import UserError
from agents.run_state import RunState

from durable.adapters.openai_agents.seams.approvals_policy import NATIVE, step_of
from durable.adapters.openai_agents.seams.local_tool_kinds import described
from durable.checkpoint.inbox import interrupts
from durable.checkpoint.journal import journal
from durable.errors import (
    AlreadyDecided,
    DecisionExpired,
    InvalidConfiguration,
    Suspended,
)
from durable.inbox.decision import Decision
from durable.kit import Difference, compare
from durable.live.past import go_back
from durable.live.scope import here, root, within
from durable.record.events import InterruptOpened, unpack_if
from durable.run.close import close
from durable.step.ahead import decided_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents import Agent
    from agents.items import ToolApprovalItem

    from durable.adapters.openai_agents.state.stored_call import AgentCall
    from durable.checkpoint.records import Interrupt
    from durable.live.scope import Scope
    from durable.live.segment import Segment
    from durable.live.services import Services
    from durable.runtime import Runtime

BY_STATE = "RunState"
"""Who decided, where the caller kept the SDK's own way."""
_DEFAULT_REASON = "Tool execution was not approved."
"""What the SDK tells the model of a rejection without a message."""


def execution_of(runtime: Runtime, app: str, state: RunState[Any]) -> str | None:
    """The execution that a state came from, by the calls it waits for; None if it came from elsewhere. Blocks.

    Raises InvalidConfiguration if there are several.
    """
    items = state.get_interruptions()
    candidates: set[str] | None = None
    for item in items:
        rows = runtime.interrupts(status=None, kind="approval", tool=item.qualified_name, limit=None)
        of_item = {row.execution_id for row in _rows_of(runtime, rows, item)}
        candidates = of_item if candidates is None else candidates & of_item
    ours = [id_ for id_ in candidates or () if runtime.get(id_).execution().app == app]
    waiting = [id_ for id_ in ours if not runtime.get(id_).execution().ended] or ours
    if len(waiting) > 1:
        msg = f"the state may belong to any of the executions {sorted(waiting)}; say which by execution_id="
        raise InvalidConfiguration(msg)
    return waiting[0] if waiting else None


def _rows_of(runtime: Services, rows: Iterable[Interrupt], item: ToolApprovalItem) -> list[Interrupt]:
    """The rows that ask about this very call: with its arguments, and maybe the defaults of those it leaves out."""
    call_id, arguments = described(item.raw_item)
    hashed, key = runtime.codec.fingerprint(arguments), f"tool:{call_id}"

    def about_it(row: Interrupt) -> bool:
        shown = row.arguments
        if isinstance(shown, dict) and isinstance(arguments, dict):
            shown = {name: value for name, value in shown.items() if name in arguments}
        return f"/{row.step_key}".endswith(f"/{key}") and runtime.codec.fingerprint(shown) == hashed

    return [row for row in rows if about_it(row)]


def foreign_id(app: str, state: dict[str, Any]) -> str:
    """The id of the execution of a state from elsewhere: the same whatever the state decides."""
    context = {key: value for key, value in state["context"].items() if "approvals" not in key}
    kept = {**state, "context": context, "trace": None}
    return "state-" + hashlib.sha256(json.dumps([app, kept], sort_keys=True, default=str).encode()).hexdigest()[:32]


def decide_natively(runtime: Runtime, execution_id: str, state: RunState[Any]) -> None:
    """Record what a state approves and rejects, for the calls that the SDK's own setting asks about. Blocks.

    What somebody decided before stays decided.
    """
    rows = [row for row in runtime.interrupts(execution_id=execution_id) if row.rule == NATIVE]
    for item in state.get_interruptions():
        decision = _decision(state, item)
        if decision is None:
            continue
        for row in _rows_of(runtime, rows, item):
            try:
                runtime.decide(row.id, decision, by=BY_STATE)
            except (AlreadyDecided, DecisionExpired):
                continue


def _decision(state: RunState[Any], item: ToolApprovalItem) -> Decision | None:
    owner, own = state._find_nested_approval_state(item) or (state, item)
    context = owner._context
    if context is None or own.call_id is None:
        return None
    about: dict[str, Any] = {"tool_namespace": context._resolve_tool_namespace(own), "existing_pending": own}
    approved = context.get_approval_status(own.tool_name or "", own.call_id, **about)
    if approved is None:
        return None
    if approved:
        return Decision.approve()
    return Decision.reject(context.get_rejection_message(own.tool_name or "", own.call_id, **about) or _DEFAULT_REASON)


def _beyond(state: RunState[Any]) -> list[tuple[str, int]]:
    """The other executions that waited for the calls of a state, each with the seq at which it asked about them.

    What they did since is beyond the point to which the state goes back.
    """
    segment = here().segment
    runtime, asked = segment.runtime, set[tuple[str, str]]()
    for item in state.get_interruptions():
        with runtime.database.read() as connection:
            rows = interrupts.find(
                connection, runtime.namespace, runtime.load, kind="approval", tool=item.qualified_name, limit=None
            )
        asked |= {(row.execution_id, row.id) for row in _rows_of(runtime, rows, item)}
    others = {execution_id for execution_id, _ in asked} - {segment.execution.id}
    return [(execution_id, _asked_at(runtime, execution_id, asked)) for execution_id in sorted(others)]


def _asked_at(runtime: Services, execution_id: str, asked: set[tuple[str, str]]) -> int:
    with runtime.database.read() as connection:
        opened = journal.read_kind(connection, execution_id, "interrupt_opened", runtime.load)
    events = [(record.seq, unpack_if(record, InterruptOpened)) for record in opened]
    return min((seq for seq, event in events if event and (execution_id, event.interrupt) in asked), default=0)


def introduce(segment: Segment, state: RunState[Any]) -> None:
    """Put the calls that a state waits for into the inbox where they are not, and let its execution go. Blocks."""
    with within(root(segment)):
        adopt(state)
    segment.abandoned = True  # by this call only: it may be that nothing is left to be asked
    close(segment, None, Suspended())


def adopt(state: RunState[Any]) -> None:
    """Tell a state what is decided about the calls it waits for; asks where nobody was asked yet. Blocks."""
    go_back(here().segment, _beyond(state))
    for item in state.get_interruptions():
        if item.call_id is None or item.tool_name is None:
            continue
        call_id, arguments = described(item.raw_item)
        tool, place = _tool_of(state, item), _place_of(call_id)
        decided = decided_ahead(step_of(place, tool, call_id, arguments, native=True, agent=item.agent))
        if decided is None:
            continue
        if decided.rejected is None:
            state.approve(item)
        else:
            state.reject(item, rejection_message=decided.rejected)


def _tool_of(state: RunState[Any], item: ToolApprovalItem) -> Any:
    """The tool of a call; only its name, where neither the state nor the agent knows it."""
    for run in getattr(state._last_processed_response, "functions", ()):
        if run.tool_call.call_id == item.call_id:
            return run.function_tool
    for tool in item.agent.tools:
        if item.qualified_name in {getattr(tool, "qualified_name", None), tool.name}:
            return tool
    return SimpleNamespace(name=item.tool_name, qualified_name=item.qualified_name)


def _place_of(call_id: str) -> Scope:
    """The scope in which a call was asked about: that of a sub-agent, if the record knows it there."""
    place, suffix = here(), f"tool:{call_id}"
    recorded = [key for key in place.segment.replay.steps if key == suffix or key.endswith(f"/{suffix}")]
    if not recorded:
        return place
    return replace(place, path=recorded[0].removesuffix(suffix).rstrip("/"))


async def restored(segment: Segment, agent: Agent[Any], call: AgentCall) -> RunState[Any]:
    """The state an execution was started with, told what is decided. An agent it needs and that is gone is drift."""
    on_journal_thread = segment.runtime.database.on_journal_thread
    try:
        state = await RunState.from_json(agent, call.state)
    except UserError as exc:
        recorded = {"current_agent": call.state.get("current_agent")}
        now = {"agent": agent.name, "error": str(exc)}
        await on_journal_thread(compare, segment, "drift:state", Difference(recorded, now))
        raise
    await on_journal_thread(adopt, state)
    return state
