"""The same tools, as they are, in LangGraph, the OpenAI Agents SDK and Google ADK."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(params=["petstore-3.0.yaml", "tree-3.1.yaml"])
def document(request):
    return request.param


def test_langgraph_takes_them(tools, api, document):
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    found = tools(document)
    for made in found.values():
        tool(made).tool_call_schema.model_json_schema()
    graph = (
        StateGraph(MessagesState).add_node("tools", ToolNode(list(found.values()))).add_edge(START, "tools").compile()
    )
    name, arguments, sent = CALLS[document]
    calls = [{"name": name, "args": arguments, "id": "c1"}]
    state = graph.invoke({"messages": [AIMessage("", tool_calls=calls)]})
    assert json.loads(state["messages"][-1].content) == {"ok": True}
    assert api.only.json == sent


async def test_openai_agents_takes_them(tools, api, document):
    from agents import RunContextWrapper, function_tool
    from agents.tool_context import ToolContext

    found = {name: function_tool(made) for name, made in tools(document).items()}
    for made in found.values():
        assert made.params_json_schema["additionalProperties"] is False  # strict
    name, arguments, sent = CALLS[document]
    text = json.dumps({**dict.fromkeys(found[name].params_json_schema["properties"]), **arguments})
    context = ToolContext(RunContextWrapper(None).context, tool_name=name, tool_call_id="c1", tool_arguments=text)
    assert await found[name].on_invoke_tool(context, text) == {"ok": True}
    assert api.only.json == sent


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
async def test_google_adk_takes_them(tools, api, document):
    from google.adk.tools import FunctionTool

    found = {name: FunctionTool(made) for name, made in tools(document).items()}
    for made in found.values():
        assert made._get_declaration().name == made.name
    name, arguments, sent = CALLS[document]
    assert await found[name].run_async(args=arguments, tool_context=None) == {"ok": True}
    assert api.only.json == sent


INNER = {"type": "quote", "text": "x"}
CALLS = {
    "petstore-3.0.yaml": ("createPets", {"id": 1, "name": "Rex"}, {"id": 1, "name": "Rex"}),
    "tree-3.1.yaml": (
        "appendChildren",
        {"id": "a", "type": "list", "children": [{"type": "list", "children": [json.dumps(INNER)]}]},
        {"type": "list", "children": [{"type": "list", "children": [INNER]}]},
    ),
}


def test_a_durable_graph_takes_them(tools, api, runtime):
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    from durable import Decision
    from durable.adapters.langgraph import durable_graph

    found = tools("petstore-3.0.yaml", policies={"createPets": {"approval": True}})

    def model(state: MessagesState):
        calls = [{"name": "createPets", "args": {"id": 1, "name": "Rex"}, "id": "call_1"}]
        return {"messages": [AIMessage("", tool_calls=calls)]}

    graph = StateGraph(MessagesState).add_sequence([("model", model), ("tools", ToolNode(list(found.values())))])
    graph.add_edge(START, "model")
    agent = durable_graph(graph, runtime, name="pets")
    thread = {"configurable": {"thread_id": "t"}}
    agent.invoke({"messages": [("user", "a pet")]}, thread)
    [waiting] = runtime.interrupts()
    assert (waiting.tool, waiting.arguments["name"], api.arrived) == ("createPets", "Rex", [])
    runtime.decide(waiting.id, Decision.approve(), by="alice")
    assert json.loads(agent.invoke(None, thread)["messages"][-1].content) == {"ok": True}
    assert api.only.json == {"id": 1, "name": "Rex"}


def test_import_durable_loads_none_of_it():
    from tests.test_packaging import imported_by

    loaded = imported_by("import durable")
    assert loaded & {"httpx", "httpcore", "yaml", "openapi_spec_validator", "keyring", "certifi"} == set()
