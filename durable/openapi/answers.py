"""Turn a server's answer into what an agent can read: a value, or an error that says what to do."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from durable.openapi.errors import AnswerLost, ApiBusy, ApiRefused

if TYPE_CHECKING:
    from durable.openapi.wire import Response

_LONGEST = 1000
"""Characters of an error's text that are passed on."""
_NOT_DONE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses by which a server says that it did not begin."""
_PROBLEM = frozenset({"type", "title", "status", "detail", "instance"})
"""Fields of a problem document (RFC 9457) that are not its own."""
_UNKNOWN = frozenset({500, 502, 503, 504, 520, 522, 524})
"""Statuses that leave open whether the call was carried out."""


def value_of(method: str, path: str, answer: Response) -> Any:
    """Return the answer's content: JSON as data, text as text, other bytes in base64.

    Raises ApiBusy for 408, 425 and 429, and for 503 that says when to come again; AnswerLost where a status leaves
    open what happened; ApiRefused for any other error and for redirects.
    """
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _content(answer)
    summary = error_line(method, path, answer)
    wait = answer.headers.get("retry-after")
    if status in _NOT_DONE or (status == HTTPStatus.SERVICE_UNAVAILABLE and wait):
        raise ApiBusy(summary, status, wait)
    if status in _UNKNOWN:
        raise AnswerLost(f"{method} {path}", summary)
    problem = answer.json() if answer.media_type.endswith("json") else None
    raise ApiRefused(summary, status, problem)


def error_line(method: str, path: str, answer: Response) -> str:
    """Return one line about an answer that is an error: the request, the status, and the server's own words."""
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    if "location" in answer.headers and answer.status < HTTPStatus.BAD_REQUEST:
        detail = "redirects are not followed"
    else:
        detail = _detail(answer)
    return f"{method} {path}: {answer.status}{phrase}" + (f": {detail}" if detail else "")


def _detail(answer: Response) -> str:
    if answer.media_type.endswith("json"):
        document = answer.json()
        if answer.media_type == "application/problem+json" and isinstance(document, dict):
            return _problem(document)[:_LONGEST]
        if document is not None:
            return json.dumps(document, ensure_ascii=False)[:_LONGEST]
    if answer.media_type == "text/plain":
        return answer.text()[:_LONGEST].strip()
    return ""  # a page for people tells a model nothing


def _problem(document: dict[str, Any]) -> str:
    """Return a problem document (RFC 9457) in one line: title, detail, and the fields of its own."""
    parts = [str(document[key]) for key in ("title", "detail") if document.get(key)]
    extensions = {key: value for key, value in document.items() if key not in _PROBLEM}
    if extensions:
        parts.append(json.dumps(extensions, ensure_ascii=False))
    return ": ".join(parts)


def _content(answer: Response) -> Any:
    if not answer.body:
        return {"status": answer.status}
    if answer.media_type.endswith("json"):
        document = answer.json()
        if document is not None:
            return document
    if answer.media_type.startswith("text/") or answer.media_type.endswith(("json", "xml")):
        return answer.text()
    return {"content_type": answer.media_type, "base64": base64.b64encode(answer.body).decode()}


def readable(error: Exception) -> dict[str, Any]:
    """Return the error as a tool's result, so that the agent can go on."""
    result: dict[str, Any] = {"error": str(error)}
    status = getattr(error, "status", 0)
    if status:
        result["status"] = status
    problem = getattr(error, "problem", None)
    if problem is not None:
        result["problem"] = problem
    return result
