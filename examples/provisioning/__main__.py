"""The demo: a worker is killed inside a tool, another goes on, a person approves, everything happens once.

python -m examples.provisioning
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from examples.provisioning.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable import Handle

APP = "examples.provisioning.app:runtime"
DEADLINE = 50.0
"""Seconds after which the demo gives up."""

console = Console(width=110, highlight=False)


def say(text: str) -> None:
    """One line of the story."""
    console.print(f"[bold cyan]»[/] {text}")


def until(what: str, condition: Callable[[], Any], worker: subprocess.Popen[bytes] | None = None) -> Any:
    """Wait until the condition holds. Raises RuntimeError if it never does or the worker is gone."""
    give_up = time.monotonic() + DEADLINE
    while not (found := condition()):
        if time.monotonic() > give_up or (worker is not None and worker.poll() is not None):
            msg = f"gave up waiting for: {what}"
            raise RuntimeError(msg)
        time.sleep(0.02)
    return found


def start_worker() -> subprocess.Popen[bytes]:
    """A worker process, as in production: ``durable worker module:attribute``."""
    worker = subprocess.Popen([sys.executable, "-m", "durable", "worker", APP, "--poll", "0.1"])
    say(f"worker [bold]{worker.pid}[/] started: durable worker {APP}")
    return worker


def durable(*arguments: str) -> str:
    """Run the command line in a process of its own, and show it."""
    console.print(f"  [dim]$ durable {' '.join(arguments)}[/]")
    done = subprocess.run([sys.executable, "-m", "durable", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def replayed_and_ran(handle: Handle) -> None:
    """What the second worker took from the journal, and what it ran."""
    history = handle.history()
    claims = [record.seq for record in history if record.kind == "claimed"]
    before = {r.step_key for r in history if r.kind == "step_done" and r.seq < claims[1]}
    after = [r for r in history if r.kind == "step_done" and r.seq > claims[1]]
    names = {r.step_key: r.meta.get("name") for r in history if r.meta.get("name")}
    tools = lambda keys: ", ".join(sorted({str(names[k]) for k in keys if "tool:" in str(k) or "chat:" in str(k)}))  # noqa: E731 - used twice, here
    say(f"finished before the kill, answered from the journal: [green]{tools(before)}[/]")
    say(f"run by the second worker so far: [yellow]{tools([r.step_key for r in after])}[/]")


def counts(outside: Outside) -> Table:
    """What the outside world saw."""
    table = Table("system", "effect", "requests", "happened", title="counted at the receiving side")
    for system, path in (("product", "/workspaces"), ("billing", "/charges"), ("mail", "/messages")):
        requests = sum(1 for asked, _ in outside.requests if asked == path)
        table.add_row(system, f"POST {path}", str(requests), str(outside.effects[path]))
    return table


def story(outside: Outside) -> None:
    """The whole of it."""
    from examples.provisioning.app import runtime  # noqa: PLC0415 - after its environment is set

    handle = runtime.start(
        "provisioning",
        {"messages": [("user", "Provision ops@acme.example, enterprise, 250 seats")]},
        id="acme-onboarding",
    )
    say(f"started execution [bold]{handle.id}[/]: it is a row in the database, no process is involved yet")
    first = start_worker()
    until("the workspace to be created", outside.created.is_set, first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    say(f"[red]kill -9 {first.pid}[/]: in the middle of create_workspace, after its effect and before its answer")
    outside.hold.set()
    second = start_worker()
    until("the approval", runtime.interrupts, second)
    until("the execution to let go", lambda: handle.status == "suspended", second)
    replayed_and_ran(handle)
    say("the paid plan needs a person; no process holds the execution while it waits:")
    console.print(durable("approvals", "list"))
    waiting = json.loads(durable("approvals", "list", "--json"))
    interrupt = waiting[0]["id"] if isinstance(waiting, list) else waiting["interrupts"][0]["id"]
    console.print(durable("approvals", "approve", interrupt, "--by", "alice", "--comment", "signed contract 2231"))
    output = handle.result(timeout=DEADLINE)
    say(f"the agent finished: [green]{output['messages'][-1].content}[/]")
    second.send_signal(signal.SIGTERM)
    second.wait(10)
    console.print(durable("history", handle.id))
    console.print(counts(outside))
    effects = {path: outside.effects[path] for path in ("/workspaces", "/charges", "/messages")}
    keys = {key for path, key in outside.requests if path == "/workspaces"}
    if set(effects.values()) != {1} or len(keys) != 1:
        msg = f"expected each effect once under one key, got {effects} and {len(keys)} keys"
        raise RuntimeError(msg)
    records = handle.verify()
    console.print(
        f"[bold green]proven:[/] killed with -9 inside a tool, recovered by another process: 1 workspace, 1 charge "
        f"(approved by alice), 1 message; {records} records, digest chain intact."
    )


def main() -> None:
    """Run the story on a database of its own."""
    os.environ.setdefault("COLUMNS", "110")
    with tempfile.TemporaryDirectory() as folder, Outside() as outside:
        os.environ["DURABLE_URL"] = f"sqlite:///{Path(folder) / 'demo.db'}"
        os.environ["PROVISIONING_OUTSIDE"] = outside.url
        story(outside)


if __name__ == "__main__":
    main()
