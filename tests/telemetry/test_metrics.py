"""Metrics: what is counted and measured over all executions of a process, with no id in any attribute."""

from __future__ import annotations

import pytest

from durable import Decision, Runtime, step, tool
from durable.checkpoint.database import Database
from durable.checkpoint.journal.writer import Writer
from durable.telemetry.telemetry import Telemetry
from tests.world import DAY, World, crashed


def totals(listener):
    found = {}
    for (name, _), value in listener.measured().items():
        found[name] = found.get(name, 0) + value
    return found


def test_executions_are_counted_by_status(runtime, listener):
    runtime.function("good")(lambda: 1)
    runtime.function("bad")(lambda: 1 / 0)
    runtime.function("waits")(lambda: step(tool(approval=True)(abs), 1))
    for name in ("good", "good", "bad", "waits"):
        runtime.run(name)
    runtime.executions(status="suspended")
    counted = {
        (dict(about)["gen_ai.agent.name"], dict(about)["durable.execution.status"]): value
        for (name, about), value in listener.measured().items()
        if name == "durable.executions"
    }
    assert counted == {("good", "succeeded"): 2, ("bad", "failed"): 1, ("waits", "suspended"): 1}


def test_steps_commits_and_approvals_are_measured(runtime, listener):
    runtime.function("app")(lambda: step(tool(approval=True)(abs), 1))
    run = runtime.run("app")
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="al")
    runtime.run("app", id=run.id)
    found = totals(listener)
    assert found["durable.step.duration"] == 1
    assert found["durable.approval.wait"] == 1
    assert found["durable.journal.commit.duration"] >= 4
    (about,) = [dict(about) for name, about in listener.measured() if name == "durable.approval.wait"]
    assert about == {"durable.approval.kind": "approval", "durable.approval.decision": "approve"}


def test_a_recovery_and_a_doubt_are_counted(sqlite_url, listener):
    world = World(sqlite_url)

    def process(body, **options):
        runtime = world.process(telemetry=listener.telemetry(), **options)
        runtime.function("app")(lambda: step(body))
        return runtime

    def body():
        world.die()

    first = process(body)
    crashed(lambda: first.run("app", id="x"))
    second = process(body, later=DAY)
    assert second.run("app", id="x").interrupts[0].kind == "in_doubt"
    world.close()
    assert totals(listener)["durable.in_doubt"] == 1
    assert totals(listener)["durable.recoveries"] == 1


def test_a_worker_that_was_overtaken_counts_its_lost_lease(sqlite_url, listener):
    world = World(sqlite_url)
    slow = world.process(telemetry=listener.telemetry())
    quick = world.process(later=DAY)
    reads = step.options(effect="read")
    slow.function("app")(lambda: reads(lambda: quick.run("app", id="x").status))
    quick.function("app")(lambda: reads(lambda: None))
    slow.start("app", id="x")
    slow.drive(slow.app("app"), "x")
    world.close()
    assert totals(listener)["durable.lease.lost"] == 1
    assert listener.one("invoke_agent app").attributes["durable.execution.status"] == "lease_lost"


def test_no_metric_has_an_id_among_its_attributes(runtime, listener):
    runtime.function("app")(lambda: step(tool(effect="read")(abs), 1))
    run = runtime.run("app", thread="t-1")
    told = {key for _, about in listener.measured() for key, _ in about}
    values = {value for _, about in listener.measured() for _, value in about}
    assert told.isdisjoint({"durable.execution.id", "durable.step.id", "gen_ai.conversation.id", "durable.worker.id"})
    assert values.isdisjoint({run.id, "t-1"})


def test_metrics_alone_need_no_tracing_sdk(sqlite_url, listener):
    with Runtime(sqlite_url, telemetry=Telemetry(None, listener.meters)) as runtime:
        runtime.function("app")(lambda: step(abs, 1))
        runtime.run("app")
    assert totals(listener)["durable.step.duration"] == 1
    assert listener.spans == []


def test_a_listener_that_fails_does_not_look_like_a_failed_commit(sqlite_url):
    class Broken:
        def record(self, *_):
            raise RuntimeError("the exporter is gone")

    telemetry = Telemetry()
    telemetry._instruments.commit = Broken()
    with Runtime(sqlite_url, telemetry=telemetry) as runtime:
        runtime.function("app")(lambda: step(abs, -1))
        assert runtime.run("app").output == 1


def test_the_writer_tells_how_long_each_commit_took(sqlite_url):
    told = []
    with Runtime(sqlite_url) as runtime:
        runtime.writer = Writer(runtime.database, committed=told.append)
        runtime.function("app")(lambda: step(abs, -1))
        runtime.run("app")
    assert isinstance(runtime.database, Database)
    assert len(told) == 3  # started, done, succeeded
    assert all(0 < seconds < 10 for seconds in told)


@pytest.mark.parametrize("name", ["durable.step.duration", "durable.journal.commit.duration", "durable.approval.wait"])
def test_durations_are_in_seconds(runtime, listener, name):
    runtime.function("app")(lambda: step(tool(approval=True)(abs), 1))
    run = runtime.run("app")
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="al")
    runtime.run("app", id=run.id)
    scopes = [s for r in listener.reader.get_metrics_data().resource_metrics for s in r.scope_metrics]
    assert [m.unit for s in scopes for m in s.metrics if m.name == name] == ["s"]
