"""A refund desk of LangGraph: killed inside a tool, then asked for an approval by a rule, and nothing paid twice.

    python -m examples.langgraph_refunds

The model is scripted, so no key is needed. The first process dies by SIGKILL inside ``notify``, right after the mail
left. The second one goes on with the same execution id: the graph continues at its checkpoint, ``look_up`` and the
model are not asked again, ``notify`` is sent again under its idempotency key. The small refund is paid at once; the
large one is above the rule and waits in the inbox. A person edits the amount, and that is what is paid, once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from durable import Approval, Decision, Runtime, current, tool
from durable.adapters.langgraph import durable_graph

OUTSIDE, DIES = "REFUNDS_OUTSIDE", "REFUNDS_DIES"
SCRIPT: list[tuple[str, dict[str, Any]]] = [
    ("look_up", {"order": "A7"}),
    ("notify", {"order": "A7"}),
    ("refund", {"order": "A7", "amount": 30}),
    ("refund", {"order": "A8", "amount": 900}),
]


def arrived(what: str) -> None:
    """The world outside: a line for each thing that happened."""
    with Path(os.environ[OUTSIDE]).open("a") as outside:
        outside.write(what + "\n")


@tool(effect="read")
def look_up(order: str) -> str:
    """Look an order up."""
    arrived("looked up")
    return f"{order}: paid, 930 EUR"


@tool(effect="idempotent")
def notify(order: str) -> str:
    """Tell the customer."""
    arrived(f"mail {current().idempotency_key}")
    if os.environ.get(DIES):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"told the customer of {order}"


@tool(effect="once", approval=Approval(when="arguments.amount > 100"))
def refund(order: str, amount: int) -> str:
    """Pay money back."""
    arrived(f"paid {amount} for {order}")
    return f"{amount} EUR paid back"


def model(state: MessagesState) -> dict[str, Any]:
    """What a model would say, by what its tools have answered so far."""
    said = sum(isinstance(message, ToolMessage) for message in state["messages"])
    arrived(f"model {said}")
    if said == len(SCRIPT):
        return {"messages": [AIMessage("A7 and A8 are refunded")]}
    name, arguments = SCRIPT[said]
    return {"messages": [AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call-{said}"}])]}


def desk(runtime: Runtime) -> Any:
    """An ordinary graph, made durable."""
    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([look_up, notify, refund]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return durable_graph(graph, runtime, name="desk")


def handle(runtime: Runtime) -> dict[str, Any]:
    """What a web handler does, however often it is called for this case: the same id and input goes on."""
    asked = {"messages": [("user", "Refund A7 and A8")]}
    found: dict[str, Any] = desk(runtime).invoke(asked, {"configurable": {"thread_id": "ann"}}, execution_id="case-7")
    return found


def main() -> None:
    """Die, go on, ask, be answered, end; then count."""
    url = f"sqlite:///{Path(os.environ[OUTSIDE]).parent / 'desk.db'}"
    with Runtime(url) as runtime:
        if os.environ.get(DIES):
            handle(runtime)
            return
        first = subprocess.run([sys.executable, __file__], env={**os.environ, DIES: "yes"}, check=False)
        assert first.returncode == -signal.SIGKILL
        print("the first process was killed with -9 inside notify")
        handle(runtime)
        [waiting] = runtime.interrupts()
        print(f"the second one goes on, and waits for: {waiting.tool} {waiting.arguments} ({waiting.rule})")
        runtime.decide(waiting.id, Decision.edit({"order": "A8", "amount": 450}), by="alice", comment="half of it")
        print("alice edits the amount:", handle(runtime)["messages"][-1].content)
        print("records, chain verified:", runtime.get("case-7").verify())
    counts = Counter(Path(os.environ[OUTSIDE]).read_text().splitlines())
    [mail] = [what for what in counts if what.startswith("mail")]
    assert counts.pop(mail) == 2, "sent again, under one key"  # noqa: PLR2004 - before and after the kill
    assert set(counts.values()) == {1}, counts
    print(
        "proven: the mail was sent twice under one idempotency key, everything else once:", *sorted(counts), sep="\n  "
    )


if __name__ == "__main__":
    if OUTSIDE in os.environ:
        main()
    else:
        with tempfile.TemporaryDirectory() as folder:
            os.environ[OUTSIDE] = str(Path(folder) / "outside")
            main()
