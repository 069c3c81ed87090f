"""A pytest plugin for an upstream's tests: what came of each is a line of ``$DURABLE_CONFORMANCE_REPORT``.

Of a failed one also the error, whether a refusal of ours (``Unsupported``) is behind it, and where in our code it was
last.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from durable.errors import Unsupported

ROOT = Path(__file__).parents[3]
OURS = re.compile(r"(?:^|/)((?:durable|adapters|checkpoint)/\S+\.py)$")


def told(**line):
    with open(os.environ["DURABLE_CONFORMANCE_REPORT"], "a") as report:
        report.write(json.dumps(line) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or report.outcome == "failed":
        why = {} if call.excinfo is None else reason(call.excinfo)
        outcome = "expected to fail" if hasattr(report, "wasxfail") else report.outcome
        told(test=report.nodeid, when=report.when, outcome=outcome, **why)
    return report


def reason(excinfo):
    errors = list(chain(excinfo.value))
    refused = any(isinstance(error, Unsupported) or re.match(r"Unsupported\b", str(error)) for error in errors)
    text = f"{type(excinfo.value).__name__}: {excinfo.value}"
    return {"error": " ".join(text.split())[:400], "refused": refused, "at": ours(errors), "line": failed_at(excinfo)}


def chain(error):
    """The error, those it came from, and those that it groups."""
    seen, left = set(), [error]
    while left:
        current = left.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        left += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]


def ours(errors):
    """The last place in our code that an error went through, the innermost error first."""
    for error in reversed(errors):
        places = []
        traceback = error.__traceback__
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if file.startswith(str(ROOT)) and (match := OURS.search(file.removeprefix(str(ROOT)))):
                places.append(f"{match[1]}:{traceback.tb_lineno}")
            traceback = traceback.tb_next
        if places:
            return places[-1]
    return ""


def failed_at(excinfo):
    places = [entry for entry in excinfo.traceback if "/tests/" in str(entry.path)]
    return f"{Path(places[-1].path).name}:{places[-1].lineno + 1}" if places else ""
