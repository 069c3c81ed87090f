"""A step whose answer comes in chunks is a step like any other one, whatever its reader does meanwhile."""

from __future__ import annotations

import asyncio
import functools
import threading
from contextlib import aclosing, closing
from contextvars import ContextVar

import pytest

from durable import Decision, Retry, ToolPolicy, step, tool
from durable.errors import StepTimeout, Unsupported
from durable.live.scope import here, segment
from durable.record.kinds import MODEL, NODE
from durable.step.begin import place
from durable.step.call import Call
from durable.step.stream import stream_step, stream_step_async
from tests.world import DAY, HOUR, crashed, intact, kinds

WORDS = ["one ", "two ", "three"]
QUICK = Retry(attempts=3, initial=0.0)


class Spoken:
    """Reads words as they come; the last one is handed on when all are recorded."""

    def __init__(self):
        self.heard = False
        self.words = []

    def take(self, word):
        self.heard = True
        self.words.append(word)
        return self.words[-2:-1]

    def whole(self):
        return "".join(self.words)

    def rest(self):
        return self.words[-1:]

    def recorded(self, value):
        return self.rest() if self.words else [value]


class Kept(Spoken):
    """Keeps all words until they are recorded, so that nobody hears of an attempt that fails."""

    def take(self, word):
        self.words.append(word)
        return []

    def rest(self):
        return self.words


class Listener:
    """A function that reads a stream, in either flavour; ``words`` are what it has heard, in all processes."""

    def __init__(self, flavour, source, *, reader=Spoken, until=None, **policy):
        self.is_async = flavour.is_async
        self.source = source
        self.reader = reader
        self.until = until
        self.policy = ToolPolicy(**{"effect": "read", **policy})
        self.words = []
        self.after = []

    def on(self, runtime):
        runtime.function("app")(self.listen_async if self.is_async else self.listen)
        return runtime

    def call(self):
        return place(Call("chat:m", None, self.policy, kind=MODEL))

    def stream(self):
        return stream_step(self.call(), self.source, self.reader)

    def stream_async(self):
        async def source(pending):
            with closing(self.source(pending)) as words:
                for word in words:
                    yield word

        return stream_step_async(self.call(), source, self.reader)

    def hears(self, word):
        self.words.append(word)
        return word == self.until

    def listen(self):
        with closing(self.stream()) as words:
            for word in words:
                if self.hears(word):
                    break
        return [then() for then in self.after] and "done"

    async def listen_async(self):
        async with aclosing(self.stream_async()) as words:
            async for word in words:
                if self.hears(word):
                    break
        return [then() for then in self.after] and "done"


def saying(world, *, fails=0, after=0, error=ConnectionError):
    """A source whose first attempts fail, each when it has said so many words."""

    def source(pending):
        world.did(pending.attempt)
        for number, word in enumerate([*WORDS, None]):
            if number == after and pending.attempt <= fails:
                raise error("down")
            if word is not None:
                yield word

    return source


def steps(handle):
    return [kind for kind in kinds(handle) if kind.startswith("step_")]


def test_an_attempt_that_fails_before_anything_was_heard_is_followed_by_another(world, flavour):
    listener = Listener(flavour, saying(world, fails=1), retry=QUICK)
    runtime = listener.on(world.process())
    assert runtime.run("app", id="e").status == "succeeded"
    assert (world.effects, listener.words) == ([1, 2], WORDS)
    assert steps(runtime.get("e")) == ["step_retry", "step_done"]
    intact(runtime.get("e"))


@pytest.mark.parametrize("effect", ["read", "idempotent", "once"])
def test_a_failure_behind_what_was_heard_is_final_and_its_record_says_why(world, flavour, effect):
    listener = Listener(flavour, saying(world, fails=1, after=2), retry=QUICK, effect=effect)
    runtime = listener.on(world.process())
    error = runtime.run("app", id="e").error
    assert (error["type"], error["message"]) == ("ConnectionError", "down")
    assert (world.effects, listener.words) == ([1], WORDS[:1])
    [failed] = [record for record in runtime.get("e").history() if record.kind == "step_failed"]
    assert failed.payload["heard"] is True


def test_what_a_reader_keeps_is_not_heard_and_may_be_said_again(world, flavour):
    listener = Listener(flavour, saying(world, fails=2, after=2), reader=Kept, retry=QUICK)
    runtime = listener.on(world.process())
    assert runtime.run("app", id="e").status == "succeeded"
    assert (world.effects, listener.words) == ([1, 2, 3], WORDS)
    assert steps(runtime.get("e")) == ["step_retry", "step_retry", "step_done"]


def test_a_long_wait_before_the_next_attempt_lets_go_of_the_worker(world, flavour):
    listener = Listener(flavour, saying(world, fails=1), retry=Retry(attempts=3, initial=HOUR))
    runtime = listener.on(world.process())
    assert runtime.run("app", id="e").status == "suspended"
    runtime = listener.on(world.process(later=2 * HOUR))
    runtime.recover()
    assert (runtime.get("e").status, listener.words) == ("succeeded", WORDS)


def test_the_last_word_is_handed_on_when_all_of_them_are_recorded(world, flavour):
    at_the_time = []

    class Watching(Listener):
        def hears(self, word):
            at_the_time.append([record.kind for record in segment().records][-1])
            return super().hears(word)

    listener = Watching(flavour, saying(world))
    runtime = listener.on(world.process())
    runtime.run("app", id="e")
    assert at_the_time == ["claimed", "claimed", "step_done"]


def test_a_stream_that_was_recorded_comes_back_whole_and_is_not_read_again(world, flavour):
    listener = Listener(flavour, saying(world))
    listener.after = [world.die]
    crashed(lambda: listener.on(world.process()).run("app", id="e"))
    listener.after = []
    runtime = listener.on(world.process(later=DAY))
    assert runtime.run("app", id="e").status == "succeeded"
    assert (world.effects, listener.words) == ([1], [*WORDS, "one two three"])


def test_a_stream_that_a_crash_cut_is_read_again_from_its_beginning(world, flavour):
    class Dying(Listener):
        def hears(self, word):
            if len(world.alive) == 1 and word == WORDS[1]:
                world.die()
            return super().hears(word)

    listener = Dying(flavour, saying(world))
    crashed(lambda: listener.on(world.process()).run("app", id="e"))
    listener.words.clear()
    runtime = listener.on(world.process(later=DAY))
    assert runtime.run("app", id="e").status == "succeeded"
    assert (world.effects, listener.words, steps(runtime.get("e"))) == ([1, 1], WORDS, ["step_done"])


def test_a_reader_who_leaves_closes_the_source_and_nothing_is_recorded_as_finished(world, flavour):
    def source(pending):
        try:
            yield from saying(world)(pending)
        finally:
            world.did("closed")

    listener = Listener(flavour, source, until=WORDS[0])
    runtime = listener.on(world.process())
    assert runtime.run("app", id="e").status == "succeeded"
    assert (world.effects, listener.words, steps(runtime.get("e"))) == ([1, "closed"], WORDS[:1], [])


def test_an_effect_that_its_reader_has_left_is_in_doubt(world, flavour):
    listener = Listener(flavour, saying(world), until=WORDS[0], effect="once")
    listener.after = [world.die]
    crashed(lambda: listener.on(world.process()).run("app", id="e"))
    runtime = listener.on(world.process(later=DAY))
    runtime.recover()
    [asked] = runtime.interrupts()
    assert (asked.kind, world.effects) == ("in_doubt", [1])
    runtime.decide(asked.id, Decision.happened("said"), by="ann")
    listener.after = []
    runtime.recover()
    assert (runtime.get("e").status, listener.words, world.effects) == ("succeeded", ["one ", "said"], [1])


@pytest.mark.parametrize("said", [[], WORDS[:2]], ids=["before", "behind"])
def test_an_attempt_that_takes_too_long_is_cut_and_tried_again_unless_it_was_heard(world, flavour, said):
    never = threading.Event()

    def source(pending):
        yield from said if pending.attempt == 1 else WORDS
        if pending.attempt == 1:
            never.wait(5)

    async def source_async(pending):
        for word in said if pending.attempt == 1 else WORDS:
            yield word
        if pending.attempt == 1:
            await asyncio.Event().wait()

    listener = Listener(flavour, source, retry=QUICK, timeout=0.2)
    listener.stream_async = lambda: stream_step_async(listener.call(), source_async, Spoken)
    runtime = listener.on(world.process())
    result = runtime.run("app", id="e")
    never.set()
    if said:
        assert result.error["type"].endswith(StepTimeout.__name__)
        assert "0.2 s" in result.error["message"]
        assert listener.words == WORDS[:1]
    else:
        assert (result.status, listener.words) == ("succeeded", WORDS)


def test_the_source_stands_in_the_step_and_its_reader_does_not(world, flavour):
    marks = ContextVar("marks", default="reader's")
    places = []

    def source(_):
        marks.set("source's")
        for word in WORDS:
            places.append(here().path)
            yield word

    class Watching(Listener):
        def hears(self, word):
            places.append(here().path)
            assert marks.get() == "reader's"
            return super().hears(word)

    runtime = Watching(flavour, source).on(world.process())
    assert runtime.run("app", id="e").status == "succeeded"
    assert set(places) == {"", "chat:m#1"}
    assert places[-2:] == ["", ""]


def test_steps_inside_a_source_are_recorded_and_replayed(world):
    def source(pending):
        for word in WORDS:
            yield step.options(effect="read")(world.did, word)
        if len(world.alive) == 1:
            world.die()

    runtime = world.process()

    def define(runtime):
        runtime.function("app")(lambda: "".join(stream_step(place(Call("talk", None, kind=NODE)), source, Spoken)))
        return runtime

    crashed(lambda: define(runtime).run("app", id="e"))
    again = define(world.process(later=DAY))
    assert again.run("app", id="e").output == "one two three"
    assert world.effects == WORDS


def test_who_drains_waits_for_a_source_and_not_for_a_reader(world, flavour):
    busy = []

    def source(_):
        for word in WORDS:
            busy.append(segment().busy)
            yield word

    class Draining(Listener):
        def hears(self, word):
            busy.append(segment().busy)
            if word == WORDS[1]:
                assert segment().drain(0)
            return super().hears(word)

    listener = Draining(flavour, source)
    runtime = listener.on(world.process())
    error = runtime.run("app", id="e").error
    assert "Suspended" in error["message"]
    assert (busy, listener.words) == ([1, 1, 0, 1, 0], WORDS[:2])


def test_a_worker_that_stops_lets_a_stream_come_to_its_end(world, flavour):
    def source(pending):
        for word in saying(world)(pending):
            segment().draining = True
            yield word

    listener = Listener(flavour, source)
    listener.after = []
    runtime = listener.on(world.process())
    assert runtime.run("app", id="e").status == "succeeded"
    assert (listener.words, steps(runtime.get("e"))) == (WORDS, ["step_done"])


def test_a_stream_beside_a_branch_that_waits_is_read_to_its_end(world):
    gated = tool(approval=True)(world.did)

    def define(runtime):
        begun, asked = asyncio.Event(), asyncio.Event()

        async def source(_):
            begun.set()
            for word in WORDS:
                yield word
                await asked.wait()

        async def ask():
            try:
                gated("paid")
            finally:
                asked.set()

        async def listen():
            return [word async for word in stream_step_async(place(Call("m", None, ToolPolicy("read"))), source, Kept)]

        @runtime.function("app")
        async def app():
            async with asyncio.TaskGroup() as branches:
                listening = branches.create_task(listen())
                listening.add_done_callback(lambda _: begun.set())  # a replay reads no source
                await begun.wait()
                branches.create_task(ask())
            return "".join(listening.result())

        return runtime

    runtime = define(world.process())
    result = runtime.run("app", id="e")
    assert result.status == "suspended"
    assert "step_done" in kinds(runtime.get("e"))
    runtime.decide(result.interrupts[0].id, Decision.approve(), by="ann")
    runtime.recover()
    assert runtime.get("e").result() == "one two three"


def test_a_reader_who_has_heard_nothing_gets_what_is_recorded_without_its_secrets(world, flavour):
    class Fresh(Kept):
        def recorded(self, value):
            return [value]

    def source(pending):
        yield "it is "
        yield pending.context.secrets["pin"]

    listener = Listener(flavour, source, reader=Fresh, secrets=("pin",))
    runtime = listener.on(world.process(secrets={"pin": "4321-8765-0000"}))
    runtime.run("app", id="e")
    assert "it is" in listener.words[0]
    assert "4321" not in listener.words[0]


def test_a_transactional_stream_is_refused(world, flavour):
    listener = Listener(flavour, saying(world), effect="transactional")
    assert listener.on(world.process()).run("app", id="e").error["type"].endswith(Unsupported.__name__)
    assert world.effects == []


def test_a_tool_that_is_a_generator_is_refused_by_name_and_a_step_that_returns_one_fails(world):
    def plain(_):
        yield world.did(1)

    async def coroutine(_):
        yield world.did(1)

    for fn in (plain, coroutine):
        with pytest.raises(Unsupported, match=fn.__name__):
            tool(fn)
        runtime = world.process()
        runtime.function("app")(functools.partial(step, fn))
        assert "never ran" in runtime.run("app", id=fn.__name__).error["message"]
    assert world.effects == []
