"""A pytest plugin for the SDK's own tests: every run that a test starts is an execution of ``durable_agent``.

The runner is put in place inside each test, because upstream takes it away before each of them. What was recorded is written to
``$DURABLE_CONFORMANCE_REPORT``, one line a run: a test that started runs of which nothing was recorded has tested the bare SDK.

With ``DURABLE_CONFORMANCE_MODE=replay`` every run that has ended is repeated with its execution id, over its record alone,
and compared with the first: then no model, no tool and no session may be asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid

import pytest
from agents.run import AgentRunner, set_default_agent_runner

from durable import Runtime
from durable.adapters.openai_agents import durable_agent, streams
from durable.checkpoint.errors import ExecutionSuspended, Unsupported
from durable.context import scope

MODE = os.environ.get("DURABLE_CONFORMANCE_MODE", "inject")
REPORT = os.environ["DURABLE_CONFORMANCE_REPORT"]


@pytest.fixture(scope="session")
def durable_runtime(tmp_path_factory):
    with Runtime(f"sqlite:///{tmp_path_factory.mktemp('conformance') / 'durable.db'}") as runtime:
        yield runtime


@pytest.fixture(autouse=True)
def injected(clear_default_runner, durable_runtime, request):
    runner = Injected(durable_runtime, request.node.nodeid)
    set_default_agent_runner(runner)
    yield
    set_default_agent_runner(None)
    for line in runner.lines():
        with open(REPORT, "a") as report:
            report.write(json.dumps({"test": request.node.nodeid, **line}) + "\n")


class Injected(AgentRunner):
    """The SDK's runner, of which each run from the outside is durable."""

    def __init__(self, runtime, test):
        self.runtime = runtime
        self.app = f"{test.rsplit('::', 1)[-1][:80]}-{uuid.uuid4().hex[:8]}"
        self.refused = []
        self.replayed = []

    def durable(self, agent):
        return durable_agent(agent, self.runtime, name=f"{self.app}:{agent.name}"[:255])

    async def run(self, starting_agent, input, **options):  # noqa: A002 - the SDK's name
        if scope() is not None:
            return await super().run(starting_agent, input, **options)
        durable = self.durable(starting_agent)
        result = await durable.run(input, **options)
        if MODE == "replay":
            await self.replay(durable, result, input, options)
        return result

    def run_streamed(self, starting_agent, input, **options):  # noqa: A002 - the SDK's name
        if scope() is not None or streams._opening.get() is not None:
            return super().run_streamed(starting_agent, input, **options)
        return self.durable(starting_agent).run_streamed(input, **options)

    async def replay(self, durable, result, given, options):
        """Repeat an ended run over its record: what differs, or nothing."""
        if not self.runtime.get(result.execution_id).execution().ended:
            return
        try:
            again = await durable.run(given, execution_id=result.execution_id, **options)
        except BaseException as exc:
            if isinstance(exc, (KeyboardInterrupt, asyncio.CancelledError)):
                raise
            self.replayed.append(f"{type(exc).__name__}: {exc}"[:300])
            return
        differs = [name for name, view in VIEWS.items() if view(again) != view(result)]
        self.replayed.append(", ".join(differs))

    def lines(self):
        for execution in self.runtime.executions(limit=1000):
            if execution.app.startswith(self.app):
                records = self.runtime.get(execution.id).history()
                yield {
                    "execution": execution.id,
                    "status": execution.status,
                    "records": len(records),
                    "steps": sum(record.kind in {"step_done", "step_failed"} for record in records),
                    "error": execution.error,
                }
        for differs in self.replayed:
            yield {"replayed": differs}


VIEWS = {
    "final_output": lambda result: str(result.final_output),
    "new_items": lambda result: [type(item).__name__ for item in result.new_items],
    "outputs": lambda result: [str(getattr(item, "output", None)) for item in result.new_items],
    "raw_responses": lambda result: [response.output for response in result.raw_responses],
    "usage": lambda result: result.context_wrapper.usage.total_tokens,
    "last_agent": lambda result: result.last_agent.name,
}

__all__ = ["ExecutionSuspended", "Unsupported", "injected"]
