"""Exchange one HTTP request, guarded: the address is checked and pinned, size and time are capped.

The name is resolved once and the connection goes to the address that was checked, so that a second answer of a name
server (rebinding) has no effect; TLS still checks the name. Redirects are returned, never followed. Neither proxies
nor credentials are taken from the environment. Each exchange has a connection of its own.
"""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import certifi
import httpcore

from durable.openapi.addresses import resolve
from durable.openapi.errors import AnswerLost, ApiUnreachable, ArgumentsInvalid
from durable.secrets.logs import redacting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import httpx

for _name in ("httpcore.connection", "httpcore.http11"):
    redacting(_name)  # at DEBUG they tell the headers of answers

_REFUSED_BEFORE_SENDING = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an exchange: ``seconds`` in all, ``size`` in bytes of the answer, ``private_hosts`` by name."""

    seconds: float = 30.0
    size: int = 1_000_000
    private_hosts: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """Response of a server. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the content as JSON. None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def text(self) -> str:
        """Return the content as text, in the charset that the server names, else UTF-8."""
        charset = self.headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(' "')
        try:
            return self.body.decode(charset or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """Return the type of the content, in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self, error: type[Exception]) -> float:
        """Return the seconds that are left. Raises the error if none are."""
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            msg = "the time for the call is over"
            raise error(msg)
        return seconds


class _Stream(httpcore.NetworkStream):
    """Stream whose reads and writes together must not take longer than the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline is stricter
        return self._inner.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        self._inner.write(buffer, self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        seconds = self._deadline.left(httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class PinnedBackend(httpcore.NetworkBackend):
    """Network backend that connects to the checked addresses of a host and to nothing else."""

    def __init__(self, limits: Limits) -> None:
        self._private = limits.private_hosts
        self._deadline = _Deadline(limits.seconds)
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline is stricter
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers. Raises AddressRefused, ApiUnreachable."""
        failed: Exception = httpcore.ConnectError("it has no address")
        for address in resolve(host, port, private_hosts=self._private):
            seconds = self._deadline.left(httpcore.ConnectTimeout)
            try:
                stream = self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
            else:
                return _Stream(stream, self._deadline)
        raise failed


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


def send(request: httpx.Request, limits: Limits) -> Response:
    """Send the request and read its answer.

    Raises AddressRefused, ApiUnreachable and ArgumentsInvalid before anything was sent; AnswerLost if it was sent and
    no whole answer came within the limits: then its outcome is unknown.
    """
    url = request.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    outgoing = httpcore.Request(
        request.method, target, headers=[*_plain(request), (b"Accept-Encoding", b"identity")], content=request.read()
    )
    summary = f"{request.method} {url.copy_with(query=None)}"
    with httpcore.ConnectionPool(ssl_context=_tls(), network_backend=PinnedBackend(limits)) as pool:
        try:
            answer = pool.handle_request(outgoing)
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            body = _read(answer, headers.get("content-encoding", "identity"), limits.size, summary)
        except httpcore.LocalProtocolError as exc:
            msg = f"{summary} cannot be written as HTTP: {exc}; nothing was sent"
            raise ArgumentsInvalid(msg) from exc
        except _REFUSED_BEFORE_SENDING as exc:
            raise ApiUnreachable(url.host, str(exc) or type(exc).__name__) from exc
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as exc:
            raise AnswerLost(summary, str(exc) or type(exc).__name__) from exc
    return Response(answer.status, headers, body)


def _plain(request: httpx.Request) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in request.headers.raw if name.lower() != b"accept-encoding"]


def _read(answer: httpcore.Response, coding: str, size: int, summary: str) -> bytes:
    if coding.strip().lower() not in {"identity", ""}:  # a small answer may stand for terabytes
        raise AnswerLost(summary, f"the answer is in the coding {coding!r}, which was not asked for")
    parts = []
    total = 0
    try:
        for part in answer.iter_stream():
            total += len(part)
            if total > size:
                raise AnswerLost(summary, f"the answer is larger than {size} bytes")
            parts.append(part)
    finally:
        answer.close()
    return b"".join(parts)
