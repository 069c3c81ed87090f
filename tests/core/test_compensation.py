"""What an execution has done is undone in reverse order, once each, if it ends without success and the app asks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from durable import Budget, Decision, Done, NotDone, Retry, Runtime, ToolContext, ToolPolicy, ask, tool
from durable.errors import CompensationFailed, ExecutionCancelled, ExecutionClosed, ExecutionFailed
from durable.run.open import open_segment
from tests.world import World, crashed, intact


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


class Trip:
    """Three bookings, and what undoes each; ``hurdles`` run at the beginning of what they are named after."""

    def __init__(self, world, *, is_async=False, ends="ask", **policy):
        self.world, self.ends, self.hurdles, self.keys = world, ends, {}, {}
        self.is_async, self.policy = is_async, policy

    def did(self, what):
        if what in self.hurdles:
            self.hurdles[what]()
        return self.world.did(what)

    def define(self, runtime):
        def undo(arguments, result, context):
            assert isinstance(context, ToolContext)
            self.keys.setdefault(context.step_key, set()).add(context.idempotency_key)
            assert result == f"book {arguments['what']}"
            return self.did(f"undo {arguments['what']}")

        async def undo_async(arguments, result, context):
            await asyncio.sleep(0)
            return undo(arguments, result, context)

        @tool(compensate=undo_async if self.is_async else undo, **self.policy)
        def book(what):
            return self.did(f"book {what}")

        @tool(effect="once")
        def notify():
            return self.did("notify")

        @runtime.function("trip")
        def trip():
            for what in ("flight", "hotel", "car"):
                book(what)
                notify()
            if self.ends == "ask":
                return ask("go on?")
            raise ValueError("no seats left")

        return runtime

    def process(self, **options):
        return self.define(self.world.process(**options))

    @property
    def undone(self):
        return [what for what in self.world.effects if what.startswith("undo")]


ALL = ["undo car", "undo hotel", "undo flight"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_cancelled_execution_is_undone_in_reverse_order_where_it_is_asked_for(world, is_async):
    trip = Trip(world, is_async=is_async)
    assert trip.process().run("trip", id="a").status == "suspended"
    runtime = trip.process(later=60)  # which never ran any of it
    runtime.get("a").cancel("no trip", compensate=True)
    assert trip.undone == ALL
    with pytest.raises(ExecutionCancelled, match="no trip"):
        runtime.get("a").result(1)
    history = runtime.get("a").history()
    steps = [record for record in history if record.kind == "step_done" and record.step_key.endswith("/compensate")]
    assert [record.step_key for record in steps] == [f"book#{n}/compensate" for n in (3, 2, 1)]
    assert [record.meta["name"] for record in steps] == ["compensate:book"] * 3
    assert history[-1].meta == {"reason": "no trip", "compensated": ["book"] * 3}
    assert len(set.union(*trip.keys.values())) == 3  # a key each
    assert [one.status for one in runtime.interrupts(status=None)] == ["cancelled"]
    intact(runtime.get("a"))


@pytest.mark.parametrize(
    ("on_runtime", "on_cancel", "undone"),
    [(False, None, []), (True, None, ALL), (True, False, []), (False, True, ALL)],
)
def test_only_where_the_app_asks_for_it(world, on_runtime, on_cancel, undone):
    runtime = (trip := Trip(world)).process(compensate=on_runtime)
    runtime.run("trip", id="a")
    runtime.get("a").cancel("no", compensate=on_cancel)
    assert (runtime.get("a").status, trip.undone) == ("cancelled", undone)


@pytest.mark.parametrize("compensate", [True, False])
def test_a_failed_execution_too_and_it_fails_as_it_did(world, compensate):
    runtime = (trip := Trip(world, ends="fail")).process(compensate=compensate)
    result = runtime.run("trip", id="a")
    assert (result.status, result.error) == ("failed", {"type": "ValueError", "message": "no seats left"})
    assert trip.undone == (ALL if compensate else [])
    if compensate:
        with pytest.raises(ExecutionClosed, match="was undone: start a new one"):
            runtime.get("a").retry()
        assert runtime.run("trip", id="a").status == "failed"
        assert len(world.effects) == 9


def test_what_ended_for_its_budget_is_undone_beyond_it(world):
    runtime = (trip := Trip(world)).process(compensate=True, budget=Budget(steps=5))
    assert runtime.run("trip", id="a").error["type"] == "BudgetExceeded"
    assert (runtime.get("a").status, trip.undone) == ("failed", ALL)


def test_new_input_in_its_place_undoes_nothing(world):
    runtime = (trip := Trip(world)).process(compensate=True)
    first = runtime.run("trip", thread="t")
    runtime.run("trip", {}, id="second", thread="t")
    assert (runtime.get(first.id).status, trip.undone) == ("cancelled", [])


@pytest.mark.parametrize(
    ("effect", "when"),
    [("once", "undo car"), ("once", "undo hotel"), ("once", "undo flight"), ("idempotent", "undo hotel")],
)
def test_a_crash_in_the_middle_undoes_each_once_and_says_what_is_in_doubt(world, when, effect):
    """The compensation that was cut off is in doubt; the others are done once. An idempotent one has its key again."""
    trip = Trip(world)
    keys = []

    @tool(effect=effect)
    def undo(arguments, result, context):
        keys.append(context.idempotency_key)
        done = trip.did(f"undo {arguments['what']}")
        if done == when and trip.undone.count(when) == 1:
            world.die()
        return done

    policies = {"book": ToolPolicy(compensate=undo)}
    trip.process(policies=policies).run("trip", id="a")
    runtime = trip.process(policies=policies)
    crashed(lambda: runtime.get("a").cancel("no trip", compensate=True))
    after = trip.process(policies=policies, later=60)
    assert after.get("a").status == "running"
    after.recover()
    if effect == "once":
        (doubt,) = after.interrupts()
        assert (doubt.kind, doubt.tool, after.get("a").status) == ("in_doubt", "compensate:book", "suspended")
        assert after.recover() == []  # nothing goes on without an answer
        after.decide(doubt.id, Decision.happened(), by="alice")
        after.recover()
    assert after.get("a").status == "cancelled"
    assert trip.undone == (ALL if effect == "once" else sorted([*ALL, when], key=ALL.index))
    assert len(set(keys)) == 3
    intact(after.get("a"))


def refused():
    raise ConnectionError("refused")


def test_one_that_fails_is_seen_and_can_be_tried_again(world):
    trip = Trip(world)
    trip.hurdles["undo hotel"] = refused
    runtime = trip.process()
    runtime.run("trip", id="a")
    runtime.get("a").cancel("no trip", compensate=True)
    assert trip.undone == ["undo car"]
    execution = runtime.get("a").execution()
    assert (execution.status, execution.error["type"]) == ("failed", CompensationFailed.__name__)
    said = execution.error["message"]
    assert "book could not be compensated: ConnectionError: refused; not undone either: book;" in said
    with pytest.raises(ExecutionFailed, match="could not be compensated"):
        runtime.get("a").result(1)
    failed = [record.step_key for record in runtime.get("a").history() if record.kind == "step_failed"]
    assert failed == ["book#2/compensate"]
    other = trip.process(later=60)
    other.get("a").retry()
    other.recover()
    assert trip.undone == ["undo car"]  # as before: it is refused still
    assert other.get("a").status == "failed"
    trip.hurdles.clear()
    other.get("a").retry()
    assert other.run("trip", id="a").status == "cancelled"
    assert trip.undone == ALL
    assert other.get("a").history()[-1].meta["reason"] == "no trip"
    assert all(len(keys) == 1 for keys in trip.keys.values())
    intact(other.get("a"))


def test_it_may_be_retried_by_itself_and_wait_for_that(world):
    trip = Trip(world)
    tries = []

    @tool(retry=Retry(attempts=3, initial=3600, jitter=0))
    async def undo(arguments, result):
        tries.append(arguments)
        if len(tries) == 1:
            raise ConnectionError("refused")
        return trip.did("undone")

    policies = {"book": ToolPolicy(compensate=undo)}
    runtime = trip.process(policies=policies)
    runtime.run("trip", id="a")
    runtime.get("a").cancel("no trip", compensate=True)
    assert runtime.get("a").status == "suspended"
    runtime.get("a").cancel("once more")  # it is on its way, and waits as before
    assert (runtime.get("a").status, len(tries)) == ("suspended", 1)
    with pytest.raises(ExecutionClosed, match="go on with"):  # an adapter's call of it
        open_segment(runtime, "a", forced=True)
    later = trip.process(policies=policies, later=3700)
    later.recover()
    assert later.get("a").status == "cancelled"
    assert world.effects.count("undone") == 3


def in_doubt(world, **policy):
    trip = Trip(world, **policy)

    def die():
        world.did("sent")
        world.die()

    trip.hurdles["book hotel"] = die
    crashed(lambda: trip.process().run("trip", id="a"))
    trip.hurdles.clear()
    runtime = trip.process(later=60)
    runtime.get("a").cancel("no trip", compensate=True)
    return trip, runtime


def test_a_call_in_doubt_is_asked_about_before_it_is_undone(world):
    trip, runtime = in_doubt(world)
    (doubt,) = runtime.interrupts()
    assert (doubt.kind, doubt.tool, doubt.arguments) == ("in_doubt", "book", {"what": "hotel"})
    assert trip.undone == []
    runtime.decide(doubt.id, Decision.happened("book hotel"), by="alice")
    runtime.recover()
    assert (runtime.get("a").status, trip.undone) == ("cancelled", ["undo hotel", "undo flight"])


def test_one_that_did_not_happen_is_neither_run_nor_undone(world):
    trip, runtime = in_doubt(world)
    runtime.decide(runtime.interrupts()[0].id, Decision.did_not_happen(), by="alice")
    runtime.recover()
    assert (runtime.get("a").status, trip.undone) == ("cancelled", ["undo flight"])
    assert "book hotel" not in world.effects


def test_a_person_may_give_it_up_and_that_is_seen(world):
    trip, runtime = in_doubt(world)
    runtime.decide(runtime.interrupts()[0].id, Decision.cancel("leave it"), by="alice")
    runtime.recover()
    error = runtime.get("a").execution().error
    assert (error["type"], trip.undone) == ("CompensationFailed", [])
    assert (
        "book could not be compensated: given up by a decision: leave it; not undone either: book" in error["message"]
    )


@pytest.mark.parametrize(("verdict", "undone"), [(Done("book hotel"), 2), (NotDone(), 1)])
def test_reconcile_is_asked_before_a_person_here_too(world, verdict, undone):
    trip, runtime = in_doubt(world, reconcile=lambda _key, _arguments: verdict)
    assert (runtime.get("a").status, len(trip.undone)) == ("cancelled", undone)


def test_a_process_without_the_app_leaves_it_to_one_that_has_it(world):
    trip = Trip(world)
    trip.process().run("trip", id="a")
    other = world.process(compensate=False)
    other.get("a").cancel("no trip")
    assert other.get("a").status == "pending"  # whether it is undone is for its app to say
    trip.process(compensate=True).recover()
    assert (other.get("a").status, trip.undone) == ("cancelled", ALL)


def test_a_function_that_is_gone_is_named(world, monkeypatch):
    from durable.declare import registry

    trip = Trip(world)
    trip.process().run("trip", id="a")
    runtime = trip.process()
    monkeypatch.setattr(registry, "_declared", {})
    runtime.get("a").cancel("no trip", compensate=True)
    said = runtime.get("a").execution().error["message"]
    assert "undo is declared here for book; import its module, or name one in Runtime(policies=" in said
    mended = trip.process()
    mended.get("a").retry()
    mended.recover()
    assert (mended.get("a").status, trip.undone) == ("cancelled", ALL)


def test_edited_arguments_are_those_it_gets_and_a_given_answer_is_not_undone(sqlite_url):
    undone = []
    with Runtime(sqlite_url, compensate=True) as runtime:

        @tool(approval=True, compensate=lambda arguments, result: undone.append((arguments, result)))
        def pay(amount, to="acme"):
            return f"paid {amount}"

        @runtime.function("app")
        def app():
            pay(1)
            pay(2)
            raise ValueError("no")

        for decision in (Decision.edit({"amount": 7, "to": "acme"}), Decision.respond("paid elsewhere")):
            (asked,) = runtime.run("app", id="a").interrupts
            runtime.decide(asked.id, decision, by="alice")
        assert runtime.run("app", id="a").status == "failed"
    assert undone == [({"amount": 7, "to": "acme"}, "paid 7")]


@pytest.mark.parametrize(
    ("answer", "undone"),
    [(Decision.happened("book hotel"), ["undo hotel", "undo flight"]), (Decision.did_not_happen(), ["undo flight"])],
)
def test_a_call_that_timed_out_for_good_may_have_happened_and_is_asked_about(world, answer, undone):
    trip, released = Trip(world, effect="idempotent", timeout=0.05), threading.Event()
    trip.hurdles["book hotel"] = lambda: released.wait(20)
    runtime = trip.process(compensate=True)
    result = runtime.run("trip", id="a")
    (doubt,) = result.interrupts
    assert (doubt.kind, doubt.arguments, trip.undone) == ("in_doubt", {"what": "hotel"}, [])
    runtime.decide(doubt.id, answer, by="alice")
    runtime.recover()
    released.set()
    ended = runtime.get("a").execution()
    assert (ended.status, ended.error["type"], trip.undone) == ("failed", "StepTimeout", undone)
