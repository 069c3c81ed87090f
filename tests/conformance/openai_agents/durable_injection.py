"""A pytest plugin for the SDK's own tests: every run that a test starts is an execution of ``durable_agent``.

The runner is put in place inside each test, because upstream takes it away before each of them. When a test is over, each
execution that has ended is repeated with its id, over its record alone (no model, no tool and no session can be asked, an
ended execution takes no step in), and compared with what the test has seen.

All that happened is written to ``$DURABLE_CONFORMANCE_REPORT``, one line an event.
"""

from __future__ import annotations

import asyncio
import copy
import uuid
from contextvars import ContextVar

import pytest
from agents import RunResultStreaming
from agents.run import AgentRunner, Runner, set_default_agent_runner
from agents.run_state import RunState
from reporting import told

from durable import Runtime
from durable.adapters.openai_agents import durable_agent
from durable.adapters.openai_agents.entry import streams
from durable.adapters.openai_agents.entry.agent import DurableAgent
from durable.live.scope import scope

STREAMED = Runner.__dict__["run_streamed"]
_call: ContextVar[Call | None] = ContextVar("conformance_call", default=None)


@pytest.fixture(scope="session")
def durable_runtime(tmp_path_factory):
    open_ = DurableAgent._open

    def remembering(self, *given):
        drive = open_(self, *given)
        call = _call.get()
        if call is not None:
            call.execution = drive.segment.execution.id
        return drive

    DurableAgent._open = remembering
    # a state that is used twice, for another agent, calls its tools twice, as with the bare SDK: by default a person is asked
    url = f"sqlite:///{tmp_path_factory.mktemp('conformance') / 'durable.db'}"
    with Runtime(url, on_repeat="again") as runtime:
        yield runtime
    DurableAgent._open = open_


@pytest.fixture(autouse=True)
def injected(clear_default_runner, durable_runtime, request):
    runner = Injected(durable_runtime, request.node.nodeid)
    set_default_agent_runner(runner)
    yield
    set_default_agent_runner(None)
    runner.report()


class Call:
    """One call of the runner: what it was given, and what came of it."""

    def __init__(self, durable, given, options):
        self.durable, self.execution = durable, None
        self.options = {name: copy.deepcopy(one) if type(one) is dict else one for name, one in options.items()}
        self.state = isinstance(given, RunState)
        self.given = self._kept(given)
        self.result = self.error = None

    def _kept(self, given):
        """The input as it is now: the SDK goes on with a state in place."""
        try:
            return given.to_json(strict_context=False) if self.state else copy.deepcopy(given)
        except Exception as exc:
            return exc

    async def again(self):
        given = await RunState.from_json(self.durable.agent, self.given) if self.state else self.given
        if not isinstance(self.result, RunResultStreaming):
            return await self.durable.run(given, execution_id=self.execution, **self.options)
        streamed = self.durable.run_streamed(given, execution_id=self.execution, **self.options)
        async for _ in streamed.stream_events():
            pass
        return streamed

    def came_to(self):
        if self.error is None and self.result is not None:
            stored = getattr(self.result, "_stored_exception", None)
            self.error = stored or getattr(self.result, "run_loop_exception", None)
        return self.error if self.error is not None else self.result


class Injected(AgentRunner):
    """The SDK's runner, of which each run from the outside is durable."""

    def __init__(self, runtime, test):
        self.runtime, self.test, self.calls = runtime, test, []
        self.app = f"{test.rsplit('::', 1)[-1][:80]}-{uuid.uuid4().hex[:8]}"

    def begun(self, agent, given, options):
        call = Call(durable_agent(agent, self.runtime, name=f"{self.app}:{agent.name}"[:255]), given, options)
        self.calls.append(call)
        _call.set(call)
        return call

    async def run(self, starting_agent, input, **options):  # noqa: A002 - the SDK's name
        if scope() is not None:
            return await super().run(starting_agent, input, **options)
        call = self.begun(starting_agent, input, options)
        try:
            call.result = await call.durable.run(input, **options)
        except BaseException as exc:
            call.error = exc
            raise
        return call.result

    def run_streamed(self, starting_agent, input, **options):  # noqa: A002 - the SDK's name
        if scope() is not None or streams._opening.get() is not None:
            return super().run_streamed(starting_agent, input, **options)
        call = self.begun(starting_agent, input, options)
        with pytest.MonkeyPatch.context() as bare:
            bare.setattr(Runner, "run_streamed", STREAMED)  # a test may count its calls: ours is none of its own
            call.result = call.durable.run_streamed(input, **options)
        return call.result

    def report(self):
        executions = {call.execution: call for call in self.calls if call.execution is not None}
        for id_, call in executions.items():
            found = self.runtime.get(id_)
            records = len(found.history())
            told(test=self.test, execution=id_, records=records, status=found.status)
            if found.status not in {"succeeded", "failed"} or (call.state and found.status == "failed"):
                continue  # it goes on; as a failed execution does that is given a state
            if isinstance(call.given, Exception):
                differs = f"its state cannot be stored: {call.given!r}"
            else:
                differs = asyncio.run(self.repeated(call))
            told(test=self.test, execution=id_, replayed=differs, added=len(found.history()) - records)

    async def repeated(self, call):
        """Go through an ended execution once more: what differs, or nothing."""
        then = call.came_to()
        try:
            now = await asyncio.wait_for(call.again(), 10)
        except Exception as exc:
            now = exc
        if isinstance(then, BaseException) or isinstance(now, BaseException):
            same = isinstance(now, BaseException) and type(then).__name__ in f"{type(now).__name__} {now}"
            return "" if same else f"{now!r} in place of {then!r}"[:300]
        return ", ".join(name for name, view in VIEWS.items() if view(now) != view(then))


VIEWS = {
    "final_output": lambda result: str(result.final_output),
    "new_items": lambda result: [type(item).__name__ for item in result.new_items],
    "outputs": lambda result: [str(getattr(item, "output", None)) for item in result.new_items],
    "raw_responses": lambda result: [response.output for response in result.raw_responses],
    "usage": lambda result: result.context_wrapper.usage.total_tokens,
    "last_agent": lambda result: result.last_agent.name,
}
