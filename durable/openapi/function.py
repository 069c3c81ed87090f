"""One operation as a plain function: checked arguments, one exchange, and an answer that an agent can read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from durable.live.scope import scope
from durable.live.tool_context import detached
from durable.openapi.answers import readable, value_of
from durable.openapi.arguments import Arguments
from durable.openapi.encoding import url_of
from durable.openapi.errors import AnswerLost, ApiError, ArgumentsInvalid
from durable.openapi.wire import send
from durable.step.gates.pace import report_swallowed_error
from durable.step.governing import governing

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable.declare.policy import ToolPolicy
    from durable.live.tool_context import ToolContext
    from durable.openapi.arguments import Parts
    from durable.openapi.credentials import Credentials
    from durable.openapi.operations import Operation
    from durable.openapi.schemas import Schemas
    from durable.openapi.wire import Answer, Limits


_ASKED_WITH = {"Accept": "application/json, */*;q=0.5", "User-Agent": "durable-adapters"}


@dataclass(frozen=True, slots=True)
class Server:
    """Where calls go, and what goes with each of them."""

    url: str
    schemas: Schemas
    credentials: Credentials
    limits: Limits
    quoted_keys: bool

    def ask(self, operation: Operation, parts: Parts, key: str) -> Answer:
        """One exchange; a second one with a new token if the server says 401, which means that it did nothing."""
        answer = send(self._request(operation, parts, key), self.limits)
        if answer.status == httpx.codes.UNAUTHORIZED and self.credentials.forget_tokens():
            answer = send(self._request(operation, parts, key), self.limits)
        return answer

    def _request(self, operation: Operation, parts: Parts, key: str) -> httpx.Request:
        proof = self.credentials.prove(operation)
        content = dict(parts.body)
        headers = dict(_ASKED_WITH) | content.pop("headers", {}) | parts.headers | proof.headers
        if operation.keyed is not None:
            headers[operation.keyed.name] = f'"{key}"' if self.quoted_keys else key
        if cookies := [*parts.cookies, *proof.cookies]:
            headers["Cookie"] = "; ".join(cookies)
        try:
            url = url_of(self.url, operation.path, parts.path, [*parts.query, *proof.query])
        except httpx.InvalidURL as exc:
            msg = f"{operation.name}: the arguments make no url: {exc}; nothing was sent"
            raise ArgumentsInvalid(msg) from exc
        return httpx.Request(operation.method, url, headers=headers, **content)


def function(server: Server, operation: Operation, policy: ToolPolicy) -> Callable[..., Any]:
    """The operation as a function with its name, signature, annotations and docstring."""
    arguments = Arguments(server.schemas, operation)
    signature = arguments.signature

    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        here = scope()
        context = detached(operation.name) if here is None else here.tool_context
        try:
            answer = server.ask(operation, arguments.parts(given), context.idempotency_key)
            return value_of(operation.method, operation.path, answer)
        except (ApiError, AnswerLost) as error:
            if _comes_again(error, operation, policy, context):
                raise
            if here is not None:
                report_swallowed_error(here, error)
            return readable(error)

    call.__name__ = call.__qualname__ = operation.name
    call.__doc__ = arguments.docstring()
    call.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it from there
    call.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()} | {"return": Any}
    return call


def _comes_again(error: Exception, operation: Operation, policy: ToolPolicy, context: ToolContext) -> bool:
    """Whether the step goes on after this error: with another attempt, or in doubt."""
    here = scope()
    if here is None:
        return False
    running = governing(here, operation.name, policy)
    if isinstance(error, AnswerLost) and running.does.settles:
        return True
    return running.retries.delay(context.attempt, error, key=context.step_key, now=time.time()) is not None
