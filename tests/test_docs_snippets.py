"""What the documents print, runs.

Every ``python`` block of README.md and docs/**/*.md is executed as printed, in a process and a folder of its own.
A comment on the line before a block changes that:

    <!-- not run -->     the block is not executed
    <!-- continues -->   the block goes on where the block before it ended, in the same process
    <!-- run -->         a ``bash`` block is executed too (they are not, otherwise); a leading ``$ `` is taken off
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>[a-z ]+) -->\n+ *)?"
    r"```(?P<language>python|bash)[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
MARKS = {None, "not run", "continues", "run"}
DEADLINE = 60.0  # seconds


@dataclass(frozen=True)
class Snippet:
    language: str
    code: str
    line: int
    runs: bool


def snippets(text: str) -> list[Snippet]:
    """The blocks of one document, those that continue joined to the one before."""
    found: list[Snippet] = []
    for match in BLOCK.finditer(text):
        mark, language = match["mark"], match["language"]
        assert mark in MARKS, f"unknown mark {mark!r} before a {language} block"
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        if language == "bash":
            code = re.sub(r"^\$ ", "", code, flags=re.MULTILINE)
        if mark == "continues":
            previous = max(i for i, snippet in enumerate(found) if snippet.language == language)
            found[previous] = replace(found[previous], code=f"{found[previous].code}\n{code}")
        else:
            runs = mark == "run" if language == "bash" else mark != "not run"
            found.append(Snippet(language, code, text.count("\n", 0, match.start("code")) + 1, runs))
    return found


def run(snippet: Snippet, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DURABLE_URL"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment["PYTHONPATH"] = str(ROOT)
    script = folder / f"snippet.{'py' if snippet.language == 'python' else 'sh'}"
    script.write_text(snippet.code, encoding="utf-8")
    command = [sys.executable, script.name] if snippet.language == "python" else ["bash", "-eu", script.name]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNABLE = [
    pytest.param(snippet, id=f"{document.relative_to(ROOT)}:{snippet.line}")
    for document in DOCUMENTS
    for snippet in snippets(document.read_text(encoding="utf-8"))
    if snippet.runs
]


@pytest.mark.parametrize("snippet", RUNNABLE)
def test_a_printed_block_runs(snippet, tmp_path):
    done = run(snippet, tmp_path)
    assert done.returncode == 0, f"{snippet.code}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"


def test_the_readme_prints_something_that_runs():
    assert any(param.id.startswith("README.md:") for param in RUNNABLE)


SAMPLE = """
```python
a = 1
```
<!-- continues -->
```python
assert a == 2
```
<!-- not run -->
```python
nonsense
```
```bash
durable list
```
- in a list

  <!-- run -->
  ```bash
  $ echo one
  ```
"""


def test_blocks_are_found_joined_and_left_out_as_marked():
    joined, skipped, left, marked = snippets(SAMPLE)
    assert (joined.code, joined.runs, joined.line) == ("a = 1\n\nassert a == 2\n", True, 3)
    assert [skipped.runs, left.runs, marked.runs] == [False, False, True]
    assert marked.code == "echo one\n"


def test_a_block_that_fails_is_noticed(tmp_path):
    joined, _, _, marked = snippets(SAMPLE)
    assert "AssertionError" in run(joined, tmp_path).stderr
    assert run(marked, tmp_path).stdout == "one\n"


def test_an_unknown_mark_is_refused():
    with pytest.raises(AssertionError, match="unknown mark 'continue'"):
        snippets("<!-- continue -->\n```python\n```\n")
