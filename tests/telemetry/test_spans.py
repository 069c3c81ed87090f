"""Spans: segment, step, attempt; events for what is replayed; one trace, or links between traces; never any content."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from durable import Decision, Retry, Runtime, Suspended, step, tool
from durable.declare.policy import READ
from durable.live.scope import here
from durable.record.kinds import MODEL
from durable.secrets.store import SecretStore
from durable.step.attempt import Ended
from durable.step.begin import begin_step, place
from durable.step.call import Call
from durable.step.complete import complete_step
from durable.step.shells import run_step
from durable.step.stream import stream_step
from tests.world import HOUR, World


def links(span):
    return [link.context.span_id for link in span.links]


def test_the_spans_of_a_run_are_a_tree_of_segment_step_and_attempt(runtime, listener):
    @tool(effect="read")
    def look_up(name):
        return {"name": name}

    def outer(name):
        return look_up(name)

    @runtime.function("onboard")
    def onboard(name):
        return step(outer, name)

    run = runtime.run("onboard", "acme", thread="t-1")
    assert listener.tree() == [
        "start onboard",
        "start onboard/invoke_agent onboard",
        "start onboard/invoke_agent onboard/outer",
        "start onboard/invoke_agent onboard/outer/attempt 1",
        "start onboard/invoke_agent onboard/outer/attempt 1/execute_tool look_up",
        "start onboard/invoke_agent onboard/outer/attempt 1/execute_tool look_up/attempt 1",
    ]
    segment, called = listener.one("invoke_agent onboard"), listener.one("execute_tool look_up")
    assert {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "onboard",
        "gen_ai.conversation.id": "t-1",
        "durable.execution.id": run.id,
        "durable.execution.epoch": 1,
        "durable.execution.recovered": False,
        "durable.execution.status": "succeeded",
        "durable.worker.id": runtime.leases.owner.name,
    }.items() <= segment.attributes.items()
    assert {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look_up",
        "durable.step.id": "outer#1/look_up#1",
        "durable.step.seq": 4,
        "durable.step.kind": "tool",
        "durable.step.effect": "read",
        "durable.step.epoch": 1,
        "durable.step.attempt": 1,
        "durable.step.outcome": "done",
    }.items() <= called.attributes.items()
    assert {span.kind for span in listener.spans} == {SpanKind.INTERNAL}


def test_each_attempt_is_a_span_and_a_failed_one_says_which_error(runtime, listener):
    answers = iter([OSError("first"), OSError("second"), "fine"])

    @tool(effect="idempotent", retry=Retry(attempts=3, initial=0.001))
    def flaky():
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    runtime.function("app")(flaky)
    runtime.run("app")
    attempts = [span for span in listener.spans if span.name.startswith("attempt")]
    assert [span.attributes["durable.step.outcome"] for span in attempts] == ["failed", "failed", "done"]
    assert [span.attributes.get("error.type") for span in attempts] == ["OSError", "OSError", None]
    assert len({span.attributes["durable.idempotency_key_hash"] for span in attempts}) == 1
    whole = listener.one("execute_tool flaky")
    assert (whole.attributes["durable.step.attempt"], whole.status.status_code) == (3, StatusCode.UNSET)
    assert {span.parent.span_id for span in attempts} == {whole.context.span_id}


def test_a_failed_execution_has_an_error_type_and_no_message(runtime, listener):
    class Refused(Exception):
        pass

    def refuse():
        raise Refused("hunter2")

    runtime.function("app")(lambda: step(refuse))
    assert runtime.run("app").status == "failed"
    for name in ("invoke_agent app", "refuse", "attempt 1"):
        span = listener.one(name)
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert span.attributes["error.type"].endswith("Refused")
        assert "hunter2" not in span.to_json()


def test_no_argument_result_decision_key_or_secret_is_in_any_span_or_metric(runtime, listener):
    runtime.secrets = SecretStore({"API_KEY": "secret-9f"}, runtime.secrets.redactor)
    keys = []

    @tool(effect="once", approval=True, secrets=("API_KEY",))
    def pay(card):
        key = here().tool_context
        keys.append(key.idempotency_key)
        assert key.secrets["API_KEY"] == "secret-9f"
        return {"receipt": "result-9f"}

    runtime.function("app")(pay)
    run = runtime.run("app", {"card": "argument-9f"})
    runtime.decide(run.interrupts[0].id, Decision.edit({"card": "edited-9f"}), by="person-9f", comment="comment-9f")
    assert runtime.run("app", {"card": "argument-9f"}, id=run.id).output == {"receipt": "result-9f"}
    told = "".join(span.to_json() for span in listener.spans) + repr(listener.measured())
    for content in ("secret-9f", "result-9f", "argument-9f", "edited-9f", "person-9f", "comment-9f", keys[0]):
        assert content not in told


def test_a_decision_is_an_event_of_the_segment_and_an_attribute_of_the_step(runtime, listener):
    @tool(approval=True)
    def pay():
        return "paid"

    runtime.function("app")(pay)
    run = runtime.run("app")
    (asked,) = run.interrupts
    assert "execute_tool pay" not in listener.tree()[-1]  # nothing ran: no span of the step
    assert [event.name for event in listener.one("invoke_agent app").events] == ["durable.interrupt.opened"]
    runtime.decide(asked.id, Decision.approve(), by="al")
    runtime.run("app", id=run.id)
    paid = listener.one("execute_tool pay")
    assert paid.attributes["durable.approval.id"] == asked.id
    assert paid.attributes["durable.approval.decision"] == "approve"
    assert [event.name for event in listener.named("invoke_agent app")[1].events] == ["durable.interrupt.closed"]


def test_replayed_steps_are_events_of_the_segment_and_never_spans(runtime, listener):
    @tool(approval=True)
    def pay():
        return "paid"

    @runtime.function("app")
    def app():
        for number in range(150):
            step.options(effect="read")(abs, number)
        return pay()

    run = runtime.run("app")
    before = len(listener.named("abs"))
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="al")
    runtime.run("app", id=run.id)
    assert (before, len(listener.named("abs"))) == (150, 150)
    second = listener.named("invoke_agent app")[1]
    replayed = [event for event in second.events if event.name == "durable.step.replayed"]
    assert len(replayed) == 100  # the rest is counted
    assert second.attributes["durable.execution.replayed_steps"] == 150
    assert replayed[0].attributes["durable.step.id"] == "abs#1"
    assert replayed[0].attributes["durable.step.seq"] == 3
    assert replayed[0].attributes["durable.step.replayed"] is True


def test_after_a_short_wait_the_next_segment_is_in_the_same_trace_and_linked(runtime, listener):
    tool_ = tool(approval=True)(lambda: "paid")
    runtime.function("app")(lambda: step(tool_))
    run = runtime.run("app")
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="al")
    runtime.run("app", id=run.id)
    first, second = listener.named("invoke_agent app")
    root = listener.one("start app")
    assert first.context.trace_id == second.context.trace_id == root.context.trace_id
    assert first.parent.span_id == second.parent.span_id == root.context.span_id
    assert (links(first), links(second)) == ([], [first.context.span_id])


def test_after_a_long_wait_a_new_trace_begins_and_later_segments_stay_in_it(sqlite_url, listener):
    world = World(sqlite_url)

    def process(later):
        runtime = world.process(later=later, telemetry=listener.telemetry())

        @runtime.function("app")
        def app():
            return [step(tool(approval=True)(abs), number) for number in range(2)]

        return runtime

    runtime = process(0)
    run = runtime.run("app")
    for later in (HOUR, 1.0):
        runtime = process(later)
        runtime.decide(runtime.interrupts()[0].id, Decision.approve(), by="al")
        run = runtime.run("app", id=run.id)
    world.close()
    assert run.output == [0, 1]
    first, second, third = listener.named("invoke_agent app")
    resumed = listener.one("resume app")
    assert first.context.trace_id != second.context.trace_id == third.context.trace_id
    assert resumed.parent is None
    assert second.parent.span_id == third.parent.span_id == resumed.context.span_id
    assert links(resumed) == links(second) == [first.context.span_id]
    assert links(third) == [second.context.span_id]


def test_the_segment_is_in_the_callers_trace_and_a_later_one_is_linked_to_its_own_caller(runtime, listener):
    tracer = listener.tracers.get_tracer("web")
    runtime.function("app")(lambda: step(tool(approval=True)(abs), -1))
    with tracer.start_as_current_span("POST /run") as request:
        run = runtime.run("app")
    runtime.decide(run.interrupts[0].id, Decision.approve(), by="al")
    with tracer.start_as_current_span("POST /resume") as later:
        runtime.run("app", id=run.id)
        assert trace.get_current_span() is later
    first, second = listener.named("invoke_agent app")
    assert listener.one("start app").parent.span_id == request.get_span_context().span_id
    assert first.context.trace_id == second.context.trace_id == request.get_span_context().trace_id
    assert links(second) == [first.context.span_id, later.get_span_context().span_id]


def test_starting_the_same_execution_again_tells_nothing_new(runtime, listener):
    for _ in range(3):
        runtime.start("app", 1, id="x")
    assert listener.tree() == ["start app"]
    assert runtime.get("x").execution().traceparent.split("-")[2] == f"{listener.one('start app').context.span_id:016x}"


def test_what_others_tell_from_inside_of_a_step_is_below_its_attempt(runtime, listener):
    tracer = listener.tracers.get_tracer("http-client")

    def fetch():
        with tracer.start_as_current_span("GET"):
            return 1

    runtime.function("app")(lambda: step(fetch))
    runtime.run("app")
    assert listener.tree()[-1] == "start app/invoke_agent app/fetch/attempt 1/GET"


def test_steps_on_other_threads_and_tasks_hang_below_their_segment(runtime, listener):
    async def fetch(number):
        return number

    @runtime.function("tasks")
    async def tasks():
        return await asyncio.gather(*(step(fetch, number) for number in range(5)))

    @runtime.function("threads")
    def threads():
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(copy_context().run, step, abs, number) for number in range(5)]
            return [one.result() for one in waiting]

    assert runtime.run("tasks").output == runtime.run("threads").output == [0, 1, 2, 3, 4]
    assert listener.tree().count("start tasks/invoke_agent tasks/fetch/attempt 1") == 5
    assert listener.tree().count("start threads/invoke_agent threads/abs/attempt 1") == 5
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_model_call_is_a_client_span_with_its_model_and_its_tokens(runtime, listener):
    attributes = {"gen_ai.request.model": "gpt-x", "gen_ai.provider.name": "openai"}

    @runtime.function("app")
    def app():
        call = Call(
            "chat",
            ["a prompt"],
            READ,
            kind=MODEL,
            attributes=attributes,
            usage=lambda _: {"input_tokens": 7, "output_tokens": 3},
        )
        return run_step(place(call), lambda _: "an answer")

    runtime.run("app")
    span = listener.one("chat gpt-x")
    assert span.kind is SpanKind.CLIENT
    assert {
        **attributes,
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
    }.items() <= span.attributes.items()
    assert "prompt" not in span.to_json()
    told = {name: dict(about) for name, about in listener.measured() if name.startswith("gen_ai")}
    assert told["gen_ai.client.operation.duration"] == {**attributes, "gen_ai.operation.name": "chat"}


@pytest.mark.parametrize("told", [{"gen_ai.operation.name": "chat"}, {"openinference.span.kind": "LLM"}])
def test_a_model_call_that_another_library_tells_of_is_no_second_client_span(runtime, listener, told):
    tracer = listener.tracers.get_tracer("instrumentation")

    @runtime.function("app")
    def app():
        with tracer.start_as_current_span("ChatModel", attributes=told):
            return run_step(place(Call("chat:gpt-x", None, READ, kind=MODEL)), lambda _: "an answer")

    runtime.run("app")
    assert [span.name for span in listener.spans if span.kind is SpanKind.CLIENT] == []
    assert listener.one("chat:gpt-x").kind is SpanKind.INTERNAL


def test_the_span_of_a_streamed_step_is_around_its_source_and_not_around_its_reader(runtime, listener):
    tracer = listener.tracers.get_tracer("app")

    class Words:
        heard = False

        def __init__(self):
            self.words = []

        def take(self, word):
            self.words.append(word)
            return [word]

        def whole(self):
            return self.words

        def rest(self):
            return []

    def source(_):
        with tracer.start_as_current_span("source"):
            yield "a word"

    @runtime.function("app")
    def app():
        for _ in stream_step(place(Call("chat:gpt-x", None, READ, kind=MODEL)), source, Words):
            with tracer.start_as_current_span("reader"):
                pass

    runtime.run("app")
    assert "start app/invoke_agent app/chat gpt-x/attempt 1/source" in listener.tree()
    assert "start app/invoke_agent app/reader" in listener.tree()


def test_a_step_that_an_adapter_drives_by_hand_is_told_afterwards(runtime, listener):
    @runtime.function("app")
    def app():
        pending = begin_step(place(Call("chat:gpt-x", None, READ, kind=MODEL)))
        complete_step(pending, Ended("an answer"), 2.0)

    runtime.run("app")
    assert "start app/invoke_agent app/chat gpt-x/attempt 1" in listener.tree()
    span = listener.one("chat gpt-x")
    assert 2.0 <= (span.end_time - span.start_time) / 1e9 < 3.0
    assert span.attributes["durable.step.seq"] == 3


def test_a_step_that_waits_inside_is_suspended_and_no_error(runtime, listener):
    gated = tool(approval=True)(abs)
    runtime.function("app")(lambda: step(lambda: step(gated, 1)))
    assert runtime.run("app").status == "suspended"
    outer = listener.one("<lambda>")
    assert outer.attributes["durable.step.outcome"] == "suspended"
    assert outer.status.status_code is StatusCode.UNSET
    assert "error.type" not in outer.attributes


def test_a_span_whose_thread_is_not_its_own_is_left_without_noise(runtime, listener, caplog):
    """A generator that another thread finishes cannot detach what it attached; nothing is logged, nothing leaks."""
    segment = None

    @runtime.function("app")
    def app():
        nonlocal segment
        segment = here().segment

    runtime.run("app")

    def streamed():
        with runtime.telemetry.segment(segment):
            yield 1

    stream = streamed()
    copy_context().run(next, stream)
    copy_context().run(next, stream, None)
    assert caplog.records == []
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_the_trace_context_of_a_segment_costs_no_record_of_its_own(sqlite_url, tmp_path, listener):
    def records(runtime):
        runtime.function("app")(lambda: step(abs, 1))
        run = runtime.run("app")
        return [(record.kind, sorted(record.meta)) for record in runtime.get(run.id).history()]

    with Runtime(sqlite_url, telemetry=listener.telemetry()) as told, Runtime(f"sqlite:///{tmp_path}/b.db") as plain:
        with_trace, without = records(told), records(plain)
    assert [kind for kind, _ in with_trace] == [kind for kind, _ in without]
    differs = [(kind, set(more) - set(less)) for (kind, more), (_, less) in zip(with_trace, without, strict=True)]
    assert [(kind, more) for kind, more in differs if more] == [("step_started", {"traceparent"})]


def test_an_execution_that_is_given_back_is_no_error(runtime, listener):
    def stop():
        here().segment.draining = True  # as a worker that was told to go
        raise Suspended

    runtime.function("app")(stop)
    runtime.start("app", id="x")
    runtime.drive(runtime.app("app"), "x")
    segment = listener.one("invoke_agent app")
    assert segment.status.status_code is StatusCode.UNSET
    assert segment.attributes["durable.execution.status"] == "released"
