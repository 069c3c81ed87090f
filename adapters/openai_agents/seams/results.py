"""Values that are recorded: as they are where they can be rebuilt, else the text that the model is told.

The SDK asks of a tool's result only that ``str()`` can be called on it, and of a final output nothing at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import exceptions, tool
from agents.editor import ApplyPatchResult
from agents.items import ModelResponse
from agents.usage import Usage

from durable.adapters.openai_agents.state.run_context import Patched
from durable.errors import CodecError

if TYPE_CHECKING:
    from durable.live.services import Services


class CalledOff(Exception):
    """A tool raised CancelledError though nobody had cancelled it: an outcome like any other error."""


FRAMEWORK_TYPES: tuple[type, ...] = (
    tool.ToolOutputText,
    tool.ToolOutputImage,
    tool.ToolOutputFileContent,
    tool.ShellResult,
    tool.ShellCommandOutput,
    tool.ShellCallOutcome,
    ApplyPatchResult,
    exceptions.AgentsException,
    exceptions.MaxTurnsExceeded,
    exceptions.ModelBehaviorError,
    exceptions.ModelRefusalError,
    exceptions.ModelTimeoutError,
    exceptions.MCPToolCancellationError,
    exceptions.ToolTimeoutError,
    exceptions.UserError,
    ModelResponse,
    Usage,
    CalledOff,
    Patched,
)
"""The SDK's own types that may be rebuilt from storage."""

_PLAIN = (str, int, float, bool, type(None))


def recordable(runtime: Services, value: Any) -> Any:
    """The value itself if it survives storage, else its text. Raises what its ``__str__`` raises."""
    if type(value) in _PLAIN:
        return value
    try:
        runtime.codec.encode(value)
    except CodecError:
        return str(value)
    return value
