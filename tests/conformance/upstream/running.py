"""Run an upstream's own tests, and read what its plugin wrote.

The source distribution of the version that is installed is fetched once, into the virtual environment; nothing of it is
a part of this repository.
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
CACHE = Path(sys.prefix) / "sdist"


def source(distribution: str) -> Path:
    """Return the unpacked source distribution of the installed version, fetched once."""
    unpacked = CACHE / f"{distribution.replace('-', '_')}-{version(distribution)}"
    if not unpacked.exists():
        with tempfile.TemporaryDirectory() as name:
            download = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", ":all:", "--no-deps", "-d", name]
            subprocess.run([*download, f"{distribution}=={version(distribution)}"], check=True)
            with tarfile.open(Path(name) / f"{unpacked.name}.tar.gz") as archive:
                archive.extractall(CACHE, filter="data")
    return unpacked


def packages(requirements: Path) -> Path:
    """Return a folder with what an upstream's tests need and this project does not, installed once for each list of it."""
    folder = CACHE / f"{requirements.parent.name}-needs"
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(folder)]
        subprocess.run([*install, "-r", str(requirements)], check=True)
        stamp.write_text(requirements.read_text())
    return folder


def ran(
    folder: Path,
    tests: Sequence[str],
    *,
    plugins: Sequence[str],
    path: Sequence[Path] = (),
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return what happened to these tests of the folder: the lines of the plugins, which are found in ``path``."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", "--timeout", "60"]
    command += [word for plugin in plugins for word in ("-p", plugin)]
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.jsonl"
        report.touch()
        more = {"PYTHONPATH": os.pathsep.join(map(str, (HERE, *path))), "DURABLE_CONFORMANCE_REPORT": str(report)}
        whole = os.environ | (environment or {}) | more
        subprocess.run([*command, *tests, *arguments], cwd=folder, env=whole, check=False)
        return [json.loads(line) for line in report.read_text().splitlines()]


def results(lines: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the tests that passed, and those that failed."""
    failed = {line["test"] for line in lines if line.get("outcome", "passed") == "failed"}
    return {line["test"] for line in lines if line.get("outcome") == "passed"} - failed, failed


def unexpected(found: set[str], known: dict[str, str], what: str, *, whole: bool) -> list[str]:
    """Return what is not as the list says, both ways; of a part of the tests only what is too much."""
    named = {test: [name for name in known if names(name, test.split("::")[-1])] for test in found}
    unnamed = [f"{test} {what}, and known.py names no reason" for test in sorted(found) if not named[test]]
    left_over = sorted(set(known) - {name for several in named.values() for name in several}) if whole else []
    return [*unnamed, *(f"{name} is named in known.py, and nothing of it {what}" for name in left_over)]


def names(name: str, test: str) -> bool:
    """Return whether a name of a list means this test: all of its parameters, or those with the ones in brackets."""
    function, _, parameters = name.rstrip("]").partition("[")
    own, _, given = test.rstrip("]").partition("[")
    return function == own and (given.startswith(parameters) or parameters in given.split("-"))
