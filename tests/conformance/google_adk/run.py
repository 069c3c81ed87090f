"""Run ADK's own tests bare and durably, and compare them test by test.

``python -m tests.conformance.google_adk.run [--fast] [pytest arguments]``: all folders, or the files of FAST. ADK's source
distribution has no tests: they come from its repository, at COMMIT, or from a checkout that ``$ADK_CHECKOUT`` names.
Exits with 1 if a test that passes bare does not pass durably, or is refused, and ``known.py`` names no reason, or if a
reason is left over. A test that does not pass bare (it is of another version than the one installed) is left out.
"""

from __future__ import annotations

import os
import sys
import tarfile
import urllib.request
from pathlib import Path

from tests.conformance.google_adk.known import DIFFERS, REFUSED
from tests.conformance.upstream.comparing import compared, concluded, judged
from tests.conformance.upstream.running import CACHE, packages, ran

HERE = Path(__file__).parent
COMMIT = "bb56aa56f79da843d50e0c01637f97e7f26435a2"  # of version 2.5
ARCHIVE = f"https://github.com/google/adk-python/archive/{COMMIT}.tar.gz"
FOLDERS = ("runners", "sessions", "flows", "workflow", "agents")
FAST = ("runners/test_resume_invocation.py", "workflow/test_workflow_routes.py")
LEAST = {FOLDERS: 1550, FAST: 15}
"""How many tests pass bare at the least."""
LEFT_OUT = (
    "TestCallToolInThreadPool",  # its fixture takes another kind of pool apart, which ones are there is chance
    "test_mixed_function_types_execution_order",  # which of several calls of one answer begins first is chance
    "test_yielding_async_functions_run_concurrently",
)
OPTIONS = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function", "testpaths=tests")
ARGUMENTS = (
    *("--continue-on-collection-errors", "-W", "ignore", "-k", " and ".join(f"not {name}" for name in LEFT_OUT)),
    *(word for option in OPTIONS for word in ("-o", option)),
)


def checkout() -> Path:
    """Return the folder of the repository in which its tests are, fetched once."""
    if named := os.environ.get("ADK_CHECKOUT"):
        return Path(named)
    folder = CACHE / f"adk-python-{COMMIT}"
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        archive, _ = urllib.request.urlretrieve(ARCHIVE)
        with tarfile.open(archive) as members:
            tests = [member for member in members if member.name.startswith(f"{folder.name}/tests/")]
            members.extractall(CACHE, tests, filter="data")
    return folder


def main(arguments: list[str]) -> int:
    tests = FAST if "--fast" in arguments else FOLDERS
    arguments = [argument for argument in arguments if argument != "--fast"]
    paths = [f"tests/unittests/{name}" for name in tests]
    options = {"path": [HERE, packages(HERE / "requirements.txt")], "arguments": [*ARGUMENTS, *arguments]}
    stock = ran(checkout(), paths, plugins=["reporting", "older_names"], **options)
    durable = ran(checkout(), paths, plugins=["reporting", "older_names", "durable_injection"], **options)
    comparison = compared(stock, durable)
    problems = judged(comparison, REFUSED, DIFFERS, whole=tests == FOLDERS and not arguments)
    if not arguments and len(comparison.stock) < LEAST[tests]:
        problems.append(f"{len(comparison.stock)} pass bare, fewer than {LEAST[tests]}")
    return concluded(comparison, problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
