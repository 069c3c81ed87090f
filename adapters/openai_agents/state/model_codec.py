"""Model answers as they are recorded: plain JSON, and rebuilt so that the next request is the same.

Only fields that the provider has set are stored: an item that came back with extra nulls would make the next request
another one. Items that the SDK hands around as dicts stay dicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.items import ModelResponse
from agents.usage import Usage as SdkUsage
from agents.usage import (
    _attach_normalized_usage,
    _requests_for_response_without_usage,
    _response_usage_to_usage,
    deserialize_usage,
    serialize_usage,
)
from openai._models import construct_type
from openai.types.responses import Response, ResponseCompletedEvent, ResponseOutputItem, ResponseUsage
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DICT = "dict"
"""The key under which an item is stored that was a dict already; the models' own items have a ``type``."""


def plain(response: ModelResponse, offered: Sequence[str]) -> dict[str, Any]:
    """Return what is recorded of an answer; ``offered`` are the names of the tools and handoffs offered."""
    return {
        "output": [_plain_item(item) for item in response.output],
        "usage": serialize_usage(response.usage),
        "response_id": response.response_id,
        "request_id": response.request_id,
        "raw_usage": response.raw_usage,
        "offered": list(offered),
    }


def _plain_item(item: Any) -> dict[str, Any]:
    if isinstance(item, BaseModel):
        return item.model_dump(mode="json", exclude_unset=True, warnings=False)
    return {_DICT: item}


def response(recorded: dict[str, Any]) -> ModelResponse:
    """Return the answer that ``plain`` recorded."""
    items: list[Any] = [
        item[_DICT] if _DICT in item and "type" not in item else construct_type(value=item, type_=ResponseOutputItem)
        for item in recorded["output"]
    ]
    return ModelResponse(
        output=items,
        usage=deserialize_usage(recorded["usage"]),
        response_id=recorded["response_id"],
        request_id=recorded["request_id"],
        raw_usage=recorded["raw_usage"],
    )


def of_stream(final: Response, items: Sequence[Any]) -> ModelResponse:
    """Return the answer of a stream; ``items`` are its finished ones, for providers with an empty last event."""
    usage = (
        _response_usage_to_usage(final.usage)
        if final.usage
        else SdkUsage(requests=_requests_for_response_without_usage(final))
    )
    return ModelResponse(
        output=list(final.output or items),
        usage=usage,
        response_id=final.id,
        request_id=getattr(final, "_request_id", None),
    )


def completed(recorded: dict[str, Any]) -> ResponseCompletedEvent:
    """Return the one event that a recorded answer is streamed as: the items without their deltas."""
    answer = response(recorded)
    counted = ResponseUsage.model_construct(
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        total_tokens=answer.usage.total_tokens,
        input_tokens_details=answer.usage.input_tokens_details,
        output_tokens_details=answer.usage.output_tokens_details,
    )
    _attach_normalized_usage(counted, answer.usage)
    final = Response.model_construct(
        id=answer.response_id,
        created_at=0.0,
        model="",
        object="response",
        output=answer.output,
        tool_choice="auto",
        tools=[],
        parallel_tool_calls=False,
        usage=counted,
    )
    if answer.request_id is not None:
        final._request_id = answer.request_id
    return ResponseCompletedEvent.model_construct(response=final, sequence_number=0, type="response.completed")


def called(recorded: dict[str, Any]) -> Iterable[str]:
    """Return the names of the functions that an answer calls, qualified as the SDK does."""
    for item in recorded["output"]:
        if item.get("type") == "function_call":
            yield item["name"]


def usage(recorded: dict[str, Any]) -> dict[str, int]:
    """Tokens and requests, for the record."""
    counted: SdkUsage = deserialize_usage(recorded["usage"])
    return {
        "input_tokens": counted.input_tokens,
        "output_tokens": counted.output_tokens,
        "total_tokens": counted.total_tokens,
    }
