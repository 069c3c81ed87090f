"""The past of an execution that has gone back: the effect that a call of it would repeat.

Read from the journals of the executions it goes back behind, when a call that changes the world is about to be made;
an execution that has not gone back reads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.checkpoint import executions
from durable.checkpoint.journal import journal
from durable.record.earlier import beyond, marks
from durable.record.events import WentBack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from durable.checkpoint.records import Record
    from durable.live.segment import Segment
    from durable.record.earlier import Effect

MOST = 1000
"""Executions of one thread that are looked at for calls which were matched already."""


def earlier(segment: Segment, name: str, arguments_hash: str) -> Effect | None:
    """Return the first effect beyond the points gone back to with this tool and these arguments, each once. Blocks."""
    fitting = [
        effect
        for execution_id, seq in segment.replay.origins
        for effect in beyond(execution_id, _records(segment, execution_id), seq)
        if effect.name == name and arguments_hash in _hashes(segment, effect)
    ]
    if not fitting:
        return None
    matched = set(_matched(segment))
    return next((effect for effect in fitting if effect.mark not in matched), None)


def go_back(segment: Segment, origins: Sequence[tuple[str, int]]) -> None:
    """Record, once, which executions this one goes back behind, each with the seq up to which it still counts.

    Durable before this returns. Blocks. Raises LeaseLost, StorageError.
    """
    known = set(segment.replay.origins)
    new = [[execution_id, seq] for execution_id, seq in dict.fromkeys(origins) if (execution_id, seq) not in known]
    if new:
        segment.append(WentBack(origin=new).pack())


def marked(segment: Segment, mark: tuple[str, str]) -> Effect | None:
    """Return the effect of this mark as it stands now; None if its record is gone. Blocks."""
    execution_id, step_key = mark
    effects = beyond(execution_id, _records(segment, execution_id), 0)
    return next((effect for effect in effects if effect.step_key == step_key), None)


def _hashes(segment: Segment, effect: Effect) -> set[str]:
    """The hashes of what the model asked for and, where a person has edited it, of what was done."""
    edited = () if effect.edited is None else (segment.runtime.codec.fingerprint(effect.edited.value()),)
    return {effect.arguments_hash, *edited}


def _matched(segment: Segment) -> Iterator[tuple[str, str]]:
    yield from (outcome.repeats for outcome in segment.replay.steps.values() if outcome.repeats is not None)
    execution, runtime = segment.execution, segment.runtime
    if execution.thread is None:
        return
    with runtime.database.read() as connection:
        others = executions.find(
            connection, runtime.namespace, runtime.load, app=execution.app, thread=execution.thread, limit=MOST
        )
    for other in others:
        if other.id != execution.id:
            yield from marks(_records(segment, other.id))


def _records(segment: Segment, execution_id: str) -> list[Record]:
    with segment.runtime.database.read() as connection:
        return journal.read(connection, execution_id, segment.runtime.load)
