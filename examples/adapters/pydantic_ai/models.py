"""Models: every request to a model is a step, whose answer is recorded before anything is done with it.

What is recorded is the answer, the usage and a digest of the prompt, never the prompt. An answer that was not recorded
is asked for again. A stream is read to its end inside the step, and its events are handed on when it is recorded.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse
from pydantic_ai.models.wrapper import WrapperModel

from durable.kit import here, model_call, place, run_step_async

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import StreamedResponse

PASSING = frozenset({"timestamp", "run_id", "conversation_id"})
"""Fields of a message that are another one in each run."""


class DurableModel(WrapperModel):
    """The agent's model for one execution."""

    async def request(self, messages: list[ModelMessage], *settings: Any) -> ModelResponse:
        """Ask the model, or return what is recorded of its answer."""

        async def body(_: Any) -> Any:
            return dumped([await self.wrapped.request(messages, *settings)])

        return loaded(await run_step_async(place(self._call(messages)), body))

    @asynccontextmanager
    async def request_stream(
        self, messages: list[ModelMessage], model_settings: Any, model_request_parameters: Any, run_context: Any = None
    ) -> AsyncGenerator[StreamedResponse]:
        """Ask the model for a stream, or yield what is recorded as one."""
        events: list[Any] = []

        async def body(_: Any) -> Any:
            events.clear()
            settings = (model_settings, model_request_parameters, run_context)
            async with self.wrapped.request_stream(messages, *settings) as stream:
                events.extend([event async for event in stream])
                return dumped([stream.get()])

        response = loaded(await run_step_async(place(self._call(messages)), body))
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=events or True
        )

    def _call(self, messages: Sequence[ModelMessage]) -> Any:
        return model_call(here(), self.model_name, lasting(dumped(messages)), usage=usage)


def dumped(messages: Sequence[ModelMessage]) -> Any:
    """Return messages as they are recorded."""
    return ModelMessagesTypeAdapter.dump_python(list(messages), mode="json")


def loaded(recorded: Any) -> ModelResponse:
    """Return the answer that was recorded."""
    (response,) = ModelMessagesTypeAdapter.validate_python(recorded)
    assert isinstance(response, ModelResponse)
    return response


def lasting(value: Any) -> Any:
    """Return the value without what is another one in each run: the same prompt has the same digest."""
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in PASSING}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def usage(recorded: Any) -> dict[str, int]:
    """Return the tokens that a recorded answer has cost."""
    tokens = loaded(recorded).usage
    return {"input_tokens": tokens.input_tokens, "output_tokens": tokens.output_tokens}
