"""A secret in every place that a secret can go; afterwards it is nowhere that anybody reads."""

from __future__ import annotations

import base64
import logging
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from durable import Decision, Retry, Runtime, ToolContext, ToolPolicy, ask, current, step, tool, wait_signal
from durable.cli import app as cli
from durable.openapi import api_tools
from durable.openapi.errors import AnswerLost
from tests.openapi.server import Api, Reply

SECRET = 'pa$$/w"ö\\rd+canary=7f3e9c'
OTHER = str(uuid.UUID("5fd0bd13-8f41-4f79-a4a2-2f6b9e0c1d11"))
SECRETS = {"KEY": SECRET, "OTHER": OTHER}


@dataclass
class Receipt:
    note: str
    raw: bytes


class Odd(Exception):
    """An error whose text is not made of its args."""

    def __init__(self, key):
        super().__init__()
        self.key = key

    def __str__(self):
        return f"odd: {self.key[:100]}"


def looks():
    """Every look of the canary that a file may have."""
    data = SECRET.encode()
    yield from (data, repr(SECRET)[1:-1].encode(), quote(SECRET, safe="").encode(), OTHER.encode())
    yield SECRET.replace("\\", "\\\\").replace('"', '\\"').encode()
    yield b"canary=7f3e9c"  # the part that no escaping changes
    for place in range(3):
        yield base64.b64encode(b"\0" * place + data)[4:-4]


ASCII_SECRET, ISSUED = "pa$$/w+rd=canary&7f3e9c?", "issued+by/the=server&0a41"
"""A key that fits into a header, and a token that nobody has declared."""


def looks_of(key):
    """As it stands, URL-encoded, and in base64 at each place."""
    data = key.encode()
    yield from (data, quote(key, safe="").encode(), quote(key).encode())
    for place in range(3):
        yield base64.b64encode(b"\0" * place + data)[4:-4]


def found_in(data):
    return [look for look in looks() if look in data]


@tool(effect="read", secrets=("KEY", "OTHER"))
def everything(context: ToolContext) -> dict:
    key, other = context.secrets["KEY"], context.secrets["OTHER"]
    context.log.warning("calling with %s", key)
    context.log.warning("again", extra={"header": f"Bearer {key}"})
    try:
        int(key)
    except ValueError:
        context.log.exception("it failed")
    return {
        "plain": key,
        key: "as a key",
        "inside": [f"Bearer {key}!", {"deep": (key, {key}, frozenset([other]))}],
        "bytes": b"\x00\x01" + key.encode() + b"\xff",
        "basic": "Basic " + base64.b64encode(f"user:{key}".encode()).decode(),
        "url": f"https://host/?k={quote(key, safe='')}",
        "uuid": uuid.UUID(other),
        "receipt": Receipt(f"paid with {key}", key.encode()),
        "Set-Cookie": "session=abc",
        "headers": [["Authorization", "Bearer of-somebody-else"], ["Accept", "*/*"]],
    }


@tool(effect="once", approval=True)
def gated(text: str) -> str:
    return f"got {text}"


@tool(effect="read", secrets=("KEY",), retry=Retry(attempts=2, initial=0))
def failing(kind: str, context: ToolContext) -> str:
    key = context.secrets["KEY"]
    match kind:
        case "args":
            raise ValueError(key, {"in": [key]})
        case "note":
            error = ValueError("bad")
            error.add_note(f"the key was {key}")
            error.key = key
            raise error
        case "cause":
            raise RuntimeError("outer") from OSError(5, f"cannot open {key}", f"/x/{key}")
        case "os":
            raise OSError(5, f"cannot open {key}")
        case "odd":
            raise Odd(key)
        case "unencodable":
            return lambda: key
    return ""


class Shown:
    """A result that cannot be stored, whose repr tells the secret."""

    def __repr__(self):
        return f"<Shown {SECRET}>"


@pytest.fixture
def runtime(sqlite_url, listener, monkeypatch):
    with Runtime(sqlite_url, secrets=SECRETS, types=[Receipt], telemetry=listener.telemetry()) as made:
        yield made


def files(sqlite_url):
    folder = Path(sqlite_url.removeprefix("sqlite:///")).parent
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def printed(sqlite_url, *executions):
    """All that the command line says of them, as text and as JSON: their whole history, and the inbox."""
    each = [[verb, execution] for verb in ("show", "history") for execution in executions]
    said = []
    for command in (["list"], ["approvals", "list", "--status", "all"], *each):
        for form in ([], ["--json"]):
            told = CliRunner().invoke(cli, [*command, *form, "--db", sqlite_url])
            assert told.exit_code == 0, told.output
            assert told.stdout
            said.append(told.output)
    return "".join(said).encode()


def test_a_secret_is_nowhere(runtime, sqlite_url, listener, caplog):
    seen = {}

    @runtime.function("all")
    def app(big):
        seen["result"] = everything()
        for kind in ("args", "note", "cause", "os", "odd", "unencodable"):
            try:
                failing(kind)
            except Exception as exc:
                seen[kind] = exc
        try:
            lost()
        except Exception as exc:
            seen["lost"] = exc
        big_one()
        seen["gated"] = gated("harmless")
        seen["answer"] = ask("what is it?")
        seen["signal"] = wait_signal("go")
        return {"out": current().secrets or SECRET, "all": seen["result"]}

    @tool(effect="read")
    def lost() -> object:
        return Shown()

    @tool(effect="read")
    def big_one() -> str:
        return SECRET * 20_000  # a blob

    with caplog.at_level(logging.DEBUG):
        waits = runtime.run("all", {"big": 1}, id="x")
        [interrupt] = waits.interrupts
        runtime.decide(interrupt.id, Decision.edit({"text": SECRET}), by="alice", comment=f"use {SECRET}")
        waits = runtime.run("all", {"big": 1}, id="x")
        [interrupt] = waits.interrupts
        runtime.decide(interrupt.id, Decision.respond({"it is": SECRET}), by="alice")
        runtime.run("all", {"big": 1}, id="x")
        runtime.get("x").signal("go", [SECRET])
        done = runtime.run("all", {"big": 1}, id="x")
    assert done.status == "succeeded", done.error

    @runtime.function("fails")
    def fails():
        raise ValueError(f"no: {SECRET}")

    assert runtime.run("fails", id="y").status == "failed"
    runtime.start("fails", [SECRET], id="z", tags={"why": SECRET}).cancel(f"because of {SECRET}")
    whole = files(sqlite_url)
    assert "durable.db-wal" in whole
    assert {name: found for name, data in whole.items() if (found := found_in(data))} == {}
    for text in (
        caplog.text,
        "".join(map(str, (vars(record) for record in caplog.records))),
        "".join(span.to_json() for span in listener.spans),
        repr(done),
        repr([r.payload for one in "xyz" for r in runtime.get(one).history()]),
    ):
        assert found_in(text.encode()) == []
    assert len(listener.spans) > 20
    assert len(caplog.records) >= 3
    # the agent sees what is recorded, before and after a replay
    assert found_in(repr(seen).encode()) == []
    assert seen["result"]["plain"] == "[redacted:KEY]"
    assert seen["result"]["bytes"] == b"\x00\x01[redacted:KEY]\xff"
    assert seen["result"]["uuid"] == "[redacted:OTHER]"
    assert seen["result"]["receipt"].note == "paid with [redacted:KEY]"
    assert seen["result"]["Set-Cookie"] == "[redacted:header]"
    assert seen["result"]["headers"] == [["Authorization", "[redacted:header]"], ["Accept", "*/*"]]
    assert seen["gated"] == "got [redacted:KEY]"
    runtime.get("x").verify()

    assert found_in(printed(sqlite_url, "x", "y")) == []


def test_nor_do_tools_of_an_api_leave_it_anywhere(runtime, sqlite_url, listener, caplog):
    """Each way to show a key, to a server that says it back in each of its own: as it came, as a problem, as a page."""
    server, template = Api(), {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}}
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "query": {"type": "apiKey", "in": "query", "name": "key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "oauth": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": f"{server.url}/token", "scopes": {}}}},
    }
    answers = {"responses": {"200": {"description": "ok"}}}
    paths = {f"/{name}": {"post": {"operationId": name, "security": [{name: []}], **answers}} for name in schemes}
    calls = api_tools(
        {**template, "paths": paths, "components": {"securitySchemes": schemes}},
        base_url=server.url,
        private_hosts=["127.0.0.1"],
        headers={"X-Also": "${OTHER}"},
        auth={name: "ann:${KEY}" if name in {"basic", "oauth"} else "${KEY}" for name in schemes},
        credentials=["KEY", "OTHER"],
        secrets={"KEY": ASCII_SECRET, "OTHER": OTHER},
        policies={"*": {"retry": Retry(attempts=2, initial=0, on=(AnswerLost,)), "effect": "read"}},
    )

    def echo(arrived):
        if arrived.path == "/token":
            return Reply(body={"access_token": ISSUED, "expires_in": 3600})
        said = {"target": arrived.target, "headers": list(arrived.headers.items()), "Set-Cookie": f"sid={ASCII_SECRET}"}
        more = {"Set-Cookie": f"sid={ASCII_SECRET}", "X-Again": arrived.headers.get("authorization", "")}
        problem = Reply(422, said, {**more, "Content-Type": "application/problem+json"})
        return (Reply(body=said, headers=more), Reply(502, said, more), problem)[len(server.arrived) % 3]

    server.replies = [echo] * 100

    @runtime.function("api")
    def app():
        return [call() for call in calls for _ in range(3)]

    try:
        with caplog.at_level(logging.DEBUG):
            done = runtime.run("api", id="x")
    finally:
        server.close()
    assert done.status == "succeeded", done.error
    shown = "".join(f"{arrived.target} {arrived.headers}" for arrived in server.arrived)
    assert all(key in shown for key in (quote(ASCII_SECRET, safe=""), f"Bearer {ISSUED}", OTHER))  # they were sent
    places = {
        **files(sqlite_url),
        "logs": (caplog.text + "".join(str(vars(record)) for record in caplog.records)).encode(),
        "traces": "".join(span.to_json() for span in listener.spans).encode(),
        "metrics": repr(listener.measured()).encode(),
        "result": repr(done).encode(),
        "command line": printed(sqlite_url, "x"),
    }
    looked_for = [look for key in (ASCII_SECRET, ISSUED, OTHER) for look in looks_of(key)]
    assert {(name, look) for name, data in places.items() for look in looked_for if look in data} == set()


def test_the_places_would_tell_it_without_a_resolved_secret(sqlite_url):
    """The control: the same search finds what was not resolved as a secret."""
    with Runtime(sqlite_url) as runtime:

        @runtime.function("leak")
        def leak():
            return step_result()

        @tool(effect="read")
        def step_result() -> list:
            return [SECRET, SECRET.encode()]

        runtime.run("leak")
        assert len({look for data in files(sqlite_url).values() for look in found_in(data)}) >= 3


async def test_async_tools_are_redacted_too(runtime, sqlite_url):
    @tool(effect="read", secrets=("KEY",))
    async def fetch(context: ToolContext) -> str:
        return f"with {context.secrets['KEY']}"

    @runtime.function("async")
    async def app():
        return await fetch()

    result = await runtime.aio.run("async")
    assert result.output == "with [redacted:KEY]"
    assert all(not found_in(data) for data in files(sqlite_url).values())


def test_a_result_that_was_redacted_leads_to_the_same_calls_after_a_replay(sqlite_url):
    """The arguments that follow from a redacted result are the same before and after a crash: no drift."""
    calls = []

    def app_on(runtime):
        @tool(effect="read", secrets=("KEY",))
        def first(context: ToolContext) -> str:
            return context.secrets["KEY"]

        @tool(effect="once")
        def second(text: str) -> str:
            calls.append(text)
            return text

        @runtime.function("two")
        def app():
            second(first())
            return wait_signal("go")

        return runtime

    with app_on(Runtime(sqlite_url, secrets=SECRETS)) as one:
        assert one.run("two", id="r").status == "suspended"
    with app_on(Runtime(sqlite_url, secrets=SECRETS)) as other:
        other.get("r").signal("go", 1)
        assert other.run("two", id="r").output == 1
    assert calls == ["[redacted:KEY]"]


def test_policies_name_the_secrets_of_tools_that_cannot_be_edited(sqlite_url):
    def plain() -> str:
        return current().secrets["KEY"]

    with Runtime(sqlite_url, secrets=SECRETS, policies={"plain": ToolPolicy(effect="read", secrets=("KEY",))}) as one:
        one.function("p")(lambda: step(plain))
        assert one.run("p").output == "[redacted:KEY]"


def test_nor_in_a_graphs_checkpoints(runtime, sqlite_url):
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    from durable.adapters.langgraph import durable_graph

    @tool(effect="read", secrets=("KEY",))
    def look(place: str, context: ToolContext) -> str:
        """Look."""
        return f"{place}: {context.secrets['KEY']}"

    prompts = []

    def model(state: MessagesState):
        prompts.append(str(state["messages"]))
        if len(state["messages"]) > 1:
            return {"messages": [AIMessage(f"it said {SECRET}")]}
        return {"messages": [AIMessage("", tool_calls=[{"name": "look", "args": {"place": "x"}, "id": "c1"}])]}

    graph = StateGraph(MessagesState).add_node(model).add_node("tools", ToolNode([look])).add_edge(START, "model")
    graph.add_edge("tools", "model")
    graph.add_conditional_edges("model", lambda state: "tools" if state["messages"][-1].tool_calls else "__end__")
    agent = durable_graph(graph, runtime, name="looking")
    state = agent.invoke({"messages": [("user", "look")]}, {"configurable": {"thread_id": "t"}})
    assert state["messages"][-1].content == "it said [redacted:KEY]"
    assert state["messages"][-2].content == "x: [redacted:KEY]"
    assert "x: [redacted:KEY]" in prompts[-1]
    assert {name: found for name, data in files(sqlite_url).items() if (found := found_in(data))} == {}
