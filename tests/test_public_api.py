"""The names that users may import. A name that is added or taken away is added or taken away here, on purpose."""

from __future__ import annotations

from importlib import import_module

import pytest

PUBLIC = {
    "durable": """
        Runtime Handle Result Execution Interrupt Record
        tool step ask sleep wait_signal current
        ToolContext ToolPolicy Approval Decision Retry Done NotDone Unknown
        Suspended Cancelled
    """,
    "durable.adapters": "",
    "durable.adapters.langgraph": "durable_graph DurableSaver",
}


def errors():
    """The error tree belongs to the public names: whoever can get an error can catch it by name."""
    tree = import_module("durable.checkpoint.errors")
    return [
        name for name, value in vars(tree).items() if isinstance(value, type) and issubclass(value, tree.DurableError)
    ]


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_exactly_these_names(module):
    expected = PUBLIC[module].split() + (errors() if module == "durable" else [])
    assert sorted(getattr(import_module(module), "__all__", [])) == sorted(expected)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_exported_name_is_there_and_documented(module):
    found = import_module(module)
    for name in getattr(found, "__all__", []):
        assert getattr(found, name).__doc__, f"{module}.{name} has no docstring"
