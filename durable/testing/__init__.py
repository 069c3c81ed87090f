"""Testing: what proves that an adapter keeps the promises of this library, and what stands in for parts of it.

from durable.testing import AdapterFixture, adapter_suite

class MyFramework(AdapterFixture): ...      # how to build, run and read an agent of the framework

TestMyFramework = adapter_suite(MyFramework())
"""

from __future__ import annotations

import pytest

for _room in (
    "executions",
    "kills",
    "play",
    "policies",
    "processes",
    "suite",
):  # so that a failed assertion shows its values
    pytest.register_assert_rewrite(f"durable.testing.{_room}")

from durable.testing.fixture import APP, MESSAGE, AdapterFixture, Entry
from durable.testing.script import Call, Script, Turn
from durable.testing.suite import adapter_suite

__all__ = ["APP", "MESSAGE", "AdapterFixture", "Call", "Entry", "Script", "Turn", "adapter_suite"]
