"""A body is known by the function that runs, never by its name: no call is taken for the body that it is made in."""

from __future__ import annotations

import asyncio
import functools

import pytest

from durable import Decision, Runtime, step, tool


@pytest.fixture
def paid():
    return []


def domain(paid):
    @tool(effect="once", approval=True)
    def refund(order: str, amount: int) -> str:
        paid.append(amount)
        return "refunded"

    return refund


def tool_of_the_same_name(billing):
    @tool(effect="once")
    def refund(order: str) -> str:
        return billing(order, 5000)

    return lambda: refund("A7")


def step_of_the_same_name(billing):
    def refund(order):
        return billing(order, 5000)

    return lambda: step(refund, "A7")


def partial_of_the_same_name(billing):
    def refund(order, times):
        return billing(order, 5000 * times)

    return lambda: step(functools.partial(refund, times=1), "A7")


@pytest.mark.parametrize("outer", [tool_of_the_same_name, step_of_the_same_name, partial_of_the_same_name])
def test_a_gated_tool_in_a_body_of_the_same_name_is_asked_about(database_url, paid, outer):
    with Runtime(database_url) as runtime:
        runtime.function("desk")(outer(domain(paid)))
        result = runtime.run("desk", id="e")
        assert (paid, result.status) == ([], "suspended")
        [asked] = result.interrupts
        assert asked.arguments == {"order": "A7", "amount": 5000}
        runtime.decide(asked.id, Decision.approve(), by="ann")
        assert runtime.run("desk", id="e").output == "refunded"
    assert paid == [5000]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_that_calls_itself_is_asked_about_each_call(database_url, paid, is_async):
    @tool(effect="once", approval=True)
    def pay(amount: int) -> str:
        paid.append(amount)
        return pay(5000) if amount == 5 else "paid"

    @tool(effect="once", approval=True)
    async def pay_async(amount: int) -> str:
        await asyncio.sleep(0)
        paid.append(amount)
        return await pay_async(5000) if amount == 5 else "paid"

    async def desk():
        return await pay_async(5)

    with Runtime(database_url) as runtime:
        runtime.function("desk")(desk if is_async else lambda: pay(5))
        [asked] = runtime.run("desk", id="e").interrupts
        runtime.decide(asked.id, Decision.approve(), by="ann")
        [asked] = runtime.run("desk", id="e").interrupts
        assert (paid, asked.arguments) == ([5], {"amount": 5000})


def test_a_step_of_a_partial_of_a_tool_is_one_step(database_url, paid):
    @tool(effect="once")
    def pay(amount: int, to: str) -> str:
        paid.append((amount, to))
        return "paid"

    with Runtime(database_url) as runtime:
        runtime.function("desk")(lambda: step(functools.partial(pay, to="bob"), 5))
        result = runtime.run("desk", id="e")
    assert [record.step_key for record in result.events if record.kind == "step_done"] == ["pay#1"]
    assert paid == [(5, "bob")]
