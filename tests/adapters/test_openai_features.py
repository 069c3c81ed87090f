"""What the SDK offers beside tools: each works as without us, and once over when the execution is read again.

Every agent here runs twice with one execution id: the second time no model and no tool may be asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    Agent,
    FunctionTool,
    GuardrailFunctionOutput,
    MaxTurnsExceeded,
    OutputGuardrail,
    OutputGuardrailTripwireTriggered,
    RunHooks,
    Runner,
    SQLiteSession,
    StopAtTools,
    ToolGuardrailFunctionOutput,
    function_tool,
    tool_input_guardrail,
    tool_output_guardrail,
)
from agents.mcp import MCPServer
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult, TextContent
from mcp.types import Tool as McpTool
from pydantic import BaseModel

from durable import Approval, Decision, Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from tests.adapters.openai_world import Ledger, Model, acting, agent, call

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def runtime(sqlite_url: str) -> Iterator[Runtime]:
    with Runtime(sqlite_url) as runtime:
        yield runtime


@pytest.fixture
def ledger(tmp_path: Any) -> Ledger:
    return Ledger(tmp_path / "ledger")


def go(durable: Any, **options: Any) -> Any:
    return asyncio.run(durable.run("go", execution_id="x", **options))


def outputs(result: Any) -> list[Any]:
    return [item.output for item in result.new_items if item.type == "tool_call_output_item"]


def twice(runtime: Runtime, app: Agent[Any], ledger: Ledger, **options: Any) -> Any:
    """The result of a run, which is the same when the execution is read again."""
    durable = durable_agent(app, runtime, name="app")
    first = go(durable, **options)
    counts = ledger.counts()
    again = go(durable, **options)
    assert (again.final_output, outputs(again)) == (first.final_output, outputs(first))
    assert ledger.counts() == counts
    return first


class Refund(BaseModel):
    order: str
    amount: int


def test_a_structured_output_comes_back_as_what_it_was(runtime: Runtime, ledger: Ledger) -> None:
    app = agent("app", Model('{"order": "A7", "amount": 3}', ledger=ledger), output_type=Refund)
    assert twice(runtime, app, ledger).final_output == Refund(order="A7", amount=3)
    assert runtime.get("x").result() == Refund(order="A7", amount=3)


def test_tool_use_behavior_ends_the_run_at_the_tool(runtime: Runtime, ledger: Ledger) -> None:
    model = Model([call("act", "c1", what="a")], ledger=ledger)
    app = agent("app", model, acting(ledger), tool_use_behavior=StopAtTools(stop_at_tool_names=["act"]))
    assert twice(runtime, app, ledger).final_output == "a done"
    assert ledger.counts() == {"model 0": 1, "a": 1}


def test_max_turns_is_the_error_of_the_execution(runtime: Runtime, ledger: Ledger) -> None:
    durable = durable_agent(agent("app", Model(*[[call("act", "c1", what="a")]] * 3), acting(ledger)), runtime)
    for _ in range(2):
        with pytest.raises(MaxTurnsExceeded):
            go(durable, max_turns=1)
    assert (runtime.get("x").status, ledger.counts()) == ("failed", {"a": 1})


def test_malformed_arguments_are_told_to_the_model_and_run_nothing(runtime: Runtime, ledger: Ledger) -> None:
    broken = call("act", "c1", what="a")
    broken.arguments = '{"what": '

    def app() -> Agent[Any]:
        return agent("app", Model([broken], "end"), acting(ledger))

    result, bare = twice(runtime, app(), ledger), asyncio.run(Runner.run(app(), "go"))
    assert outputs(result) == outputs(bare)
    assert (result.final_output, ledger.counts()) == ("end", {})


class Unencodable:
    def __str__(self) -> str:
        return "a socket"


def test_a_result_that_cannot_be_encoded_comes_back_as_the_text_the_model_was_told(
    runtime: Runtime, ledger: Ledger
) -> None:
    @function_tool
    def act() -> Any:
        """Do it."""
        ledger.did("a")
        return Unencodable()

    durable = durable_agent(agent("app", Model([call("act", "c1")], "end"), act), runtime)
    told = [
        [item.to_input_item()["output"] for item in go(durable).new_items if item.type == "tool_call_output_item"]
        for _ in range(2)
    ]
    assert told == [["a socket"], ["a socket"]]
    assert ledger.counts() == {"a": 1}


def test_a_tool_that_calls_itself_off_is_told_to_the_model_and_does_not_run_again(
    runtime: Runtime, ledger: Ledger
) -> None:
    @function_tool
    async def act() -> str:
        """Do it."""
        ledger.did("a")
        raise asyncio.CancelledError

    result = twice(runtime, agent("app", Model([call("act", "c1")], "end"), act), ledger)
    assert (result.final_output, len(outputs(result)), ledger.counts()) == ("end", 1, {"a": 1})


@pytest.mark.parametrize("behavior", ["error_as_result", "raise_exception"])
def test_a_tool_that_takes_too_long_is_over_for_good(runtime: Runtime, ledger: Ledger, behavior: Any) -> None:
    @function_tool(timeout=0.05, timeout_behavior=behavior)
    async def act() -> str:
        """Do it."""
        ledger.did("a")
        await asyncio.sleep(30)
        return "never"

    app = agent("app", Model([call("act", "c1")], "end"), act)
    if behavior == "error_as_result":
        assert "timed out" in outputs(twice(runtime, app, ledger))[0]
    else:
        durable = durable_agent(app, runtime)
        for _ in range(2):
            with pytest.raises(Exception, match="timed out"):
                go(durable)
    assert ledger.counts() == {"a": 1}


def test_hooks_fire_as_often_as_in_the_bare_sdk_each_time(runtime: Runtime, ledger: Ledger) -> None:
    class Hooks(RunHooks[Any]):
        def __init__(self) -> None:
            self.fired: list[str] = []

        async def on_agent_start(self, *_: Any) -> None:
            self.fired.append("agent start")

        async def on_llm_start(self, *_: Any) -> None:
            self.fired.append("llm start")

        async def on_llm_end(self, *_: Any) -> None:
            self.fired.append("llm end")

        async def on_tool_start(self, *_: Any) -> None:
            self.fired.append("tool start")

        async def on_tool_end(self, *_: Any) -> None:
            self.fired.append("tool end")

        async def on_agent_end(self, *_: Any) -> None:
            self.fired.append("agent end")

    durable = durable_agent(agent("app", Model([call("act", "c1", what="a")], "end"), acting(ledger)), runtime)
    seen = []
    for _ in range(2):
        hooks = Hooks()
        go(durable, hooks=hooks)
        seen.append(hooks.fired)
    model = ["llm start", "llm end"]
    assert seen == [["agent start", *model, "tool start", "tool end", *model, "agent end"]] * 2
    assert ledger.counts() == {"a": 1}


def judging(ledger: Ledger, name: str, *, trips: bool = False) -> OutputGuardrail[Any]:
    judge = agent(name, Model("fine", ledger=ledger, name=name))

    async def check(_context: Any, _agent: Any, given: Any) -> GuardrailFunctionOutput:
        result = await Runner.run(judge, str(given))
        return GuardrailFunctionOutput(output_info=result.final_output, tripwire_triggered=trips)

    return OutputGuardrail(guardrail_function=check, name=name)


def test_output_guardrails_ask_in_scopes_of_their_own(runtime: Runtime, ledger: Ledger) -> None:
    guardrails = [judging(ledger, "tone"), judging(ledger, "facts")]
    result = twice(runtime, agent("app", Model("end", ledger=ledger), output_guardrails=guardrails), ledger)
    assert [found.output.output_info for found in result.output_guardrail_results] == ["fine", "fine"]
    assert ledger.counts() == {"model 0": 1, "tone 0": 1, "facts 0": 1}
    keys = {record.step_key for record in runtime.get("x").history() if record.kind == "step_done"}
    scopes = {"guardrail:tone:1/run#1/chat#1", "guardrail:facts:1/run#1/chat#1"}
    assert scopes <= keys


def test_a_tripwire_is_the_error_of_the_execution(runtime: Runtime, ledger: Ledger) -> None:
    app = agent("app", Model("end", ledger=ledger), output_guardrails=[judging(ledger, "tone", trips=True)])
    durable = durable_agent(app, runtime)
    for _ in range(2):
        with pytest.raises(OutputGuardrailTripwireTriggered):
            go(durable)
    assert (runtime.get("x").status, ledger.counts()) == ("failed", {"model 0": 1, "tone 0": 1})


def test_tool_guardrails_work_in_the_scope_of_their_call(runtime: Runtime, ledger: Ledger) -> None:
    judge = agent("judge", Model("fine", ledger=ledger, name="judge"))

    @tool_input_guardrail
    async def before(data: Any) -> ToolGuardrailFunctionOutput:
        await Runner.run(judge, "may it?")
        if "b" in data.context.tool_arguments:
            return ToolGuardrailFunctionOutput.reject_content("not b")
        return ToolGuardrailFunctionOutput.allow()

    @tool_output_guardrail
    async def after(_: Any) -> ToolGuardrailFunctionOutput:
        await Runner.run(judge, "was it right?")
        return ToolGuardrailFunctionOutput.allow()

    act = acting(ledger)
    act.tool_input_guardrails, act.tool_output_guardrails = [before], [after]
    model = Model([call("act", "c1", what="a"), call("act", "c2", what="b")], "end")
    assert outputs(twice(runtime, agent("app", model, act), ledger)) == ["a done", "not b"]
    assert ledger.counts() == {"a": 1, "judge 0": 3}
    keys = {record.step_key for record in runtime.get("x").history() if record.kind == "step_done"}
    assert {"tool:c1/guardrail:before:1/run#1", "tool:c1/guardrail:after:1/run#1"} <= keys


class Server(MCPServer):
    """An MCP server in this process."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    @property
    def name(self) -> str:
        return "shop"

    async def connect(self) -> None: ...

    async def cleanup(self) -> None: ...

    async def list_tools(self, *_: Any, **__: Any) -> list[McpTool]:
        schema = {"type": "object", "properties": {"what": {"type": "string"}}}
        return [McpTool(name="act", inputSchema=schema)]

    async def call_tool(self, tool_name: str, arguments: Any, *_: Any, **__: Any) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=self.ledger.did(arguments["what"]))])

    async def list_prompts(self) -> ListPromptsResult:
        return ListPromptsResult(prompts=[])

    async def get_prompt(self, name: str, arguments: Any = None) -> GetPromptResult:
        raise NotImplementedError


def test_a_tool_of_an_mcp_server_is_governed_by_its_name(runtime: Runtime, ledger: Ledger) -> None:
    runtime.policies["act"] = ToolPolicy(approval=Approval(rule="finance"))
    app = Agent(name="app", model=Model([call("act", "c1", what="a")], "end"), mcp_servers=[Server(ledger)])
    durable = durable_agent(app, runtime)
    assert [item.call_id for item in go(durable).interruptions] == ["c1"]
    [row] = runtime.interrupts()
    assert (row.rule, row.tool, row.arguments, ledger.counts()) == ("finance", "act", {"what": "a"}, {})
    runtime.decide(row.id, Decision.approve(), by="alice")
    for _ in range(2):
        assert go(durable).final_output == "end"
    assert ledger.counts() == {"a": 1}


class Customer:
    def __init__(self, number: int) -> None:
        self.number = number


def knowing_its_context(ledger: Ledger) -> FunctionTool:
    async def act(context: Any, _arguments: str) -> str:
        return ledger.did(f"for {context.context.number}")

    return FunctionTool(
        name="act",
        description="Do it.",
        params_json_schema={"type": "object", "properties": {}, "additionalProperties": False},
        on_invoke_tool=act,
        needs_approval=True,
    )


def test_a_worker_rebuilds_context_and_session_with_their_factories(
    runtime: Runtime, ledger: Ledger, tmp_path: Any
) -> None:
    sessions = []

    def session(session_id: str) -> SQLiteSession:
        sessions.append(SQLiteSession(session_id, tmp_path / "session.db"))
        return sessions[-1]

    app = agent("app", Model([call("act", "c1")], "end"), knowing_its_context(ledger))
    durable = durable_agent(app, runtime, name="app", context=lambda given: Customer(given["number"]), session=session)
    first = asyncio.run(durable.run("go", execution_id="x", context={"number": 7}, session=session("s")))
    assert len(first.interruptions) == 1
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.approve(), by="alice")
    assert [found.output for found in runtime.recover()] == ["end"]
    assert ledger.counts() == {"for 7": 1}
    items = asyncio.run(sessions[-1].get_items())
    assert [item.get("type", item.get("role")) for item in items].count("function_call_output") == 1
    assert len(sessions) == 2
    for opened in sessions:
        opened.close()
