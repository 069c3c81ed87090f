"""What is installed is what is in the tree, under the names that are imported."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.test_layers import imports, modules

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = PROJECT["tool"]["setuptools"]["package-dir"]
FRAMEWORKS = ["langgraph", "langchain", "langchain_core", "agents", "openai", "google.adk", "google.genai"]
SERVERS = ["fastapi", "starlette", "uvicorn"]
CLI = ["typer", "rich", "click"]


def packages_in_the_tree():
    """Import names of all folders that hold a module; symlinks are not followed."""
    for name, folder in FOLDERS.items():
        for path, subfolders, files in os.walk(ROOT / folder):
            subfolders[:] = [s for s in subfolders if s != "__pycache__" and not (Path(path) / s).is_symlink()]
            if any(file.endswith(".py") for file in files):
                yield ".".join([name, *Path(path).relative_to(ROOT / folder).parts])


def test_the_listed_packages_are_those_in_the_tree():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert listed == sorted(packages_in_the_tree())


@pytest.mark.parametrize("name", sorted(packages_in_the_tree()))
def test_every_package_has_an_init(name):
    top = max((known for known in FOLDERS if name == known or name.startswith(f"{known}.")), key=len)
    folder = ROOT.joinpath(FOLDERS[top], *name.removeprefix(top).strip(".").split("."))
    assert (folder / "__init__.py").is_file()


def test_the_symlinks_point_at_the_mapped_folders():
    for name, folder in FOLDERS.items():
        if "." in name:
            link = ROOT.joinpath(*name.split("."))
            assert link.is_symlink()
            assert link.readlink() == Path("..", folder)  # relative: a clone may lie anywhere


def test_the_extra_all_has_every_extra_a_user_may_want():
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = everything.removeprefix("durable-adapters[").removesuffix("]").split(",")
    assert set(named) == set(extras) - {"all", "dev"}


def normal(name):
    return name.lower().replace("_", "-")


def declared():
    """The distributions that the product may import: the base's and those of the extras."""
    project = PROJECT["project"]
    wanted = {"base": project["dependencies"], **project["optional-dependencies"]}
    lines = [line for extra, lines in wanted.items() if extra != "dev" for line in lines]
    return {normal(re.split(r"[<>=\[]", line)[0]) for line in lines}


def test_whatever_the_product_imports_is_declared():
    """A package that is only there because another one needs it is missing on some machine."""
    owners, missing = packages_distributions(), {}
    for path in modules("durable", "adapters", "checkpoint"):
        tops = {name.split(".")[0] for name in imports(ast.parse((ROOT / path).read_text(encoding="utf-8")))}
        for top in tops - {"durable", *sys.stdlib_module_names}:
            if declared().isdisjoint(map(normal, owners.get(top, []))):
                missing.setdefault(top, str(path))
    assert missing == {}


def imported_by(statement):
    """The modules that a fresh interpreter has loaded after this statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_durable_loads_no_framework_no_server_and_no_cli_library():
    loaded = imported_by("import durable")
    assert loaded & {*FRAMEWORKS, *SERVERS, *CLI, "alembic", "psycopg"} == set()


def test_the_langgraph_adapter_loads_no_other_framework_and_no_server():
    loaded = imported_by("import durable.adapters.langgraph")
    assert loaded & {"agents", "google.adk", *SERVERS, "typer", "alembic", "psycopg"} == set()


def test_the_google_adk_adapter_loads_no_other_framework_and_no_server():
    loaded = imported_by("import durable.adapters.google_adk")
    assert loaded & {"agents", "langgraph", "langchain_core", *SERVERS, "typer", "alembic", "psycopg"} == set()


def test_the_openai_adapter_loads_no_other_framework():
    loaded = imported_by("import durable.adapters.openai_agents")
    assert loaded & {"google.adk", "langgraph", "langchain_core", "typer", "alembic", "psycopg"} == set()


def test_the_import_check_sees_what_a_statement_loads():
    assert "typer" in imported_by("import typer")
