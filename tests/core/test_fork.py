"""Fork: a new execution that begins with the records of another one; what that did beyond the point is never repeated silently."""

from __future__ import annotations

import pytest

from durable import Decision, InvalidDecision, Retry, ToolPolicy, ask, current, step, tool
from durable.errors import ExecutionConflict, InvalidConfiguration, Unsupported
from tests.world import DAY, crashed, intact


def app(world, runtime, *, amount=10, thread=None, dies=False, **policy):
    """Reserve, pay, send a mail; the first process runs it, a later one may pay another amount."""

    @tool(effect="once")
    def reserve():
        return world.did("reserve")

    @tool(**policy)
    def pay(amount):
        world.did(f"pay {amount} {current().idempotency_key}")
        if dies:
            world.die()
        return f"paid {amount}"

    @runtime.function("app")
    def run():
        return [reserve(), pay(amount), step(world.did, "mail")]

    if runtime is world.alive[0]:
        runtime.run("app", id="old", thread=thread)


def payments(world):
    return [effect for effect in world.effects if effect.startswith("pay")]


def seq_of(handle, kind, name):
    return next(one.seq for one in handle.history() if one.kind == kind and one.meta.get("name") == name)


@pytest.fixture
def old(world, runtime):
    app(world, runtime)
    return runtime.get("old")


def forked(runtime, old, **options):
    fork = old.fork(at=seq_of(old, "step_done", "reserve"), id="new", **options)
    runtime.recover()
    return fork


def test_what_is_on_record_is_answered_from_it_and_the_rest_is_asked_about(world, runtime, old):
    fork = forked(runtime, old)
    assert fork.status == "suspended"
    (asked,) = runtime.interrupts(execution_id="new")
    assert (asked.kind, asked.tool, asked.arguments) == ("repeat", "pay", {"amount": 10})
    assert asked.subject["earlier"]["execution"] == "old"
    assert "in execution old" in asked.subject["question"]
    assert len(world.effects) == 3
    intact(fork)


def test_its_result_can_be_taken(world, runtime, old):
    fork = forked(runtime, old)
    while fork.status == "suspended":
        runtime.decide(runtime.interrupts()[0].id, Decision.reuse(), by="ann")
        runtime.recover()
    assert (fork.result(), len(world.effects)) == (old.result(), 3)


def test_it_can_be_done_again_under_a_key_of_its_own(world, runtime, old):
    fork = forked(runtime, old)
    while fork.status == "suspended":
        runtime.decide(runtime.interrupts()[0].id, Decision.again(), by="ann")
        runtime.recover()
    first, second = payments(world)
    assert first.split()[:2] == second.split()[:2]
    assert first != second
    assert fork.status == "succeeded"


def test_it_is_not_asked_about_again_after_a_crash(world, runtime, old):
    forked(runtime, old)
    runtime.decide(runtime.interrupts()[0].id, Decision.again(), by="ann")
    dying = world.process()
    app(world, dying, dies=True)
    crashed(dying.recover)
    newest = world.process(later=DAY)
    app(world, newest)
    newest.recover()
    assert [(one.kind, one.tool) for one in newest.interrupts()] == [("in_doubt", "pay")]


def test_an_undo_undoes_the_earlier_effect_and_then_makes_its_own(world):
    runtime = world.process()

    def refund(arguments, result):
        world.did(f"refund {arguments['amount']}")

    app(world, runtime, compensate=refund)
    old = runtime.get("old")
    fork = forked(runtime, old)
    (asked,) = runtime.interrupts()
    runtime.decide(asked.id, Decision.undo(), by="ann")
    runtime.recover()
    assert [effect.split()[0] for effect in world.effects] == ["reserve", "pay", "mail", "refund", "pay"]
    runtime.decide(runtime.interrupts()[0].id, Decision.reuse(), by="ann")
    runtime.recover()
    assert fork.status == "succeeded"


def test_an_undo_is_refused_where_the_tool_does_not_say_how(world, runtime, old):
    forked(runtime, old)
    with pytest.raises(InvalidDecision, match="reuse, again, cancel"):
        runtime.decide(runtime.interrupts()[0].id, Decision.undo(), by="ann")


def test_another_call_is_no_repetition(world, runtime, old):
    newest = world.process()
    app(world, newest, amount=11)
    old.fork(at=seq_of(old, "step_done", "reserve"), id="new")
    newest.recover()
    assert [one.split()[1] for one in payments(world)] == ["10", "11"]


@pytest.mark.parametrize(("choice", "effects"), [("reuse", 3), ("again", 5)])
def test_the_runtime_says_what_becomes_of_repetitions(world, runtime, old, choice, effects):
    newest = world.process(on_repeat=choice)
    app(world, newest)
    fork = forked(newest, old)
    assert (fork.status, len(world.effects)) == ("succeeded", effects)
    assert [one.meta["repeated"] for one in fork.history() if one.meta.get("repeated")] == [choice] * 2


def test_the_tool_counts_before_the_runtime(world, runtime, old):
    newest = world.process(policies={"pay": ToolPolicy(on_repeat="reuse"), "did": ToolPolicy(on_repeat="again")})
    app(world, newest)
    assert forked(newest, old).status == "succeeded"
    assert [effect.split()[0] for effect in world.effects] == ["reserve", "pay", "mail", "mail"]


def test_silence_is_not_among_the_choices(world):
    with pytest.raises(InvalidConfiguration, match="ask, reuse, again"):
        world.process(on_repeat="silent")
    with pytest.raises(InvalidConfiguration, match="ask, reuse, again"):
        ToolPolicy(on_repeat="silent")


def test_reads_run_again(world, runtime):
    app(world, runtime, effect="read")
    fork = forked(runtime, runtime.get("old"))
    assert [one.tool for one in runtime.interrupts()] == ["did"]
    assert fork.status == "suspended"
    assert len(payments(world)) == 2


def test_two_equal_payments_are_two(world, runtime):
    @tool
    def pay(amount):
        return world.did(f"pay {amount}")

    @runtime.function("app")
    def run():
        return [pay(5), pay(5)]

    runtime.run("app", id="old")
    newest = world.process(on_repeat="reuse")

    @newest.function("app")
    def run_more():
        return [pay(5), pay(5), pay(5)]

    fork = runtime.get("old").fork(at=1)
    newest.recover()
    assert fork.result() == ["pay 5"] * 3
    assert len(world.effects) == 3


def test_a_doubt_of_the_old_one_is_a_doubt_of_the_fork(world, runtime):
    @tool
    def pay():
        world.did("pay")
        if len(world.alive) == 1:
            world.die()
        return "paid"

    def make(process):
        @process.function("app")
        def run():
            return [step(world.did, "first"), pay()]

    make(runtime)
    crashed(lambda: runtime.run("app", id="old"))
    newest = world.process(later=DAY, on_repeat="reuse")
    make(newest)
    fork = newest.get("old").fork(at=seq_of(newest.get("old"), "step_done", "did"), id="new")
    newest.recover()
    (asked,) = newest.interrupts(execution_id="new")
    assert asked.kind == "in_doubt"
    newest.decide(asked.id, Decision.happened("paid, I looked"), by="ann")
    newest.recover()
    assert (fork.result()[-1], world.effects) == ("paid, I looked", ["first", "pay"])


def test_in_the_middle_of_a_step_it_is_refused_and_the_nearest_points_are_named(world, runtime, old):
    begun = seq_of(old, "step_started", "pay")
    with pytest.raises(InvalidConfiguration, match=f"a step is under way there; use at={begun - 1} or {begun + 1}$"):
        old.fork(at=begun)


@pytest.mark.parametrize("at", [0, 99])
def test_outside_of_the_records_it_is_refused(old, at):
    with pytest.raises(InvalidConfiguration, match="records; use at="):
        old.fork(at=at)


def test_the_same_id_and_point_is_the_same_fork_and_another_point_is_a_conflict(runtime, old):
    first = old.fork(at=1, id="new")
    assert old.fork(at=1, id="new").id == first.id
    with pytest.raises(ExecutionConflict, match="another origin"):
        old.fork(at=seq_of(old, "step_done", "reserve"), id="new")
    with pytest.raises(ExecutionConflict, match="another origin"):
        old.fork(at=2, id="old")


def test_the_old_one_stays_as_it_was_and_the_fork_says_where_it_is_from(runtime, old):
    before = [record.digest for record in old.history()]
    at = seq_of(old, "step_done", "reserve")
    fork = old.fork(at=at, id="new")
    assert [record.digest for record in old.history()] == before
    copied = fork.history()
    assert [(one.kind, one.step_key, one.meta) for one in copied[:at]] == [
        (one.kind, one.step_key, one.meta) for one in old.history()[:at]
    ]
    assert copied[at].meta == {"event": "forked", "origin": [["old", at]]}
    assert {one.digest for one in copied}.isdisjoint(before)
    intact(fork)


def test_a_fork_of_a_fork_remembers_both(world, runtime, old):
    newest = world.process(on_repeat="reuse")
    app(world, newest)
    first = forked(newest, old)
    second = first.fork(at=seq_of(first, "step_done", "reserve"))
    newest.recover()
    assert (second.result(), len(world.effects)) == (old.result(), 3)


def test_a_question_that_was_open_is_asked_again(world, runtime):
    @runtime.function("app")
    def run():
        return [step(world.did, "first"), ask("which?")]

    runtime.run("app", id="old")
    old = runtime.get("old")
    fork = old.fork(at=len(old.history()), id="new")
    runtime.recover()
    assert [one.execution_id for one in runtime.interrupts()] == ["old", "new"]
    runtime.decide(runtime.interrupts(execution_id="new")[0].id, Decision.respond("this"), by="ann")
    runtime.recover()
    assert (fork.result(), old.status) == (["first", "this"], "suspended")


def test_what_was_copied_is_not_the_forks_to_undo(world, runtime):
    @tool(compensate=lambda arguments, result: world.did("cancelled"))
    def book():
        return world.did("book")

    @runtime.function("app")
    def run():
        return [book(), ask("go on?")]

    runtime.run("app", id="old")
    old = runtime.get("old")
    fork = old.fork(at=seq_of(old, "step_done", "book"))
    fork.cancel(compensate=True)
    assert (fork.status, world.effects) == ("cancelled", ["book"])
    old.cancel(compensate=True)
    assert world.effects == ["book", "cancelled"]


def test_what_was_undone_since_is_no_repetition(world, runtime):
    @tool(compensate=lambda arguments, result: world.did("cancelled"))
    def book():
        return world.did("book")

    @runtime.function("app")
    def run():
        return [book(), ask("go on?")]

    runtime.run("app", id="old")
    old = runtime.get("old")
    old.cancel(compensate=True)
    old.fork(at=1, id="new")
    runtime.recover()
    assert world.effects == ["book", "cancelled", "book"]
    assert [one.kind for one in runtime.interrupts(execution_id="new")] == ["question"]


def test_an_edited_call_is_known_by_what_was_done_too(world, runtime):
    @tool(approval=True)
    def pay(amount):
        return world.did(f"pay {amount}")

    def make(process, amount):
        @process.function("app")
        def run():
            return pay(amount)

    make(runtime, 100)
    runtime.run("app", id="old")
    runtime.decide(runtime.interrupts()[0].id, Decision.edit({"amount": 50}), by="ann")
    runtime.recover()
    for amount in (100, 50):
        make(runtime, amount)
        runtime.get("old").fork(at=1, id=f"new {amount}")
        runtime.recover()
        (asked,) = runtime.interrupts(execution_id=f"new {amount}")
        assert asked.kind == "repeat"
    assert world.effects == ["pay 50"]


def test_a_failed_call_has_done_nothing(world, runtime):
    @tool(retry=Retry(attempts=1))
    def pay():
        if world.did("pay") and len(world.effects) == 1:
            raise ValueError("no")
        return "paid"

    @runtime.function("app")
    def run():
        return pay()

    runtime.run("app", id="old")
    fork = runtime.get("old").fork(at=1)
    runtime.recover()
    assert fork.result() == "paid"


def test_an_approval_is_still_needed_for_what_is_done_again(world, runtime):
    @tool(approval=True)
    def pay():
        return world.did("pay")

    @runtime.function("app")
    def run():
        return pay()

    runtime.run("app", id="old")
    runtime.decide(runtime.interrupts()[0].id, Decision.approve(), by="ann")
    runtime.recover()
    runtime.get("old").fork(at=1, id="new")
    runtime.recover()
    runtime.decide(runtime.interrupts()[0].id, Decision.again(), by="ann")
    runtime.recover()
    (asked,) = runtime.interrupts()
    assert (asked.kind, world.effects) == ("approval", ["pay"])


def test_a_thread_whose_app_is_not_here_is_not_forked(world, runtime):
    app(world, runtime, thread="t")
    with pytest.raises(Unsupported, match="--app"):
        world.process().get("old").fork(at=1)
    assert runtime.get("old").fork(at=1, id="new").execution().thread == "new"


async def test_async_code_forks_without_blocking_the_loop(world, runtime):
    handle = await runtime.aio.start("app", id="old")
    assert (await handle.aio.fork(at=1, id="new")).id == "new"
