"""The world around executions, for tests: processes that die in the middle and are replaced, and what they did outside.

``World.process()`` is a runtime on the world's database that stands for a process. ``World.die()``, called from inside of it, ends
that process as SIGKILL would: nothing of it reaches the database any more. The next process lives ``DAY`` seconds or less
later, on the database's own clock, so that leases have expired.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time

from sqlalchemy import event

from durable import Runtime, step
from durable.checkpoint.database import Database

LEASE = 30.0
HOUR = 3600.0
DAY = 24 * HOUR


class Died(BaseException):
    """The process is gone; no code of ours catches this."""


class World:
    """One database, the processes that come and go on it, and ``effects``: what they did outside, in order."""

    def __init__(self, url):
        self.url = url
        self.now = 0.0
        self.effects = []
        self.alive = []

    def process(self, *, later=0.0, timeout=30.0, **options):
        """A new runtime, ``later`` seconds after the one before."""
        self.now += later
        database = Database(self.url, clock_offset=self.now, timeout=timeout)
        runtime = Runtime(database=database, lease=LEASE, **options)
        self.alive.append(runtime)
        return runtime

    def die(self):
        """End the newest process here and now."""
        self.unplug(self.alive[-1])
        raise Died

    @staticmethod
    def unplug(runtime):
        """Nothing that this runtime does reaches the database any more."""

        def gone(*_):
            raise Died

        event.listen(runtime.database.engine, "begin", gone)

    def did(self, what):
        """Something happened outside."""
        self.effects.append(what)
        return what

    def close(self):
        for runtime in self.alive:
            runtime.close()


def crashed(call):
    """Run what is expected to end with the process."""
    try:
        found = call()
    except Died:
        return
    raise AssertionError(f"the process was expected to die, it returned {found!r}")


def until(condition, *, seconds=20.0, every=0.01):
    """Wait until ``condition()`` is true and return it; fail past the deadline."""
    give_up = time.monotonic() + seconds
    waiting = threading.Event()
    while not (found := condition()):
        if time.monotonic() > give_up:
            raise AssertionError(f"did not come true within {seconds} s: {inspect.getsource(condition).strip()}")
        waiting.wait(every)
    return found


class Flavour:
    """The same durable function written once, run as plain code or as a coroutine.

    Its body is a generator that yields calls: ``answer = yield lambda: step(fn, 1)``.
    """

    def __init__(self, *, is_async):
        self.is_async = is_async

    def __repr__(self):
        return "async" if self.is_async else "sync"

    def fn(self, body):
        """A function that is to be a tool or a step, in this flavour."""
        if not self.is_async:
            return body

        @functools.wraps(body)
        async def call(*args, **kwargs):
            return body(*args, **kwargs)

        return call

    def app(self, runtime, name, body):
        """Register a generator function as a durable function."""
        return runtime.function(name)(self.body(body))

    def body(self, body):
        """The function that makes the calls a generator function yields."""
        if self.is_async:

            @functools.wraps(body)
            async def run(*args, **kwargs):
                generator = body(*args, **kwargs)
                try:
                    call = next(generator)
                    while True:
                        try:
                            found = await call()
                        except Exception as exc:  # the body may handle it
                            call = generator.throw(exc)
                        else:
                            call = generator.send(found)
                except StopIteration as end:
                    return end.value
                finally:
                    generator.close()

        else:

            @functools.wraps(body)
            def run(*args, **kwargs):
                generator = body(*args, **kwargs)
                try:
                    call = next(generator)
                    while True:
                        try:
                            found = call()
                        except Exception as exc:  # the body may handle it
                            call = generator.throw(exc)
                        else:
                            call = generator.send(found)
                except StopIteration as end:
                    return end.value
                finally:
                    generator.close()

        return run


def events(handle):
    """The journal in short: (kind, step key) of each record."""
    return [(record.kind, record.step_key) for record in handle.history()]


def kinds(handle):
    return [record.kind for record in handle.history()]


def intact(handle):
    """The digest chain holds, and the journal has no gap."""
    assert handle.verify() == len(handle.history())


__all__ = ["DAY", "HOUR", "LEASE", "Died", "Flavour", "World", "crashed", "events", "intact", "kinds", "step", "until"]
