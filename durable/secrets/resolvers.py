"""Resolve secrets by name. A resolver is a callable from a name to the value, or None if it does not know it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from durable.errors import InvalidConfiguration

Resolver: TypeAlias = Callable[[str], str | None]
Sources: TypeAlias = Mapping[str, str] | Resolver | Sequence[Mapping[str, str] | Resolver]

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


class Environment:
    """Environment variables of this process, as they are when a secret is asked for."""

    def __call__(self, name: str) -> str | None:
        """Return the variable's value."""
        return os.environ.get(name)


class Files:
    """Folder with one secret a file, as container platforms mount it: ``Files("/run/secrets")``.

    A line break at the end of a file is not part of the secret. Names that are no plain file names are not looked
    up. Raises OSError for a file that is there and cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)

    def __call__(self, name: str) -> str | None:
        """Return the file's content."""
        if not _FILE_NAME.fullmatch(name):
            return None
        try:
            return (self._folder / name).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except FileNotFoundError:
            return None


class Keyring:
    """Keyring of the operating system, under this service name.

    Needs the extra ``keyring``; raises InvalidConfiguration without it.
    """

    def __init__(self, service: str = "durable") -> None:
        try:
            import keyring  # noqa: PLC0415 - an optional dependency
        except ImportError as exc:
            msg = "Keyring needs the package keyring: pip install 'durable-adapters[keyring]'"
            raise InvalidConfiguration(msg) from exc
        self._ask = keyring.get_password
        self._service = service

    def __call__(self, name: str) -> str | None:
        """Return the password that the keyring holds for this name."""
        return self._ask(self._service, name)


def resolvers(sources: Sources | None) -> tuple[Resolver, ...]:
    """Return the resolvers in their order; the environment if none is given. Raises InvalidConfiguration."""
    if sources is None:
        return (Environment(),)
    listed = [sources] if isinstance(sources, Mapping) or callable(sources) else sources
    return tuple(_resolver(source) for source in listed)


def _resolver(source: object) -> Resolver:
    if isinstance(source, Mapping):
        return source.get
    if callable(source):
        return source
    msg = f"secrets={type(source).__name__}: use a mapping, a callable from a name to the value, or a list of these"
    raise InvalidConfiguration(msg)
