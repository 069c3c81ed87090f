"""A TCP proxy before PostgreSQL's unix socket that loses commits: the request, the answer, or the answer without a word.

``lose(fault)`` arms it for the next COMMIT that comes by on any connection (or a later one: ``after``), once.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST, ANSWER, SILENCE = FAULTS = ("request dropped", "answer dropped", "answer swallowed")
COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: close() sends RST


class Proxy:
    """One server behind one port of the loopback. ``seen`` counts COMMITs, ``lost`` those that fell to a fault."""

    def __init__(self, url: str) -> None:
        server = make_url(url)
        self._behind = f"{server.query['host']}/.s.PGSQL.{server.port or 5432}"
        self._port = socket.create_server(("127.0.0.1", 0))
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        found = server.set(host="127.0.0.1", port=self._port.getsockname()[1], query=plain)
        self.url = found.render_as_string(hide_password=False)
        self.seen = 0
        self.lost = 0
        self._armed: tuple[int, str] | None = None
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def lose(self, fault: str, *, after: int = 0) -> None:
        with self._lock:
            self._armed = (self.seen + after + 1, fault)

    def disarm(self) -> None:
        with self._lock:
            self._armed = None

    def close(self) -> None:
        with suppress(OSError):
            self._port.shutdown(socket.SHUT_RDWR)
        for one in (self._port, *self._open):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._port.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._behind)
                self._open += [client, server]
                threading.Thread(target=self._serve, args=(client, server), name="proxied", daemon=True).start()

    def _fault(self, said: bytes) -> str | None:
        if COMMIT not in said:
            return None
        with self._lock:
            self.seen += 1
            if self._armed is None or self.seen != self._armed[0]:
                return None
            self.lost += 1
            return self._armed[1]

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        swallow = threading.Event()
        back = threading.Thread(target=_answers, args=(server, client, swallow), name="proxied", daemon=True)
        back.start()
        with suppress(OSError):
            while said := client.recv(1 << 16):
                fault = self._fault(said)
                if fault == REQUEST:
                    break
                if fault is not None:
                    swallow.set()  # before the server can have answered
                server.sendall(said)
                if fault == ANSWER:
                    back.join()  # it ends with the answer in its hands: the commit is done
                    break
                if fault == SILENCE:
                    while client.recv(1 << 16):  # until the client has had enough
                        pass
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _answers(server: socket.socket, client: socket.socket, swallow: threading.Event) -> None:
    with suppress(OSError):
        while said := server.recv(1 << 16):
            if swallow.is_set():
                return
            client.sendall(said)
        client.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """A proxy before this database for the length of the block."""
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
