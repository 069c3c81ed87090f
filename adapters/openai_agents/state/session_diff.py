"""Portions: what a run adds to its session, matched by items and not by calls.

A run that is continued may write in other portions than the one that was stopped: a call and its output together, where
the first run wrote the call and then waited. So a write is keyed by what is left of it, and its record says which items
it wrote; each of them counts once when the run comes by again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable.live.scope import Scope

_WRITES = "session.add:"


def unwritten(place: Scope, items: Sequence[Any]) -> list[Any]:
    """Return the items that no record of this scope says were written; each record counts once in a segment."""
    segment, prefix = place.segment, f"{place.path}/{_WRITES}".lstrip("/")
    counts = segment.attachments.get(prefix)
    if counts is None:
        ours = [outcome for key, outcome in segment.replay.steps.items() if key.startswith(prefix)]
        written = [outcome.result.value() for outcome in ours if outcome.is_done and outcome.result is not None]
        counts = segment.attachments[prefix] = Counter(each for prints in written for each in prints or ())
    new = []
    for item, fingerprint in zip(items, prints(place, items), strict=True):
        if counts[fingerprint]:
            counts[fingerprint] -= 1
        else:
            new.append(item)
    return new


def prints(place: Scope, items: Sequence[Any]) -> list[str]:
    """Return what a write records: the fingerprints of its items."""
    return [place.segment.runtime.codec.fingerprint(item) for item in items]


def identity(place: Scope, items: Sequence[Any]) -> str:
    """Return the key of the write of these items: another one if the same were written before."""
    whole = place.segment.runtime.codec.fingerprint(list(items))[:16]
    steps = place.segment.replay.steps
    same = [steps[key] for key in steps if f"{_WRITES}{whole}:" in key and key.startswith(place.path)]
    again = sum(outcome.is_done for outcome in same)
    return f"{_WRITES}{whole}:{again + 1}"
