"""What a server answered, as an agent can read it: a value, or an error that says what to do."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from durable.openapi.errors import AnswerLost, ApiBusy, ApiRefused

if TYPE_CHECKING:
    from durable.openapi.wire import Answer

_LONGEST = 1000
"""Characters of an error's text that are passed on."""
_NOT_DONE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses by which a server says that it did not begin."""
_UNKNOWN = frozenset({500, 502, 503, 504, 520, 522, 524})
"""Statuses that leave open whether the call was carried out."""


def value_of(method: str, path: str, answer: Answer) -> Any:
    """The answer's content: JSON as data, text as text, other bytes in base64.

    Raises ApiBusy for 408, 425 and 429, and for 503 that says when to come again; AnswerLost where a status leaves
    open what happened; ApiRefused for any other error and for redirects.
    """
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _content(answer)
    said = told(method, path, answer)
    wait = answer.headers.get("retry-after")
    if status in _NOT_DONE or (status == HTTPStatus.SERVICE_UNAVAILABLE and wait):
        raise ApiBusy(said, status, wait)
    if status in _UNKNOWN:
        raise AnswerLost(f"{method} {path}", said)
    problem = answer.json() if answer.media_type.endswith("json") else None
    raise ApiRefused(said, status, problem)


def told(method: str, path: str, answer: Answer) -> str:
    """One line about an answer that is an error: what was asked, the status, and what the server says of it."""
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    if "location" in answer.headers and answer.status < HTTPStatus.BAD_REQUEST:
        detail = "redirects are not followed"
    else:
        detail = _detail(answer)
    return f"{method} {path}: {answer.status}{phrase}" + (f": {detail}" if detail else "")


def _detail(answer: Answer) -> str:
    if answer.media_type.endswith("json") and (said := answer.json()) is not None:
        if answer.media_type == "application/problem+json" and isinstance(said, dict):
            known = [str(said[key]) for key in ("title", "detail") if said.get(key)]
            rest = {
                key: one for key, one in said.items() if key not in {"type", "title", "status", "detail", "instance"}
            }
            known += [json.dumps(rest, ensure_ascii=False)] if rest else []
            return ": ".join(known)[:_LONGEST]
        return json.dumps(said, ensure_ascii=False)[:_LONGEST]
    if answer.media_type == "text/plain":
        return answer.text()[:_LONGEST].strip()
    return ""  # a page for people tells a model nothing


def _content(answer: Answer) -> Any:
    if not answer.body:
        return {"status": answer.status}
    if answer.media_type.endswith("json") and (said := answer.json()) is not None:
        return said
    if answer.media_type.startswith("text/") or answer.media_type.endswith(("json", "xml")):
        return answer.text()
    return {"content_type": answer.media_type, "base64": base64.b64encode(answer.body).decode()}


def readable(error: Exception) -> dict[str, Any]:
    """The error as a tool's result, from which an agent can go on."""
    status, problem = getattr(error, "status", 0), getattr(error, "problem", None)
    more = {"status": status} if status else {}
    return {"error": str(error), **more, **({"problem": problem} if problem is not None else {})}
