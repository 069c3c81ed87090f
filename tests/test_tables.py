"""An effect, a kind of step and a kind of interrupt are rows of a table: nobody else compares their names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from durable.declare.effects import EFFECTS
from durable.inbox.kinds import KINDS as INTERRUPTS
from durable.record.kinds import KINDS as STEPS

ROOT = Path(__file__).parent.parent
TABLES = {"durable/declare/effects.py", "durable/record/kinds.py", "durable/inbox/kinds.py"}
EVERYWHERE = {"once", "idempotent", "transactional", "in_doubt"}
"""Names that mean nothing else, whatever they are compared with."""
NAMES = {*EFFECTS, *INTERRUPTS, *STEPS}
HOLDERS = {"effect", "kind", "interrupt_kind"}
"""What a name of a table stands in."""


def named(node):
    """The names that stand in a constant, or in a set or tuple of them."""
    parts = node.elts if isinstance(node, (ast.Set, ast.Tuple, ast.List)) else [node]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def holds(node):
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=name)):
            return name in HOLDERS
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=name), *_]):
            return name in HOLDERS
    return False


def patterns(pattern):
    return {value for node in ast.walk(pattern) if isinstance(node, ast.MatchValue) for value in named(node.value)}


def compared(source):
    """The names of a table that a module compares with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            words = {word for side in sides for word in named(side)}
            yield from words & (NAMES if any(map(holds, sides)) else EVERYWHERE)
        elif isinstance(node, ast.Match):
            words = {word for case in node.cases for word in patterns(case.pattern)}
            yield from words & (NAMES if holds(node.subject) else EVERYWHERE)


def product():
    for top in ("durable", "adapters", "checkpoint"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parents = path.relative_to(ROOT).parents
            if ROOT / "durable" / "testing" not in path.parents and not any(
                (ROOT / each).is_symlink() for each in parents
            ):
                yield path  # the scenes of the suite for adapters name what a test names


def test_nobody_compares_a_name_of_a_table():
    found = {
        str(path.relative_to(ROOT)): sorted(compared(path.read_text(encoding="utf-8")))
        for path in product()
        if str(path.relative_to(ROOT)) not in TABLES
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("planted", "names"),
    [
        ('policy.effect == "read"', ["read"]),
        ('if call.kind in {"tool", "model"}: pass', ["model", "tool"]),
        ('"once" != found', ["once"]),
        ('record.meta["effect"] == "read"', ["read"]),
        ('meta.get("kind") == "node"', ["node"]),
        ('asked.kind not in ("drift", "in_doubt")', ["drift", "in_doubt"]),
        ('match call.kind:\n    case "agent" | "task": pass', ["agent", "task"]),
        ('interrupt_kind == "question"', ["question"]),
    ],
)
def test_a_planted_comparison_is_caught(planted, names):
    assert sorted(compared(planted)) == names


@pytest.mark.parametrize(
    "allowed", ['role == "model"', '"task" in meta', 'record.kind == "step_done"', 'effect = "once"']
)
def test_other_words_are_let_pass(allowed):
    assert list(compared(allowed)) == []
