"""A Google ADK agent is killed with -9 inside a tool; another process goes on, a person approves, all happens once.

python -m examples.google_adk_refunds
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.genai import types

from durable import Decision, Runtime, current, tool
from durable.adapters.google_adk import durable_runner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

FOLDER, DIES = "EXAMPLE_FOLDER", "EXAMPLE_DIES"
PLAN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("look_up", {"order": "A-1"}),
    ("refund", {"order": "A-1", "amount": 40}),
    ("close_account", {"order": "A-1"}),
)


def outside(effect: str) -> None:
    """What a system outside has seen: one line for each idempotency key."""
    ledger, line = Path(os.environ[FOLDER]) / "ledger", f"{effect} {current().idempotency_key}"
    seen = ledger.read_text().splitlines() if ledger.exists() else []
    if line not in seen:
        ledger.write_text("\n".join([*seen, line]) + "\n")


@tool(effect="read")
def look_up(order: str) -> dict[str, Any]:
    """Look an order up."""
    outside("look_up")
    return {"order": order, "paid": 40}


@tool(effect="idempotent")
def refund(order: str, amount: int) -> dict[str, Any]:
    """Pay an amount back."""
    outside("refund")
    if os.environ.get(DIES):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"order": order, "refunded": amount}


@tool(effect="once", approval=True)
def close_account(order: str) -> dict[str, Any]:
    """Close the account that made the order."""
    outside("close_account")
    return {"order": order, "closed": True}


class Scripted(BaseLlm):
    """Stands for a model: calls the tools of the plan one after the other, then says so."""

    model: str = "scripted"

    async def generate_content_async(
        self,
        llm_request: Any,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002 - ADK's signature
    ) -> AsyncGenerator[LlmResponse, None]:
        """One turn."""
        said = sum(1 for content in llm_request.contents for part in content.parts if part.function_response)
        if said < len(PLAN):
            name, args = PLAN[said]
            part = types.Part(function_call=types.FunctionCall(name=name, args=args))
        else:
            part = types.Part(text="refunded and closed")
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def made() -> Any:
    """The runner of this process."""
    runtime = Runtime(f"sqlite:///{Path(os.environ[FOLDER]) / 'durable.db'}")
    agent = LlmAgent(name="refunds", model=Scripted(), tools=[look_up, refund, close_account])
    return durable_runner(agent, runtime)


async def ask() -> None:
    """What a web handler would do."""
    runner = made()
    await runner.session_service.create_session(app_name="refunds", user_id="ann", session_id="s")
    async for _ in runner.run_async(
        user_id="ann", session_id="s", new_message=types.UserContent("refund A-1"), execution_id="refund-A-1"
    ):
        pass


def main() -> None:
    """The story."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        command = [sys.executable, "-m", "examples.google_adk_refunds", "ask"]
        child = subprocess.run(command, env={**os.environ, DIES: "1"}, check=False)
        print("a process was killed inside refund:", child.returncode == -signal.SIGKILL)
        with made().runtime as runtime:
            runtime.recover()
            [asked] = runtime.interrupts()
            print("another went on and waits for a person:", asked.tool, asked.arguments)
            runtime.decide(asked.id, Decision.approve(), by="ann")
            runtime.recover()
            print("it came to:", runtime.get("refund-A-1").result())
        print("effects outside:", [line.split()[0] for line in (Path(folder) / "ledger").read_text().splitlines()])


if __name__ == "__main__":
    if sys.argv[1:] == ["ask"]:
        asyncio.run(ask())
    else:
        main()
