"""Places: the scope that each run of an agent works in.

The run an execution is about, and the run of a sub-agent given ``as_tool``, are the place they are called in. Any other
``Runner.run`` (in a tool, a guardrail, a callback) is a place of its own below it, found again by its agent and input.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agents.run_state import RunState

from durable.adapters.openai_agents.state import session_diff
from durable.declare.policy import READ
from durable.errors import Unsupported
from durable.live.scope import Scope, running, within
from durable.record.kinds import FRAMEWORK
from durable.step.call import Call
from durable.step.crossing import place, run_step_async

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = "chat"
"""The name of every model step: an execution goes on with its answers when the model was exchanged."""
_HELD = "answers held"
"""The step that says how many answers the state held that a run began with."""
_own: ContextVar[bool] = ContextVar("durable_openai_own", default=False)
"""Whether the next run is the one that the current scope stands for."""
_guardrails: ContextVar[Counter[str] | None] = ContextVar("durable_openai_guardrails", default=None)
"""How often each guardrail was called in the current run."""


@contextmanager
def own_run() -> Iterator[None]:
    """The next run in this block is the current scope itself."""
    token = _own.set(True)
    try:
        yield
    finally:
        _own.reset(token)


async def path_of_run(here: Scope, agent: Any, given: Any) -> str:
    """The path of a run that begins now: the scope's own, or one below it.

    Raises Unsupported for a RunState whose decisions nothing here would record.
    """
    if isinstance(given, RunState) and given.get_interruptions() and not _own.get():
        msg = (
            "a RunState with calls that wait for approval, given to Runner.run inside of an execution: decide them in "
            "the inbox and run the same code again, or give the state to durable_agent(...).run outside of executions"
        )
        raise Unsupported(msg)
    path = here.path if _own.get() else await _sub_run(here, agent, given)
    if isinstance(given, RunState):
        await _pass_answers(here, path, len(given._model_responses))
        session_diff.pass_state(replace(here, path=path), given)
    return path


@contextmanager
def place_of_run(here: Scope, path: str) -> Iterator[bool]:
    """Enter the scope of a run; yields whether it is the scope's own run."""
    own = _own.get()
    tokens = _own.set(False), _guardrails.set(Counter())
    try:
        with within(replace(here, path=path, bodies=(), line=running())):
            yield own
    finally:
        _own.reset(tokens[0])
        _guardrails.reset(tokens[1])


async def _pass_answers(here: Scope, path: str, held: int) -> None:
    """A run that goes on from a state has the answers that the state holds; those of its scope do not come by again.

    A state from elsewhere holds some already when the record begins: how many is recorded then.
    """
    key, replay = f"{path}/{_HELD}".lstrip("/"), here.segment.replay
    answers = replay.numbered.get(f"{path}/{STEP}".lstrip("/"), [])
    before = 0
    if key in replay.steps or not answers:

        async def begun(_: Any) -> int:
            return held

        held_before = Call(_HELD, policy=READ, identity=_HELD, kind=FRAMEWORK, scope=replace(here, path=path))
        before = await run_step_async(place(held_before), begun)
    for known in answers[: held - before]:
        known.taken = True


async def _sub_run(here: Scope, agent: Any, given: Any) -> str:
    about = {"agent": agent.name, "input": None if isinstance(given, RunState) else given}
    step = place(Call("run", about, READ, kind=FRAMEWORK, scope=here))

    async def begun(_: Any) -> None:
        return None

    await run_step_async(step, begun)
    return step.key


@contextmanager
def place_of_guardrail(here: Scope, name: str, tool_call_id: str | None = None) -> Iterator[None]:
    """Enter the scope of a guardrail: they run side by side, with each other and with the model."""
    around = here.path if tool_call_id is None else f"{here.path}/tool:{tool_call_id}".lstrip("/")
    counts = _guardrails.get()
    prefix = f"{around}/guardrail:{name}".lstrip("/")
    number = 1
    if counts is not None:
        counts[prefix] += 1
        number = counts[prefix]
    token = _own.set(False)
    try:
        with within(replace(here, path=f"{prefix}:{number}", bodies=(), line=running())):
            yield
    finally:
        _own.reset(token)
