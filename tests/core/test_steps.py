"""A step that has finished never runs again; what a replay returns is what was recorded."""

from __future__ import annotations

import asyncio
import functools

import pytest

from durable import ToolContext, current, step, tool
from durable.errors import ExecutionFailed, InvalidId, NoExecution, StepFailed
from durable.live.dependencies import Dependencies
from durable.secrets.store import SecretStore
from tests.world import crashed, intact, kinds


def test_a_finished_step_is_answered_from_the_journal_by_the_next_process(world, flavour):
    def define(runtime):
        charge = flavour.fn(lambda amount: world.did(f"charged {amount}"))

        def order(amount, die):
            first = yield lambda: step(charge, amount)
            if die and len(world.alive) == 1:
                world.die()
            second = yield lambda: step(charge, amount + 1)
            return [first, second]

        flavour.app(runtime, "order", order)
        return runtime

    crashed(lambda: define(world.process()).run("order", {"amount": 5, "die": True}, id="o"))
    again = define(world.process(later=60))
    result = again.run("order", {"amount": 5, "die": True}, id="o")
    assert result.output == ["charged 5", "charged 6"]
    assert world.effects == ["charged 5", "charged 6"]
    assert kinds(again.get("o")).count("claimed") == 2
    intact(again.get("o"))


def test_replay_asks_the_database_nothing_per_step(world, runtime):
    from sqlalchemy import event

    def app(runtime):
        @runtime.function("many")
        def many():
            return sum(step.options(effect="read")(int, n) for n in range(200))

        return runtime

    app(runtime).run("many", id="m")
    runtime.get("m")
    again = app(world.process())
    with again.database.write() as connection:
        connection.exec_driver_sql("UPDATE executions SET status = 'pending'")
    statements = []
    event.listen(again.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert again.run("many", id="m").output == sum(range(200))
    assert len(statements) < 30


def test_a_call_again_with_the_same_arguments_is_another_step(runtime, flavour, world):
    pay = flavour.fn(lambda amount: world.did(amount))

    def twice():
        yield lambda: step(pay, 5)
        yield lambda: step(pay, 5)

    flavour.app(runtime, "twice", twice)
    assert runtime.run("twice", id="t").status == "succeeded"
    assert world.effects == [5, 5]
    assert [record.step_key for record in runtime.get("t").history() if record.kind == "step_done"] == [
        f"{pay.__name__}#1",
        f"{pay.__name__}#2",
    ]


def test_a_step_with_a_key_of_its_own_is_found_by_it(runtime, flavour, world):
    pay = flavour.fn(lambda amount: world.did(amount))

    def twice():
        first = yield lambda: step.options(key="payment")(pay, 5)
        second = yield lambda: step.options(key="payment")(pay, 5)
        return [first, second]

    flavour.app(runtime, "twice", twice)
    assert runtime.run("twice", id="t").output == [5, 5]
    assert world.effects == [5]
    assert runtime.get("t").history()[2].step_key == "payment"


@pytest.mark.parametrize("key", ["", "   ", "x" * 256, "a\nb", "pay#1"])
def test_a_key_that_cannot_be_one_is_refused(runtime, key):
    with pytest.raises(InvalidId):
        step.options(key=key)


def test_options_change_only_what_they_name(runtime, world):
    @tool(effect="read")
    def look(what):
        return world.did(what)

    seen = []

    @runtime.function("f")
    def f():
        step.options(key="k", timeout=20)(look, "a")
        step.options(timeout=20).options(key="m")(look, "b")
        seen.extend(record.payload["effect"] for record in runtime.get("x").history() if record.kind == "step_done")

    assert runtime.run("f", id="x").status == "succeeded"
    assert seen == ["read", "read"]
    assert [record.step_key for record in runtime.get("x").history() if record.kind == "step_done"] == ["k", "m"]


def test_a_failure_is_recorded_and_raised_again_on_replay(world, flavour):
    def define(runtime):
        def break_(n):
            world.did(n)
            raise ValueError(f"no {n}")

        breaking = flavour.fn(break_)

        def app():
            try:
                yield lambda: step(breaking, 1)
            except ValueError as exc:
                caught = str(exc)
            if len(world.alive) == 1:
                world.die()
            return caught

        flavour.app(runtime, "app", app)
        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=60)).run("app", id="a").output == "no 1"
    assert world.effects == [1]


class Private(Exception):
    def __init__(self, a, *, b):
        super().__init__(f"{a}{b}")


def test_a_failure_of_a_type_that_is_not_allowed_comes_back_as_stepfailed_with_its_name(world):
    def define(runtime):
        def break_():
            raise Private(1, b=2)

        @runtime.function("app")
        def app():
            try:
                step(break_)
            except Private:
                world.die()
            except StepFailed as exc:
                return str(exc)
            return "unreachable"

        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=60)).run("app", id="a").output == "Private: 12"


def test_a_failure_whose_text_cannot_be_made_is_recorded_all_the_same(runtime):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    def break_():
        raise Mute

    @runtime.function("app")
    def app():
        try:
            step(break_)
        except Mute:
            return "caught"

    assert runtime.run("app", id="a").output == "caught"
    failed = [record for record in runtime.get("a").history() if record.kind == "step_failed"]
    assert failed[0].payload["error"]["type"].endswith("Mute")


def test_a_failure_with_a_huge_text_does_not_fill_the_journal(runtime):
    def break_():
        raise ValueError("x" * 5_000_000)

    @runtime.function("app")
    def app():
        step(break_)

    result = runtime.run("app", id="a")
    assert result.status == "failed"
    assert len(result.error["message"]) < 20_000
    with runtime.database.read() as connection:
        largest = connection.exec_driver_sql("SELECT max(length(payload)) FROM journal").scalar()
    assert largest < 100_000


def test_steps_inside_steps_have_keys_below_them(runtime, flavour):
    def leaf(n):
        return n

    @runtime.function("f")
    def f():
        def inner():
            return step(leaf, 1) + step(leaf, 2)

        return step(inner) + step(leaf, 3)

    assert runtime.run("f", id="x").output == 6
    done = [record.step_key for record in runtime.get("x").history() if record.kind == "step_done"]
    assert done == ["inner#1/leaf#1", "inner#1/leaf#2", "inner#1", "leaf#1"]


def test_a_partial_is_named_after_its_function(runtime):
    def add(a, b):
        return a + b

    @runtime.function("f")
    def f():
        return step(functools.partial(add, 1), 2)

    assert runtime.run("f", id="x").output == 3
    assert runtime.get("x").history()[2].step_key == "add#1"


def test_a_plain_function_that_returns_an_awaitable_is_refused_and_not_recorded_as_done(runtime):
    async def real():
        return 1

    @runtime.function("f")
    async def f():
        return await step(lambda: real())

    result = runtime.run("f", id="x")
    assert result.status == "failed"
    assert "async" in result.error["message"]
    assert "step_done" not in kinds(runtime.get("x"))


def test_outside_of_an_execution_a_step_is_refused_and_a_tool_is_a_plain_function():
    with pytest.raises(NoExecution):
        step(int, 1)
    with pytest.raises(NoExecution):
        current()
    seen = []

    @tool
    def plain(a, context: ToolContext):
        seen.append(context.idempotency_key)
        return a

    assert plain(3) == 3
    assert plain(a=4) == 4
    assert len(set(seen)) == 2


def test_async_tools_outside_of_an_execution_are_plain_coroutines():
    @tool
    async def plain(a, context: ToolContext):
        return a, context.execution_id

    assert asyncio.run(plain(3)) == (3, "")


def test_the_context_is_injected_by_its_annotation_and_shown_to_nobody(runtime, flavour):
    import inspect

    seen = {}

    def note(order: str, context: ToolContext):
        seen["given"] = context
        seen["current"] = current()
        return order

    noting = tool(effect="idempotent", secrets=("TOKEN",))(flavour.fn(note))
    assert list(inspect.signature(noting).parameters) == ["order"]
    assert "context" not in noting.__annotations__

    def app():
        return (yield lambda: noting("7"))

    flavour.app(runtime, "app", app)
    runtime.dependencies = Dependencies({"db": "a connection"})
    runtime.secrets = SecretStore({"TOKEN": "hush", "OTHER": "x"}, runtime.secrets.redactor)
    result = runtime.run("app", id="a", thread="t", deadline=500)
    assert result.output == "7", result.error
    context = seen["given"]
    assert context == seen["current"]
    assert (context.execution_id, context.step_key, context.attempt, context.thread) == ("a", "note#1", 1, "t")
    assert context.deadline_at == pytest.approx(runtime.get("a").execution().deadline_at)
    assert context.dependencies == {"db": "a connection"}
    assert context.secrets["TOKEN"] == "hush"
    with pytest.raises(KeyError, match="not declared"):
        context.secrets["OTHER"]
    assert "hush" not in repr(context)
    assert 16 < len(context.idempotency_key) <= 64
    assert "context" not in str([record.payload for record in runtime.get("a").history()])


def test_an_optional_context_is_injected_too(runtime):
    @tool(effect="read")
    def note(order: str, context: ToolContext | None = None):
        return [order, context.step_key]

    @runtime.function("app")
    def app():
        return note("7")

    assert runtime.run("app", id="a").output == ["7", "note#1"]


def test_a_durable_function_may_ask_for_the_context_of_its_execution(runtime, flavour):
    def app(order: str, context: ToolContext):
        yield lambda: step(flavour.fn(lambda: None))
        return [order, context.execution_id, context.thread]

    flavour.app(runtime, "app", app)
    assert runtime.run("app", {"order": "7"}, id="a", thread="t").output == ["7", "a", "t"]


def test_current_in_the_body_of_the_function_is_the_execution(runtime):
    @runtime.function("app")
    def app():
        return [current().execution_id, current().step_key]

    assert runtime.run("app", id="a").output == ["a", ""]


def test_the_idempotency_key_is_the_same_on_every_attempt_and_another_for_every_step(world, flavour):
    keys = []

    def define(runtime):
        def send(what):
            keys.append(current().idempotency_key)
            if len(world.alive) == 1 and len(keys) == 2:
                world.die()
            return what

        sending = tool(effect="idempotent")(flavour.fn(send))

        def app():
            yield lambda: sending("a")
            yield lambda: sending("a")

        flavour.app(runtime, "app", app)
        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=60)).run("app", id="a").status == "succeeded"
    assert keys[1] == keys[2]
    assert len(set(keys)) == 2
    define(world.alive[-1]).run("app", id="b")
    assert len(set(keys)) == 4


def test_an_idempotency_key_of_ones_own_is_used(runtime):
    seen = []

    @tool(effect="idempotent", idempotency_key=lambda arguments: f"refund:{arguments['order']}")
    def refund(order):
        seen.append(current().idempotency_key)

    @runtime.function("app")
    def app():
        refund("o-7")

    runtime.run("app", id="a")
    assert seen == ["refund:o-7"]


def test_policies_of_the_runtime_govern_tools_that_cannot_be_edited(world):
    from durable import ToolPolicy

    runtime = world.process(policies={"enable": ToolPolicy(effect="read", approval=True)})

    def enable(plan):
        return world.did(plan)

    @runtime.function("app")
    def app():
        return step.options(key="k")(enable, "pro")

    result = runtime.run("app", id="a")
    assert result.status == "suspended"
    assert result.interrupts[0].tool == "enable"
    assert world.effects == []


def test_a_tool_called_inside_a_durable_function_is_a_step_by_itself(runtime, flavour, world):
    pay = tool(effect="once")(flavour.fn(lambda amount: world.did(amount)))

    def app():
        return (yield lambda: pay(amount=3))

    flavour.app(runtime, "app", app)
    assert runtime.run("app", id="a").output == 3
    assert kinds(runtime.get("a")) == ["started", "claimed", "step_started", "step_done", "succeeded"]


def test_the_result_of_run_tells_everything_about_the_execution(runtime):
    @runtime.function("app")
    def app(a):
        return a

    result = runtime.run("app", {"a": 1}, id="x", correlation_id="c-1")
    assert (result.id, result.status, result.output, result.error) == ("x", "succeeded", 1, None)
    assert (list(result.interrupts), result.correlation_id, result.usage) == ([], "c-1", {})
    assert [event.seq for event in result.events] == [1, 2, 3]
    again = runtime.run("app", {"a": 1}, id="x")
    assert again.output == 1
    assert len(again.events) == 3


def test_a_step_that_failed_fails_the_execution_and_names_the_step(runtime, flavour):
    def break_():
        raise ValueError("no")

    breaking = flavour.fn(break_)

    def app():
        yield lambda: step(breaking)

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert (result.status, result.error) == ("failed", {"type": "ValueError", "message": "no"})
    assert runtime.get("a").history()[-1].payload["step"] == "break_#1"
    with pytest.raises(ExecutionFailed, match="ValueError: no.*durable retry"):
        runtime.get("a").result()
