"""Errors of a worker that was not supplied with what a tool needs: secrets and dependencies."""

from __future__ import annotations

from durable.checkpoint.errors import DurableError


class SecretUndeclared(DurableError, KeyError):
    """This secret is not named by the tool's policy."""

    __str__ = DurableError.__str__  # a KeyError's would put the message into quotes

    def __init__(self, name: str) -> None:
        super().__init__(
            f"secret {name!r} is not declared; add it to secrets=(...) of the tool's policy, or to "
            "credentials=[...] of api_tools"
        )


class SecretMissing(DurableError, KeyError):
    """No resolver of this worker knows the secret."""

    __str__ = DurableError.__str__

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"secret {name!r} cannot be had: {reason}; set it in the worker's environment or in Runtime(secrets=...)"
        )


class DependencyFailed(DurableError):
    """This dependency's factory raised; no step has started, the execution waits and tries again."""

    def __init__(self, name: str, error: BaseException) -> None:
        self.name = name
        super().__init__(
            f"dependency {name!r} could not be made: {type(error).__qualname__}: {error}; no step was started, what "
            "needs it waits and tries again"
        )
