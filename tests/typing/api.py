"""The public surface as type checkers see it. Checked by mypy --strict and pyright; never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

from durable import (
    Approval,
    Breaker,
    Budget,
    Decision,
    Execution,
    Handle,
    Interrupt,
    Rate,
    Record,
    Result,
    Retry,
    Runtime,
    ToolContext,
    ToolPolicy,
    current,
    step,
    tool,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


@tool(effect="idempotent", timeout=30.0, retry=Retry(attempts=3))
def create_workspace(name: str, seats: int = 1) -> str:
    return f"{name}:{seats}"


@tool(effect="once", approval=Approval())
async def enable_plan(customer: str, context: ToolContext) -> bool:
    assert_type(context.execution_id, str)
    assert_type(context.idempotency_key, str)
    assert_type(context.attempt, int)
    return bool(customer)


@tool(
    rate=Rate(60, per=60.0, name="crm"),
    breaker=Breaker(failures=3, never=(KeyError,)),
    allowed_when=lambda arguments, facts: facts.calls("look_up") < 3 and bool(arguments),
    tags=("crm",),
)
def look_up(email: str) -> dict[str, str]:
    return {"email": email}


def a_decorated_tool_keeps_its_own_signature() -> None:
    assert_type(create_workspace("acme", seats=2), str)
    assert_type(look_up("a@example.com"), dict[str, str])
    plan: Callable[[str, ToolContext], Awaitable[bool]] = enable_plan
    create_workspace(name=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    del plan


async def a_step_returns_what_its_function_returns() -> None:
    assert_type(step(len, "abc"), int)
    assert_type(await step(enable_plan, "c1", current()), bool)
    assert_type(step.options(key="size", effect="read", timeout=5.0)(len, "abc"), int)


def a_runtime_is_driven_and_read() -> None:
    with Runtime(policies={"pay": ToolPolicy(effect="once", approval=Approval())}) as runtime:

        @runtime.function("greet")
        def greet(name: str) -> str:
            return f"hello {name}"

        assert_type(greet("ada"), str)
        assert_type(runtime.start("greet", {"name": "ada"}, id="greet-1", queue="default"), Handle)
        result = runtime.run("greet", {"name": "ada"}, id="greet-1")
        assert_type(result, Result)
        assert_type(result.id, str)
        assert_type(result.interrupts, Sequence[Interrupt])

        handle = runtime.get("greet-1")
        assert_type(handle, Handle)
        assert_type(handle.result(timeout=5.0), Any)
        assert_type(handle.history(), list[Record])
        handle.cancel("not needed")
        handle.signal("paid", {"amount": 1})

        for execution in runtime.executions():
            assert_type(execution, Execution)
        for interrupt in runtime.interrupts(status="open"):
            runtime.decide(interrupt.id, Decision.approve(), by="alice", comment="seen")


def what_an_execution_may_do() -> Budget:
    gate = Approval(when="arguments.amount > 100")
    policies = {"app:crm/agent:clerk/tag:crm": ToolPolicy(allowed_when="calls(tool) < 3", approval=gate)}
    budget = Budget(tool_calls=3, money=1.5, prices={"gpt-x*": {"input": 1.0, "output": 2.5}}, approval=True)
    Runtime(policies=policies, budget=budget).close()
    return budget


def every_answer_is_a_decision() -> None:
    assert_type(Decision.approve(), Decision)
    assert_type(Decision.edit({"seats": 2}), Decision)
    assert_type(Decision.reject("too many seats"), Decision)
    assert_type(Decision.respond("blue"), Decision)
    assert_type(Decision.happened({"ok": True}), Decision)
    assert_type(Decision.did_not_happen(), Decision)
    assert_type(Decision.cancel(), Decision)
