"""Steps and tools: what a call came to."""

from __future__ import annotations

from durable.checkpoint.errors import DurableError


class StepFailed(DurableError):
    """This step failed in an earlier attempt; its recorded error is replayed."""

    def __init__(self, step_key: str, error_type: str, message: str) -> None:
        self.step_key = step_key
        self.error_type = error_type
        super().__init__(f"{error_type}: {message}")


class StepTimeout(DurableError):
    """This step did not end within its timeout; what it did outside is unknown."""

    def __init__(self, step_key: str, seconds: float) -> None:
        self.step_key = step_key
        super().__init__(f"step {step_key} did not end within {seconds} s; its outcome is unknown")


class StepAborted(DurableError):
    """This step ended with SystemExit or another BaseException; what it did outside is unknown."""

    def __init__(self, step_key: str, raised: str) -> None:
        self.step_key = step_key
        super().__init__(
            f"step {step_key} raised {raised}, which is meant to end the process, not a step; raise an Exception "
            "instead. Its outcome is unknown"
        )


class ResultLost(DurableError):
    """This step was done, but its result could not be stored; it is not run again."""

    def __init__(self, step_key: str, reason: str) -> None:
        self.step_key = step_key
        super().__init__(f"step {step_key} was done, but its result is lost: {reason}")


class ToolRejected(DurableError):
    """Somebody rejected the call."""

    def __init__(self, tool: str, reason: str) -> None:
        self.tool = tool
        self.reason = reason
        super().__init__(f"{tool} was rejected: {reason}")


class ToolNotAllowed(ToolRejected):
    """This call is not allowed by a policy; it did not run."""

    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(tool, reason)
        self.args = (f"{tool} is not allowed: {reason}",)
