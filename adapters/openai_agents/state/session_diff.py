"""Portions: what a run adds to its session, matched by items and not by calls.

A run that is continued may write in other portions than the one that was stopped: a call and its output together, where
the first run wrote the call and then waited. So a write is keyed by what is left of it, and its record says which items
it wrote; each of them counts once when the run comes by again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from agents import ItemHelpers
from agents.run_internal.items import run_item_to_input_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.run_state import RunState

    from durable.live.scope import Scope

_WRITES = "session.add:"
READS = "session.get_items"
"""The name of the step that reads a session."""


def unwritten(place: Scope, items: Sequence[Any]) -> list[Any]:
    """The items that no record of this scope says were written; each record counts once in a segment."""
    known, left = _not_come_by(place), []
    for item, one in zip(items, prints(place, items), strict=True):
        if known[one]:
            known[one] -= 1
        else:
            left.append(item)
    return left


def pass_state(place: Scope, state: RunState[Any]) -> None:
    """A run goes on from a state: what the state says was written does not come by again.

    The same answer said again later is another one then, whatever its id. The session is read as it is now: the SDK
    looks there for what it has written, and its model sees the state.
    """
    known = _not_come_by(place)
    for one in prints(place, _written(state)):
        known[one] = max(0, known[one] - 1)
    for read in place.segment.replay.numbered.get(f"{place.path}/{READS}".lstrip("/"), []):
        read.taken = True


def _not_come_by(place: Scope) -> Counter[str]:
    """Return how often each item was written by this scope and did not come by yet in this segment."""
    segment, prefix = place.segment, f"{place.path}/{_WRITES}".lstrip("/")
    known: Counter[str] | None = segment.attachments.get(prefix)
    if known is None:
        ours = [found for key, found in segment.replay.steps.items() if key.startswith(prefix)]
        written = [found.result.value() for found in ours if found.progress == "done" and found.result is not None]
        known = segment.attachments[prefix] = Counter(one for prints in written for one in prints or ())
    return known


def _written(state: RunState[Any]) -> list[Any]:
    """Return the items of a state that are in its session: all but the last ones of the turn it stopped in."""
    processed, items = state._last_processed_response, state._generated_items
    of_turn = 0 if processed is None else len(processed.new_items)
    unwritten = max(0, of_turn - state._current_turn_persisted_item_count)
    inputs = [run_item_to_input_item(item) for item in items[: len(items) - unwritten]]
    return [*ItemHelpers.input_to_new_input_list(state._original_input), *(item for item in inputs if item is not None)]


def prints(place: Scope, items: Sequence[Any]) -> list[str]:
    """What a write records: the fingerprints of its items."""
    return [place.segment.runtime.codec.fingerprint(item) for item in items]


def identity(place: Scope, items: Sequence[Any]) -> str:
    """The key of the write of these items: another one if the same were written before."""
    whole = place.segment.runtime.codec.fingerprint(list(items))[:16]
    steps = place.segment.replay.steps
    same = [steps[key] for key in steps if f"{_WRITES}{whole}:" in key and key.startswith(place.path)]
    again = sum(found.progress == "done" for found in same)
    return f"{_WRITES}{whole}:{again + 1}"
