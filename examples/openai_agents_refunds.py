"""A refund desk of the OpenAI Agents SDK: killed inside a tool, then asked for an approval, and nothing paid twice.

    python -m examples.openai_agents_refunds

The model is scripted, so no key is needed. The first process dies by SIGKILL inside ``notify``, right after the mail
left. The second one goes on with the same execution id: ``look_up`` and the model are not asked again, ``notify`` is
sent again under its idempotency key. The refund waits in the inbox; a person approves it, and it is paid once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from agents import Agent, RunConfig, function_tool
from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message, function_call

from durable import Decision, Runtime, current, tool
from durable.adapters.openai_agents import durable_agent

if TYPE_CHECKING:
    from durable.adapters.openai_agents.entry.agent import DurableAgent

OUTSIDE, DIES = "REFUNDS_OUTSIDE", "REFUNDS_DIES"
SCRIPT = [("look_up", {"order": "A7"}), ("notify", {"order": "A7"}), ("refund", {"order": "A7", "amount": 30})]


def arrived(what: str) -> None:
    """The world outside: a line for each thing that happened."""
    with Path(os.environ[OUTSIDE]).open("a") as outside:
        outside.write(what + "\n")


@function_tool
@tool(effect="read")
def look_up(order: str) -> str:
    """Look an order up."""
    arrived("looked up")
    return f"{order}: paid, 30 EUR"


@function_tool
@tool(effect="idempotent")
def notify(order: str) -> str:
    """Tell the customer."""
    arrived(f"mail {current().idempotency_key}")
    if os.environ.get(DIES):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"told the customer of {order}"


@function_tool(needs_approval=True)
@tool(effect="once")
def refund(order: str, amount: int) -> str:
    """Pay money back."""
    arrived(f"paid {amount} for {order}")
    return f"{amount} EUR paid back"


def answer(call: ModelCall) -> ModelStep:
    """What a model would say, by what it has said so far."""
    items = [] if isinstance(call.input, str) else call.input
    said = sum(item.get("type") == "function_call" for item in items)
    arrived(f"model {said}")
    if said == len(SCRIPT):
        return ModelStep(output=[assistant_message("A7 is refunded")])
    name, arguments = SCRIPT[said]
    return ModelStep(output=[function_call(name, arguments, call_id=f"call-{said}")])


def desk(runtime: Runtime) -> DurableAgent:
    """The agent, made durable."""
    model = ScriptedModel([ModelStep.respond(answer) for _ in range(10)])
    agent = Agent(name="desk", model=model, tools=[look_up, notify, refund])
    return durable_agent(agent, runtime, run_config=RunConfig(tracing_disabled=True))


def main() -> None:
    """Die, go on, ask, be answered, end; then count."""
    url = f"sqlite:///{Path(os.environ[OUTSIDE]).parent / 'desk.db'}"
    if os.environ.get(DIES):
        with Runtime(url) as runtime:
            desk(runtime).run_sync("Refund A7", execution_id="case-7")
        return
    first = subprocess.run([sys.executable, __file__], env={**os.environ, DIES: "yes"}, check=False)
    assert first.returncode == -signal.SIGKILL
    print("the first process was killed with -9 inside notify")
    with Runtime(url) as runtime:
        result = desk(runtime).run_sync("Refund A7", execution_id="case-7")
        print("the second one goes on, and waits for:", result.interruptions[0].name)
        [waiting] = runtime.interrupts()
        runtime.decide(waiting.id, Decision.approve(), by="alice")
        result = desk(runtime).run_sync("Refund A7", execution_id="case-7")
        print("approved by alice:", result.final_output)
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
