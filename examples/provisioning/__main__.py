"""The demo: a worker is killed inside a tool, another goes on, people govern what it may do, all happens once.

python -m examples.provisioning
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from durable import Runtime
from durable.cli import app as command_line
from examples.provisioning.outside import BILLING_KEY, Outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable import Handle, Interrupt

APP = "examples.provisioning.app:runtime"
DEADLINE = 50.0
"""Seconds after which the demo gives up."""
EFFECTS = {
    "/workspaces": ("product", "create a workspace"),
    "/billing/charges": ("billing", "charge 490 and 18000 EUR"),
    "/billing/credits": ("billing", "grant a credit"),
    "/billing/invoices": ("billing", "send the invoice"),
    "/messages": ("mail", "send a message"),
}
HAPPENS = {"/workspaces": 1, "/billing/charges": 2, "/billing/invoices": 1, "/messages": 1}

console = Console(width=110, highlight=False)


def say(text: str) -> None:
    """One line of the story."""
    console.print(f"[bold cyan]»[/] {text}")


def until(what: str, condition: Callable[[], Any], worker: subprocess.Popen[bytes]) -> Any:
    """Wait until the condition holds. Raises RuntimeError if it never does or the worker is gone."""
    give_up = time.monotonic() + DEADLINE
    while not (found := condition()):
        if time.monotonic() > give_up or worker.poll() is not None:
            msg = f"gave up waiting for {what}"
            raise RuntimeError(msg)
        time.sleep(0.02)
    return found


def start_worker() -> subprocess.Popen[bytes]:
    """A worker process, as in production: ``durable worker module:attribute``."""
    told = None if os.environ.get("DURABLE_DEMO_TRACE") else subprocess.DEVNULL
    worker = subprocess.Popen([sys.executable, "-m", "durable", "worker", APP, "--poll", "0.1"], stdout=told)
    say(f"worker {worker.pid} started: [dim]durable worker {APP}[/]")
    return worker


def durable(*arguments: str, refused: bool = False) -> None:
    """A command line, and what it says; one that is to be ``refused`` has to be."""
    console.print(f"\n  [dim]$ durable {shlex.join(arguments)}[/]")
    done = CliRunner().invoke(command_line, list(arguments))
    if done.exit_code != int(refused):
        raise RuntimeError(done.output)
    said = "\n".join(f"  {line.rstrip()}" for line in done.output.splitlines() if line.strip())
    console.print(said, markup=False, style="red" if refused else "")


class Desk:
    """The people who are asked, and the worker that goes on with what they say."""

    def __init__(self, runtime: Runtime, handle: Handle, worker: subprocess.Popen[bytes]) -> None:
        self.runtime, self.handle, self.worker = runtime, handle, worker

    def asked(self, tool: str) -> Interrupt:
        """The question about this tool, once it is there and the execution has let go of its process."""
        found = until(f"a question about {tool}", lambda: self.runtime.interrupts(tool=tool), self.worker)
        until("the execution to let go", lambda: self.handle.status == "suspended", self.worker)
        console.print()
        return found[0]

    def govern(self) -> None:
        """Edit one call, reject another, settle a third."""
        charge = self.asked("create_charge")
        say("490 EUR were charged at once; 30000 EUR are above the rule. No process is held while it waits:")
        durable("approvals", "list")
        durable("approvals", "approve", charge.id, "--by", "sam", "--role", "finance", refused=True)
        less = json.dumps({"customer": "cus_42", "plan": "enterprise", "seats": 150, "amount": 18000})
        said = ("--by", "alice", "--role", "finance", "--comment", "they signed for 150 seats")
        durable("approvals", "edit", charge.id, less, *said)
        credit = self.asked("grant_credit")
        say("the agent wants to give a credit, too:")
        reason = "no credit before the first payment"
        durable("approvals", "reject", credit.id, "--reason", reason, "--by", "bob", "--role", "finance")
        doubt = self.asked("send_invoice")
        say("billing took the invoice and hung up: nobody knows whether it was sent, so nothing sends it again:")
        durable("approvals", "list")
        durable("resolve", doubt.id, "--happened", "--result", '{"id": "in_1"}', "--by", "carol")


def counts(outside: Outside) -> Table:
    """What the outside world saw."""
    table = Table("system", "effect", "requests", "happened", title="counted at the receiving side")
    for path, (system, effect) in EFFECTS.items():
        requests = sum(1 for asked, _ in outside.requests if asked == path)
        table.add_row(system, effect, str(requests), str(outside.effects[path]))
    return table


def check(outside: Outside, folder: Path) -> None:
    """Whether it is as the story says. Raises RuntimeError."""
    charged = outside.bodies["/billing/charges"]
    keys = {key for path, key in outside.requests if path == "/workspaces"}
    told = [path.name for path in folder.iterdir() if BILLING_KEY.encode() in path.read_bytes()]
    found = (dict(outside.effects), charged["amount"], charged["seats"], len(keys), told)
    if found != (HAPPENS, 18000, 150, 1, []):
        msg = f"effects, amount, seats, keys and leaks are not as expected: {found}"
        raise RuntimeError(msg)


def story(outside: Outside, folder: Path) -> None:
    """The whole of it."""
    runtime = Runtime()
    asked = {"messages": [["user", "Provision ops@acme.example, enterprise, 250 seats"]]}
    handle = runtime.start("provisioning", asked, id="acme-onboarding", tags={"requested_by": "sam"})
    say(f"sam starts execution [bold]{handle.id}[/]: a row in the database, no process is involved yet")
    first = start_worker()
    until("the workspace to be created", outside.created.is_set, first)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    say(f"[bold red]kill -9 {first.pid}[/]: in create_workspace, after the workspace was made and before the answer")
    outside.hold.set()
    second = start_worker()
    Desk(runtime, handle, second).govern()
    until("the end", lambda: handle.execution().ended, second)
    second.send_signal(signal.SIGTERM)
    second.wait(10)
    console.print()
    say(f"the execution has {handle.status}; what happened, without the graph's own bookkeeping:")
    durable("history", handle.id, "--brief", "--verify")
    console.print()
    console.print(counts(outside))
    check(outside, folder)
    console.print(
        "[bold green]proven:[/] killed with -9 inside a tool and recovered by another process; each effect happened "
        "exactly once (1 workspace, 2 charges, 1 invoice, 1 message), the large charge as alice edited it, the credit "
        f"not at all; {handle.verify()} records, digest chain intact; the billing key is in none of them."
    )
    runtime.close()


def main() -> None:
    """Run the story on a database of its own."""
    os.environ.setdefault("COLUMNS", "108")
    with tempfile.TemporaryDirectory() as folder, Outside() as outside:
        os.environ["DURABLE_URL"] = f"sqlite:///{Path(folder) / 'demo.db'}"
        os.environ["PROVISIONING_OUTSIDE"] = outside.url
        os.environ["BILLING_API_KEY"] = BILLING_KEY
        story(outside, Path(folder))


if __name__ == "__main__":
    main()
