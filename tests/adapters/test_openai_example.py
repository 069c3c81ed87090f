"""The example of the OpenAI Agents SDK runs as it says, and proves what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_refund_desk_is_killed_approved_and_pays_once():
    command = [sys.executable, "-m", "examples.openai_agents_refunds"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert "waits for: refund" in done.stdout
    assert "paid 30 for A7" in done.stdout.partition("everything else once:")[2]
