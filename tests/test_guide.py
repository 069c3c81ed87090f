"""The guide to writing an adapter prints the example adapter, word for word."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ADAPTER = ROOT / "examples" / "adapters" / "pydantic_ai"
LIMIT = 400
"""Lines that a small adapter may have; its fixture for the suite is no part of it."""


def test_the_guide_prints_each_file_of_the_example():
    guide = (ROOT / "docs" / "how-to" / "write-an-adapter.md").read_text(encoding="utf-8")
    printed = dict(re.findall(r'^```python title="(\w+\.py)"\n(.*?)^```', guide, re.MULTILINE | re.DOTALL))
    files = {path.name: path.read_text(encoding="utf-8") for path in ADAPTER.glob("*.py")}
    files.pop("__init__.py")
    assert printed == files


def test_the_example_is_small_and_stands_on_the_public_names_and_the_kit_alone():
    modules = [path for path in ADAPTER.glob("*.py") if path.name != "suite.py"]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in modules) <= LIMIT
    imported = {
        name for path in modules for name in re.findall(r"^ *from (durable\S*) import", path.read_text(), re.MULTILINE)
    }
    assert imported == {"durable", "durable.errors", "durable.kit"}
