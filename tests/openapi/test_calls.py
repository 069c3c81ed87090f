"""Calls inside of executions: credentials, keys, retries, doubt, and errors that an agent can read."""

from __future__ import annotations

import base64

import pytest

from durable import Breaker, Decision, Retry, Runtime, ToolPolicy
from durable.openapi import api_tools
from tests.openapi.conftest import DOCUMENTS
from tests.openapi.server import Reply
from tests.openapi.test_documents import AUTH

KEY = "k3y+with/odd=chars&more"
WITH_KEY = {"auth": AUTH, "credentials": ["KEY"]}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("KEY", "there when the tools are made, but the runtime says where to look")


@pytest.fixture
def runtime(sqlite_url):
    with Runtime(sqlite_url, secrets={"KEY": KEY}) as made:
        yield made


def drive(runtime, call, execution="x"):
    runtime.function("app")(call)
    return runtime.run("app", id=execution)


def test_each_security_scheme(tools, api, runtime):
    found = tools("billing-3.1.yaml", include=["by*"], exclude=["byOauth"], **WITH_KEY)

    def app():
        return {name: made() for name, made in found.items()} | {"byQuery": found["byQuery"](q="a b")}

    result = drive(runtime, app)
    assert result.status == "succeeded", result.error
    arrived = {one.path: one for one in api.arrived}
    pair = base64.b64encode(f"ann:{KEY}".encode()).decode()
    assert arrived["/by-header"].headers["x-api-key"] == KEY
    assert arrived["/by-query"].query == [("q", "a b"), ("api key", KEY)]
    assert arrived["/by-cookie"].headers["cookie"] == "sid=k3y%2Bwith%2Fodd%3Dchars%26more"
    assert arrived["/by-basic"].headers["authorization"] == f"Basic {pair}"
    assert arrived["/by-bearer"].headers["authorization"] == f"Bearer {KEY}"
    assert arrived["/by-two"].headers["authorization"] == f"Basic {pair}"
    assert arrived["/by-two"].headers["x-api-key"] == KEY
    assert not {"authorization", "cookie", "x-api-key"} & set(arrived["/by-nobody"].headers)


@pytest.fixture
def call_oauth(api, tools, tmp_path):
    text = (DOCUMENTS / "billing-3.1.yaml").read_text().replace("https://login.example", api.url)
    (tmp_path / "spec.yaml").write_text(text)
    return tools(tmp_path / "spec.yaml", include=["byOauth"], **WITH_KEY)["byOauth"]


def test_tokens_are_got_kept_and_renewed(call_oauth, api, runtime):
    api.replies = [
        Reply(body={"access_token": "token-number-one", "expires_in": 3600}),
        Reply(body={"echo": "you sent token-number-one"}),
        Reply(body=[1]),
        Reply(401),
        Reply(body={"access_token": "token-number-two", "expires_in": 10}),
        Reply(body=[2]),
        Reply(body={"access_token": "token-number-three"}),
        Reply(body=[3]),
    ]
    result = drive(runtime, lambda: [call_oauth() for _ in range(4)])
    assert result.output == [{"echo": "you sent [redacted:oauth token]"}, [1], [2], [3]]
    assert [one.path for one in api.arrived] == [
        *("/token", "/by-oauth", "/by-oauth", "/by-oauth"),
        *("/token", "/by-oauth", "/token", "/by-oauth"),
    ]
    asked = api.arrived[0]
    assert asked.form == [("grant_type", "client_credentials"), ("scope", "read write")]
    sent = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
    assert sent == "me:k3y%2Bwith%2Fodd%3Dchars%26more"
    assert [one.headers["authorization"][-3:] for one in api.arrived if one.path == "/by-oauth"] == [
        *("one", "one", "one", "two"),
        "ree",
    ]


def test_a_refused_token_is_readable(call_oauth, api, runtime):
    api.replies = [Reply(400, {"error": "invalid_client", "secret": KEY})]
    said = drive(runtime, call_oauth).output["error"]
    assert "no token for oauth: POST" in said
    assert "invalid_client" in said
    assert KEY not in said


def test_a_secret_that_the_server_echoes_is_not_recorded(tools, api, runtime):
    call = tools("billing-3.1.yaml", include=["byBearer"], **WITH_KEY)["byBearer"]
    api.replies = [lambda arrived: Reply(body={"you sent": arrived.headers, "Set-Cookie": "s=1"})]
    output = drive(runtime, call).output
    assert output["you sent"]["authorization"] == "[redacted:header]"
    assert output["Set-Cookie"] == "[redacted:header]"
    api.replies = [Reply(400, {"bad key": KEY})]
    assert "[redacted:KEY]" in drive(runtime, call, "y").output["error"]


def test_post_with_a_key_gets_the_key_of_its_step(tools, api, runtime):
    found = tools("billing-3.1.yaml", include=["createRefund"], **WITH_KEY)

    def call():
        return found["createRefund"](amount=1, currency="EUR", order="A")

    api.replies = [Reply(503, headers={"Retry-After": "0"}), Reply(500), Reply(201, {"id": 1})]
    assert drive(runtime, call).output == {"id": 1}
    assert drive(runtime, call, "other").status == "succeeded"
    keys = [one.headers["idempotency-key"] for one in api.arrived]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert keys[0][0] == keys[0][-1] == '"'
    plain = tools("billing-3.1.yaml", include=["createRefund"], quoted_keys=False, **WITH_KEY)["createRefund"]
    plain(amount=1, currency="EUR", order="A")
    assert '"' not in api.arrived[-1].headers["idempotency-key"]


def test_busy_answers_are_retried_under_the_tools_policy(tools, api, runtime):
    call = tools("petstore-3.0.yaml")["listPets"]
    api.replies = [Reply(429, headers={"Retry-After": "0"}), Reply(502), Reply(503), Reply(body=[])]
    result = drive(runtime, call)
    assert result.output == []
    assert [event.kind for event in result.events].count("step_retry") == 3


def test_a_long_retry_after_lets_the_process_go(tools, api, runtime):
    call = tools("petstore-3.0.yaml")["listPets"]
    api.replies = [Reply(429, headers={"Retry-After": "3600"})]
    assert drive(runtime, call).status == "suspended"


def test_after_the_last_attempt_the_error_is_a_readable_result(tools, api, runtime):
    call = tools("petstore-3.0.yaml", policies={"listPets": {"retry": Retry(attempts=2, initial=0)}})["listPets"]
    api.replies = [Reply(502), Reply(502, {"message": "down"})]
    result = drive(runtime, call)
    assert result.output["error"].startswith("GET /pets was sent, and no whole answer came: GET /pets: 502 Bad Gateway")
    assert len(api.arrived) == 2


def test_a_call_whose_outcome_is_unknown_is_in_doubt(tools, api, runtime):
    """The server took the call and hung up: nothing guesses, a person says what happened."""
    call = tools("petstore-3.0.yaml")["createPets"]

    def hang_up(handler):
        handler.close_connection = True

    api.replies = [Reply(act=hang_up)]

    def app():
        return call(id=1, name="Rex")

    waits = drive(runtime, app)
    [interrupt] = waits.interrupts
    assert (interrupt.kind, interrupt.tool) == ("in_doubt", "createPets")
    runtime.decide(interrupt.id, Decision.happened({"id": 1}), by="alice")
    assert drive(runtime, app).output == {"id": 1}
    assert len(api.arrived) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_status_that_leaves_it_open_is_in_doubt_too(tools, api, runtime, status):
    call = tools("petstore-3.0.yaml")["createPets"]
    api.replies = [Reply(status)]
    assert drive(runtime, lambda: call(id=1, name="Rex")).interrupts[0].kind == "in_doubt"


def test_a_once_call_is_retried_where_it_is_certain_that_nothing_happened(tools, api, runtime):
    call = tools("petstore-3.0.yaml")["createPets"]
    api.replies = [Reply(429, headers={"Retry-After": "0"}), Reply(503, headers={"Retry-After": "0"}), Reply(201)]
    assert drive(runtime, lambda: call(id=1, name="Rex")).output == {"status": 201}


def test_a_problem_reaches_the_agent(tools, api, runtime):
    call = tools("billing-3.1.yaml", include=["createRefund"], **WITH_KEY)["createRefund"]
    problem = {"type": "about:blank", "title": "Not enough", "status": 422, "detail": "only 3 left", "left": 3}
    api.replies = [Reply(422, problem, {"Content-Type": "application/problem+json"})]
    result = drive(runtime, lambda: call(amount=5, currency="EUR", order="A"))
    assert result.status == "succeeded"
    assert result.output == {
        "error": 'POST /refunds: 422 Unprocessable Entity: Not enough: only 3 left: {"left": 3}',
        "status": 422,
        "problem": problem,
    }


@pytest.mark.parametrize(
    ("reply", "output"),
    [
        (Reply(204), {"status": 204}),
        (Reply(200, b"plain", {"Content-Type": "text/plain; charset=latin-1"}), "plain"),
        (Reply(200, b"\x89PNG", {"Content-Type": "image/png"}), {"content_type": "image/png", "base64": "iVBORw=="}),
        (Reply(200, b"{not json", {"Content-Type": "application/json"}), "{not json"),
        (Reply(404, b"<html>", {"Content-Type": "text/html"}), {"error": "GET /pets: 404 Not Found", "status": 404}),
        (
            Reply(404, b"no such", {"Content-Type": "text/plain"}),
            {"error": "GET /pets: 404 Not Found: no such", "status": 404},
        ),
        (
            Reply(302, headers={"Location": "http://169.254.169.254/"}),
            {"error": "GET /pets: 302 Found: redirects are not followed", "status": 302},
        ),
    ],
)
def test_what_an_answer_reads_like(tools, api, reply, output):
    api.replies = [reply]
    assert tools("petstore-3.0.yaml")["listPets"]() == output


def test_approvals_are_bound_to_the_arguments(tools, api, runtime):
    call = tools("petstore-3.0.yaml", policies={"deletePet": {"approval": True}})["deletePet"]

    def app():
        return call(petId="7")

    [interrupt] = drive(runtime, app).interrupts
    assert (interrupt.tool, interrupt.arguments, api.arrived) == ("deletePet", {"petId": "7"}, [])
    runtime.decide(interrupt.id, Decision.edit({"petId": "8"}), by="alice")
    assert drive(runtime, app).status == "succeeded"
    assert api.only.path == "/pets/8"


def test_the_runtimes_policy_counts(tools, api, sqlite_url):
    call = tools("petstore-3.0.yaml")["listPets"]
    with Runtime(sqlite_url, policies={"listPets": ToolPolicy(effect="read", approval=True)}) as runtime:
        assert drive(runtime, call).interrupts[0].kind == "approval"


def test_secrets_of_the_tools_own_source_are_redacted_by_the_runtime(api, sqlite_url):
    options = {"base_url": api.url, "private_hosts": ["127.0.0.1"], "include": ["byBearer"]}
    [call] = api_tools(
        DOCUMENTS / "billing-3.1.yaml", auth=AUTH, credentials=["KEY"], secrets=[{"KEY": "of-the-tools-own"}], **options
    )
    api.replies = [lambda arrived: Reply(body=arrived.headers["authorization"].split())]
    with Runtime(sqlite_url) as runtime:
        assert drive(runtime, call).output == ["Bearer", "[redacted:KEY]"]


def test_a_breaker_hears_of_errors_that_the_agent_only_reads_and_finds_its_tools_by_tag(tools, api, sqlite_url):
    call = tools("petstore-3.0.yaml")["listPets"]
    api.replies = [Reply(503), Reply(503), Reply(404)]
    policies = {"tag:pets": ToolPolicy(effect="read", breaker=Breaker(failures=2))}
    with Runtime(sqlite_url, policies=policies) as runtime:
        runtime.function("list")(lambda: call())
        assert ["503" in runtime.run("list").output["error"] for _ in range(2)] == [True, True]
        assert runtime.run("list").status == "suspended"
    assert len(api.arrived) == 2
