"""Checkpoints on their way out: what was stored, decoded into LangGraph's own shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from durable.adapters.langgraph.state.checkpoint_writes import DELTA
from durable.checkpoint.state.reads import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata

    from durable.checkpoint.codec.codec import Codec
    from durable.checkpoint.state.reads import Head, History, Snapshot
    from durable.checkpoint.state.snapshots import SnapshotPlace


def config_of(place: SnapshotPlace, checkpoint_id: str) -> RunnableConfig:
    """Return the config that points to a checkpoint."""
    return {
        "configurable": {"thread_id": place.thread, "checkpoint_ns": place.ns, "checkpoint_id": checkpoint_id},
    }


class Tuples:
    """Makes CheckpointTuples. Raises UnknownType and CorruptPayload."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def metadata(self, head: Head) -> CheckpointMetadata:
        """Return a checkpoint's metadata."""
        return self.decoded(head.metadata)

    def decoded(self, metadata: bytes) -> CheckpointMetadata:
        """Return metadata as they were stored."""
        decoded: CheckpointMetadata = self._codec.decode(metadata)
        return decoded

    def checkpoint(self, snapshot: Snapshot) -> CheckpointTuple:
        """Return a whole checkpoint."""
        body: Checkpoint = self._codec.decode(snapshot.body)
        checkpoint: Checkpoint = {
            **body,
            "id": snapshot.id,
            "channel_values": {name: self.value(stored) for name, stored in snapshot.values.items()},
            "channel_versions": {name: cell[0] for name, cell in snapshot.channels.items()},
        }
        return CheckpointTuple(
            config=config_of(snapshot.place, snapshot.id),
            checkpoint=checkpoint,
            metadata=self.metadata(snapshot),
            parent_config=None if snapshot.parent is None else config_of(snapshot.place, snapshot.parent),
            pending_writes=[(write.task, write.channel, self.value(write.value)) for write in snapshot.writes],
        )

    def history(self, history: History) -> DeltaChannelHistory:
        """Return what the ancestors of a checkpoint say of one channel."""
        writes = [(write.task, write.channel, self.value(write.value)) for write in history.writes]
        if history.seed is None:
            return {"writes": writes}
        return {"writes": writes, "seed": self.value(history.seed)}

    def spread(self, metadata: bytes) -> Iterable[str]:
        """Return the delta channels that a checkpoint's metadata counts: their value is in ancestors' writes."""
        counted: dict[str, Any] = self._codec.decode(metadata).get("counters_since_delta_snapshot") or {}
        return counted

    def value(self, stored: bytes | Listed) -> Any:
        """Return a stored value, decoded."""
        if not isinstance(stored, Listed):
            return self._codec.decode(stored)
        items = [self._codec.decode(item) for item in stored.items]
        return _DeltaSnapshot(items) if stored.tag == DELTA else items
