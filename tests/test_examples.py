"""The examples run as they say: real processes, really killed, and what happened counted outside.

Told here in the test's own process, whose imports are paid for; the processes that work and die are their own. The
examples of the OpenAI Agents SDK and of Google ADK stand beside their adapters' tests.
"""

from __future__ import annotations

import pytest

from examples import langgraph_refunds
from examples.provisioning import __main__ as provisioning


@pytest.mark.timeout(240)
def test_the_demo_ends_by_itself_and_says_what_it_has_proven(monkeypatch, capsys):
    for name in ("COLUMNS", "DURABLE_URL", "PROVISIONING_OUTSIDE", "BILLING_API_KEY"):
        monkeypatch.setenv(name, "108")  # set by the demo; put back afterwards
    provisioning.main()
    said = capsys.readouterr().out
    for act in ("kill -9", "may not decide", "edit by alice", "reject by bob", "happened by carol", "crash"):
        assert act in said
    assert "each effect happened exactly once" in " ".join(said.rpartition("proven:")[2].split())


@pytest.mark.timeout(240)
def test_the_refund_desk_of_langgraph_is_killed_and_governed_and_pays_once(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(langgraph_refunds.OUTSIDE, str(tmp_path / "outside"))
    langgraph_refunds.main()
    said = capsys.readouterr().out
    assert "waits for: refund {'order': 'A8', 'amount': 900}" in said
    assert said.partition("everything else once:")[2].split("\n")[-3:] == ["  paid 30 for A7", "  paid 450 for A8", ""]
