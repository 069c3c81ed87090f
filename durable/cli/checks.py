"""Check what ``durable doctor`` looks at: each check says what it found, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from durable.checkpoint import claims, health, migrations
from durable.checkpoint.codec.view import view
from durable.checkpoint.inbox import interrupts
from durable.cli.history import who
from durable.cli.render import took
from durable.inbox.kinds import kind_of
from durable.live.owner import is_dead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durable.checkpoint.database import Database

US = "durable-adapters"
ADAPTERS = {
    "langgraph": "durable.adapters.langgraph",
    "openai-agents": "durable.adapters.openai_agents",
    "google-adk": "durable.adapters.google_adk",
}
"""By the package that must be installed for it."""
_OTHERS = ("sqlalchemy", "psycopg", "opentelemetry-sdk", *ADAPTERS)
_SLOW_START = 3.0
_SKEW = 5.0
_SLOW_ANSWER = 0.25
_LOW_SPACE = 1 << 30
_OLDEST = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    status: Literal["ok", "warn", "fail"]
    name: str
    found: str
    remedy: str = ""


def python() -> Check:
    """Check the interpreter."""
    version = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] < _OLDEST:
        return Check("fail", "python", version, "use Python 3.11 or newer")
    return Check("ok", "python", version)


def packages() -> Iterator[Check]:
    """Check this package and what it works with, without importing any of it."""
    required = _wanted()
    for name in (US, *_OTHERS):
        version = _version(name)
        if version is None:
            if name == US:
                yield Check("warn", US, "not installed, running from its source", f"pip install {US}")
            continue
        bounds = required.get(name, "")
        if _fits(version, bounds):
            yield Check("ok", name, version)
        else:
            remedy = f"tested with {bounds}: pip install '{name}{bounds}'"
            yield Check("warn", name, version, remedy)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _wanted() -> dict[str, str]:
    try:
        lines = importlib.metadata.requires(US) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    bounds: dict[str, str] = {}
    for line in lines:
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)", line)
        if match:
            bounds.setdefault(match[1].lower(), match[2].strip())
    return bounds


def _fits(version: str, bounds: str) -> bool:
    numbers = _numbers(version)
    for operator, bound in re.findall(r"(>=|<)\s*([0-9.]+)", bounds):
        if (operator == ">=" and numbers < _numbers(bound)) or (operator == "<" and numbers >= _numbers(bound)):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+", maxsplit=1)[0])[:3])


def start_costs() -> Iterator[Check]:
    """Measure how long a fresh process takes until a worker could begin, bare and with each adapter that is installed.

    Each new worker, and each crash, costs that much.
    """
    yield _start_cost("worker start", "durable")
    for package, module in ADAPTERS.items():
        if _version(package) is not None:
            yield _start_cost(f"with {package}", module)


def _start_cost(name: str, module: str) -> Check:
    began = time.monotonic()
    command = [sys.executable, "-c", f"import {module}"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this interpreter
    seconds = time.monotonic() - began
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["?"])[-1]
        return Check("fail", name, last, f"`python -c 'import {module}'` must work in this environment")
    if seconds > _SLOW_START:
        return Check("warn", name, took(seconds), "slow disk or a cold cache? Keep workers running")
    return Check("ok", name, took(seconds))


def database(db: Database, namespace: str) -> list[Check]:
    """Check everything about the database and what runs on it. Raises StorageError if it cannot be asked."""
    where = db.url.render_as_string(hide_password=True)
    health.ask(db)  # the first answer has the cost of connecting
    answer = health.ask(db)
    slow = answer.took > _SLOW_ANSWER
    findings = [
        Check(
            "warn" if slow else "ok",
            "database",
            f"{where}, answers in {took(answer.took)}",
            "each step waits for a commit: move workers closer to it" if slow else "",
        ),
        *_settings(db),
        _clock(answer),
    ]
    if db.is_sqlite:
        findings.append(_space(db))
    schema = migrations.current(db)
    if schema != migrations.HEAD:
        remedy = "durable db upgrade" if schema is None or schema in migrations.KNOWN else f"pip install -U {US}"
        return [*findings, Check("fail", "schema", f"{schema or 'none'}, needed is {migrations.HEAD}", remedy)]
    return [*findings, Check("ok", "schema", schema), _owners(db, namespace), _doubts(db, namespace)]


def _settings(db: Database) -> list[Check]:
    settings = health.settings(db)
    line = ", ".join(f"{name} {value}" for name, value in settings.items())
    bad = []
    if db.is_sqlite:
        if settings["journal_mode"] != "wal":
            bad.append("the file is not in WAL mode: is it on a network file system? Put it on a local disk")
        if settings["synchronous"] not in {"FULL", "EXTRA"}:
            bad.append("synchronous=FULL, or steps are forgotten at power loss")
    else:
        bad.extend(
            f"{name}=on, or acknowledged steps are forgotten at a crash of the server"
            for name in ("fsync", "synchronous_commit", "full_page_writes")
            if settings[name] == "off"
        )
    return [Check("warn" if bad else "ok", "durability", line, "; ".join(bad))]


def _clock(answer: health.Reply) -> Check:
    skew = abs(answer.skew)
    difference = f"database and machine differ by {took(skew)}"
    if skew > _SKEW:
        return Check("warn", "clocks", difference, "run NTP on both: leases do not depend on it, timestamps in logs do")
    return Check("ok", "clocks", difference)


def _space(db: Database) -> Check:
    free = shutil.disk_usage(Path(db.url.database or ".").resolve().parent).free
    space = f"{free / 2**30:.1f} GiB free"
    if free < _LOW_SPACE:
        return Check("warn", "disk", space, "free some: a full disk stops every execution")
    return Check("ok", "disk", space)


def _owners(db: Database, namespace: str) -> Check:
    with db.read() as connection:
        owners = claims.owners(connection, namespace)
        expired = health.expired(db, connection, namespace)
    dead = sorted({who(name) for name in owners if is_dead(name)} | {who(name) for name in expired})
    if dead:
        remedy = "their executions go on as soon as a worker for their apps runs: durable worker module:attribute"
        return Check("warn", "workers", f"gone without letting go: {', '.join(dead)}", remedy)
    return Check("ok", "workers", f"{len(owners)} driving executions now")


def _doubts(db: Database, namespace: str) -> Check:
    with db.read() as connection:
        waiting = interrupts.find(connection, namespace, view, status=("open",))
    doubts = sum(kind_of(interrupt).needs_operator for interrupt in waiting)
    counts = f"{doubts} in doubt or drifted, {len(waiting) - doubts} other questions open"
    if doubts:
        return Check("warn", "inbox", counts, "durable approvals list, then durable resolve INTERRUPT ...")
    return Check("ok", "inbox", counts)
