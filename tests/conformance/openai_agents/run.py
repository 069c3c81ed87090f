"""Run the SDK's own tests durably, and repeat every execution of theirs over its record.

``python -m tests.conformance.openai_agents.run [--fast] [pytest arguments]``: all files, or those of FAST. The tests come
from the SDK's source distribution, of the version that is installed. Exits with 1 if anything fails, differs or passes that
is not as ``known.py`` says, if too little passed, or if nothing was recorded.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.conformance.openai_agents.known import DIFFERS, FAILS
from tests.conformance.upstream.running import ran, results, source, unexpected

HERE = Path(__file__).parent
FAST = ("test_hitl_error_scenarios", "test_tool_use_behavior")
FILES = (
    "test_agent_runner",
    "test_agent_runner_streamed",
    "test_hitl_session_scenario",
    "test_agent_as_tool",
    "test_function_tool",
    "test_guardrails",
    "test_tool_guardrails",
    "test_runner_guardrail_resume",
    "test_soft_cancel",
    "test_cancel_streaming",
    "test_global_hooks",
    "test_agent_hooks",
    "test_max_turns",
    *FAST,
)
LEAST = {FILES: (919, 450), FAST: (105, 20)}
"""How many tests pass at the least, and how many executions are repeated."""


def of_the_sdk(plugin: str, files: tuple[str, ...], arguments: list[str]) -> list[dict[str, Any]]:
    """What happened to these files of the SDK's tests with this plugin."""
    tests = [f"tests/{file}.py" for file in files]
    return ran(source("openai-agents"), tests, plugins=["reporting", plugin], path=[HERE], arguments=arguments)


def main(arguments: list[str]) -> int:
    files = FAST if "--fast" in arguments else FILES
    arguments = [argument for argument in arguments if argument != "--fast"]
    lines = of_the_sdk("durable_injection", files, arguments)
    passed, failed = results(lines)
    executions = [line for line in lines if "status" in line]
    repeated = [line for line in lines if "replayed" in line]
    differs = {
        line["test"]: line["replayed"] or "took records in" for line in repeated if line["replayed"] or line["added"]
    }
    whole = files == FILES and not arguments
    problems = unexpected(failed, FAILS, "failed", whole=whole)
    problems += unexpected(set(differs), DIFFERS, "differs", whole=whole)
    if not arguments:
        tests, replays = LEAST[files]
        problems += [f"{len(passed)} passed, fewer than {tests}"] * (len(passed) < tests)
        problems += [f"{len(repeated)} executions repeated, fewer than {replays}"] * (len(repeated) < replays)
    if not executions or not all(line["records"] for line in executions):
        problems.append("a run left no record: the bare SDK was tested")
    tests = len({line["test"] for line in executions})
    print(
        f"{len(passed)} of {len(passed | failed)} tests passed; {len(executions)} executions of {tests} tests,", end=" "
    )
    print(f"{sum(line['records'] for line in executions)} records; {len(repeated)} repeated, {len(differs)} differ")
    for test, how in differs.items():
        print(f"  {test}: {how}")
    for problem in problems:
        print("NOT AS KNOWN:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
