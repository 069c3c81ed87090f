"""The example of the ADK adapter runs as printed: a real process is really killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(300)
def test_the_example_tells_its_story():
    command = [sys.executable, "-m", "examples.google_adk_refunds"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "a process was killed inside refund: True",
        "another went on and waits for a person: close_account {'order': 'A-1'}",
        "it came to: refunded and closed",
        "effects outside: ['look_up', 'refund', 'close_account']",
    ], done.stderr
