"""Run the SDK's own tests durably: unpack its source distribution, inject, and look that something was recorded.

``python tests/conformance/openai_agents/run.py [inject|replay] [pytest arguments]``
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

HERE = Path(__file__).parent
FILES = (
    "test_agent_runner",
    "test_agent_runner_streamed",
    "test_hitl_error_scenarios",
    "test_hitl_session_scenario",
    "test_agent_as_tool",
    "test_function_tool",
    "test_guardrails",
    "test_tool_guardrails",
    "test_runner_guardrail_resume",
    "test_max_turns",
    "test_soft_cancel",
    "test_cancel_streaming",
    "test_global_hooks",
    "test_agent_hooks",
    "test_tool_use_behavior",
)
EXPECTED = 880
"""Tests that pass at the least; docs/reference/openai-agents-compatibility.md names the others."""


def unpacked(folder: Path) -> Path:
    """The SDK's source distribution, of the version that is installed."""
    wanted = f"openai-agents=={version('openai-agents')}"
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps", "-d", str(folder)]
    subprocess.run([*download, wanted], check=True)
    [archive] = folder.glob("openai_agents-*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def main(mode: str, *arguments: str) -> int:
    with tempfile.TemporaryDirectory() as name:
        source, report = unpacked(Path(name)), Path(name) / "report.jsonl"
        more = {
            "PYTHONPATH": str(HERE),
            "DURABLE_CONFORMANCE_MODE": mode,
            "DURABLE_CONFORMANCE_REPORT": str(report),
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "durable_injection",
            "-p",
            "no:cacheprovider",
            "--timeout",
            "60",
        ]
        files = [f"tests/{file}.py" for file in FILES]
        done = subprocess.run(
            [*command, *files, *arguments],
            cwd=source,
            env=os.environ | more,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
        )
        print(done.stdout[-20_000:])
        lines = [json.loads(line) for line in report.read_text().splitlines()]
    executions = [line for line in lines if "execution" in line]
    replayed = [line for line in lines if "replayed" in line]
    differ = [line for line in replayed if line["replayed"]]
    print(f"{len(executions)} executions of {len({line['test'] for line in executions})} tests,", end=" ")
    print(f"{sum(line['records'] for line in executions)} records; {len(replayed)} replayed, {len(differ)} differ")
    for line in differ:
        print(f"  {line['test']}: {line['replayed']}")
    passed = next(
        (
            int(word)
            for word, then in zip(done.stdout.split(), done.stdout.split()[1:], strict=False)
            if then.startswith("passed")
        ),
        0,
    )
    assert executions, "nothing was recorded: the bare SDK was tested"
    assert all(line["records"] for line in executions)
    return 0 if mode == "replay" or arguments or passed >= EXPECTED else 1


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["inject"])))
