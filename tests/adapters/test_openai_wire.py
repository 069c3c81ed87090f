"""The ``openai`` client over HTTP, both of its protocols: a process is killed, another one goes on, the server counts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.adapters.model_provider import running_provider
from tests.adapters.openai_world import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.model_provider import Provider

ROOT = Path(__file__).parent.parent.parent

APP = """
import asyncio, os, signal, sys
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from durable import Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from tests.adapters.model_provider import running_provider
from tests.adapters.openai_world import Ledger

api, way, provider, url, ledger, die_at = sys.argv[1:]
set_tracing_disabled(True)
ledger = Ledger(ledger)

@function_tool
def act(what: str) -> str:
    done = ledger.did(what)
    if what == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

async def main():
    async with AsyncOpenAI(api_key="none", base_url=f"{provider}/v1", max_retries=0) as client:
        model = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}[api]("scripted", client)
        agent = Agent(name="app", model=model, tools=[act], model_settings=ModelSettings(include_usage=True))
        with Runtime(url, policies={"act": ToolPolicy(effect="idempotent")}) as runtime:
            durable = durable_agent(agent, runtime)
            if way == "streamed":
                result = durable.run_streamed(f"{api} {way}", execution_id="x")
                async for event in result.stream_events():
                    pass
            else:
                result = await durable.run(f"{api} {way}", execution_id="x")
            print(result.final_output, result.context_wrapper.usage.total_tokens)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_each_answer_is_asked_for_once_although_the_process_is_killed(
    provider: Provider, sqlite_url: str, tmp_path: Path, api: str, way: str
) -> None:
    message = f"{api} {way}"

    def life(die_at: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", APP, api, way, provider.url, sqlite_url, str(tmp_path / "ledger"), die_at]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    died = life("b")
    assert died.returncode == -signal.SIGKILL, died.stderr
    path = "/v1/responses" if api == "responses" else "/v1/chat/completions"
    asked = [(path, way == "streamed", number) for number in range(3)]
    assert provider.asked(message) == Counter(asked[:2])
    ended = life("")
    assert ended.stdout.split() == ["end", "15"], ended.stderr
    assert provider.asked(message) == Counter(asked)  # one each: the first two were not asked for again
    assert Ledger(tmp_path / "ledger").counts() == {"a": 1, "b": 2}  # idempotent: sent again
