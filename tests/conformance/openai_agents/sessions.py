"""Run the SDK's own session tests with only the class swapped: ``python -m tests.conformance.openai_agents.sessions``.

Exits with 1 if a test fails that ``known.py`` does not name, if one that it names passes, or if nothing was written.
"""

from __future__ import annotations

import sys

from tests.conformance.openai_agents.known import SESSION_FAILS
from tests.conformance.openai_agents.run import of_the_sdk
from tests.conformance.upstream.running import results, unexpected

FILES = (
    "memory/test_session",
    "memory/test_session_limit",
    "memory/test_openai_responses_compaction_session",
    "memory/test_compaction_model_visibility",
    "extensions/memory/test_encrypt_session",
)
LEAST = 282
"""How many tests pass at the least."""


def main() -> int:
    lines = of_the_sdk("swapped_session", FILES, [])
    passed, failed = results(lines)
    written = sum(line.get("items", 0) for line in lines)
    print(f"{len(passed)} of {len(passed | failed)} session tests passed; {written} items written to our database")
    problems = unexpected(failed, SESSION_FAILS, "failed", whole=True)
    problems += [f"{len(passed)} passed, fewer than {LEAST}"] * (len(passed) < LEAST)
    problems += ["nothing was written: the bare SDK was tested"] * (not written)
    for problem in problems:
        print("NOT AS KNOWN:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
