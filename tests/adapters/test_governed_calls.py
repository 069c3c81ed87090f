"""The same agent on the three frameworks: which calls are decided upon, what a person may change, and what is undone."""

from __future__ import annotations

import asyncio

import pytest

from durable import Decision, Runtime, ToolPolicy
from durable.errors import InvalidDecision

FLIGHT, HOTEL, PAY = ("book", {"what": "flight"}), ("book", {"what": "hotel"}), ("pay", {"amount": 900})


class Desk:
    """An agent with two tools, on one of the frameworks; ``turns`` are the calls that its model makes."""

    def __init__(self, framework, runtime, turns):
        self.did, self.told = [], []
        getattr(self, framework)(runtime, turns)

    def tools(self):
        def book(what: str) -> str:
            """Book it."""
            self.did.append(f"book {what}")
            return f"booked {what}"

        def pay(amount: int, to: str = "acme") -> str:
            """Pay it."""
            assert type(amount) is int
            self.did.append(f"pay {amount} to {to}")
            return f"paid {amount}"

        return [book, pay]

    def langgraph(self, runtime, turns):
        from langchain_core.messages import AIMessage
        from langgraph.graph import START, MessagesState, StateGraph
        from langgraph.prebuilt import ToolNode

        from durable.adapters.langgraph import durable_graph

        def model(state):
            answered = sum(message.type == "ai" for message in state["messages"])
            self.told = [message.content for message in state["messages"] if message.type == "tool"]
            if answered == len(turns):
                return {"messages": [AIMessage("done")]}
            if isinstance(turns[answered], Exception):
                raise turns[answered]
            calls = [{"name": n, "args": a, "id": f"c{answered}-{i}"} for i, (n, a) in enumerate(turns[answered])]
            return {"messages": [AIMessage("", tool_calls=calls)]}

        graph = StateGraph(MessagesState).add_node(model).add_node("tools", ToolNode(self.tools()))
        graph.add_edge(START, "model").add_edge("tools", "model")
        graph.add_conditional_edges("model", lambda s: "tools" if s["messages"][-1].tool_calls else "__end__")
        made = durable_graph(graph, runtime, name="desk")
        given, config = {"messages": [("user", "go")]}, {"configurable": {"thread_id": "t"}}
        self.run = lambda: made.invoke(given, config, execution_id="x")

    def openai_agents(self, runtime, turns):
        from agents import function_tool

        from durable.adapters.openai_agents import durable_agent
        from tests.adapters.openai_world import Model, agent, call

        calls = [turn if isinstance(turn, list) else [] for turn in turns]
        said = [[call(n, f"c{t}-{i}", **a) for i, (n, a) in enumerate(turn)] for t, turn in enumerate(calls)]

        class Failing(Model):
            async def get_response(self, *args, **options):
                if self.asked < len(turns) and isinstance(turns[self.asked], Exception):
                    raise turns[self.asked]
                return await super().get_response(*args, **options)

        model = Failing(*said, "done")
        made = durable_agent(agent("desk", model, *map(function_tool, self.tools())), runtime, name="desk")

        def run():
            result = asyncio.run(made.run("go", execution_id="x"))
            self.told = [item.output for item in result.new_items if item.type == "tool_call_output_item"]

        self.run = run

    def google_adk(self, runtime, turns):
        from google.adk.agents import LlmAgent

        from durable.adapters.google_adk import durable_runner
        from tests.adapters.adk_world import Script, call, run, text

        said = [t if isinstance(t, Exception) else [call(name, **given) for name, given in t] for t in turns]
        agent = LlmAgent(name="desk", model=Script(turns=[*said, [text("done")]]), tools=self.tools())
        made = durable_runner(agent, runtime, name="desk")

        def go():
            answers = [r for event in run(made, execution_id="x") for r in event.get_function_responses()]
            self.told = [str(answer.response) for answer in answers]

        self.run = go


@pytest.fixture(params=["langgraph", "openai_agents", "google_adk"])
def desk(request, sqlite_url):
    """Makes the desk; a new one on the same database is a new process."""
    opened = []

    def make(*turns, **options):
        runtime = Runtime(sqlite_url, **options)
        opened.append(runtime)
        return Desk(request.param, runtime, turns), runtime

    yield make
    for runtime in opened:
        runtime.close()


GATED = {"pay": ToolPolicy(approval=True)}


def test_nobody_is_asked_about_a_call_that_cannot_run_and_the_agent_is_told(desk):
    agent, runtime = desk([("pay", {"amount": "much"}), ("pay", {"to": "acme"})], policies=GATED)
    agent.run()
    assert runtime.get("x").status == "succeeded"
    assert (agent.did, runtime.interrupts(status=None)) == ([], [])
    assert len(agent.told) == 2
    assert all("amount" in told and "do not fit" in told for told in agent.told)


def test_an_edit_must_fit_the_schema_and_runs_with_its_types(desk):
    agent, runtime = desk([PAY], policies=GATED)
    agent.run()
    (asked,) = runtime.interrupts()
    full = dict(asked.arguments)
    with pytest.raises(InvalidDecision, match="do not fit the schema of 'pay': amount: '90' is not of type 'integer'"):
        runtime.decide(asked.id, Decision.edit({**full, "amount": "90"}), by="alice")
    runtime.decide(asked.id, Decision.edit({**full, "amount": 90}), by="alice")
    agent.run()
    assert agent.did == ["pay 90 to acme"]
    assert runtime.get("x").status == "succeeded"


def undoing(undone):
    def undo(arguments, result, context):
        undone.append((arguments["what"], result if isinstance(result, str) else result.content))

    return {"book": ToolPolicy(compensate=undo), **GATED}


def test_a_cancelled_run_is_undone_by_a_process_that_only_has_its_policies(desk):
    undone = []
    agent, _ = desk([FLIGHT], [HOTEL], [PAY], policies=undoing(undone))
    agent.run()
    assert agent.did == ["book flight", "book hotel"]
    _, other = desk(policies=undoing(undone))
    other.get("x").cancel("no trip", compensate=True)
    assert undone == [("hotel", "booked hotel"), ("flight", "booked flight")]
    assert (other.get("x").status, other.interrupts()) == ("cancelled", [])
    assert other.get("x").verify()


def test_a_failed_run_is_undone_where_the_runtime_says_so_and_raises_what_it_raised(desk):
    undone = []
    agent, runtime = desk([FLIGHT], [HOTEL], ValueError("the model is gone"), policies=undoing(undone), compensate=True)
    with pytest.raises(Exception, match="the model is gone"):
        agent.run()
    assert undone == [("hotel", "booked hotel"), ("flight", "booked flight")]
    found = runtime.get("x").execution()
    assert (found.status, "the model is gone" in found.error["message"]) == ("failed", True)
    assert runtime.get("x").history()[-1].meta["compensated"] == ["book", "book"]
