"""What an older version has written is read, replayed and continued by this one, on both databases; see README.md."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from durable import Decision, ExecutionFailed
from durable.cli import app as command_line
from tests.golden import rows
from tests.golden.core_app import LARGE, RECEIPT
from tests.golden.outside import Outside
from tests.golden.states import APPS, ID, answer, approve, confirm, send, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from durable import Runtime

FOLDER = Path(__file__).parent
ENDED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled", "compensated": "cancelled"}


def nothing(_: Runtime) -> None:
    """It can go on without anybody."""


LEFT: dict[tuple[str, str], tuple[Callable[[Runtime], object], ...]] = {
    ("core", "retry_waiting"): (nothing, answer, send, approve),
    ("core", "asked"): (answer, send, approve),
    ("core", "signal_waiting"): (send, approve),
    ("core", "waiting"): (approve,),
    ("core", "decided"): (nothing,),
    ("core", "in_doubt"): (nothing, partial(settle, decision=Decision.did_not_happen())),
    **{
        (app, state): acts
        for app in ("langgraph", "openai", "adk")
        for state, acts in {
            "asked": (answer, approve, confirm),
            "waiting": (approve, confirm),
            "decided": (nothing, confirm),
            "native_waiting": (confirm,),
            "native_decided": (nothing,),
        }.items()
    },
}
"""Who has to act, one after another, until an execution of this state has ended; after each of them it goes on."""


@dataclass
class Golden:
    """A database with the rows of a file, and what the file tells about them."""

    file: Path
    url: str
    outside: Outside
    runtime: Runtime
    start: Callable[..., Any]
    about: dict[str, Any]

    @property
    def place(self) -> tuple[str, str]:
        return self.about["app"], self.about["state"]

    @property
    def app(self) -> Any:
        return APPS[self.about["app"]]

    def again(self) -> Any:
        """The call that has started it, as its caller makes it again."""
        return self.start(**self.about["options"])

    def done_before(self) -> list[str]:
        return [effect for effect, _, done in self.about["calls"] if done]


def files(*states: str) -> list[Any]:
    """The files of these states, or of all but those that have ended."""
    found = [(path, rows.about(path)["state"]) for path in sorted(FOLDER.glob("*/*.jsonl"))]
    return [
        pytest.param(path, id=f"{path.parent.name}-{path.stem}")
        for path, state in found
        if (state in states if states else state not in ENDED)
    ]


@contextmanager
def opened(file: Path, url: str) -> Iterator[Golden]:
    rows.load(file, url)
    about, outside = rows.about(file), Outside()
    runtime, start = APPS[about["app"]].opened(url, outside)
    with runtime:
        yield Golden(file, url, outside, runtime, start, about)


@pytest.fixture
def golden(request, database_url):
    with opened(request.param, database_url) as loaded:
        yield loaded


@pytest.fixture
def golden_on_sqlite(request, sqlite_url):
    with opened(request.param, sqlite_url) as loaded:
        yield loaded


def continued(golden: Golden, go_on: Callable[[], object]) -> None:
    """Bring it to its end: each effect that was missing is made once, and nothing that was there again."""
    before = golden.done_before()
    if golden.about["state"] == "in_doubt":
        before.remove("deliver")  # which a person says has not happened
    for act in LEFT[golden.place]:
        act(golden.runtime)
        go_on()
    handle = golden.runtime.get(ID)
    assert handle.status == "succeeded"
    assert before + golden.outside.effects == golden.app.EFFECTS
    assert all(done for _, _, done in golden.outside.calls)
    assert golden.about["asked"] + golden.outside.asked == golden.app.MODEL_CALLS
    assert golden.runtime.interrupts() == []
    assert handle.verify() == len(handle.history())


def known_keys(golden: Golden) -> dict[str, str]:
    """The idempotency keys of the older version: of the calls of this file, and of those of the whole story."""
    app, _ = golden.place
    calls = golden.about["calls"]
    if app != "langgraph":  # there a key has the id of a checkpoint in it, another one in each file
        calls = rows.about(golden.file.with_name(f"{app}_succeeded.jsonl"))["calls"] + calls
    return {effect: key for effect, key, _ in calls}


def test_there_is_a_file_for_every_state():
    for folder in {path.parent for path in FOLDER.glob("*/*.jsonl")}:
        places = {(about["app"], about["state"]) for about in map(rows.about, folder.glob("*.jsonl"))}
        ended = {(app, state) for app in APPS for state in ("succeeded", "failed")}
        assert places == {*LEFT, *ended, ("core", "cancelled"), ("core", "compensated")}


@pytest.mark.parametrize("golden", [*files(), *files(*ENDED)], indirect=True)
def test_its_history_is_read_and_its_digest_chain_is_whole(golden):
    handle = golden.runtime.get(ID)
    history = handle.history()
    assert [record.seq for record in history] == list(range(1, len(history) + 1))
    assert handle.verify() == len(history)
    values = [record.value() for record in history]
    assert any("look_up done" in str(value) for value in values)
    if golden.place == ("core", "succeeded"):
        assert RECEIPT in values
        assert "look_up done" + "." * LARGE in values
    checked = CliRunner().invoke(command_line, ["db", "check", "--db", golden.url])
    assert checked.exit_code == 0, checked.output
    assert golden.outside.calls == []


@pytest.mark.parametrize("golden", files(*ENDED), indirect=True)
def test_one_that_has_ended_is_answered_from_its_record(golden):
    state = golden.about["state"]
    if golden.about["app"] != "core" and state == "failed":
        with pytest.raises(ExecutionFailed, match="deliver is refused"):
            golden.again()
    else:
        result = golden.again()
        output = result.output if golden.about["app"] == "core" else result
        assert output == (golden.app.OUTPUT if state == "succeeded" else None)
    execution = golden.runtime.get(ID).execution()
    assert execution.status == ENDED[state]
    if state == "failed":
        assert execution.error["message"].endswith("deliver is refused")
    if state in {"cancelled", "compensated"}:
        assert "no longer wanted" in execution.error["message"]
    assert (golden.outside.calls, golden.outside.asked) == ([], 0)
    assert golden.runtime.recover() == []


@pytest.mark.parametrize("golden", files(), indirect=True)
def test_one_that_has_not_ended_is_continued_by_a_worker(golden):
    continued(golden, golden.runtime.recover)
    keys = known_keys(golden)
    made = {effect: key for effect, key, _ in golden.outside.calls}
    assert made == {effect: keys.get(effect, key) for effect, key in made.items()}


@pytest.mark.parametrize("golden_on_sqlite", files(), indirect=True)
def test_one_that_has_not_ended_is_continued_by_its_caller(golden_on_sqlite):
    golden = golden_on_sqlite
    continued(golden, golden.again)
    shown = golden.again()
    assert (shown.output if golden.about["app"] == "core" else shown) == golden.app.OUTPUT


@pytest.mark.parametrize("golden", files("failed"), indirect=True)
def test_one_that_failed_is_retried_from_where_it_failed(golden):
    golden.runtime.get(ID).retry()
    [result] = golden.runtime.recover()
    assert (result.status, golden.outside.effects) == ("succeeded", ["deliver"])
    [key] = {key for effect, key, _ in golden.about["calls"] if effect == "deliver"}
    assert golden.outside.calls == [("deliver", key, True)]
    calls = golden.app.MODEL_CALLS
    assert (golden.about["asked"] + golden.outside.asked, result.usage.get("input_tokens", 0)) == (calls, 3 * calls)


@pytest.mark.parametrize("golden", files("in_doubt"), indirect=True)
def test_a_call_in_doubt_that_happened_is_not_made_again(golden):
    assert golden.runtime.get(ID).status == "running"
    golden.runtime.recover()
    settle(golden.runtime, Decision.happened("deliver done"))
    [result] = golden.runtime.recover()
    assert (result.status, result.output, golden.outside.calls) == ("succeeded", golden.app.OUTPUT, [])


@pytest.mark.parametrize("golden", files("waiting"), indirect=True)
def test_one_that_waits_can_be_rejected_and_the_call_never_runs(golden):
    [gated] = golden.runtime.interrupts(kind="approval")
    assert gated.tool == "enable"
    golden.runtime.decide(gated.id, Decision.reject("too dear"), by="bob")
    golden.runtime.recover()
    assert "enable" not in golden.outside.effects
    assert golden.runtime.interrupt(gated.id).status == "consumed"


@pytest.mark.parametrize("golden", files("waiting"), indirect=True)
def test_one_that_waits_can_be_cancelled_and_undone(golden):
    golden.runtime.get(ID).cancel("changed my mind", compensate=True)
    assert golden.runtime.get(ID).status == "cancelled"
    assert golden.outside.effects == (["refund"] if golden.about["app"] == "core" else [])
