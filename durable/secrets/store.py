"""Resolve secrets by name, at the call, in the worker. The redactor knows each of them from then on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from durable.errors import SecretMissing, SecretUndeclared
from durable.secrets.redaction import SHORTEST, Redactor
from durable.secrets.resolvers import resolvers

if TYPE_CHECKING:
    from durable.secrets.resolvers import Sources


class SecretStore:
    """Secrets of one runtime, and the redactor that keeps them out of its records."""

    def __init__(self, sources: Sources | None = None, redactor: Redactor | None = None) -> None:
        self.given = sources is not None
        """Whether it was said where to look; without that it is the environment."""
        self.redactor = redactor or Redactor()
        self._resolvers = resolvers(sources)

    def resolve(self, name: str) -> str:
        """Return the value of the first resolver that knows it, redacted from now on. Raises SecretMissing."""
        for resolver in self._resolvers:
            try:
                value = resolver(name)
            except Exception as exc:
                reason = f"its resolver raised {type(exc).__name__}"
                raise SecretMissing(name, reason) from exc
            if value:
                if len(value) < SHORTEST:
                    reason = f"it is shorter than {SHORTEST} characters and could not be told from other text"
                    raise SecretMissing(name, reason)
                self.redactor.add(name, value)
                return value
        reason = "no resolver of this worker knows it (an empty value counts as none)"
        raise SecretMissing(name, reason)


class Secrets(Mapping[str, str]):
    """Secrets that a tool has declared, resolved when asked for. Never in a repr.

    Raises SecretUndeclared or SecretMissing, both KeyErrors.
    """

    def __init__(self, names: tuple[str, ...] = (), store: SecretStore | None = None) -> None:
        self._names = names
        self.store = store or SecretStore()

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise SecretUndeclared(name)
        return self.store.resolve(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._names)})"
