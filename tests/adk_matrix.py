"""``python -m tests.adk_matrix``: stock ADK and ours are killed in the same places; a Markdown table of what came of it.

Each process is a real one that ends itself with SIGKILL, right after the effect that a row names; another one goes on. Effects
arrive at an HTTP server in this process, which counts them. Stock: resumability on where a row does not say otherwise,
ADK's own sessions in SQLite, resumed as its documentation says, by the invocation's id. Ours: ``runtime.recover()``; what is in
doubt is answered by one who looks at what arrived. ``--only NAME`` picks rows. Minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import traceback
import urllib.request
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from google.adk.apps.app import App, ResumabilityConfig
from google.adk.runners import Runner
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools import FunctionTool
from google.genai import types

from durable import Decision, Runtime
from durable.adapters.google_adk import durable_runner
from tests.adapters import adk_structures as made
from tests.adapters.adk_structures import Parts
from tests.adapters.adk_world import USER, call, text
from tests.openapi.server import Api

SESSION = {"app_name": "app", "user_id": USER, "session_id": "s"}
LATE = 0.5
"""Seconds that the tool that will be killed waits before its effect: what runs beside it has ended by then."""


class Sent(Parts):
    """Apps whose effects, and questions to models, arrive at the server; the process ends after the effect ``dies``."""

    def __init__(self, url: str, dies: str | None) -> None:
        super().__init__()
        self.url, self.dies = url, dies

    def effect(self, name: str) -> dict[str, str]:
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="POST")).close()
        if name == self.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"did": name}

    async def before(self, name: str) -> None:
        if name == self.dies:
            await asyncio.sleep(LATE)

    def model(self, turns: list[Any]) -> Any:
        def counted(turn: Any) -> Any:
            def said(request: Any) -> Any:
                self.effect("model")
                return turn(request) if callable(turn) else turn

            return said

        return super().model([counted(turn) for turn in turns])


def confirmed(parts: Parts) -> Any:
    """A tool that must be confirmed beside one that need not be."""
    agent = parts.agent("root", "t1", turns=[[call("t1"), call("pay")], [text("done")]])
    agent.tools.append(FunctionTool(parts.tool("pay"), require_confirmation=True))
    return agent


@dataclass(frozen=True)
class Row:
    """An app, the effect after which its process is killed, and how many go on with it at once."""

    name: str
    build: Any
    dies: str | None
    at_once: int = 1
    confirms: bool = False
    resumable: bool = True


ROWS = (
    Row("parallel tools", made.parallel_tools, "t2"),
    Row("sequential tools", made.sequential_tools, "t2"),
    Row("SequentialAgent", made.sequential, "t2"),
    Row("ParallelAgent", made.parallel, "t2"),
    Row("LoopAgent", made.loop, "t2"),
    Row("transfer", made.transfer, "t2"),
    Row("AgentTool", made.agent_tool, "t2"),
    Row("task-mode agent", made.task, "t2"),
    Row("Workflow with a join", made.graph, "n3"),
    Row("nodes that return None", made.silent_graph, "n3"),
    Row("dynamic nodes", made.dynamic, "d2"),
    Row("confirmation across a restart", confirmed, None, confirms=True),
    Row("killed after the confirmed effect", confirmed, "pay", confirms=True),
    Row("two processes resume at once", made.sequential, "t2", at_once=2),
    Row("approved twice at once", confirmed, None, at_once=2, confirms=True, resumable=False),
    Row("a finished invocation resumed", made.sequential_tools, None),
)


class Stock(NamedTuple):
    """ADK as it is."""

    row: Row
    folder: Path
    parts: Sent

    @property
    def runner(self) -> Runner:
        app = App(name="app", root_agent=self.row.build(self.parts))
        if self.row.resumable:
            app.resumability_config = ResumabilityConfig(is_resumable=True)
        return Runner(app=app, session_service=SqliteSessionService(str(self.folder / "stock.db")))

    async def begin(self) -> None:
        runner = self.runner
        await runner.session_service.create_session(**SESSION)
        await self._heard(runner, types.UserContent("go"))

    async def go_on(self) -> None:
        runner = self.runner
        session = await runner.session_service.get_session(**SESSION)
        asked = [each for event in session.events for each in event.get_function_calls() if "confirmation" in each.name]
        if self.row.confirms and not any(event.author == "user" for event in session.events[1:]):
            response = types.FunctionResponse(id=asked[-1].id, name=asked[-1].name, response={"confirmed": True})
            await self._heard(runner, types.UserContent([types.Part(function_response=response)]))
        else:
            await self._heard(runner, None, invocation_id=session.events[-1].invocation_id)

    async def _heard(self, runner: Runner, message: Any, **options: Any) -> None:
        names = {"user_id": USER, "session_id": "s", "new_message": message}
        async for _ in runner.run_async(**names, **options):
            pass

    def doubts(self, arrived: Counter[str]) -> list[str]:
        """It knows of none."""
        return []


class Ours(NamedTuple):
    """ADK made durable."""

    row: Row
    folder: Path
    parts: Sent

    @property
    def runner(self) -> Any:
        runtime = Runtime(f"sqlite:///{self.folder / 'ours.db'}")
        return durable_runner(self.row.build(self.parts), runtime, name="app")

    async def begin(self) -> None:
        runner = self.runner
        await runner.session_service.create_session(**SESSION)
        names = {"user_id": USER, "session_id": "s", "new_message": types.UserContent("go")}
        async for _ in runner.run_async(**names, execution_id="e"):
            pass

    async def go_on(self) -> None:
        runtime = self.runner.runtime
        for asked in runtime.interrupts():
            if asked.kind == "approval":
                runtime.decide(asked.id, Decision.approve(), by="ann")
        await runtime.aio.recover()

    def doubts(self, arrived: Counter[str]) -> list[str]:
        """Settle what is in doubt, as one who looks at what has arrived."""
        runtime = self.runner.runtime
        found = [asked for asked in runtime.interrupts() if asked.kind == "in_doubt"]
        for asked in found:
            did = {"did": asked.tool}
            answer = Decision.happened(did) if arrived[asked.tool] else Decision.did_not_happen()
            runtime.decide(asked.id, answer, by="ann")
        return [asked.tool for asked in found]


@dataclass
class Tale:
    """What one side came to: how often each effect arrived, what was in doubt, and what a process ended with."""

    arrived: Counter[str] = field(default_factory=Counter)
    doubted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def twice(self) -> dict[str, int]:
        """The effects that happened more than once."""
        return {name: times for name, times in self.arrived.items() if times > 1 and name != "model"}

    def __str__(self) -> str:
        effects = [f"{name} x{times}" for name, times in sorted(self.arrived.items()) if name != "model"]
        told = [", ".join(f"**{one}**" if not one.endswith("x1") else one for one in effects)]
        told += [f"in doubt: {', '.join(sorted(self.doubted))}"] if self.doubted else []
        told += [f"model asked x{self.arrived['model']}"] if self.arrived["model"] else []
        return "; ".join(told + sorted(set(self.failed)))


def _forked(what: Any) -> int:
    """Run a coroutine function in a process of its own: its id."""
    pid = os.fork()
    if pid:
        return pid
    status = 0
    warnings.simplefilter("ignore")
    try:
        asyncio.run(what())
    except BaseException as exc:
        last = traceback.format_exception_only(exc)[-1].partition(":")[0].strip().rpartition(".")[2]
        os.write(2, f"{last}\n".encode())
        status = 1
    os._exit(status)


def tell(row: Row, side: type[Stock | Ours], api: Api) -> Tale:
    """A process that is killed, those that go on after it, and one that finds what it has left done."""
    tale, folder = Tale(), Path(tempfile.mkdtemp(prefix="matrix-"))

    def arrived() -> Counter[str]:
        return Counter(one.path.strip("/") for one in api.arrived)

    def process(dies: str | None, step: str, *, at_once: int = 1) -> None:
        lives = [side(row, folder, Sent(api.url, dies)) for _ in range(at_once)]
        for pid in [_forked(getattr(life, step)) for life in lives]:
            status = os.waitpid(pid, 0)[1]
            if status and not (os.WIFSIGNALED(status) and dies):
                tale.failed.append("one process ended with an error")

    api.arrived.clear()
    first = None if row.confirms else row.dies
    process(first, "begin")
    if row.confirms and row.dies:
        process(row.dies, "go_on")
    process(None, "go_on", at_once=row.at_once)
    while doubted := side(row, folder, Sent(api.url, None)).doubts(arrived()):
        tale.doubted += doubted
        process(None, "go_on")
    tale.arrived = arrived()
    shutil.rmtree(folder, ignore_errors=True)
    return tale


def main() -> int:
    """Print the table; the exit status is 1 if an effect of ours happened twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.adk_matrix", description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    only = parser.parse_args().only
    logging.disable(logging.CRITICAL)
    print("| app | killed after | stock ADK | durable |", "|---|---|---|---|", sep="\n")
    violations, api = 0, Api()
    for row in ROWS:
        if not only or row.name in only:
            stock, ours = tell(row, Stock, api), tell(row, Ours, api)
            name = row.name + ("" if row.resumable else " (resumability off)")
            print(f"| {name} | {row.dies or '-'} | {stock} | {ours} |", flush=True)
            violations += len(ours.twice)
    api.close()
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
