"""Make tools from a document (``api_tools``). Whatever cannot work is an error here, not at a call."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpcore

from durable.declare.effects import effect_of
from durable.declare.policy import ToolPolicy
from durable.declare.retry import Retry
from durable.errors import InvalidConfiguration
from durable.live.clock import Clock
from durable.openapi.credentials import Credentials
from durable.openapi.document import load
from durable.openapi.errors import AnswerLost, ApiBusy, ApiUnreachable, SpecInvalid
from durable.openapi.function import Server, function
from durable.openapi.operations import operations, own_servers
from durable.openapi.schemas import Schemas
from durable.openapi.wire import Limits, PinnedBackend
from durable.run.tool import tool
from durable.secrets.store import SecretStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from durable.declare.effects import EffectName
    from durable.openapi.document import Document, Source
    from durable.openapi.operations import Operation
    from durable.secrets.resolvers import Sources

_EFFECTS: dict[str, EffectName] = {
    "GET": "read",
    "HEAD": "read",
    "OPTIONS": "read",
    "PUT": "idempotent",
    "DELETE": "idempotent",
}
_NOT_DONE = (ApiBusy, ApiUnreachable)
"""Errors after which it is certain that the server did nothing."""


def api_tools(  # noqa: PLR0913 - the one place where an API is configured
    spec: Source,
    *,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    max_tools: int = 20,
    headers: Mapping[str, str] | None = None,
    auth: Mapping[str, str] | None = None,
    credentials: Iterable[str] = (),
    secrets: Sources | None = None,
    policies: Mapping[str, ToolPolicy | Mapping[str, Any]] | None = None,
    base_url: str | None = None,
    sha256: str | None = None,
    quoted_keys: bool = True,
    timeout: float = 30.0,
    max_bytes: int = 1_000_000,
    private_hosts: Collection[str] = (),
) -> list[Callable[..., Any]]:
    """Return tools for the operations of an OpenAPI 3.0, 3.1 or Swagger 2 document (a url, a file, or parsed already).

    The tools are plain functions, to be given to LangGraph, the OpenAI Agents SDK or Google ADK as they are. GET,
    HEAD and OPTIONS are ``read``, PUT and DELETE ``idempotent``; POST and PATCH are ``once``, unless the operation
    declares an ``Idempotency-Key`` header: that one gets the step's key, as a structured field in quotes unless
    ``quoted_keys`` is false. ``policies`` change that by name or pattern: a ToolPolicy, or the fields that differ. The
    operation's tags are the tool's, for ``Runtime(policies={"tag:...": ...})``.

    ``include`` and ``exclude`` choose by operation id, or by method and path (``"GET /pets/*"``). ``headers`` are sent
    with each call; ``auth`` gives security schemes their secret. Both refer to secrets as ``${NAME}``, which
    ``credentials`` must declare; they are looked for in ``secrets``, else where the Runtime looks, else in the
    environment. ``sha256`` pins the document. ``timeout`` is seconds for a whole call, ``max_bytes`` the size of the
    largest answer. ``private_hosts`` are the hosts, as the url has them, that may have addresses which are not public.

    Arguments are checked by the document's schemas before anything is sent. An answer that is an error is returned
    as ``{"error": ...}``; one that may pass is retried under the tool's policy first. A call that was sent and whose
    outcome is unknown is in doubt, if its effect is ``once``.

    Raises SpecUnavailable, SpecInvalid, SpecChanged, TooManyOperations, SecretUndeclared, SecretMissing,
    InvalidConfiguration, AddressRefused, and ApiUnreachable if the server cannot be reached now.
    """
    limits = Limits(timeout, max_bytes, tuple(private_hosts))
    document = load(spec, sha256=sha256, limits=limits)
    chosen = operations(document, include, tuple(exclude), max_tools)
    url = _server(document, base_url)
    if base_url is None:
        _check_servers(document, chosen)
    proofs = Credentials(
        document,
        headers=headers or {},
        auth=auth or {},
        declared=tuple(credentials),
        store=SecretStore(secrets),
        limits=limits,
        clock=Clock(),
    )
    _check_policies(policies or {}, chosen)
    _check_hosts(document, url, proofs, chosen)
    _connect(url, limits)
    server = Server(url, Schemas(document), proofs, limits, quoted_keys)
    return _tools(server, chosen, policies or {})


def _tools(server: Server, chosen: list[Operation], policies: Mapping[str, Any]) -> list[Callable[..., Any]]:
    try:
        return [
            _tool(server, operation, _policy(operation, policies, server.credentials.names)) for operation in chosen
        ]
    except RecursionError as exc:
        msg = "a schema is nested too deep"
        raise SpecInvalid(msg) from exc


def _tool(server: Server, operation: Operation, policy: ToolPolicy) -> Callable[..., Any]:
    policy = replace(policy, tags=(*policy.tags, *operation.tags))
    fields: dict[str, Any] = {name: getattr(policy, name) for name in policy.__slots__}
    return tool(**fields)(function(server, operation, policy))


def _policy(
    operation: Operation, policies: Mapping[str, ToolPolicy | Mapping[str, Any]], secrets: tuple[str, ...]
) -> ToolPolicy:
    effect = _EFFECTS.get(operation.method, "idempotent" if operation.keyed else "once")
    worth_it = _NOT_DONE if effect_of(effect).settles else (*_NOT_DONE, AnswerLost)
    policy = ToolPolicy(effect=effect, retry=Retry(attempts=4, on=worth_it), secrets=secrets)
    for pattern, change in policies.items():
        if fnmatchcase(operation.name, pattern):
            policy = change if isinstance(change, ToolPolicy) else _changed(policy, change, pattern)
    return policy


def _changed(policy: ToolPolicy, change: Mapping[str, Any], pattern: str) -> ToolPolicy:
    try:
        return replace(policy, **change)
    except TypeError as exc:
        msg = f"policies[{pattern!r}] has fields that a ToolPolicy has not: {', '.join(sorted(change))}"
        raise InvalidConfiguration(msg) from exc


def _check_policies(policies: Iterable[str], chosen: list[Operation]) -> None:
    """Raise InvalidConfiguration for a pattern that fits no operation: a misspelt name must not lose its approval."""
    names = [operation.name for operation in chosen]
    for pattern in policies:
        if not any(fnmatchcase(name, pattern) for name in names):
            msg = f"policies[{pattern!r}] is for no operation; there are {', '.join(names) or 'none'}"
            raise InvalidConfiguration(msg)


def _server(document: Document, base_url: str | None) -> str:
    url = base_url or document.server
    if url is None:
        msg = "the document names no server; give base_url='https://...'"
        raise InvalidConfiguration(msg)
    _check_plain(url)
    if base_url is None and not document.trusted and _origin(url) != _origin(document.url or ""):
        origins = f"{_origin(document.url or '')} and names the server {_origin(url)}"
        msg = f"the document comes from {origins}; give base_url=, or pin the document with sha256="
        raise SpecInvalid(msg)
    return url


def _check_servers(document: Document, chosen: list[Operation]) -> None:
    names = own_servers(document, chosen)
    if names:
        msg = f"{', '.join(names)}: names a server of its own; leave it out, or give base_url= for all of them"
        raise SpecInvalid(msg)


def _check_plain(url: str) -> None:
    parts = urlsplit(url)
    extras = parts.username is not None or parts.query or parts.fragment
    if parts.scheme not in {"http", "https"} or not parts.hostname or extras:
        msg = (
            f"the server {url!r} is no plain http or https url (no credentials, no query); give base_url='https://...'"
        )
        raise InvalidConfiguration(msg)


def _check_hosts(document: Document, url: str, proofs: Credentials, chosen: list[Operation]) -> None:
    """Raise if a secret would go to a host that only an unpinned document names, or over a connection without TLS."""
    token_urls = [token_url for operation in chosen for token_url in proofs.token_urls(operation)]
    for target in [url, *token_urls]:
        parts = urlsplit(target)
        if target != url and not document.trusted and _origin(target) != _origin(url):
            msg = f"tokens would come from {_origin(target)}, which is not the server; pin the document with sha256="
            raise SpecInvalid(msg)
        if proofs.names and parts.scheme != "https" and parts.hostname not in proofs.open_lines:
            msg = (
                f"credentials would go to {_origin(target)} without TLS; use https, or private_hosts for a test server"
            )
            raise InvalidConfiguration(msg)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _connect(url: str, limits: Limits) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        PinnedBackend(limits).connect_tcp(parts.hostname or "", port).close()
    except (httpcore.NetworkError, httpcore.TimeoutException) as exc:
        raise ApiUnreachable(parts.netloc, str(exc) or type(exc).__name__) from exc
