"""Root of the tree, and what is control flow."""

from __future__ import annotations

from durable.checkpoint.errors import DurableError


class InvalidId(DurableError):
    """This id is empty, longer than 255 characters or contains control characters."""


class Unsupported(DurableError):
    """This feature cannot be made durable."""


class UnknownApp(DurableError):
    """No app of this name is registered in this process."""

    def __init__(self, name: str, registered: tuple[str, ...] = ()) -> None:
        listed = ", ".join(sorted(registered)) or "none"
        super().__init__(
            f"no app named {name!r} is registered with this runtime (registered: {listed}); "
            "import the module that wraps it before starting, resuming or running a worker"
        )


class Suspended(BaseException):
    """This execution waits for an answer, a signal or a time; this process is to let go of it."""


class Cancelled(BaseException):
    """This execution was cancelled; unwind."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
