"""ADK's own server runs agents durably: its sessions are here, each run is an execution, its confirm button decides."""

from __future__ import annotations

import sys

import pytest
from fastapi.testclient import TestClient
from google.adk.cli.fast_api import get_fast_api_app
from opentelemetry import metrics, trace

from durable import Runtime

SERVICES = """
from durable.adapters.google_adk import serve_durably
serve_durably()
"""
AGENT = """
from google.adk.agents import LlmAgent
from google.adk.tools.function_tool import FunctionTool
from tests.adapters.adk_world import Script, call, text

def pay(amount: int) -> dict:
    'Pay.'
    return {'paid': amount}

turns = [[call('pay', amount=5)], [text('paid')]]
root_agent = LlmAgent(name='desk', model=Script(turns=turns), tools=[FunctionTool(pay, require_confirmation=True)])
"""
ME = {"appName": "desk", "userId": "ann", "sessionId": "s"}


@pytest.fixture
def client(tmp_path, database_url, monkeypatch):
    # ADK's server sets the providers of its process; this one runs other tests too
    monkeypatch.setattr(trace, "set_tracer_provider", lambda *_, **__: None)
    monkeypatch.setattr(metrics, "set_meter_provider", lambda *_, **__: None)
    folder = tmp_path / "agents"
    (folder / "desk").mkdir(parents=True)
    (folder / "services.py").write_text(SERVICES)
    (folder / "desk" / "__init__.py").write_text("from . import agent")
    (folder / "desk" / "agent.py").write_text(AGENT)
    uri = f"durable://{database_url}"
    app = get_fast_api_app(agents_dir=str(folder), session_service_uri=uri, artifact_service_uri=uri, web=False)
    with TestClient(app) as client:
        client.post("/apps/desk/users/ann/sessions", json={"session_id": "s"})
        yield client
    for name in [name for name in sys.modules if name.split(".")[0] in {"desk", "services"}]:
        del sys.modules[name]


def said(client, **part):
    answer = client.post("/run", json={**ME, "newMessage": {"role": "user", "parts": [part]}})
    assert answer.status_code == 200, answer.text
    return [part for event in answer.json() if "content" in event for part in event["content"]["parts"]]


def test_a_run_is_an_execution_and_the_confirm_button_lets_it_go_on(client, database_url):
    asked = said(client, text="go")[-1]["functionCall"]
    assert asked["name"] == "adk_request_confirmation"
    with Runtime(database_url) as runtime:
        (execution,) = runtime.executions()
        assert (execution.app, execution.status) == ("desk", "suspended")
        answer = {"id": asked["id"], "name": asked["name"], "response": {"confirmed": True}}
        assert said(client, functionResponse=answer)[-1]["text"] == "paid"
        assert runtime.get(execution.id).status == "succeeded"
        assert runtime.interrupt(asked["id"]).status == "consumed"
