"""Run what is recorded (``durable worker``) until SIGTERM or Ctrl-C; then finish the current steps and let go."""

import logging
import sys
from typing import Annotated

import typer

from durable.cli.history import who
from durable.cli.loading import load_runtime
from durable.cli.render import clean
from durable.cli.session import Session
from durable.errors import InvalidConfiguration


def work(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="MODULE:ATTRIBUTE", help="The runtime, as in app:runtime.")],
    *,
    concurrency: Annotated[int, typer.Option(min=1, help="Executions at once.")] = 8,
    queue: Annotated[list[str] | None, typer.Option("--queue", help="Repeat for several; else 'default'.")] = None,
    poll: Annotated[float, typer.Option(min=0.01, help="Seconds between two looks for more.")] = 0.5,
) -> None:
    """Claim executions and drive them."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    runtime = load_runtime(name, session)
    if not runtime.apps:
        msg = f"{name} has no apps: wrap an agent, or register a function, in the module that is imported"
        raise InvalidConfiguration(msg)
    queues = tuple(queue or ("default",))
    owner = runtime.leases.owner.name
    document = {
        "event": "started",
        "owner": owner,
        "database": runtime.database.url.render_as_string(hide_password=True),
        "namespace": runtime.namespace,
        "apps": sorted(runtime.apps),
        "queues": list(queues),
        "concurrency": concurrency,
    }
    apps = ", ".join(sorted(runtime.apps))
    line = f"worker {who(owner)} on {document['database']}: {apps}; queues {', '.join(queues)}; {concurrency} at once"
    session.output.write(document, lambda console: console.print(clean(line)))
    sys.stdout.flush()
    with runtime:
        runtime.worker(concurrency=concurrency, queues=queues, poll=poll).run()
