"""The kit, as far as it needs no database: hooks, and what a framework says of a tool."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from durable import Approval, ToolPolicy, Unsupported
from durable.kit import Tool, always_asked, arguments_of, hook
from durable.kit.tool_call import defaults_of


class Framework:
    """Something of a framework's."""

    def call(self, value):
        """The framework's own."""
        return value


@pytest.fixture
def framework():
    return type("Framework", (Framework,), {"call": Framework.call})


def doubled(original):
    return lambda self, value: original(self, value) * 2


def test_a_hook_stands_in_the_place_of_the_original_and_looks_like_it(framework):
    hook(framework, "call", doubled)
    assert (framework().call(2), framework.call.__doc__) == (4, "The framework's own.")


def test_a_hook_is_put_in_place_once(framework):
    hook(framework, "call", doubled)
    hook(framework, "call", doubled)
    assert framework().call(2) == 4


def test_a_hook_of_a_class_leaves_the_class_it_is_made_from_alone(framework):
    hook(framework, "call", doubled)
    assert Framework().call(2) == 2


def test_a_name_that_the_framework_does_not_have_is_refused_by_name(framework):
    with pytest.raises(Unsupported, match=r"this version of tests has no tests\.unit\.kit\.test_kit\.Framework\.gone"):
        hook(framework, "gone", doubled)


def pay(order, amount=500, *, note="", context=None):
    """A tool with defaults, one of which the framework fills in."""


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (Tool("pay", pay, hidden=("context",)), {"amount": 500, "note": ""}),
        (Tool("pay", pay, properties={"order": {}, "amount": {"default": 9}}), {"amount": 9}),
        (Tool("pay", properties={"amount": {"default": 9}, "note": {}}), {"amount": 9}),
        (Tool("pay"), {}),
    ],
    ids=["of the function", "of the schema first", "of the schema alone", "of neither"],
)
def test_the_defaults_of_what_the_model_left_out_are_seen(tool, expected):
    assert defaults_of(tool, {"order": "A"}) == expected


def test_arguments_that_are_no_object_have_no_defaults():
    assert defaults_of(Tool("pay", pay), "A") == {}


def test_what_a_framework_fills_in_stays_among_edited_arguments():
    edited = SimpleNamespace(edited=True, arguments={"amount": 5})
    assert arguments_of(edited, {"amount": 500, "state": "injected"}) == {"amount": 5, "state": "injected"}
    assert arguments_of(SimpleNamespace(edited=False), {"amount": 500}) == {"amount": 500}
    assert arguments_of(SimpleNamespace(edited=True, arguments="B"), "A") == "B"


def test_a_call_that_the_framework_asks_about_keeps_who_may_decide():
    policy = ToolPolicy(approval=Approval(when="arguments.amount > 100", approvers=("ann",)))
    gate = always_asked(policy, "its own setting").gate
    assert (gate.when, gate.rule, gate.approvers) == (None, "its own setting", ("ann",))


def test_a_policy_that_asks_anyway_stays_as_it_is():
    policy = ToolPolicy(approval=True)
    assert always_asked(policy, "its own setting") is policy
