"""Imports point to the right only: examples -> adapters -> durable -> checkpoint, and down only inside each of them.

Imports for type checkers count, and those inside functions. And a few things nobody may do.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {
    "langgraph": ("langgraph", "langchain", "langchain_core", "langchain_openai"),
    "openai_agents": ("agents", "openai"),
    "google_adk": ("google.adk", "google.genai"),
}
ALL_FRAMEWORKS = tuple(name for names in FRAMEWORKS.values() for name in names)
SQL = ("sqlalchemy", "alembic", "psycopg", "sqlite3")
FLOORS = {
    "durable.checkpoint": (
        ("errors",),
        ("codec", "deadline", "forked", "prepared", "schema"),
        ("records", "database"),
        ("journal", "state", "migrations"),
        ("executions",),
        ("claims", "forks", "inbox", "pace", "stranded"),
        ("health",),
    ),
    "durable": (
        ("errors", "telemetry.names"),
        ("secrets",),
        ("declare",),
        ("record",),
        ("live",),
        ("inbox",),
        ("step",),
        ("telemetry",),
        ("run",),
        ("runtime",),
        ("kit",),
        ("openapi", "cli", "agents", "dispatch", "server", "testing"),
    ),
    **{f"durable.adapters.{name}": (("state",), ("seams",), ("entry",)) for name in FRAMEWORKS},
}
"""From the ground up: a room imports its own floor and those below."""
REVIVERS = ("pickle", "cloudpickle", "dill", "marshal", "shelve")


def under(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def forbidden_import(folder, name):
    if under(name, "adapters", "checkpoint", *REVIVERS):
        return True
    match folder.split("/"):
        case ["checkpoint", *_]:
            return under(name, *ALL_FRAMEWORKS) or (under(name, "durable") and not under(name, "durable.checkpoint"))
        case ["durable", *_]:
            return under(name, *ALL_FRAMEWORKS, *SQL, "durable.adapters")
        case ["adapters", *rest]:
            own = rest[0] if rest else None
            foreign = [n for framework, names in FRAMEWORKS.items() if framework != own for n in names]
            inner = under(name, "durable.adapters") and not under(name, f"durable.adapters.{own}")
            return inner or under(name, *foreign, *SQL)
    return False


def forbidden_code(node):
    match node:
        case ast.ImportFrom(level=level) if level:
            return "a relative import"
        case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
            return f"{name}()"
        case ast.Call(
            func=ast.Name(id="text") | ast.Attribute(attr="text", value=ast.Name(id="sqlalchemy" | "sa")),
            args=[ast.JoinedStr() | ast.BinOp() | ast.Call(), *_],
        ):
            return "text() with an assembled string: bind the values"
    return None


def violations(folder, source):
    tree = ast.parse(source)
    yield from (name for name in imports(tree) if forbidden_import(folder, name))
    yield from (found for node in ast.walk(tree) if (found := forbidden_code(node)))


def modules(*tops):
    """Every module below these folders by its real path: symlinks are not followed."""
    found = (path.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob("*.py"))
    return sorted(path for path in found if not any((ROOT / parent).is_symlink() for parent in path.parents))


def test_every_module_keeps_the_rules():
    product = modules("durable", "adapters", "checkpoint")
    assert {path.parts[0] for path in product} == {"durable", "adapters", "checkpoint"}
    broken = {str(p): list(violations(str(p.parent), (ROOT / p).read_text(encoding="utf-8"))) for p in product}
    assert {path: found for path, found in broken.items() if found} == {}


def test_nobody_imports_the_folders_by_their_own_names():
    for path in modules("tests", "examples", "benchmarks"):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert [name for name in imports(tree) if under(name, "adapters", "checkpoint")] == [], path


def floor_of(module):
    """The house a module stands in, and its floor; None for what stands on none, as a package's own ``__init__``."""
    for house in sorted(FLOORS, key=len, reverse=True):
        if under(module, house):
            room = module.removeprefix(house).lstrip(".")
            for level, floor in enumerate(FLOORS[house]):
                if any(room == name or room.startswith(f"{name}.") for name in floor):
                    return house, level
            return None
    return None


def climbs(module, imported):
    """Whether this import points up inside its house."""
    here, there = floor_of(module), floor_of(imported)
    return here is not None and there is not None and here[0] == there[0] and there[1] > here[1]


def name_of(path):
    top, *inner = path.with_suffix("").parts
    base = {"durable": "durable", "adapters": "durable.adapters", "checkpoint": "durable.checkpoint"}[top]
    return ".".join([base, *inner]).removesuffix(".__init__")


def test_every_module_imports_down_the_floors_only():
    up = {}
    for path in modules("durable", "adapters", "checkpoint"):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        up[str(path)] = [name for name in imports(tree) if climbs(name_of(path), name)]
    assert {path: found for path, found in up.items() if found} == {}


def test_every_module_of_a_house_stands_on_a_floor():
    without = [str(path) for path in modules("durable", "checkpoint") if floor_of(name_of(path)) is None]
    assert without == ["checkpoint/__init__.py", "durable/__init__.py", "durable/__main__.py"]


def circles(graph):
    """One circle of imports of each knot; none if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as knot:
        return knot.args[1]
    return []


def test_no_modules_import_one_another_in_a_circle():
    paths = {name_of(path): path for path in modules("durable", "adapters", "checkpoint")}
    graph = {}
    for name, path in paths.items():
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        targets = {target if target in paths else target.rpartition(".")[0] for target in imports(tree)}
        graph[name] = {target for target in targets if target in paths and not under(name, target)}
    assert len(graph) > 150
    assert circles(graph) == []


def test_a_planted_circle_is_caught():
    assert set(circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()})) == {"a", "b", "c"}


CLIMBING = [
    ("durable.declare.policy", "durable.live.tool_context.ToolContext"),
    ("durable.record.replay", "durable.step.call.Call"),
    ("durable.live.segment", "durable.runtime.Runtime"),
    ("durable.live.segment", "durable.telemetry.spans.SegmentSpan"),
    ("durable.step.begin", "durable.run.close.close"),
    ("durable.run.block", "durable.kit.opening"),
    ("durable.kit.opening", "durable.openapi.api_tools"),
    ("durable.checkpoint.journal.writer", "durable.checkpoint.executions.start"),
    ("durable.checkpoint.codec.walk", "durable.checkpoint.database.Database"),
    ("durable.adapters.langgraph.state.saver", "durable.adapters.langgraph.seams.tools"),
    ("durable.adapters.google_adk.seams.tools", "durable.adapters.google_adk.entry.runs.open_run"),
]


@pytest.mark.parametrize(("module", "imported"), CLIMBING)
def test_a_planted_import_of_a_higher_floor_is_caught(module, imported):
    assert climbs(module, imported)


PLANTED = [
    ("checkpoint", "import durable"),
    ("checkpoint", "from durable import step"),
    ("checkpoint/migrations", "from durable.step.shells import run_step"),
    ("checkpoint", "from langchain_core.messages import AIMessage"),
    ("durable", "import sqlalchemy as sa"),
    ("durable/testing", "from sqlalchemy.engine import Connection"),
    ("durable", "from durable.adapters import langgraph"),
    ("durable", "from durable.adapters.langgraph import durable_graph"),
    ("durable", "def f():\n    import langgraph.graph"),
    ("durable", "from importlib import import_module\nimport_module('agents')"),
    ("durable", "from checkpoint.errors import DurableError"),
    ("adapters/langgraph", "import sqlalchemy"),
    ("adapters/langgraph", "from durable.adapters.openai_agents import durable_agent"),
    ("adapters/langgraph", "from durable.adapters import google_adk"),
    ("adapters/langgraph", "from google.adk.agents import LlmAgent"),
    ("adapters", "import agents"),
    ("adapters/langgraph", "from . import saver"),
    ("durable", "import pickle"),
    ("checkpoint", "from cloudpickle import dumps"),
    ("durable", "eval('1')"),
    ("adapters/langgraph", "exec(source)"),
    ("checkpoint", "from sqlalchemy import text\ntext(f'select {x}')"),
    ("checkpoint", "import sqlalchemy\nsqlalchemy.text('select %s' % x)"),
    ("checkpoint", "from sqlalchemy import text\ntext('select {}'.format(x))"),
]


@pytest.mark.parametrize(("folder", "source"), PLANTED)
def test_a_planted_violation_is_caught(folder, source):
    assert list(violations(folder, source)) != []


ALLOWED = [
    ("checkpoint", "from durable.checkpoint.errors import LeaseLost\nimport sqlalchemy, alembic"),
    ("durable", "from durable import checkpoint\nfrom durable import errors"),
    (
        "adapters/langgraph",
        "from durable import Runtime\nfrom durable.adapters.langgraph.state.saver import DurableSaver",
    ),
    ("adapters/langgraph", "from langgraph.graph import StateGraph\nfrom langchain_core.tools import BaseTool"),
    ("adapters/openai_agents", "from agents import Agent"),
    ("checkpoint", "from sqlalchemy import text\ntext('select 1')"),
]


@pytest.mark.parametrize(("folder", "source"), ALLOWED)
def test_what_is_allowed_is_not_reported(folder, source):
    assert list(violations(folder, source)) == []
