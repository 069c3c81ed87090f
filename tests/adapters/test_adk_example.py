"""The example of the ADK adapter tells its story: a real process is really killed."""

from __future__ import annotations

import pytest

from examples import google_adk_refunds


@pytest.mark.timeout(240)
def test_the_example_tells_its_story(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv(google_adk_refunds.FOLDER, str(tmp_path))  # set by the example; put back afterwards
    google_adk_refunds.main()
    assert capsys.readouterr().out.splitlines() == [
        "a process was killed inside refund: True",
        "another went on and waits for a person: close_account {'order': 'A-1'}",
        "it came to: refunded and closed",
        "effects outside: ['look_up', 'refund', 'close_account']",
    ]
