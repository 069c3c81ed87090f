"""Shell, apply-patch, custom and computer tools that run in this process: steps by their call id, as function tools are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import ApplyPatchTool, Computer, ComputerTool, CustomTool, LocalShellTool, ShellResult, ShellTool
from agents.editor import ApplyPatchResult
from agents.tool import ShellCommandOutput
from openai.types.responses import (
    ResponseApplyPatchToolCall,
    ResponseComputerToolCall,
    ResponseCustomToolCall,
    ResponseFunctionShellToolCall,
)
from openai.types.responses.response_apply_patch_tool_call import OperationUpdateFile
from openai.types.responses.response_computer_tool_call import ActionClick
from openai.types.responses.response_function_shell_tool_call import Action as ShellCommands
from openai.types.responses.response_output_item import LocalShellCall, LocalShellCallAction

from durable import Approval, Decision, Runtime, ToolPolicy
from durable.adapters.openai_agents import durable_agent
from durable.errors import ExecutionSuspended
from tests.adapters.openai_world import Ledger, Model, agent, killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapters.openai_world import Ledger as World


class Editor:
    """Files, of which only is noted what was done to them."""

    def __init__(self, ledger: World) -> None:
        self.ledger = ledger

    async def update_file(self, operation: Any) -> ApplyPatchResult:
        return ApplyPatchResult(output=self.ledger.did(f"update {operation.path}"))

    create_file = delete_file = update_file


class Screen(Computer):
    """A computer with one button."""

    def __init__(self, ledger: World) -> None:
        self.ledger = ledger

    def click(self, x: int, y: int, button: str) -> None:
        self.ledger.did(f"click {x} {y} {button}")

    def screenshot(self) -> str:
        return "cGl4ZWw="

    def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    double_click = scroll = type = wait = move = keypress = drag = _unused


def shell(ledger: World, **options: Any) -> Any:
    def executor(request: Any) -> ShellResult:
        done = [ShellCommandOutput(stdout=ledger.did(line), command=line) for line in request.data.action.commands]
        return ShellResult(output=done, provider_data={"host": "here"})

    return ShellTool(executor=executor, **options)


def custom(ledger: World, **options: Any) -> Any:
    async def raw(context: Any, given: str) -> str:
        return ledger.did(f"{given} {context.tool_arguments}")

    return CustomTool(name="raw", description="Do it.", on_invoke_tool=raw, **options)


SHELL = ResponseFunctionShellToolCall(
    id="s1", call_id="c1", status="completed", type="shell_call", action=ShellCommands(commands=["ls", "rm x"])
)
LOCAL = LocalShellCall(
    id="l1",
    call_id="c1",
    status="completed",
    type="local_shell_call",
    action=LocalShellCallAction(command=["ls"], env={}, type="exec"),
)
CLICK = ResponseComputerToolCall(
    id="k1",
    call_id="c1",
    status="completed",
    type="computer_call",
    pending_safety_checks=[],
    action=ActionClick(type="click", x=3, y=4, button="left"),
)
RAW = ResponseCustomToolCall(type="custom_tool_call", call_id="c1", name="raw", input="go")
PATCH = ResponseApplyPatchToolCall(
    id="p1",
    call_id="c1",
    status="completed",
    type="apply_patch_call",
    operation=OperationUpdateFile(type="update_file", path="b", diff="+2"),
)

KINDS: dict[str, tuple[Any, Callable[[World], Any], list[str], str]] = {
    "shell": (SHELL, shell, ["ls", "rm x"], "ls done"),
    "local shell": (
        LOCAL,
        lambda ledger: LocalShellTool(lambda given: ledger.did(given.data.action.command[0])),
        ["ls"],
        "ls done",
    ),
    "apply patch": (PATCH, lambda ledger: ApplyPatchTool(editor=Editor(ledger)), ["update b"], "update b done"),
    "custom": (RAW, custom, ["go go"], "go go done"),
    "computer": (
        CLICK,
        lambda ledger: ComputerTool(computer=Screen(ledger)),
        ["click 3 4 left"],
        "data:image/png;base64,cGl4ZWw=",
    ),
}


def app(kind: str, ledger: World, **options: Any) -> Any:
    call, tool = KINDS[kind][:2]
    return agent("app", Model([call], "end", ledger=ledger), tool(ledger, **options))


def go(durable: Any) -> Any:
    return asyncio.run(durable.run("go", execution_id="x"))


def outputs(result: Any) -> list[Any]:
    return [item.output for item in result.new_items if item.type == "tool_call_output_item"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_happens_once_and_its_output_comes_back(runtime: Runtime, ledger: World, kind: str) -> None:
    effects, output = KINDS[kind][2:]
    durable = durable_agent(app(kind, ledger), runtime, name="app")
    seen = [go(durable) for _ in range(2)]
    assert [result.final_output for result in seen] == ["end", "end"]
    assert [result.to_input_list() for result in seen] == [seen[0].to_input_list()] * 2
    assert output in outputs(seen[0])[0]
    assert ledger.counts() == {"model 0": 1, **dict.fromkeys(effects, 1), "model 1": 1}
    assert [one.step_key for one in runtime.get("x").history() if one.kind == "step_done"] == [
        "chat#1",
        "tool:c1",
        "chat#2",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_died_in_its_effect_is_in_doubt(sqlite_url: str, tmp_path: Any, kind: str) -> None:
    effects = KINDS[kind][2]

    def life(die_at: str | None) -> Any:
        with Runtime(sqlite_url) as runtime:
            return go(durable_agent(app(kind, Ledger(tmp_path / "ledger", die_at)), runtime, name="app"))

    killed(lambda: life(effects[-1]))
    with pytest.raises(ExecutionSuspended):
        life(None)
    with Runtime(sqlite_url) as runtime:
        [row] = runtime.interrupts()
        assert (row.kind, row.step_key) == ("in_doubt", "tool:c1")
        runtime.decide(row.id, Decision.happened("it did"), by="alice")
    assert life(None).final_output == "end"
    assert Ledger(tmp_path / "ledger").counts() == {"model 0": 1, **dict.fromkeys(effects, 1), "model 1": 1}


@pytest.mark.parametrize("asked_by", ["the tool", "a policy"])
@pytest.mark.parametrize(("kind", "name"), [("shell", "shell"), ("custom", "raw")])
def test_an_approval_is_a_row_of_the_inbox(
    runtime: Runtime, ledger: World, kind: str, name: str, asked_by: str
) -> None:
    native = asked_by == "the tool"
    if not native:
        runtime.policies[name] = ToolPolicy(approval=Approval(rule="finance"))
    durable = durable_agent(app(kind, ledger, needs_approval=native), runtime, name="app")
    assert [item.call_id for item in go(durable).interruptions] == ["c1"]
    [row] = runtime.interrupts()
    assert (row.rule, row.tool, ledger.counts()) == ("needs_approval" if native else "finance", name, {"model 0": 1})
    edited = {"commands": ["date"]} if kind == "shell" else {"input": "date"}
    runtime.decide(row.id, Decision.edit(edited), by="alice")
    assert [found.output for found in runtime.recover()] == ["end"]
    did = "date" if kind == "shell" else "date date"
    assert ledger.counts() == {"model 0": 1, did: 1, "model 1": 1}
    assert did in outputs(go(durable))[0]


def test_a_rejection_is_told_to_the_model(runtime: Runtime, ledger: World) -> None:
    durable = durable_agent(app("shell", ledger, needs_approval=True), runtime, name="app")
    go(durable)
    [row] = runtime.interrupts()
    runtime.decide(row.id, Decision.reject("not that"), by="alice")
    for _ in range(2):
        assert outputs(go(durable)) == ["not that"]
    assert ledger.counts() == {"model 0": 1, "model 1": 1}


def test_a_policy_gates_what_the_sdk_has_no_approval_for(runtime: Runtime, ledger: World) -> None:
    runtime.policies["computer"] = ToolPolicy(approval=True)
    durable = durable_agent(app("computer", ledger), runtime, name="app")
    with pytest.raises(ExecutionSuspended):
        go(durable)
    [row] = runtime.interrupts()
    assert (row.tool, ledger.counts()) == ("computer", {"model 0": 1})
    runtime.decide(
        row.id, Decision.edit({"actions": [{"type": "click", "x": 0, "y": 0, "button": "right"}]}), by="alice"
    )
    assert go(durable).final_output == "end"
    assert ledger.counts() == {"model 0": 1, "click 0 0 right": 1, "model 1": 1}


def test_a_callback_that_approves_is_asked_once(runtime: Runtime, ledger: World) -> None:
    def decide(_context: Any, _item: Any) -> Any:
        ledger.did("asked")
        return {"approve": ledger.counts()["asked"] == 1}

    durable = durable_agent(app("shell", ledger, needs_approval=True, on_approval=decide), runtime, name="app")
    assert ["ls done" in outputs(go(durable))[0] for _ in range(2)] == [True, True]
    assert ledger.counts() == {"model 0": 1, "asked": 1, "ls": 1, "rm x": 1, "model 1": 1}
