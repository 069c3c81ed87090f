"""Checkpoints on their way in: which channels are stored, how, and under which name an error speaks of them.

A scalar of a few bytes stands in every checkpoint; a list is cut into pieces; any other value is stored once, at the
version it is new in. An error names the channel, and the place in it: ``channel 'messages'[2].content``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from durable.checkpoint.state.snapshots import Draft, SnapshotPlace, Write, value_cell
from durable.declare.ids import checked
from durable.errors import InvalidId
from durable.record.events import GraphCheckpoint, TaskWrites

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint

    from durable.adapters.langgraph.state.stored_lists import Lists
    from durable.checkpoint.codec.codec import Codec
    from durable.checkpoint.state.snapshots import Version

DELTA = "delta"
"""The tag of a list that is the value of a ``_DeltaSnapshot``."""

SHORT = 40
"""Characters of a string that stands in every checkpoint."""

_ELSEWHERE = frozenset({"id", "channel_values", "channel_versions"})
_WIDE = 10**15
_LONG = 60


def place_of(namespace: str, config: RunnableConfig) -> SnapshotPlace:
    """Where a config points to. Raises InvalidId for a thread or checkpoint namespace that cannot be a key."""
    configurable = config.get("configurable", {})
    if (thread := configurable.get("thread_id")) is None:
        msg = 'config["configurable"]["thread_id"] is missing: a checkpointer needs it to know whose state this is'
        raise InvalidId(msg)
    ns = storable(str(configurable.get("checkpoint_ns") or ""), "checkpoint_ns")
    return SnapshotPlace(namespace, thread_of(thread), ns)


def thread_of(thread_id: object) -> str:
    """A thread id as it is stored. Raises InvalidId."""
    return checked(str(thread_id), "thread_id")


def storable(value: str, what: str) -> str:
    """The text itself. Raises InvalidId if a database cannot hold it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        pass
    else:
        if "\0" not in value:
            return value
    msg = f"{what} has NUL characters or lone surrogates: {value[:80]!r}"
    raise InvalidId(msg)


class Drafts:
    """Makes drafts of checkpoints and writes. Raises NotEncodable and PayloadTooLarge naming the channel."""

    def __init__(self, codec: Codec, lists: Lists) -> None:
        self._codec = codec
        self._lists = lists

    def checkpoint(
        self,
        place: SnapshotPlace,
        parent: str | None,
        checkpoint: Checkpoint,
        metadata: Mapping[str, Any],
        new_versions: ChannelVersions,
    ) -> Draft:
        """All that is stored of a checkpoint: the values of channels that are new, the versions of all."""
        run, values = metadata.get("run_id"), checkpoint["channel_values"]
        draft = Draft(
            storable(checkpoint["id"], "the checkpoint's id"),
            parent,
            self._codec.encode(
                {name: part for name, part in checkpoint.items() if name not in _ELSEWHERE}, what="the checkpoint"
            ),
            self._codec.encode(dict(metadata), what="the checkpoint's metadata"),
            None if run is None else storable(str(run), "run_id"),
        )
        for channel, version in checkpoint["channel_versions"].items():
            if channel not in values:
                draft.known(channel, version)
            elif _is_small(values[channel]):
                draft.small(channel, version, self._encode(channel, values[channel]))
            elif channel not in new_versions:
                draft.known(channel, version)
            else:
                self._add(draft, (place, channel), version, values[channel])
        return draft

    def forget(self, place: SnapshotPlace, draft: Draft) -> None:
        """The lists that a draft was cut against are not there: the next draft has them whole."""
        for channel in draft.based_on:
            self._lists.forget((place, channel))

    def writes(
        self, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> tuple[list[Write], dict[bytes, bytes]]:
        """What is stored of a task's writes, and the pieces of those that are large."""
        pieces: dict[bytes, bytes] = {}
        rows = []
        for place, (channel, value) in enumerate(writes):
            # an error that ended a task is kept as it reads: its class is often not one that can be stored
            plain = repr(value) if isinstance(value, BaseException) else value
            cell = value_cell(self._encode(channel, plain), pieces)
            rows.append(Write(task_id, WRITES_IDX_MAP.get(channel, place), task_path, channel, cell))
        return rows, pieces

    def _add(self, draft: Draft, at: tuple[SnapshotPlace, str], version: Version, value: Any) -> None:
        """A value that is new at this version; one that is a list, or the snapshot of one, in pieces."""
        _, channel = at
        delta = type(value) is _DeltaSnapshot
        items = value.value if delta else value
        if type(items) is not list:
            draft.value(channel, version, self._encode(channel, value))
            return
        made = self._lists.prepare(
            at,
            (version, DELTA if delta else ""),
            items,
            lambda item, index: self._codec.encode(item, what=f"channel {channel!r}[{index}]"),
        )
        draft.listed(channel, made.cut, made.pieces, made.base)

    def _encode(self, channel: str, value: Any) -> bytes:
        return self._codec.encode(value, what=f"channel {channel!r}")


def about_checkpoint(place: SnapshotPlace, checkpoint_id: str, metadata: Mapping[str, Any]) -> GraphCheckpoint:
    """Return what the journal says of a checkpoint, below 200 bytes mostly."""
    step, source = metadata.get("step"), metadata.get("source")
    return GraphCheckpoint(checkpoint=checkpoint_id, step=step, source=source, ns=_shortened(place))


def about_writes(place: SnapshotPlace, checkpoint_id: str, *, task: str, channels: Iterable[str]) -> TaskWrites:
    """Return what the journal says of a task's writes, below 200 bytes mostly."""
    named = ", ".join(sorted(set(channels)))
    shown = named if len(named) <= _LONG else f"{named[:_LONG]}..."
    return TaskWrites(checkpoint=checkpoint_id, task=task, channels=shown, ns=_shortened(place))


def _shortened(place: SnapshotPlace) -> str | None:
    if not place.ns:
        return None
    return place.ns if len(place.ns) <= _LONG else f"...{place.ns[-_LONG:]}"


def all_special(channels: Iterable[str]) -> bool:
    """Whether these are all channels of LangGraph's own, whose writes replace the earlier ones of the task."""
    return all(channel in WRITES_IDX_MAP for channel in channels)


def _is_small(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return len(value) <= SHORT
    if kind is int:
        return bool(-_WIDE < value < _WIDE)
    return value is None or kind is bool or kind is float or ((kind is list or kind is dict) and not value)
