"""An agent on ADK's Gemini client, in a process of its own: ``python -m tests.adapters.adk_wire URL LEDGER [deadly]``.

Two executions run side by side, one of them streamed. The deadly process ends itself when both are in their second tool,
after its effect; another one recovers what is left and prints what it came to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.genai import types

from durable import Runtime, ToolPolicy
from durable.adapters.google_adk import durable_runner

WAYS = {"whole": StreamingMode.NONE, "streamed": StreamingMode.SSE}


def wired(runtime, ledger, *, deadly):
    """The runner; a deadly one ends the process when the second tool has been called in all executions."""
    runtime.policies["act"] = ToolPolicy(effect="idempotent")
    inside = []

    async def act(what: str) -> dict:
        """Do something."""
        with ledger.open("a") as outside:
            outside.write(f"{what}\n")
        if deadly and what == "b":
            inside.append(what)
            if len(inside) == len(WAYS):
                os.kill(os.getpid(), signal.SIGKILL)
            await asyncio.Event().wait()
        return {"did": what}

    return durable_runner(LlmAgent(name="wired", model="gemini-2.0-flash", tools=[act]), runtime)


async def start(runner):
    async def listen(way):
        await runner.session_service.create_session(app_name="wired", user_id="ann", session_id=way)
        call = {"user_id": "ann", "session_id": way, "new_message": types.UserContent(way), "execution_id": way}
        async for _ in runner.run_async(**call, run_config=RunConfig(streaming_mode=WAYS[way])):
            pass

    await asyncio.gather(*map(listen, WAYS))


def main(url, path, deadly=""):
    with Runtime(url) as runtime:
        runner = wired(runtime, Path(path), deadly=bool(deadly))
        if deadly:
            asyncio.run(start(runner))
        runtime.recover()
        for way in WAYS:
            print(f"{way}: {runtime.get(way).result()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
