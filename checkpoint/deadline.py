"""Give every wait of a PostgreSQL connection a deadline, so that no call waits for ever.

A server that is gone without closing the connection keeps a client waiting: TCP acknowledged the query, so
neither keepalive nor ``tcp_user_timeout`` ends the wait. Here every wait has a deadline in the client; past it
the connection is closed, and the caller cannot know whether the statement was carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import errors, waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.abc import PQGen

T = TypeVar("T")
_POLL = 0.1


def connector(seconds: float, *args: Any, **kwargs: Any) -> Callable[[], psycopg.Connection[Any]]:
    """Return a connect function for the engine's pool; ``seconds`` bounds every wait of its connections."""

    class DeadlineConnection(psycopg.Connection[Any]):
        def wait(self, gen: PQGen[T], interval: float = _POLL, timeout: float | None = None) -> T:
            try:
                return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout or seconds)
            except getattr(errors, "_WaitTimeout", TimeoutError) as exc:
                self.pgconn.finish()
                msg = f"no answer from the server within {seconds} s"
                raise psycopg.OperationalError(msg) from exc
            except KeyboardInterrupt:
                self.pgconn.finish()
                raise

    kwargs.setdefault("connect_timeout", max(2, int(seconds)))

    def connect() -> psycopg.Connection[Any]:
        return DeadlineConnection.connect(*args, **kwargs)

    return connect
