"""The agent: its tools, a model, a LangGraph graph, and one line that makes it durable.

Three of the tools are made of the document that the billing system publishes; what they may do stands in policies.

    durable worker examples.provisioning.app:runtime

With ``OPENAI_API_KEY`` set a real model plans the calls (``pip install langchain-openai``), else a scripted one.
"""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import replace
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool as langchain_tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from durable import Approval, Runtime, ToolContext, current, tool
from durable.adapters.langgraph import durable_graph
from durable.openapi import api_tools

OUTSIDE = os.environ.get("PROVISIONING_OUTSIDE", "http://127.0.0.1:8901")


def http(method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> dict[str, Any]:
    """One request to the outside world."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(OUTSIDE + path, data, headers, method=method)  # noqa: S310 - a fixed http url
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - a fixed http url
        found: dict[str, Any] = json.load(answer)
        return found


@langchain_tool
@tool(effect="read")
def lookup_customer(email: str) -> dict[str, Any]:
    """Find a customer by e-mail address."""
    return http("GET", f"/customers?email={email}")


@langchain_tool
@tool(effect="idempotent")
def create_workspace(customer_id: str, ctx: ToolContext) -> dict[str, Any]:
    """Create the customer's workspace in the product."""
    return http("POST", "/workspaces", {"customer": customer_id}, key=ctx.idempotency_key)


@langchain_tool
@tool(effect="once")
def notify(customer_id: str, text: str) -> dict[str, Any]:
    """Send the customer a message."""
    current().log.info("notifying %s", customer_id)
    return http("POST", "/messages", {"customer": customer_id, "text": text})


LIMIT = 1000
FINANCE = Approval(approvers=("role:finance",))
LARGE = replace(FINANCE, when=lambda charge: charge["amount"] > LIMIT, rule=f"charges above {LIMIT} EUR")

TOOLS = [
    lookup_customer,
    create_workspace,
    *api_tools(
        f"{OUTSIDE}/billing/openapi.yaml",
        auth={"key": "${BILLING_API_KEY}"},
        credentials=["BILLING_API_KEY"],
        policies={"create_charge": {"approval": LARGE}, "grant_credit": {"approval": FINANCE}},
        private_hosts=["127.0.0.1"],  # only because this server is not public
    ),
    notify,
]
ACME = {"customer": "cus_42"}
PLAN = [
    {"name": "lookup_customer", "args": {"email": "ops@acme.example"}},
    {"name": "create_workspace", "args": {"customer_id": "cus_42"}},
    {"name": "create_charge", "args": {**ACME, "plan": "setup", "seats": 1, "amount": 490}},
    {"name": "create_charge", "args": {**ACME, "plan": "enterprise", "seats": 250, "amount": 30000}},
    {"name": "grant_credit", "args": {**ACME, "amount": 5000}},
    {"name": "send_invoice", "args": ACME},
    {"name": "notify", "args": {"customer_id": "cus_42", "text": "Your workspace is ready."}},
]


class ScriptedModel(BaseChatModel):
    """A model that calls the tools of PLAN one after the other, and then says that it is done."""

    model_name: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        done = sum(isinstance(message, ToolMessage) for message in messages)
        usage = {"input_tokens": 40 * len(messages), "output_tokens": 20, "total_tokens": 40 * len(messages) + 20}
        answer = AIMessage("Acme is provisioned.", usage_metadata=usage)  # type: ignore[arg-type]  # a typed dict
        if done < len(PLAN):
            answer.content = ""
            answer.tool_calls = [{**PLAN[done], "id": f"call_{done + 1}", "type": "tool_call"}]  # type: ignore[typeddict-item]  # a plan's entry
        return ChatResult(generations=[ChatGeneration(message=answer)])


def planner() -> Any:
    """A real model if there is a key for one, else the script."""
    if os.environ.get("OPENAI_API_KEY"):
        from langchain_openai import ChatOpenAI  # noqa: PLC0415 - only with a key

        return ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-5-mini")).bind_tools(
            TOOLS, parallel_tool_calls=False
        )
    return ScriptedModel()


def plan(state: MessagesState) -> dict[str, Any]:
    """Ask the model what to do next."""
    system = SystemMessage(
        "Provision the customer: look up, create the workspace, charge setup and plan, invoice, notify."
    )
    return {"messages": [planner().invoke([system, *state["messages"]])]}


def route(state: MessagesState) -> str:
    """To the tools while the model calls some."""
    return "tools" if state["messages"][-1].tool_calls else END  # type: ignore[union-attr]  # the model's answer


def build() -> StateGraph[Any, Any, Any, Any]:
    """An ordinary LangGraph agent."""
    graph = StateGraph(MessagesState)
    graph.add_node("plan", plan)
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", route, ["tools", END])
    graph.add_edge("tools", "plan")
    return graph


if os.environ.get("DURABLE_DEMO_TRACE"):
    from examples.provisioning.tracing import print_spans

    print_spans()

runtime = Runtime(lease=3.0)
agent = durable_graph(build(), runtime, name="provisioning")
