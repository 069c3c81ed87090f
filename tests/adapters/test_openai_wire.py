"""The ``openai`` client over HTTP, both of its protocols: a process is killed, another one goes on, the server counts."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    function_tool,
)
from openai import AsyncOpenAI

from durable import Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from tests.adapters.model_provider import running_provider
from tests.adapters.openai_world import Ledger, agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.adapters.model_provider import Provider

MODELS: dict[str, Any] = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}
PATHS = {"responses": "/v1/responses", "chat": "/v1/chat/completions"}
SETTINGS = ModelSettings(include_usage=True)
UNTRACED = RunConfig(tracing_disabled=True)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_provider(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


async def life(provider: Provider, url: str, ledger: Ledger, api: str, way: str, *, dies: bool) -> Any:
    """One process: the agent, on the wire."""

    @function_tool
    def act(what: str) -> str:
        done = ledger.did(what)
        if dies and what == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    async with AsyncOpenAI(api_key="none", base_url=f"{provider.url}/v1", max_retries=0) as client:
        app = agent("app", MODELS[api]("scripted", client), act, model_settings=SETTINGS)
        with Runtime(url, policies={"act": ToolPolicy(effect="idempotent")}) as runtime:
            durable = durable_agent(app, runtime, run_config=UNTRACED)
            if way == "whole":
                return await durable.run(f"{api} {way}", execution_id="x")
            result = durable.run_streamed(f"{api} {way}", execution_id="x")
            async for _ in result.stream_events():
                pass
            return result


def ended_by(work: Callable[[], Any]) -> int:
    """The signal that ended a process forked to do this work; 0 if none did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads; those of a test are idle
        pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_each_answer_is_asked_for_once_although_the_process_is_killed(
    provider: Provider, sqlite_url: str, tmp_path: Any, api: str, way: str
) -> None:
    def live(*, dies: bool) -> Any:
        return asyncio.run(life(provider, sqlite_url, Ledger(tmp_path / "ledger"), api, way, dies=dies))

    asked = [(PATHS[api], way == "streamed", number) for number in range(3)]
    assert ended_by(lambda: live(dies=True)) == signal.SIGKILL
    assert provider.asked(f"{api} {way}") == Counter(asked[:2])
    result = live(dies=False)
    assert (result.final_output, result.context_wrapper.usage.total_tokens) == ("end", 15)
    assert provider.asked(f"{api} {way}") == Counter(asked)  # one each: the first two were not asked for again
    assert Ledger(tmp_path / "ledger").counts() == {"a": 1, "b": 2}  # idempotent: sent again
