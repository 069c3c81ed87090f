"""Compare what an upstream's tests come to on the bare framework with what they come to durably, test by test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.conformance.upstream.running import results, unexpected


@dataclass(frozen=True)
class Comparison:
    """Names of tests: ``stock`` pass bare, and each of them ``passed`` durably, is ``refused`` by name, or ``differs``.

    ``durable`` are those of stock in which something ran as an execution. The values are the errors.
    """

    stock: set[str]
    durable: set[str]
    passed: set[str]
    refused: dict[str, str]
    differs: dict[str, str]

    def __str__(self) -> str:
        whole, inside = _part(self.passed, self.stock), _part(self.passed & self.durable, self.durable)
        refused = 100 * len(self.refused) / max(len(self.stock), 1)
        return (
            f"stock passes {len(self.stock)}; durable passes {whole} of those, and {inside} of those that run something; "
            f"{len(self.refused)} ({refused:.1f} %) refused by name, {len(self.differs)} others"
        )


def compared(stock: list[dict[str, Any]], durable: list[dict[str, Any]]) -> Comparison:
    """Compare two runs by the names of their tests."""
    bare, _ = results(stock)
    passed, _ = results(durable)
    errors = {line["test"]: line for line in durable if line.get("outcome") == "failed"}
    ran = {line["test"] for line in durable if line.get("executions")}
    lost = {test: errors.get(test, {"error": "did not run", "refused": False}) for test in bare - passed}
    return Comparison(
        bare,
        bare & (ran | set(lost)),
        bare & passed,
        {test: line["error"] for test, line in lost.items() if line["refused"]},
        {test: line["error"] for test, line in lost.items() if not line["refused"]},
    )


def judged(comparison: Comparison, refused: dict[str, str], differs: dict[str, str], *, whole: bool) -> list[str]:
    """Return what is not as the lists say, and what they say that is so no more if ``whole``."""
    problems = unexpected(set(comparison.refused), refused, "is refused", whole=whole)
    problems += unexpected(set(comparison.differs), differs, "differs", whole=whole)
    return problems if comparison.durable else [*problems, "no test ran an execution: the bare framework was tested"]


def concluded(comparison: Comparison, problems: list[str]) -> int:
    """Print what was found, the refusals and the differences with their errors; return the exit code."""
    for what, tests in (("refused", comparison.refused), ("differs", comparison.differs)):
        for test, error in sorted(tests.items()):
            print(f"  {what}: {test}: {error[:160]}")
    print(comparison)
    for problem in problems:
        print("NOT AS KNOWN:", problem)
    return 1 if problems else 0


def _part(some: set[str], whole: set[str]) -> str:
    return f"{len(some)} of {len(whole)} ({100 * len(some) / max(len(whole), 1):.1f} %)"
