"""A runtime that is made before a server forks its workers is each worker's own: connections, threads, name."""

from __future__ import annotations

import json
import os

from durable import Runtime, step

CHILDREN = 3
EACH = 5


def in_child(work):
    """Fork; return the pipe on which the child says what ``work()`` returned."""
    hearing, telling = os.pipe()
    if os.fork() == 0:
        try:
            heard = work()
        except BaseException as exc:
            heard = [f"{type(exc).__name__}: {exc}"]
        os.write(telling, json.dumps(heard).encode())
        os._exit(0)
    os.close(telling)
    return hearing


def test_the_children_of_a_prefork_server_share_nothing_with_it(database_url):
    with Runtime(database_url) as runtime:
        runtime.function("app")(lambda number: step(abs, number))
        assert runtime.run("app", {"number": -1}, id="before").output == 1
        name = runtime.leases.owner.name

        def work(child):
            runs = [runtime.run("app", {"number": -n}, id=f"{child}-{n}").status for n in range(EACH)]
            mine = runtime.leases.owner.name
            return [*runs, str(mine != name and mine.split(":")[1] == str(os.getpid()))]

        pipes = [in_child(lambda child=child: work(child)) for child in range(CHILDREN)]
        for pipe in pipes:
            with os.fdopen(pipe) as heard:
                assert json.loads(heard.read()) == ["succeeded"] * EACH + ["True"]
        for _ in pipes:
            os.wait()
        assert runtime.run("app", {"number": -2}, id="after").output == 2
        assert runtime.leases.owner.name == name
