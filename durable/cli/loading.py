"""Load a runtime by its name, ``module:attribute``, as ``durable worker`` does."""

import importlib
import inspect
import os
import sys
from typing import Any

import typer

from durable.cli.session import Session
from durable.errors import InvalidConfiguration
from durable.runtime import Runtime


def load_runtime(name: str, session: Session) -> Runtime:
    """Return the runtime; its module is imported as if python ran in this folder.

    It is wrong usage if there is none of that name. The attribute is a Runtime, or a function without arguments that
    returns one. ``--db`` is what ``Runtime()`` without a url takes. Raises InvalidConfiguration if the runtime is on
    another database or namespace than asked for.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        msg = f"{name!r} is not of the form module:attribute, as in app:runtime"
        raise typer.BadParameter(msg)
    if session.url is not None:
        os.environ["DURABLE_URL"] = session.url
    folder = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if folder not in sys.path:
        sys.path.insert(0, folder)
    runtime = _attribute(_module(module_name, folder), attribute)
    if (
        session.url is not None
        and runtime.database.url.render_as_string() != session.database(create=True).url.render_as_string()
    ):
        msg = f"{name} has a database of its own; make it Runtime() without a url to choose one with --db"
        raise InvalidConfiguration(msg)
    if session.namespace not in {"default", runtime.namespace}:
        msg = f"{name} works in namespace {runtime.namespace!r}, not in {session.namespace!r}"
        raise InvalidConfiguration(msg)
    return runtime


def _module(name: str, folder: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{name}.".startswith(f"{exc.name}."):
            raise  # the module is there, what it imports is not: its own traceback says it best
        msg = f"there is no module {exc.name!r} in {folder} or on the Python path"
        raise typer.BadParameter(msg) from exc


def _attribute(module: Any, attribute: str) -> Runtime:
    target: Any = module
    for part in attribute.split("."):
        if not hasattr(target, part):
            runtimes = ", ".join(key for key, value in vars(module).items() if isinstance(value, Runtime)) or "none"
            msg = f"{module.__name__} has no {attribute!r}; runtimes in it: {runtimes}"
            raise typer.BadParameter(msg)
        target = getattr(target, part)
    if inspect.isfunction(target) and not inspect.signature(target).parameters:
        target = target()
    if not isinstance(target, Runtime):
        msg = f"{module.__name__}:{attribute} is a {type(target).__name__}, not a durable.Runtime"
        raise typer.BadParameter(msg)
    return target
