"""Run the SDK's own tests durably, and repeat every execution of theirs over its record.

``python tests/conformance/openai_agents/run.py [--fast] [pytest arguments]``: all files, or those of FAST. The tests come
from the SDK's source distribution, of the version that is installed. Exits with 1 if anything fails, differs or passes that
is not as ``known.py`` says, if too little passed, or if nothing was recorded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from known import DIFFERS, FAILS

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


def unpacked() -> Path:
    """The SDK's source distribution, fetched once."""
    wanted = f"openai_agents-{version('openai-agents')}"
    folder = Path(sys.prefix) / "sdist"
    if not (folder / wanted).exists():
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps"]
        with tempfile.TemporaryDirectory() as name:
            subprocess.run([*download, "-d", name, wanted.replace("_", "-").replace("s-", "s==", 1)], check=True)
            with tarfile.open(Path(name) / f"{wanted}.tar.gz") as archive:
                archive.extractall(folder, filter="data")
    return folder / wanted


def ran(plugin: str, files: tuple[str, ...], arguments: list[str]) -> list[dict[str, Any]]:
    """What happened: the lines that the plugin wrote."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", plugin, "-p", "no:cacheprovider"]
    tests = [f"tests/{file}.py" for file in files]
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.jsonl"
        more = {"PYTHONPATH": str(HERE), "DURABLE_CONFORMANCE_REPORT": str(report)}
        subprocess.run(
            [*command, "--timeout", "60", *tests, *arguments], cwd=unpacked(), env=os.environ | more, check=False
        )
        return [json.loads(line) for line in report.read_text().splitlines()]


def results(lines: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """The tests that passed, and those that failed."""
    failed = {line["test"] for line in lines if line.get("outcome", "passed") == "failed"}
    return {line["test"] for line in lines if line.get("outcome") == "passed"} - failed, failed


def unexpected(found: set[str], known: dict[str, str], what: str, *, whole: bool) -> list[str]:
    """What is not as the list says, both ways; of a part of the tests only what is too much."""
    named = {test: name for test in found for name in known if test.split("::")[-1].startswith(name)}
    told = [f"{test} {what}, and known.py names no reason" for test in sorted(found - set(named))]
    gone = sorted(set(known) - set(named.values())) if whole else []
    return [*told, *(f"{name} is named in known.py, and nothing of it {what}" for name in gone)]


def main(arguments: list[str]) -> int:
    files = FAST if "--fast" in arguments else FILES
    arguments = [argument for argument in arguments if argument != "--fast"]
    lines = ran("durable_injection", files, arguments)
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
