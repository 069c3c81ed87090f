"""Imports point to the right only: examples -> adapters -> durable -> checkpoint. And a few things nobody may do."""

from __future__ import annotations

import ast
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


PLANTED = [
    ("checkpoint", "import durable"),
    ("checkpoint", "from durable import step"),
    ("checkpoint/migrations", "from durable.shells import run_step"),
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
    ("durable", "from durable import checkpoint\nfrom durable.checkpoint import errors"),
    ("adapters/langgraph", "from durable import Runtime\nfrom durable.adapters.langgraph.saver import DurableSaver"),
    ("adapters/langgraph", "from langgraph.graph import StateGraph\nfrom langchain_core.tools import BaseTool"),
    ("adapters/openai_agents", "from agents import Agent"),
    ("checkpoint", "from sqlalchemy import text\ntext('select 1')"),
]


@pytest.mark.parametrize(("folder", "source"), ALLOWED)
def test_what_is_allowed_is_not_reported(folder, source):
    assert list(violations(folder, source)) == []
