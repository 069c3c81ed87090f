"""What ``@tool`` leaves as it was, and how a call's arguments are taken apart and put together again."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from durable import ToolContext, ToolPolicy, tool
from durable.declare.signature import bound, context_parameter, plain, policy_of, unbound
from durable.errors import (
    AlreadyDecided,
    DurableError,
    InvalidConfiguration,
    NoExecution,
    ThreadBusy,
)
from durable.record.failure import describe, mark, origin, shown


def every_kind(a, /, b, *rest, c=3, **more):
    return [a, b, rest, c, more]


@pytest.mark.parametrize(
    ("args", "kwargs", "arguments"),
    [
        ((1, 2), {}, {"a": 1, "b": 2}),
        ((1,), {"b": 2, "c": 4}, {"a": 1, "b": 2, "c": 4}),
        ((1, 2, 3, 4), {"d": 5}, {"a": 1, "b": 2, "rest": (3, 4), "more": {"d": 5}}),
    ],
)
def test_a_call_is_recorded_by_the_names_of_its_parameters(args, kwargs, arguments):
    assert bound(every_kind, args, kwargs) == arguments
    positional, named = unbound(every_kind, arguments)
    assert every_kind(*positional, **named) == every_kind(*args, **kwargs)


def test_a_call_that_does_not_fit_is_recorded_as_it_was_made():
    assert bound(lambda a: a, (1, 2), {"x": 3}) == {"args": [1, 2], "x": 3}


@pytest.mark.parametrize(
    "annotation", [ToolContext, "ToolContext", ToolContext | None, "ToolContext | None", "None | ToolContext"]
)
def test_the_context_is_found_by_its_annotation(annotation):
    def fn(a, given=None):
        """A tool."""

    fn.__annotations__ = {"a": int, "given": annotation}
    assert context_parameter(fn) == "given"
    assert bound(fn, (1,), {"given": "whatever"}) == {"a": 1}


def test_a_context_of_another_library_is_not_taken_for_ours():
    class Other:
        """As in a framework."""

    namespace = {"ToolContext": Other, "__annotations__": {}}
    exec("def fn(a: 'Unknown', context: 'ToolContext'): ...", namespace)
    assert context_parameter(namespace["fn"]) is None


def test_a_tool_stays_what_it_was():
    @tool(effect="read")
    def look(a: int, b: str = "x") -> str:
        """Look."""
        return f"{a}{b}"

    assert (look.__name__, look.__doc__) == ("look", "Look.")
    assert str(inspect.signature(look)) == "(a: 'int', b: 'str' = 'x') -> 'str'"
    assert look(1, b="y") == "1y"
    assert policy_of(look) == ToolPolicy(effect="read")
    assert plain(look).__name__ == "look"
    assert not inspect.iscoroutinefunction(look)


def test_an_async_tool_stays_async():
    @tool
    async def look(a):
        return a

    assert inspect.iscoroutinefunction(look)
    assert asyncio.run(look(1)) == 1
    assert policy_of(look) == ToolPolicy(effect="once")


def test_a_tool_object_of_a_framework_gets_its_policy_and_stays_the_same_object():
    class FrameworkTool:
        name = "look"

    made = FrameworkTool()
    assert tool(effect="read")(made) is made
    assert policy_of(made) == ToolPolicy(effect="read")
    inside: Any = FrameworkTool()
    inside.func = tool(effect="idempotent")(lambda: None)
    assert policy_of(inside) == ToolPolicy(effect="idempotent")
    assert policy_of(lambda: None) is None


def test_an_unknown_effect_is_refused_where_it_is_written():
    with pytest.raises(InvalidConfiguration, match="read, idempotent, transactional, once"):
        tool(effect="twice")(print)


class TestFailures:
    def test_the_innermost_step_is_remembered(self):
        error = ValueError("x")
        mark(error, "a#1/b#1")
        mark(error, "a#1")
        assert origin(error) == "a#1/b#1"

    def test_the_last_of_steps_beside_each_other_is_remembered(self):
        error = ValueError("x")
        mark(error, "a#1")
        mark(error, "a#2")
        assert origin(error) == "a#2"

    def test_it_is_found_through_the_cause(self):
        error, cause = KeyError(), ValueError()
        mark(cause, "a#1")
        error.__cause__ = cause
        assert origin(error) == "a#1"
        assert origin(KeyError()) is None
        assert origin(None) is None

    def test_a_ring_of_causes_ends(self):
        first, second = ValueError(), KeyError()
        first.__context__, second.__context__ = second, first
        assert origin(first) is None

    def test_what_cannot_be_shown_is_named_by_its_type(self):
        class Mute(Exception):
            def __repr__(self):
                raise RuntimeError

            __str__ = __repr__

        assert shown(Mute(), 10).endswith("Mute>")
        assert "cannot be made" in describe(Mute())["message"]
        assert shown("x" * 100, 5) == "'xxxx"


class TestErrors:
    def test_the_docstring_is_the_message(self):
        assert str(NoExecution()) == NoExecution.__doc__

    def test_each_has_one_root(self):
        assert issubclass(ThreadBusy, DurableError)

    def test_messages_have_the_ids_and_the_remedy(self):
        assert "'t'" in str(ThreadBusy("t", "e", "pending"))
        assert "cancel it" in str(ThreadBusy("t", "e", "pending"))
        assert str(AlreadyDecided("i", "decided", "alice")) == "interrupt 'i' is already decided by alice"
