"""What must hold in the database at any instant: after each kill, before anything is recovered, and at the end."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from durable.testing.receiver import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.crash.facts import Facts
    from tests.crash.scenario import Scenario

LAST_RECORD = {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled", "dead": "failed"}
OUTCOMES = {"step_done", "step_failed"}
STEP = {"step_started", "step_retry", *OUTCOMES}

Rows = list[dict[str, Any]]


def journals(facts: Facts) -> Iterator[Violation]:
    """I6: no gap, the chain holds. I4: an epoch begins with its claim, and no older one writes after it."""
    for broken in facts["broken"]:
        yield Violation("I6", broken)
    for execution_id, rows in facts["journals"].items():
        if [row["seq"] for row in rows] != list(range(1, len(rows) + 1)):
            yield Violation("I6", f"journal of {execution_id} has a gap")
        for before, row in pairwise(rows):
            if row["epoch"] < before["epoch"]:
                yield Violation("I4", f"{execution_id}: seq {row['seq']} was written by the stale epoch {row['epoch']}")
            if (row["epoch"] != before["epoch"]) != (row["kind"] == "claimed"):
                yield Violation("I4", f"{execution_id}: seq {row['seq']} changes the epoch without a claim")


def rows_agree(facts: Facts) -> Iterator[Violation]:
    """I6: an execution's row says what its journal says, as they are written together."""
    for execution_id, row in facts["executions"].items():
        records = facts["journals"][execution_id]
        status, last = row["status"], records[-1]["kind"] if records else None
        if row["epoch"] != max((record["epoch"] for record in records), default=None):
            yield Violation("I6", f"{execution_id} is at epoch {row['epoch']}, its journal is not")
        if status in LAST_RECORD and last != LAST_RECORD[status]:
            yield Violation("I6", f"{execution_id} is {status}, its last record is {last}")
        if last in LAST_RECORD.values() and status in {"running", "suspended"}:
            yield Violation("I6", f"{execution_id} is {status} after its last record {last}")
        if (row["lease_owner"] is None) != (status != "running"):
            yield Violation("I6", f"{execution_id} is {status} and owned by {row['lease_owner']}")
    taken = sum(signal["consumed_at"] is not None for signal in facts["signals"])
    recorded = sum(record["kind"] == "signal" for rows in facts["journals"].values() for record in rows)
    if taken != recorded:
        yield Violation("I6", f"{taken} signals were taken, {recorded} are in the journal")


def decisions(facts: Facts) -> Iterator[Violation]:
    """I7: a question is asked once, with its record; its decision is used up with the record of what came of it."""
    for interrupt in facts["interrupts"]:
        records = facts["journals"][interrupt["execution_id"]]
        said = [record["kind"] for record in records if record["meta"].get("interrupt") == interrupt["id"]]
        where = f"{interrupt['kind']} at {interrupt['step_key']}"
        if said.count("interrupt_opened") != 1:
            yield Violation("I7", f"{where} was opened {said.count('interrupt_opened')} times in the journal")
        if interrupt["status"] in {"open", "decided"} and "interrupt_closed" in said:
            yield Violation("I7", f"{where} was acted on, and its decision could be used again")
        if interrupt["status"] == "consumed" and said.count("interrupt_closed") != 1:
            yield Violation("I7", f"{where} has its decision used up, and nothing was done with it")
    asked = Counter((i["execution_id"], i["step_key"]) for i in facts["interrupts"] if i["kind"] != "in_doubt")
    for (execution_id, step_key), times in asked.items():
        if times > 1:
            yield Violation("I7", f"{execution_id} asked {times} times at {step_key}")


def transactions(scenario: Scenario, facts: Facts) -> Iterator[Violation]:
    """I1 for transactional effects: their rows and their records are there together, or neither."""
    done = Counter(
        record["meta"].get("name")
        for rows in facts["journals"].values()
        for record in rows
        if record["kind"] == "step_done"
    )
    for effect, kind in scenario.effects.items():
        if kind == "transactional" and facts["bookings"].count(effect) != done[effect]:
            yield Violation("I1", f"{effect} has {facts['bookings'].count(effect)} rows, {done[effect]} records")


def only_added(found: Sequence[Facts]) -> Iterator[Violation]:
    """I2: a record that was there once stays as it is."""
    for before, after in pairwise(found):
        for execution_id, rows in before["journals"].items():
            kept = after["journals"].get(execution_id, [])[: len(rows)]
            if [row["digest"] for row in kept] != [row["digest"] for row in rows]:
                yield Violation("I2", f"records of {execution_id} vanished or changed")


def all_finished(scenario: Scenario, facts: Facts, outputs: Mapping[str, str]) -> Iterator[Violation]:
    """I3 and I5: each execution ended as it should, with no step left open."""
    for execution_id, (status, output) in scenario.expected.items():
        row = facts["executions"].get(execution_id)
        if row is None or row["status"] != status:
            is_now = row and (row["status"], row["error"])
            yield Violation("I5", f"{execution_id} should have {status}, it is {is_now}")
        elif outputs[execution_id] != repr(output):
            yield Violation("I5", f"{execution_id} came to {outputs[execution_id]} instead of {output!r}")
        elif status == "succeeded":
            yield from _no_open_step(execution_id, facts["journals"][execution_id])


def _no_open_step(execution_id: str, rows: Rows) -> Iterator[Violation]:
    last = {row["step_key"]: row["kind"] for row in rows if row["kind"] in STEP}
    for step_key, kind in last.items():
        if kind not in OUTCOMES:
            yield Violation("I3", f"{execution_id} succeeded, {step_key} ends with {kind}")
