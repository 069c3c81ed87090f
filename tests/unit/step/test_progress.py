"""The states of a step: every transition of the table is taken by a story, and there are no others."""

from __future__ import annotations

import pytest

from durable import Retry, ToolPolicy
from durable.checkpoint.records import NewRecord
from durable.declare.policy import Done, NotDone
from durable.errors import Suspended
from durable.live.scope import here
from durable.record import progress, replay
from durable.record.events import Failed, Signal, StepRetry, Timer
from durable.record.kinds import TOOL
from durable.record.progress import TRANSITIONS
from durable.step.attempt import Ended
from durable.step.begin import begin_step, place
from durable.step.call import Call, Pending
from durable.step.complete import complete_step, waits_inside
from durable.testing.memory import MemoryProcess

AGAIN = Retry(attempts=3, initial=0.0)
READ = ToolPolicy("read")
RETRIED = ToolPolicy("read", retry=AGAIN)
ONCE_RETRIED = ToolPolicy(retry=AGAIN)
OK, BROKEN = Ended("ok"), Ended(error=ConnectionError("down"))


def placed(policy):
    return place(Call("pay", policy=policy, identity="a", kind=TOOL, scope=here()))


def attempts(policy, *ends):
    """Make a call whose attempts end so; it dies in the middle of the one that is None."""
    step = placed(policy)
    for end in ends:
        pending = begin_step(step)
        assert isinstance(pending, Pending)
        if end is None:
            return
        try:
            complete_step(pending, end, 0.1)
        except ConnectionError:
            return


def process(memory, policy, *ends):
    with memory.claimed():
        attempts(policy, *ends)


def reads_and_is_done(memory):
    process(memory, READ, OK)


def is_retried_until_it_is_done(memory):
    process(memory, RETRIED, BROKEN, BROKEN, OK)


def is_retried_until_it_fails(memory):
    process(memory, RETRIED, BROKEN, BROKEN, BROKEN)


def is_announced_and_done(memory):
    process(memory, ToolPolicy(), OK)


def is_announced_and_retried_and_fails(memory):
    process(memory, ONCE_RETRIED, BROKEN, BROKEN, BROKEN)


def dies_and_has_not_happened(memory):
    process(memory, ToolPolicy(), None)
    process(memory, ToolPolicy(reconcile=lambda *_: NotDone()), OK)


def dies_and_has_happened(memory):
    process(memory, ToolPolicy(), None)
    with memory.claimed():
        begin_step(placed(ToolPolicy(reconcile=lambda *_: Done(1))))


def is_left_by_a_call_inside_that_waits(memory):
    with memory.claimed():
        waits_inside(begin_step(placed(ToolPolicy())))
    process(memory, ToolPolicy(), OK)


def sleeps(memory):
    with memory.claimed() as segment:
        segment.append(Timer(name="sleep", arguments_hash="", due_at=5.0).pack("sleep#1"))


def receives_a_signal(memory):
    with memory.claimed() as segment:
        segment.append(Signal(name="signal:x", arguments_hash="").pack("signal:x#1", b"1"))


def execution_fails_and_is_retried(memory):
    """The step for which an execution failed is new again."""
    with memory.claimed() as segment:
        attempts(READ, BROKEN)
        described = {"type": "E", "message": ""}
        segment.append(Failed(error=described, step="a", status="failed").pack())
    process(memory, READ, OK)


def fails_and_then(memory, policy, end):
    """A journal holds no word of a failure that was forgotten: what comes after it is read behind the failure."""
    process(memory, READ, BROKEN)
    with memory.claimed() as segment:
        segment.replay.at("a").forget()
        attempts(policy, end)
    with memory.claimed():
        pass


def fails_and_is_done(memory):
    fails_and_then(memory, READ, OK)


def fails_and_fails(memory):
    fails_and_then(memory, READ, BROKEN)


def fails_and_is_started(memory):
    fails_and_then(memory, ToolPolicy("idempotent", compensate=print), None)


def fails_and_is_retried(memory):
    fails_and_then(memory, RETRIED, BROKEN)


STORIES = [
    reads_and_is_done,
    is_retried_until_it_is_done,
    is_retried_until_it_fails,
    is_announced_and_done,
    is_announced_and_retried_and_fails,
    dies_and_has_not_happened,
    dies_and_has_happened,
    is_left_by_a_call_inside_that_waits,
    sleeps,
    receives_a_signal,
    execution_fails_and_is_retried,
    fails_and_is_done,
    fails_and_fails,
    fails_and_is_started,
    fails_and_is_retried,
]


@pytest.fixture
def taken(monkeypatch):
    """All transitions that are taken in a test."""
    found = set()

    def after(state, kind):
        reached = progress.after(state, kind)
        if reached is not None:
            found.add((state, kind))
        return reached

    monkeypatch.setattr(replay, "after", after)
    return found


def test_every_transition_of_the_table_is_taken(taken):
    for story in STORIES:
        story(MemoryProcess())
    assert set(TRANSITIONS) - taken == set()


def test_a_transition_that_no_story_takes_is_found(taken, monkeypatch):
    monkeypatch.setitem(TRANSITIONS, ("done", "step_started"), "started")
    for story in STORIES:
        story(MemoryProcess())
    assert set(TRANSITIONS) - taken == {("done", "step_started")}


def test_what_is_done_stays_done():
    memory = MemoryProcess()
    with memory.claimed() as segment:
        attempts(READ, OK)
        outcome = segment.replay.at("a")
        first = outcome.result
        for kind in ("step_started", "step_done", "step_failed"):
            segment.append(NewRecord(kind, "a", {}))
        segment.append(StepRetry(not_before=1.0).pack("a"))
        assert (outcome.is_done, outcome.result) == (True, first)


def test_a_step_that_waits_is_as_it_was():
    memory = MemoryProcess()
    with memory.claimed() as segment, pytest.raises(Suspended):
        begin_step(placed(ToolPolicy(approval=True)))
    assert segment.replay.at("a").is_new
