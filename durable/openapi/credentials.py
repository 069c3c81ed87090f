"""Resolve credentials at each call: ``${NAME}`` in headers and for the document's security schemes.

A name must be declared, and each secret must be there when the tools are made. Resolved secrets, and every token that
they buy, are known to the runtime's redactor.
"""

from __future__ import annotations

import base64
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from durable.errors import InvalidConfiguration, SecretMissing, SecretUndeclared
from durable.live.scope import scope
from durable.openapi.answers import error_line
from durable.openapi.errors import AnswerLost, ApiRefused, ApiUnreachable
from durable.openapi.wire import Limits, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from durable.live.clock import Clock
    from durable.openapi.document import Document
    from durable.openapi.operations import Operation
    from durable.secrets.store import SecretStore

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.\-]*)\}")
_SERVED = frozenset({"apiKey", "basic", "bearer", "oauth2", "openIdConnect"})
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of a token's server after which it may be asked again."""
_EARLY = 30.0
"""Seconds before its end from which on a token is not used any more."""
_DEFAULT_LIFE = 300.0
"""Seconds that a token is used whose answer does not say how long it lives."""


@dataclass(slots=True)
class Proof:
    """Headers, query parts and cookies that tell the server who calls."""

    headers: dict[str, str] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)


def names_in(*templates: str) -> tuple[str, ...]:
    """Return the names that templates refer to. Raises InvalidConfiguration for a ``${`` that names nothing."""
    for template in templates:
        if "${" in _REFERENCE.sub("", template):
            msg = f"{template!r} has a '${{' that names no secret; write ${{NAME}}"
            raise InvalidConfiguration(msg)
    return tuple(dict.fromkeys(name for template in templates for name in _REFERENCE.findall(template)))


class Credentials:
    """Credentials that a document's operations need, and where each comes from.

    ``auth`` gives each security scheme its template: the key or token, ``user:password`` for basic, and
    ``client id:client secret`` for OAuth2. Raises SecretUndeclared, SecretMissing, InvalidConfiguration.
    """

    def __init__(  # noqa: PLR0913 - what is configured
        self,
        document: Document,
        *,
        headers: Mapping[str, str],
        auth: Mapping[str, str],
        declared: Iterable[str],
        store: SecretStore,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._headers = dict(headers)
        self._auth = dict(auth)
        self._store = store
        self._limits = limits
        self._clock = clock
        self._schemes = _security_schemes(document)
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()
        templates = (*self._headers.values(), *self._auth.values())
        self.names = names_in(*templates)
        allowed = tuple(declared)
        for name in self.names:
            if name not in allowed:
                raise SecretUndeclared(name)
            store.resolve(name)
        for name in self._auth:
            self._check_scheme(name)
        for template in templates:
            _filled(template, store.resolve)

    def _check_scheme(self, name: str) -> None:
        if name not in self._schemes:
            msg = f"auth[{name!r}]: the document has the security schemes {', '.join(self._schemes) or 'none'}"
            raise InvalidConfiguration(msg)
        kind = _kind(self._schemes[name])
        if kind not in _SERVED:
            msg = f"auth[{name!r}]: the scheme {kind!r} is not supported; give headers={{...}}"
            raise InvalidConfiguration(msg)

    def needed_by(self, operation: Operation) -> Mapping[str, list[str]]:
        """Return the schemes of the first alternative that can be served. Calling as nobody is the last choice.

        Raises InvalidConfiguration if none can be served.
        """
        for alternative in sorted(operation.security, key=lambda alternative: not alternative):
            if all(name in self._auth or self._in_headers(name) for name in alternative):
                return alternative
        if not operation.security:
            return {}
        ways = " or ".join("+".join(alternative) for alternative in operation.security)
        msg = f"{operation.name} needs the security scheme {ways}; give auth={{'scheme': '${{NAME}}'}} or headers"
        raise InvalidConfiguration(msg)

    @property
    def open_lines(self) -> frozenset[str]:
        """Return the hosts that may be sent credentials without TLS."""
        return frozenset(host.lower() for host in self._limits.private_hosts)

    def token_urls(self, operation: Operation) -> list[str]:
        """Return where tokens for this operation come from. These hosts are sent a secret."""
        flows = (_client_flow(self._schemes[name]) for name in self.needed_by(operation) if name in self._auth)
        return [flow["tokenUrl"] for flow in flows if flow is not None]

    def prove(self, operation: Operation) -> Proof:
        """Return everything this operation needs, resolved now.

        Raises SecretMissing, InvalidConfiguration, ApiError if a token is refused.
        """
        resolve = self._resolver()
        proof = Proof({name: _filled(template, resolve) for name, template in self._headers.items()})
        for name, scopes in self.needed_by(operation).items():
            if name in self._auth:
                self._apply(proof, name, scopes, resolve)
        for name, value in proof.headers.items():
            if not value.isascii():
                msg = f"the header {name} would hold letters that are not ASCII, which no header can"
                raise InvalidConfiguration(msg)
        return proof

    def forget_tokens(self) -> bool:
        """Forget all tokens, so that the next call gets new ones. False if there were none."""
        with self._lock:
            had = bool(self._tokens)
            self._tokens.clear()
        return had

    def _in_headers(self, name: str) -> bool:
        scheme = self._schemes.get(name, {})
        header = scheme.get("name", "") if scheme.get("type") == "apiKey" else "authorization"
        return scheme.get("in", "header") == "header" and header.lower() in {sent.lower() for sent in self._headers}

    def _resolver(self) -> Callable[[str], str]:
        running = scope()
        if running is None:
            return self._store.resolve
        shared = running.segment.runtime.secrets
        if not self._store.given:
            return shared.resolve

        def resolve(name: str) -> str:
            value = self._store.resolve(name)
            shared.redactor.add(name, value)
            return value

        return resolve

    def _apply(self, proof: Proof, name: str, scopes: list[str], resolve: Callable[[str], str]) -> None:
        scheme = self._schemes[name]
        secret = _filled(self._auth[name], resolve)
        match _kind(scheme):
            case "apiKey" if scheme["in"] == "header":
                proof.headers[scheme["name"]] = secret
            case "apiKey" if scheme["in"] == "query":
                proof.query.append(f"{quote(scheme['name'], safe='')}={quote(secret, safe='')}")
            case "apiKey":
                proof.cookies.append(f"{scheme['name']}={quote(secret, safe='')}")
            case "basic":
                proof.headers["Authorization"] = _basic(secret)
            case "oauth2" if _client_flow(scheme) is not None:
                proof.headers["Authorization"] = f"Bearer {self._token(name, scopes, secret)}"
            case _:  # bearer, OpenID Connect, and flows that need a person: a token that was got elsewhere
                proof.headers["Authorization"] = f"Bearer {secret}"

    def _token(self, name: str, scopes: list[str], secret: str) -> str:
        cached = (name, " ".join(scopes))
        with self._lock:
            token, ends = self._tokens.get(cached, ("", 0.0))
            if not token or self._clock.monotonic() >= ends - _EARLY:
                token, life = self._ask_token(name, cached[1], secret)
                self._tokens[cached] = (token, self._clock.monotonic() + life)
        running = scope()  # it may be another runtime's than that of the call which got the token
        redactor = (self._store if running is None else running.segment.runtime.secrets).redactor
        redactor.add(f"{name} token", token)
        return token

    def _ask_token(self, name: str, scopes: str, secret: str) -> tuple[str, float]:
        url = (_client_flow(self._schemes[name]) or {})["tokenUrl"]
        data = {"grant_type": "client_credentials"} | ({"scope": scopes} if scopes else {})
        client, _, password = secret.partition(":")
        headers = {"Authorization": _basic(f"{quote(client, safe='')}:{quote(password, safe='')}")}
        try:
            answer = send(httpx.Request("POST", url, data=data, headers=headers), self._limits)
        except AnswerLost as exc:  # of the token: the call that needs it was not made
            raise ApiUnreachable(url, f"no token for {name}: {exc}") from exc
        if answer.status in _LATER:
            raise ApiUnreachable(url, f"no token for {name}: {error_line('POST', url, answer)}")
        fields: Any = answer.json() if answer.status == httpx.codes.OK else None
        if not isinstance(fields, dict) or not isinstance(fields.get("access_token"), str):
            msg = f"no token for {name}: {error_line('POST', url, answer)}"
            raise ApiRefused(msg, answer.status)
        life = fields.get("expires_in")
        return fields["access_token"], float(life) if isinstance(life, (int, float)) else _DEFAULT_LIFE


def _security_schemes(document: Document) -> dict[str, Any]:
    schemes = document.root.get("securityDefinitions")
    if not schemes:
        schemes = document.root.get("components", {}).get("securitySchemes")
    return {name: document.followed(scheme) for name, scheme in (schemes or {}).items()}


def _client_flow(scheme: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if scheme.get("type") != "oauth2":
        return None
    if scheme.get("flow") == "application":
        return scheme
    flow: Mapping[str, Any] | None = scheme.get("flows", {}).get("clientCredentials")
    return flow


def _filled(template: str, resolve: Callable[[str], str]) -> str:
    def value(match: re.Match[str]) -> str:
        secret = resolve(match[1])
        if not secret.isprintable():
            reason = "it has a line break or another letter that no header can hold"
            raise SecretMissing(match[1], reason)
        return secret

    filled = _REFERENCE.sub(value, template)
    if filled != filled.strip():
        msg = f"{template!r} comes to a text that begins or ends with a space, which no header can hold"
        raise InvalidConfiguration(msg)
    return filled


def _kind(scheme: Mapping[str, Any]) -> str:
    return str(scheme["type"] if scheme["type"] != "http" else scheme["scheme"].lower())


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
