"""Telemetry across a crash: a killed process tells nothing of its open spans; the next one links to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from durable import Runtime, step

ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from opentelemetry.sdk.trace import TracerProvider
from durable import Runtime, step
from durable.telemetry.telemetry import Telemetry

with Runtime(sys.argv[1], telemetry=Telemetry(TracerProvider())) as runtime:
    @runtime.function("app")
    def app():
        first = step.options(effect="read")(abs, -1)
        step.options(effect="read")(lambda: os.kill(os.getpid(), signal.SIGKILL))
    runtime.run("app", id="x")
"""


def test_a_recovery_is_linked_to_what_was_killed_and_has_no_span_for_what_it_replays(sqlite_url, listener):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, sqlite_url], cwd=ROOT, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL

    with Runtime(sqlite_url, telemetry=listener.telemetry()) as runtime:

        @runtime.function("app")
        def app():
            first = step.options(effect="read")(abs, -1)
            return first + step.options(effect="read")(lambda: 1)

        records = runtime.get("x").history()
        started = runtime.get("x").execution().traceparent
        assert [result.output for result in runtime.recover()] == [2]

    (lost,) = [record.meta["traceparent"] for record in records if "traceparent" in record.meta]
    segment = listener.one("invoke_agent app")
    assert f"{segment.context.trace_id:032x}" == started.split("-")[1] == lost.split("-")[1]
    assert f"{segment.parent.span_id:016x}" == started.split("-")[2]
    assert [f"{link.context.span_id:016x}" for link in segment.links] == [lost.split("-")[2]]
    assert segment.attributes["durable.execution.recovered"] is True
    assert listener.named("abs") == []
    assert [event.attributes["durable.step.id"] for event in segment.events] == ["abs#1"]
    assert listener.measured()["durable.recoveries", (("gen_ai.agent.name", "app"),)] == 1
