"""Make one operation a plain function: checked arguments, one exchange, and an answer that an agent can read."""

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
    from durable.openapi.wire import Limits, Response


_ASKED_WITH = {"Accept": "application/json, */*;q=0.5", "User-Agent": "durable-adapters"}


@dataclass(frozen=True, slots=True)
class Server:
    """Address of the API, and what goes with each call to it."""

    url: str
    schemas: Schemas
    credentials: Credentials
    limits: Limits
    quoted_keys: bool

    def ask(self, operation: Operation, parts: Parts, key: str) -> Response:
        """Exchange one request. After a 401, which means that nothing was done, ask once more with a new token."""
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
        cookies = [*parts.cookies, *proof.cookies]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        try:
            url = url_of(self.url, operation.path, parts.path, [*parts.query, *proof.query])
        except httpx.InvalidURL as exc:
            msg = f"{operation.name}: the arguments make no url: {exc}; nothing was sent"
            raise ArgumentsInvalid(msg) from exc
        return httpx.Request(operation.method, url, headers=headers, **content)


def function(server: Server, operation: Operation, policy: ToolPolicy) -> Callable[..., Any]:
    """Return the operation as a function with its name, signature, annotations and docstring."""
    arguments = Arguments(server.schemas, operation)
    signature = arguments.signature

    def call(*args: Any, **kwargs: Any) -> Any:
        values = signature.bind(*args, **kwargs).arguments
        running = scope()
        context = detached(operation.name) if running is None else running.tool_context
        try:
            answer = server.ask(operation, arguments.parts(values), context.idempotency_key)
            return value_of(operation.method, operation.path, answer)
        except (ApiError, AnswerLost) as error:
            if _comes_again(error, operation, policy, context):
                raise
            if running is not None:
                report_swallowed_error(running, error)
            return readable(error)

    call.__name__ = call.__qualname__ = operation.name
    call.__doc__ = arguments.docstring()
    call.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it from there
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()} | {
        "return": Any
    }
    return call


def _comes_again(error: Exception, operation: Operation, policy: ToolPolicy, context: ToolContext) -> bool:
    """True if the step goes on after this error, with another attempt or in doubt."""
    running = scope()
    if running is None:
        return False
    governed = governing(running, operation.name, policy)
    if isinstance(error, AnswerLost) and governed.does.settles:
        return True
    return governed.retries.delay(context.attempt, error, key=context.step_key, now=time.time()) is not None
