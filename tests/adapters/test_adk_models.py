"""Models and callbacks around them behave as in ADK; an answer is recorded before anything is done with it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from google.adk.agents import BaseAgent, LlmAgent, ParallelAgent
from google.adk.agents.invocation_context import LlmCallsLimitExceededError
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.apps.app import App
from google.adk.models.llm_response import LlmResponse
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.tools.load_artifacts_tool import load_artifacts_tool
from google.genai import types

from durable import Decision, Retry, ToolContext, ToolPolicy, Unsupported, current, tool
from durable.adapters.google_adk import durable_runner
from durable.errors import InvalidConfiguration
from tests.adapters.adk_world import USER, Script, call, events_of, final, run, session_of, text
from tests.world import DAY, World, crashed


@pytest.fixture
def world(sqlite_url):
    made = World(sqlite_url)
    yield made
    made.close()


def simple(world, turns, *tools, later=0.0, **options):
    model = Script(turns=turns)
    agent = LlmAgent(name="root", model=model, tools=list(tools), **options)
    return durable_runner(agent, world.process(later=later), name="app"), model


def test_usage_is_counted_and_the_prompt_is_not_recorded(world):
    runner, _ = simple(world, [[text("hello")]], instruction="a secret instruction")
    run(runner, execution_id="e")
    result = runner.runtime.result_of("e")
    assert result.usage == {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    (call_of_model,) = (event for event in result.events if event.meta.get("name") == "chat:script")
    assert "secret" not in str(call_of_model.payload)


def test_an_answer_is_streamed_and_replayed_whole(world):
    class Dies(BasePlugin):
        deadly = True

        async def after_model_callback(self, *, callback_context, llm_response):
            if self.deadly and not llm_response.partial:
                world.die()

    plugin, model = Dies(name="dies"), Script(turns=[[text("one two three")]])
    app = App(name="app", root_agent=LlmAgent(name="root", model=model), plugins=[plugin])
    config = RunConfig(streaming_mode=StreamingMode.SSE)
    seen = []

    async def watched(runner):
        async for event in runner.run_async(
            user_id=USER, session_id="s", new_message=types.UserContent("go"), run_config=config, execution_id="e"
        ):
            seen.append((event.partial, event.content.parts[0].text))

    runner = durable_runner(app, world.process())
    asyncio.run(runner.session_service.create_session(app_name="app", user_id=USER, session_id="s"))
    crashed(lambda: asyncio.run(watched(runner)))
    assert seen == [(True, "one"), (True, "two"), (True, "three")]
    plugin.deadly = False
    runner = durable_runner(app, world.process(later=DAY))
    runner.runtime.recover()
    assert (runner.runtime.get("e").result(), model.asked) == ("one two three", 1)


def test_the_limit_of_calls_and_callbacks_are_adks_own(world):
    seen = []

    async def before(callback_context, llm_request):
        seen.append("before")

    async def after(callback_context, llm_response):
        seen.append("after")

    @tool(effect="read")
    def again() -> dict:
        """Again."""
        return {}

    options = {"before_model_callback": before, "after_model_callback": after}
    runner, model = simple(world, [[call("again")]], again, **options)
    with pytest.raises(LlmCallsLimitExceededError):
        run(runner, run_config=RunConfig(max_llm_calls=2))
    assert (seen, model.asked) == (["before", "after"] * 2 + ["before"], 2)


def test_a_model_that_fails_may_be_answered_by_a_callback(world):
    async def on_error(callback_context, llm_request, error):
        return LlmResponse(content=types.Content(role="model", parts=[text(f"sorry: {error}")]))

    runner, _ = simple(world, [ValueError("overloaded")], on_model_error_callback=on_error)
    assert final(run(runner)) == "sorry: overloaded"


def test_a_failed_invocation_is_retried_from_where_it_failed(world):
    turns = [[call("pay")], ValueError("overloaded"), [text("paid")]]

    def pay() -> dict:
        """Pay."""
        return world.did({"paid": True})

    runner, model = simple(world, turns, pay)
    with pytest.raises(ValueError, match="overloaded"):
        run(runner, execution_id="e")
    assert runner.runtime.get("e").status == "failed"
    model.turns[1] = [text("paid")]
    runner.runtime.get("e").retry()
    runner.runtime.recover()
    assert (runner.runtime.get("e").result(), len(world.effects)) == ("paid", 1)


def test_other_plugins_come_as_they_were_and_the_app_stays_as_it_was(world):
    class Answers(BasePlugin):
        async def before_tool_callback(self, *, tool, tool_args, tool_context):
            return {"cached": tool.name}

    app = App(
        name="app",
        root_agent=LlmAgent(name="root", model=Script(turns=[[call("f")], [text("done")]]), tools=[f]),
        plugins=[Answers(name="answers")],
    )
    runner = durable_runner(app, world.process())
    assert final(run(runner)) == "done"
    assert (app.resumability_config, len(app.plugins)) == (None, 1)


def f() -> dict:
    """Never runs."""
    raise AssertionError


def test_sync_calls_and_the_debug_helper_are_durable_too(world):
    runner, _ = simple(world, [[text("hello")]])
    asyncio.run(runner.session_service.create_session(app_name="app", user_id=USER, session_id="s"))
    events = list(runner.run(user_id=USER, session_id="s", new_message=types.UserContent("go")))
    assert final(events) == "hello"
    debugged = asyncio.run(runner.run_debug("go", session_id="d", quiet=True))
    assert final(debugged) == "hello"
    assert [execution.status for execution in runner.runtime.executions()] == ["succeeded", "succeeded"]


def test_an_execution_may_be_started_for_a_worker_by_name(world):
    runner, _ = simple(world, [[text("hello")]])
    asyncio.run(runner.session_service.create_session(app_name="app", user_id=USER, session_id="s"))
    handle = runner.runtime.start("app", {"user_id": USER, "session_id": "s", "message": "go"})
    runner.runtime.recover()
    assert handle.result() == "hello"


def test_artifacts_are_kept_once_whatever_is_repeated(world):
    dies = [True]

    async def draw(tool_context) -> dict:
        """Draw."""
        picture = types.Part(inline_data=types.Blob(data=b"\x89PNG" * 40_000, mime_type="image/png"))
        return {"version": await tool_context.save_artifact("picture.png", picture)}

    async def after(tool, args, tool_context, tool_response):
        if dies[0]:
            world.die()

    def runner_of(later=0.0):
        return simple(
            world, [[call("draw")], [text("drawn")]], draw, load_artifacts_tool, later=later, after_tool_callback=after
        )[0]

    crashed(lambda: run(runner_of(), execution_id="e"))
    dies[0] = False
    runner = runner_of(later=DAY)
    runner.runtime.recover()
    assert runner.runtime.get("e").result() == "drawn"
    service, names = runner.artifact_service, {"app_name": "app", "user_id": USER, "session_id": "s"}

    async def look():
        versions = await service.list_versions(**names, filename="picture.png")
        return versions, await service.load_artifact(**names, filename="picture.png")

    versions, picture = asyncio.run(look())
    assert (versions, len(picture.inline_data.data), picture.inline_data.mime_type) == ([0], 160_000, "image/png")
    changed = [event.actions.artifact_delta for event in session_of(runner).events if event.actions.artifact_delta]
    assert changed == [{"picture.png": 0}]


async def test_the_contexts_of_both_stand_side_by_side(world):
    seen = {}

    @tool(effect="idempotent")
    async def pay(amount: int, tool_context, durable: ToolContext) -> dict:
        """Pay."""
        seen.update(adk=tool_context.function_call_id, key=durable.idempotency_key, here=current().step_key)
        return {"paid": amount}

    runner, _ = simple(world, [[call("pay", amount=1)], [text("paid")]], pay)
    await events_of(runner, execution_id="e")
    assert seen["here"] == f"tool:{seen['adk']}"
    assert len(seen["key"]) == 52


def test_what_cannot_be_made_durable_is_refused_when_it_is_wrapped(world):
    from google.adk.code_executors import BaseCodeExecutor
    from google.adk.sessions import InMemorySessionService

    class Runs(BaseCodeExecutor):
        def execute_code(self, invocation_context, code_execution_input):
            raise AssertionError

    runtime = world.process()
    agent = LlmAgent(name="coder", model=Script(turns=[]), code_executor=Runs())
    with pytest.raises(Unsupported, match="code_executor=Runs of agent 'coder'"):
        durable_runner(LlmAgent(name="root", model=Script(turns=[]), sub_agents=[agent]), runtime)

    for name in (
        "RemoteA2aAgent",
        "ManagedAgent",
        "LangGraphAgent",
    ):  # of packages that are not installed: known by name
        far = type(name, (BaseAgent,), {"__module__": __name__})(name="far")
        with pytest.raises(Unsupported, match=f"{name} 'far'"):
            durable_runner(LlmAgent(name="root", model=Script(turns=[]), sub_agents=[far]), runtime)
    plain = LlmAgent(name="root", model=Script(turns=[]))
    with pytest.raises(InvalidConfiguration, match="session_service"):
        durable_runner(plain, runtime, session_service=InMemorySessionService())
    with pytest.raises(InvalidConfiguration, match="on_suspended"):
        durable_runner(plain, runtime, on_suspended="ask")


async def test_a_run_inside_an_execution_needs_an_id_of_its_own(world):
    runner, _ = simple(world, [[text("hello")]])
    runtime = runner.runtime

    @runtime.function("outer")
    async def outer(named: bool):
        return final(await events_of(runner, **({"execution_id": "inner"} if named else {})))

    assert (await runtime.aio.run("outer", {"named": True})).output == "hello"
    refused = await runtime.aio.run("outer", {"named": False})
    assert "execution_id of its own" in refused.error["message"]


def test_a_model_is_asked_again_as_its_policy_says(world):
    failures = [ValueError("overloaded"), ValueError("overloaded")]

    def turn(_):
        return failures.pop() if failures else [text("hello")]

    runner, model = simple(world, [turn])
    policy = ToolPolicy(effect="read", retry=Retry(attempts=3, initial=0.01))
    runner.runtime.policies["chat:script"] = policy
    assert (final(run(runner)), model.asked) == ("hello", 3)


def named(call_id, amount):
    return types.Part(function_call=types.FunctionCall(id=call_id, name="pay", args={"amount": amount}))


def test_calls_to_which_a_provider_gives_one_id_are_calls_of_their_own(world):
    turns = [[named("c", 1), named("c", 1)], [named("c", 2)], [named("c", 1)], [text("paid")]]
    deadly = [True]

    async def pay(amount: int) -> dict:
        """Pay."""
        world.did(amount)
        if amount == 2 and deadly:
            deadly.clear()
            world.die()
        return {"paid": amount}

    crashed(lambda: run(simple(world, turns, pay)[0], execution_id="e"))
    runner, _ = simple(world, turns, pay, later=DAY)
    runner.runtime.recover()
    (asked,) = runner.runtime.interrupts()
    assert (asked.kind, asked.arguments) == ("in_doubt", {"amount": 2})
    runner.runtime.decide(asked.id, Decision.happened({"paid": 2}), by="ann")
    runner.runtime.recover()
    assert (runner.runtime.get("e").result(), world.effects) == ("paid", [1, 1, 2, 1])
    calls = [call for event in session_of(runner).events for call in event.get_function_calls()]
    assert [call.id for call in calls if call.name == "pay"] == ["c", "c_2", "c_3", "c_4"]


def test_an_answer_that_two_models_share_gets_ids_of_each_call_of_its_own(world):
    def ping() -> dict:
        """Ping."""
        return {}

    shared = LlmResponse(content=types.Content(role="model", parts=[call("ping")]))

    class Shares(Script):
        async def generate_content_async(self, llm_request, stream=False):
            async for response in super().generate_content_async(llm_request, stream):
                yield shared if response.content.parts[0].function_call else response

    agents = [
        LlmAgent(name=name, model=Shares(turns=[[call("ping")], [text(name)]]), tools=[ping]) for name in ("one", "two")
    ]
    with pytest.warns(DeprecationWarning, match="ParallelAgent is deprecated"):
        root = ParallelAgent(name="root", sub_agents=agents)
    events = run(durable_runner(root, world.process(), name="app"), execution_id="e")
    calls = [each.id for event in events for each in event.get_function_calls()]
    assert len(set(calls)) == 2
    assert shared.content.parts[0].function_call.id is None


async def first(runner, wanted, **options):
    """Listen until an event is ``wanted``, as many do, and no longer."""
    names = {"user_id": USER, "session_id": "s"}
    await runner.session_service.create_session(app_name="app", **names)
    listening = runner.run_async(**names, new_message=types.UserContent("go"), **options)
    async with aclosing(listening) as events:
        async for event in events:
            if wanted(event):
                return event
    raise AssertionError


async def test_a_caller_who_has_heard_the_final_response_may_stop_listening(world):
    runner, _ = simple(world, [[text("hello")]])
    await first(runner, lambda event: event.is_final_response(), execution_id="e")
    assert (runner.runtime.get("e").status, runner.runtime.get("e").result()) == ("succeeded", "hello")


async def test_what_a_caller_stops_listening_to_can_be_continued(world):
    async def pay() -> dict:
        """Pay."""
        return {"paid": world.did(1)}

    runner, _ = simple(world, [[call("pay")], [text("paid")]], pay)
    await first(runner, lambda event: event.get_function_responses(), execution_id="e")
    assert runner.runtime.get("e").status == "suspended"
    assert final(await events_of(runner, None, invocation_id="e")) == "paid"
    assert (runner.runtime.get("e").status, world.effects) == ("succeeded", [1])
