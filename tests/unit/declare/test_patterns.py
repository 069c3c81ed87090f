"""Patterns of schemas: as ECMAScript means them, and in linear time."""

from __future__ import annotations

import pytest

from durable.declare.patterns import compiled, matches
from durable.inbox.schemas import misfit

BOMB = "^(a+)+$"


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("^a$", "a\n", False),
        (r"^\d+$", "\u0661", False),
        (r"^[\u0041-\u0043]$", "B", True),
        (r"^\p{L}+$", "é", True),
        ("b", "abc", True),
        (r"^\/x\-$", "/x-", True),
    ],
)
def test_a_pattern_means_what_ecmascript_says(pattern, text, fits):
    assert matches(pattern, text) is fits


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "^a{1,2000}$"])
def test_what_has_no_linear_form_is_left_to_whoever_is_called(pattern):
    assert compiled(pattern) is None
    assert matches(pattern, "zzz")


def test_a_pattern_that_backtracks_elsewhere_is_answered_here():
    """With backtracking this test would not end."""
    value = "a" * 10_000 + "!"
    assert not matches(BOMB, value)
    assert "does not match" in misfit({"pattern": BOMB}, value)
    assert misfit({"patternProperties": {BOMB: False}}, {value: 1}) is None


def test_a_misfit_is_told():
    assert (
        misfit({"properties": {"code": {"pattern": "^[A-Z]+$"}}}, {"code": "a1"})
        == "code: 'a1' does not match '^[A-Z]+$'"
    )
    assert "False schema" in misfit({"patternProperties": {"^x": False}}, {"xy": 1})
