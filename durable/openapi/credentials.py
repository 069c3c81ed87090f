"""Credentials: ``${NAME}`` in headers and for the document's security schemes, resolved at each call.

A name must be declared, and each secret must be there when the tools are made. What is resolved, and every token that
is got for it, is known to the runtime's redactor.
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
from durable.openapi.answers import told
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
    """What is added to a request so that the server knows who calls."""

    headers: dict[str, str] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)


def names_in(*templates: str) -> tuple[str, ...]:
    """The names that templates refer to. Raises InvalidConfiguration for a ``${`` that names nothing."""
    for template in templates:
        if "${" in _REFERENCE.sub("", template):
            msg = f"{template!r} has a '${{' that names no secret; write ${{NAME}}"
            raise InvalidConfiguration(msg)
    return tuple(dict.fromkeys(name for template in templates for name in _REFERENCE.findall(template)))


class Credentials:
    """What a document's operations need, and where it comes from.

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
        self._headers, self._auth = dict(headers), dict(auth)
        self._store, self._limits, self._clock = store, limits, clock
        found = document.root.get("securityDefinitions") or document.root.get("components", {}).get("securitySchemes")
        self._schemes = {name: document.followed(scheme) for name, scheme in (found or {}).items()}
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()
        self.names = names_in(*self._headers.values(), *self._auth.values())
        for name in self.names:
            if name not in tuple(declared):
                raise SecretUndeclared(name)
            store.resolve(name)
        for name in self._auth:
            if name not in self._schemes:
                msg = f"auth[{name!r}]: the document has the security schemes {', '.join(self._schemes) or 'none'}"
                raise InvalidConfiguration(msg)
            if _kind(self._schemes[name]) not in _SERVED:
                msg = (
                    f"auth[{name!r}]: the scheme {_kind(self._schemes[name])!r} is not supported; give headers={{...}}"
                )
                raise InvalidConfiguration(msg)
        for template in (*self._headers.values(), *self._auth.values()):
            _filled(template, store.resolve)

    def needed_by(self, operation: Operation) -> Mapping[str, list[str]]:
        """The schemes of the first alternative that can be served; calling as nobody is the last one.

        Raises InvalidConfiguration if none can be served.
        """
        for needed in sorted(operation.security, key=lambda needed: not needed):
            if all(name in self._auth or self._in_headers(name) for name in needed):
                return needed
        if not operation.security:
            return {}
        ways = " or ".join("+".join(needed) for needed in operation.security)
        msg = f"{operation.name} needs the security scheme {ways}; give auth={{'scheme': '${{NAME}}'}} or headers"
        raise InvalidConfiguration(msg)

    @property
    def open_lines(self) -> frozenset[str]:
        """The hosts that may be sent credentials without TLS."""
        return frozenset(host.lower() for host in self._limits.private_hosts)

    def token_urls(self, operation: Operation) -> list[str]:
        """Where tokens for this operation come from: these hosts are sent a secret."""
        flows = (_client_flow(self._schemes[name]) for name in self.needed_by(operation) if name in self._auth)
        return [flow["tokenUrl"] for flow in flows if flow is not None]

    def prove(self, operation: Operation) -> Proof:
        """Everything this operation needs, resolved now.

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
        """Get new tokens with the next call; False if there were none."""
        with self._lock:
            had = bool(self._tokens)
            self._tokens.clear()
        return had

    def _in_headers(self, name: str) -> bool:
        scheme = self._schemes.get(name, {})
        wanted = scheme.get("name", "") if scheme.get("type") == "apiKey" else "authorization"
        return scheme.get("in", "header") == "header" and wanted.lower() in {one.lower() for one in self._headers}

    def _resolver(self) -> Callable[[str], str]:
        here = scope()
        if here is None:
            return self._store.resolve
        theirs = here.segment.runtime.secrets
        if not self._store.given:
            return theirs.resolve

        def resolve(name: str) -> str:
            value = self._store.resolve(name)
            theirs.redactor.add(name, value)
            return value

        return resolve

    def _apply(self, proof: Proof, name: str, scopes: list[str], resolve: Callable[[str], str]) -> None:
        scheme, secret = self._schemes[name], _filled(self._auth[name], resolve)
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
        wanted = (name, " ".join(scopes))
        with self._lock:
            token, ends = self._tokens.get(wanted, ("", 0.0))
            if not token or self._clock.monotonic() >= ends - _EARLY:
                token, life = self._ask_token(name, wanted[1], secret)
                self._tokens[wanted] = (token, self._clock.monotonic() + life)
        here = scope()  # it may be another runtime's than that of the call which got the token
        redactor = (self._store if here is None else here.segment.runtime.secrets).redactor
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
            raise ApiUnreachable(url, f"no token for {name}: {told('POST', url, answer)}")
        said: Any = answer.json() if answer.status == httpx.codes.OK else None
        if not isinstance(said, dict) or not isinstance(said.get("access_token"), str):
            msg = f"no token for {name}: {told('POST', url, answer)}"
            raise ApiRefused(msg, answer.status)
        life = said.get("expires_in")
        return said["access_token"], float(life) if isinstance(life, (int, float)) else _DEFAULT_LIFE


def _client_flow(scheme: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if scheme.get("type") != "oauth2":
        return None
    if scheme.get("flow") == "application":
        return scheme
    found: Mapping[str, Any] | None = scheme.get("flows", {}).get("clientCredentials")
    return found


def _filled(template: str, resolve: Callable[[str], str]) -> str:
    def value(found: re.Match[str]) -> str:
        secret = resolve(found[1])
        if not secret.isprintable():
            reason = "it has a line break or another letter that no header can hold"
            raise SecretMissing(found[1], reason)
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
