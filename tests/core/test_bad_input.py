"""Bad input gets an error of our tree that says what to do, and takes nothing along of what was recorded before."""

from __future__ import annotations

import asyncio
import math
from contextlib import contextmanager

import pytest

from durable import Decision, Retry, Runtime, ToolPolicy, ask, step, tool, wait_signal
from durable.checkpoint.codec.codec import LIMIT, Codec
from durable.checkpoint.database import Database
from durable.errors import (
    DurableError,
    ExecutionConflict,
    InterruptNotFound,
    InvalidConfiguration,
    InvalidDecision,
    InvalidId,
    NotEncodable,
    PayloadTooLarge,
    ResultLost,
    UnknownApp,
)
from tests.world import DAY, World, crashed, intact, kinds

TEN_KB = "x" * 10_000
SMALL = 2_000
"""Bytes: the limit of a codec where 32 MB would only take time."""


class OwnError(BaseException):
    pass


class OwnClass:
    def __init__(self):
        self.order = "o-7"


def cycle():
    found = []
    found.append(found)
    return found


def generator():
    yield 1


@pytest.fixture
def on_sqlite(sqlite_url):
    """A world where the database does not matter."""
    made = World(sqlite_url)
    yield made
    made.close()


@contextmanager
def nothing_is_lost(runtime):
    """An execution that has done a step and waits is as it was after the block, is the only one, and goes on to its end."""

    @runtime.function("before")
    def before():
        return [step(len, "four"), wait_signal("go")]

    handle = runtime.get(runtime.run("before", id="before").id)
    known = handle.history()
    yield
    assert handle.history() == known
    assert [(execution.id, execution.status) for execution in runtime.executions()] == [("before", "suspended")]
    handle.signal("go", "now")
    assert runtime.run("before", id="before").output == [4, "now"]
    intact(handle)


# ids

BAD_IDS = {
    "empty": ("", "non-empty string"),
    "blank": (" \t ", "non-empty string"),
    "10 kB": (TEN_KB, "at most 255"),
    "NUL": ("a\0b", "control characters"),
    "newline": ("a\nb", "control characters"),
    "delete": ("a\x7fb", "control characters"),
    "surrogate": ("a\ud800", "surrogates"),
    "a number": (7, "non-empty string"),
}
ID_PLACES = {
    "the execution's id": lambda runtime, bad: runtime.start("before", id=bad),
    "the id of a run": lambda runtime, bad: runtime.run("before", id=bad),
    "the thread": lambda runtime, bad: runtime.start("before", thread=bad),
    "the queue": lambda runtime, bad: runtime.start("before", queue=bad),
    "the parent": lambda runtime, bad: runtime.start("before", parent=bad),
    "the correlation id": lambda runtime, bad: runtime.start("before", correlation_id=bad),
    "the app to start": lambda runtime, bad: runtime.start(bad),
    "the app to register": lambda runtime, bad: runtime.function(bad)(len),
    "the namespace": lambda runtime, bad: Runtime(database=runtime.database, namespace=bad),
    "the step's key": lambda _, bad: step.options(key=bad),
    "the signal's name": lambda runtime, bad: runtime.get("before").signal(bad),
    "who decides": lambda runtime, bad: runtime.decide("int-any", Decision.approve(), by=bad),
    "an execution looked up": lambda runtime, bad: runtime.get(bad),
    "an interrupt looked up": lambda runtime, bad: runtime.interrupt(bad),
    "an interrupt decided": lambda runtime, bad: runtime.decide(bad, Decision.approve(), by="alice"),
}


def test_an_id_that_cannot_be_one_is_refused_with_what_is_wrong(runtime):
    with nothing_is_lost(runtime):
        for place, use in ID_PLACES.items():
            for name, (bad, remedy) in BAD_IDS.items():
                assert remedy in refusal(use, runtime, bad), f"{name} as {place}"


def refusal(use, runtime, bad):
    try:
        use(runtime, bad)
    except InvalidId as refused:
        return str(refused)
    except Exception as other:  # any other error is what this test is to find
        return repr(other)
    return "taken"


@pytest.mark.parametrize("name", BAD_IDS)
def test_waiting_for_a_signal_that_nobody_can_send_is_refused(world, flavour, name):
    runtime, (bad, remedy) = world.process(), BAD_IDS[name]

    def app():
        return (yield lambda: wait_signal(bad))

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert (result.status, result.error["type"]) == ("failed", "InvalidId")
    assert remedy in result.error["message"]
    assert kinds(runtime.get("a")) == ["started", "claimed", "failed"]


OTHERS = {
    "input": ({}, ("app", {"order": 8}), {}),
    "app": ({}, ("other", {"order": 7}), {}),
    "thread": ({}, ("app", {"order": 7}), {"thread": "t-2"}),
    "namespace": ({"namespace": "other"}, ("app", {"order": 7}), {}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_same_id_with_another_request_is_a_conflict_that_names_what_differs(world, what):
    world.process().start("app", {"order": 7}, id="a", thread="t-1")
    runtime_options, arguments, options = OTHERS[what]
    runtime = world.process(**runtime_options)
    with pytest.raises(ExecutionConflict, match=f"'a' exists with another {what}; use a new id, or the same {what}"):
        runtime.start(*arguments, id="a", **{"thread": "t-1", **options})
    same = world.process()
    assert same.start("app", {"order": 7}, id="a", thread="t-1").id == "a"
    assert kinds(same.get("a")) == ["started"]
    assert len(same.executions()) == 1
    intact(same.get("a"))


def test_two_steps_of_one_key_are_one_step_or_a_question(world, flavour):
    runtime = world.process()

    def app(second):
        first = yield lambda: step.options(key="pay")(flavour.fn(world.did), 5)
        return [first, (yield lambda: step.options(key="pay")(flavour.fn(world.did), second))]

    flavour.app(runtime, "app", app)
    assert runtime.run("app", {"second": 5}, id="same").output == [5, 5]
    (drift,) = runtime.run("app", {"second": 6}, id="other").interrupts
    assert (drift.kind, drift.step_key) == ("drift", "pay")
    assert world.effects == [5, 5]
    intact(runtime.get("other"))


# values

BAD_VALUES = {
    "an object": (object, NotEncodable, "plain data"),
    "an own class": (OwnClass, NotEncodable, r"Runtime(types=["),
    "a function": (lambda: len, NotEncodable, "a name can stand for it"),
    "a generator": (generator, NotEncodable, "as a list"),
    "a cycle": (cycle, NotEncodable, "keep an id instead"),
    "too large": (lambda: "x" * SMALL, PayloadTooLarge, "keep a reference"),
}
bad_values = pytest.mark.parametrize("name", BAD_VALUES)


def small(runtime):
    """The runtime, with a limit that is quickly reached."""
    runtime.codec = Codec(limit=SMALL)
    return runtime


@bad_values
def test_an_input_that_cannot_be_stored_is_refused_before_anything_is_recorded(world, name):
    make, error, remedy = BAD_VALUES[name]
    runtime = small(world.process())
    with nothing_is_lost(runtime), pytest.raises(error) as refused:
        runtime.start("before", {"value": make()})
    assert remedy in str(refused.value)
    assert "the input" in str(refused.value)


@bad_values
def test_arguments_that_cannot_be_stored_are_refused_before_the_call(world, flavour, name):
    make, error, remedy = BAD_VALUES[name]
    runtime = small(world.process())

    def app():
        return (yield lambda: step(flavour.fn(world.did), make()))

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert (result.status, result.error["type"]) == ("failed", error.__name__)
    assert remedy in result.error["message"]
    assert world.effects == []
    assert kinds(runtime.get("a")) == ["started", "claimed", "failed"]


@pytest.mark.parametrize("name", sorted(BAD_VALUES.keys() - {"a generator"}))
def test_a_result_that_cannot_be_stored_is_lost_to_every_caller_and_its_step_never_runs_again(world, flavour, name):
    make, _, remedy = BAD_VALUES[name]

    def define(runtime):
        def act():
            world.did("acted")
            return make()

        acting = tool(flavour.fn(act))

        def app():
            try:
                yield acting
            except ResultLost as lost:
                said = str(lost)
            if len(world.alive) == 1:
                world.die()
            return said

        flavour.app(runtime, "app", app)
        return small(runtime)

    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=DAY))
    said = again.run("app", id="a").output
    assert "was done, but its result is lost" in said
    assert remedy in said
    assert world.effects == ["acted"]
    (done,) = [record for record in again.get("a").history() if record.kind == "step_done"]
    assert done.payload["result_lost"]
    intact(again.get("a"))


@bad_values
def test_an_output_that_cannot_be_stored_fails_the_execution_and_keeps_its_steps(on_sqlite, name):
    make, error, remedy = BAD_VALUES[name]
    runtime = small(on_sqlite.process())

    @runtime.function("app")
    def app():
        step(on_sqlite.did, "acted")
        return make()

    result = runtime.run("app", id="a")
    assert (result.status, result.error["type"]) == ("failed", error.__name__)
    assert remedy in result.error["message"]
    runtime.get("a").retry()
    runtime.run("app", id="a")
    assert on_sqlite.effects == ["acted"]
    intact(runtime.get("a"))


def asking(world):
    """An execution that asks."""
    runtime = small(world.process())

    @runtime.function("app")
    def app():
        return ask("how many?")

    return runtime, runtime.run("app", id="a").interrupts[0]


@bad_values
def test_an_answer_that_cannot_be_stored_is_refused_and_the_question_stays_open(world, name):
    make, error, remedy = BAD_VALUES[name]
    runtime, question = asking(world)
    with pytest.raises(error) as refused:
        runtime.decide(question.id, Decision.respond(make()), by="alice")
    assert remedy in str(refused.value)
    assert runtime.interrupt(question.id) == question
    assert runtime.decide(question.id, Decision.respond(3), by="bob") is True
    assert runtime.run("app", id="a").output == 3
    intact(runtime.get("a"))


@bad_values
def test_edited_arguments_that_cannot_be_stored_are_refused_and_the_question_stays_open(on_sqlite, name):
    make, error, remedy = BAD_VALUES[name]
    runtime, question = opened_approval(on_sqlite)
    small(runtime)
    with pytest.raises(error) as refused:
        runtime.decide(question.id, Decision.edit({"order": make()}), by="alice")
    assert remedy in str(refused.value)
    assert runtime.interrupt(question.id) == question


@bad_values
def test_a_signal_that_cannot_be_stored_is_refused_and_the_execution_waits_on(world, name):
    make, error, remedy = BAD_VALUES[name]
    runtime = small(world.process())
    with nothing_is_lost(runtime), pytest.raises(error) as refused:
        runtime.get("before").signal("go", make())
    assert remedy in str(refused.value)
    assert "signal 'go'" in str(refused.value)


def test_the_limit_is_32_megabytes_and_what_just_fits_comes_back(world):
    runtime = world.process()

    @runtime.function("app")
    def app(text):
        return len(text)

    fits = "x" * (32 * 1024 * 1024 - len(Codec().encode({"text": ""})))
    with nothing_is_lost(runtime), pytest.raises(PayloadTooLarge, match=f"the limit is {LIMIT}; store it elsewhere"):
        runtime.start("app", {"text": fits + "x"}, id="a")
    assert runtime.run("app", {"text": fits}, id="a").output == len(fits)


STRANGE_TEXT = "NUL \0, escape \x1b, half a character \ud800, and a line\nmore"


def test_strange_text_in_values_comes_back_as_it_was(world, flavour):
    """Only ids are restricted: what people and models write is kept."""
    runtime = world.process()

    def echo(text):
        return text

    def fail(text):
        raise ValueError(text)

    def app(given):
        got = [
            given,
            (yield lambda: step(flavour.fn(echo), given)),
            (yield lambda: ask(given)),
            (yield lambda: wait_signal("go")),
        ]
        try:
            yield lambda: step(flavour.fn(fail), given)
        except ValueError as error:
            got.append(str(error))
        return got

    flavour.app(runtime, "app", app)
    (question,) = runtime.run("app", {"given": STRANGE_TEXT}, id="a").interrupts
    assert question.subject["question"] == STRANGE_TEXT
    runtime.decide(question.id, Decision.respond(STRANGE_TEXT), by="alice")
    runtime.get("a").signal("go", STRANGE_TEXT)
    assert runtime.run("app", {"given": STRANGE_TEXT}, id="a").output == [STRANGE_TEXT] * 5
    intact(runtime.get("a"))


def test_strange_text_in_a_rejection_reaches_the_caller_and_in_a_comment_is_refused(world):
    runtime, question = opened_approval(world)
    with pytest.raises(NotEncodable, match="take them out"):
        runtime.decide(question.id, Decision.approve(), by="alice", comment=STRANGE_TEXT)
    with pytest.raises(NotEncodable, match="take them out"):
        runtime.get(question.execution_id).cancel(STRANGE_TEXT)
    assert runtime.interrupt(question.id) == question
    runtime.decide(question.id, Decision.reject(STRANGE_TEXT), by="alice")
    result = runtime.run("app", id="a")
    assert result.error == {"type": "ToolRejected", "message": f"act was rejected: {STRANGE_TEXT}"}
    intact(runtime.get("a"))


# tools that raise what is meant to end the process


@pytest.mark.parametrize("timeout", [None, 60.0], ids=["", "with a timeout"])
@pytest.mark.parametrize("raised", [SystemExit(3), OwnError("over")], ids=["SystemExit", "an own BaseException"])
def test_a_once_call_that_raises_a_base_exception_is_in_doubt_and_does_not_end_the_worker(
    world, flavour, raised, timeout
):
    runtime = world.process()

    def act():
        world.did("acted")
        raise raised

    acting = tool(timeout=timeout)(flavour.fn(act))

    def app():
        return (yield acting)

    flavour.app(runtime, "app", app)
    for _ in range(2):
        result = runtime.run("app", id="a")
        assert [interrupt.kind for interrupt in result.interrupts] == ["in_doubt"]
    (note,) = [event for event in result.events if event.payload.get("event") == "outcome_unknown"]
    assert note.payload["error"]["type"] == "StepAborted"
    assert "raise an Exception instead" in note.payload["error"]["message"]
    assert world.effects == ["acted"]
    runtime.decide(result.interrupts[0].id, Decision.happened("receipt"), by="alice")
    assert runtime.run("app", id="a").output == "receipt"
    intact(runtime.get("a"))


@pytest.mark.parametrize("effect", ["read", "idempotent"])
@pytest.mark.parametrize("raised", [SystemExit(3), OwnError("over")], ids=["SystemExit", "an own BaseException"])
def test_a_repeatable_call_that_raises_a_base_exception_fails_with_the_remedy(on_sqlite, flavour, raised, effect):
    runtime = on_sqlite.process()

    def act():
        raise raised

    def app():
        return (yield tool(effect=effect)(flavour.fn(act)))

    flavour.app(runtime, "app", app)
    result = runtime.run("app", id="a")
    assert (result.status, result.error["type"]) == ("failed", "StepAborted")
    assert "raise an Exception instead" in result.error["message"]
    intact(runtime.get("a"))


@pytest.mark.parametrize("timeout", [None, 60.0], ids=["", "with a timeout"])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, asyncio.CancelledError])
def test_a_call_that_is_torn_away_passes_it_on_and_its_execution_is_given_back_in_doubt(
    world, flavour, raised, timeout
):
    def define(runtime):
        def act():
            world.did("acted")
            raise raised

        acting = tool(timeout=timeout)(flavour.fn(act))

        def app():
            return (yield acting)

        flavour.app(runtime, "app", app)
        return runtime

    first = define(world.process())
    with pytest.raises(raised):
        first.run("app", id="a")
    assert first.get("a").status == "pending"
    again = define(world.process())
    assert [interrupt.kind for interrupt in again.run("app", id="a").interrupts] == ["in_doubt"]
    assert world.effects == ["acted"]
    intact(again.get("a"))


# names of nothing


def test_an_unknown_app_is_refused_here_and_left_to_those_that_know_it(world):
    runtime = world.process()
    with nothing_is_lost(runtime), pytest.raises(UnknownApp, match="'nope'.*registered: before.*import the module"):
        runtime.run("nope", id="a")
    runtime.start("nope", id="a")
    assert runtime.recover() == []
    assert kinds(runtime.get("a")) == ["started"]

    @runtime.function("nope")
    def late():
        return "known now"

    assert [result.output for result in runtime.recover()] == ["known now"]


def test_an_unknown_interrupt_is_refused_also_if_another_namespace_has_it(world):
    runtime, question = opened_approval(world)
    elsewhere = world.process(namespace="other")
    for asked, interrupt in ((runtime, "int-nope"), (elsewhere, question.id)):
        with pytest.raises(InterruptNotFound, match="durable approvals list"):
            asked.decide(interrupt, Decision.approve(), by="alice")
    assert runtime.interrupt(question.id) == question


# decisions

DECISIONS = {
    "approve": Decision.approve(),
    "edit": Decision.edit({"order": "o-8"}),
    "reject": Decision.reject("no"),
    "respond": Decision.respond("a"),
    "happened": Decision.happened("receipt"),
    "did_not_happen": Decision.did_not_happen(),
    "cancel": Decision.cancel("enough"),
}


def opened_approval(world):
    runtime = world.process()

    @tool(approval=True)
    def act(order):
        return world.did(order)

    @runtime.function("app")
    def app():
        return act("o-7")

    return runtime, runtime.run("app", id="a").interrupts[0]


def opened_question(world, **options):
    runtime = world.process()

    @runtime.function("app")
    def app():
        return ask("which?", **options)

    return runtime, runtime.run("app", id="a").interrupts[0]


def opened_doubt(world):
    def define(runtime):
        @tool
        def act(order):
            world.did(order)
            if len(world.effects) == 1:
                world.die()

        runtime.function("app")(lambda: act("o-7"))
        return runtime

    crashed(lambda: define(world.process()).run("app", id="a"))
    runtime = define(world.process(later=DAY))
    return runtime, runtime.run("app", id="a").interrupts[0]


def opened_drift(world):
    def define(runtime, order):
        runtime.function("app")(lambda: [step(world.did, order), wait_signal("go")])
        return runtime

    define(world.process(), "o-7").run("app", id="a")
    runtime = define(world.process(), "o-8")
    return runtime, runtime.run("app", id="a").interrupts[0]


OPENED = {
    "approval": opened_approval,
    "question": opened_question,
    "choice": lambda world: opened_question(world, choices=("a", "b")),
    "in_doubt": opened_doubt,
    "drift": opened_drift,
}
STATUS = {
    "cancel": "cancelled",
    "reject": "failed",
}


@pytest.mark.parametrize("kind", OPENED)
def test_a_decision_that_does_not_answer_the_question_is_refused_with_those_that_do(on_sqlite, kind):
    runtime, asked = OPENED[kind](on_sqlite)
    assert asked.kind == kind
    fitting = Decision.FITS[kind]
    known = runtime.get("a").history()
    for name, decision in DECISIONS.items():
        if name not in fitting:
            with pytest.raises(
                InvalidDecision, match=f"'{name}' does not answer.*{kind}; use one of {', '.join(fitting)}"
            ):
                runtime.decide(asked.id, decision, by="alice")
    assert runtime.interrupt(asked.id) == asked
    assert runtime.get("a").history() == known


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in OPENED for name in Decision.FITS[kind]])
def test_every_decision_that_answers_the_question_is_taken_and_delivered(on_sqlite, kind, name):
    runtime, asked = OPENED[kind](on_sqlite)
    assert runtime.decide(asked.id, DECISIONS[name], by="alice") is True
    result = runtime.run("app", id="a")
    assert result.status == ("suspended" if (kind, name) == ("drift", "approve") else STATUS.get(name, "succeeded"))
    assert runtime.interrupt(asked.id).status == "consumed"
    intact(runtime.get("a"))


EDIT_OF = "edited arguments must be those of 'act'"
NUMBER = {"schema": {"type": "integer", "minimum": 1}}
POOR_DECISIONS = {
    "a rejection without a reason": (opened_approval, Decision.reject(""), "needs a reason"),
    "a rejection with a blank reason": (opened_approval, Decision.reject(" \n"), "needs a reason"),
    "a question rejected without a reason": (opened_question, Decision.reject(""), "needs a reason"),
    "an unknown argument": (
        opened_approval,
        Decision.edit({"order": 1, "speed": 2}),
        f"{EDIT_OF}.*'speed'.*missing: none",
    ),
    "a missing argument": (opened_approval, Decision.edit({}), f"{EDIT_OF}; unknown: none, missing: .*'order'"),
    "names that are no text": (
        opened_approval,
        Decision.edit({1: 1, "b": 2, None: 3}),
        f"{EDIT_OF}.*missing: .*'order'",
    ),
    "a wrong type": (lambda world: opened_question(world, **NUMBER), Decision.respond("3"), "schema.*'integer'"),
    "too small": (lambda world: opened_question(world, **NUMBER), Decision.respond(0), "schema.*minimum of 1"),
    "no answer": (lambda world: opened_question(world, **NUMBER), Decision.respond(None), "schema.*'integer'"),
    "no choice": (OPENED["choice"], Decision.respond("c"), r"schema.*one of \['a', 'b'\]"),
}


@pytest.mark.parametrize("name", POOR_DECISIONS)
def test_a_decision_that_lacks_something_is_refused_and_a_good_one_still_counts(on_sqlite, name):
    ready, decision, remedy = POOR_DECISIONS[name]
    runtime, asked = ready(on_sqlite)
    with pytest.raises(InvalidDecision, match=remedy):
        runtime.decide(asked.id, decision, by="alice")
    assert runtime.interrupt(asked.id) == asked
    assert runtime.decide(asked.id, Decision.reject("no"), by="alice") is True
    assert runtime.run("app", id="a").error["type"] == "ToolRejected"
    assert on_sqlite.effects == []
    intact(runtime.get("a"))


# options

BAD_OPTIONS = {
    "an unknown effect": (lambda _: tool(effect="twice"), "'twice': use one of read, idempotent, transactional, once"),
    "an unknown effect of a policy": (lambda _: ToolPolicy(effect="twice"), "use one of read"),
    "an unknown effect of a step": (lambda _: step.options(effect="twice"), "use one of read"),
    "a negative timeout": (lambda _: tool(timeout=-1), "timeout=-1: use seconds above zero"),
    "no time at all": (lambda _: step.options(timeout=0), "timeout=0: use seconds above zero"),
    "a timeout that is no number": (lambda _: ToolPolicy(timeout=math.nan), "timeout=nan: use seconds above zero"),
    "a timeout without end": (lambda _: ToolPolicy(timeout=math.inf), "timeout=inf: use seconds above zero.*or None"),
    "no attempts": (lambda _: Retry(attempts=0), "attempts >= 1"),
    "a negative wait": (lambda _: Retry(initial=-1), "initial >= 0"),
    "a wait that is no number": (lambda _: Retry(maximum=math.nan), "maximum >= 0"),
    "no lease": (lambda url: Runtime(url, lease=0), "lease must be seconds above zero"),
    "a negative lease": (lambda url: Runtime(url, lease=-1), "lease must be seconds above zero"),
    "a lease that is no number": (lambda url: Runtime(url, lease=math.nan), "lease must be seconds above zero"),
    "no attempts of a runtime": (lambda url: Runtime(url, max_attempts=0), "max_attempts at least 1"),
    "carelessness": (lambda url: Database(url, synchronous="OFF"), "use 'FULL', or 'NORMAL'"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_an_option_that_makes_no_sense_is_refused_where_it_is_given(sqlite_url, name):
    use, remedy = BAD_OPTIONS[name]
    with pytest.raises(InvalidConfiguration, match=remedy):
        use(sqlite_url)


def test_an_impossible_option_inside_an_execution_is_refused_before_the_call(on_sqlite):
    runtime = on_sqlite.process()
    runtime.function("app")(lambda: step.options(timeout=-1)(on_sqlite.did, "acted"))
    assert runtime.run("app", id="a").error["type"] == "InvalidConfiguration"
    assert on_sqlite.effects == []


def test_every_error_above_can_be_caught_as_one():
    for error in (InvalidId, NotEncodable, PayloadTooLarge, InvalidDecision, InvalidConfiguration, UnknownApp):
        assert issubclass(error, DurableError)
