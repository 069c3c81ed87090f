"""docs/explanation/map.md lists every room of the house with what it says of itself."""

from __future__ import annotations

from tests.map_page import FOLDERS, PAGE, ROOT, page
from tests.test_layers import modules


def test_the_map_shows_the_rooms_as_they_are():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run .venv/bin/python -m tests.map_page"


def test_every_folder_of_the_product_is_on_the_map():
    folders = {str(path.parent) for path in modules("durable", "checkpoint") if "migrations" not in path.parts}
    assert folders - {"durable"} == set(FOLDERS) - {f for f in FOLDERS if f.startswith("adapters/")}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in FOLDERS)
