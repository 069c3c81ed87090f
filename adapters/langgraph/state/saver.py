"""DurableSaver: LangGraph's checkpoints in our database, fenced by the journal of the execution that writes them.

A write made inside an execution, to the execution's own thread, is appended to the journal together with its record:
an owner that has lost its claim gets LeaseLost, and nothing is written. Outside of executions (``update_state``, plain
graphs, administration) a write is a transaction of its own. A ``put`` that returned is durable.

All logic is in the synchronous methods; the async ones run them on the database's own threads. Every method is safe
to call from any thread, also from one with a running event loop.

Source: langgraph.checkpoint.base.BaseCheckpointSaver, and the clauses of langgraph-checkpoint-conformance.
"""

from __future__ import annotations

import copy
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver, get_checkpoint_id, get_checkpoint_metadata

from durable.adapters.langgraph.state import keys
from durable.adapters.langgraph.state.checkpoint_reads import Tuples, config_of
from durable.adapters.langgraph.state.checkpoint_writes import (
    Drafts,
    about_checkpoint,
    about_writes,
    all_special,
    place_of,
    storable,
    thread_of,
)
from durable.adapters.langgraph.state.commit_together import Convoys
from durable.adapters.langgraph.state.durability_barrier import Barrier
from durable.adapters.langgraph.state.ends import in_between, since_thinned
from durable.adapters.langgraph.state.notes import (
    RunsForgotten,
    ThreadCopied,
    ThreadForgotten,
    ThreadPruned,
    ThreadThinned,
)
from durable.adapters.langgraph.state.serde import FRAMEWORK_TYPES, DurableSerializer, loaded_types
from durable.adapters.langgraph.state.stored_lists import Lists
from durable.checkpoint.state import prune, reads, snapshots
from durable.checkpoint.state.reads import Pieces
from durable.checkpoint.state.snapshots import PiecesGone, SnapshotPlace
from durable.errors import InvalidConfiguration
from durable.kit import commit
from durable.live.scope import segment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        DeltaChannelHistory,
    )

    from durable.checkpoint.codec.codec import Codec
    from durable.checkpoint.state.reads import Head, Snapshot
    from durable.live.segment import Segment
    from durable.record.events import Event, Note
    from durable.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")

PAGE = 50
"""How many checkpoints ``list`` reads at once."""


def _bridged(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return the method for async callers: it runs on the database's own threads."""

    async def bridged(self: Any, /, *args: P.args, **options: P.kwargs) -> T:
        value: T = await self._runtime.database.on_journal_thread(method, self, *args, **options)
        return value

    return bridged


class DurableSaver(BaseCheckpointSaver[str]):
    """Checkpointer on a runtime's database. Give it to ``compile``, or let ``durable_graph`` do it."""

    serde: DurableSerializer

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lists = Lists()
        self._barrier = Barrier()
        self._convoys = Convoys()
        self._types = FRAMEWORK_TYPES
        self._learned = runtime.codec
        super().__init__(serde=DurableSerializer(runtime.codec.with_types(self._types)))

    @property
    def _codec(self) -> Codec:
        """Return the runtime's codec, with the types it has learned: a graph may be made while another runs."""
        learned = self._runtime.codec
        if learned is not self._learned:
            self.serde, self._learned = DurableSerializer(learned.with_types(self._types)), learned
        return self.serde.codec

    @property
    def _drafts(self) -> Drafts:
        return Drafts(self._codec, self._lists)

    @property
    def _tuples(self) -> Tuples:
        return Tuples(self._codec)

    # What is read.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint a config points to, or the newest of its thread; None if there is none."""
        place = self._place(config)
        with self._runtime.database.read() as connection:
            snapshot = reads.get(connection, place, get_checkpoint_id(config) or None)
        if snapshot is None:
            return None
        self._barrier.durable(place.ns, snapshot.id)
        return self._tuples.checkpoint(snapshot)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first, of a thread (without a checkpoint_ns: of all its namespaces) or of all threads.

        ``filter`` compares the decoded metadata, key by key; a key may be any string.
        """
        for page in self._pages(config, filter or {}, before, limit):
            yield from page

    def _pages(
        self,
        config: RunnableConfig | None,
        criteria: Mapping[str, Any],
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Iterator[Sequence[CheckpointTuple]]:
        where = self._where(config, before)
        missing, last = float("inf") if limit is None else limit, None
        while missing > 0:
            size = PAGE if criteria else int(min(missing, PAGE))
            heads, fitting = self._page(where, criteria, size, last)
            page = fitting[: int(min(missing, PAGE))]
            if page:
                yield [self._tuples.checkpoint(snapshot) for snapshot in page]
            if len(heads) < size:
                return
            last, missing = heads[-1], missing - len(page)

    def _where(self, config: RunnableConfig | None, before: RunnableConfig | None) -> dict[str, Any]:
        where: dict[str, Any] = {}
        if config is not None:
            place = self._place(config)
            where = {"thread": place.thread, "snapshot_id": get_checkpoint_id(config)}
            if config["configurable"].get("checkpoint_ns") is not None:
                where["ns"] = place.ns
        if before is not None:
            where["before"] = get_checkpoint_id(before)
        return where

    def _page(
        self, where: Mapping[str, Any], criteria: Mapping[str, Any], size: int, last: Head | None
    ) -> tuple[Sequence[Head], Sequence[Snapshot]]:
        """Return the next checkpoints, and of those the ones whose metadata fit."""
        with self._runtime.database.read() as connection:
            heads = reads.page(connection, self._runtime.namespace, limit=size, after=last, **where)
            pieces: dict[str, Pieces] = {}
            fitting = []
            for head in heads:
                metadata = self._tuples.metadata(head) if criteria else {}
                if all(metadata.get(key) == value for key, value in criteria.items()):
                    thread = head.place.thread
                    held = pieces.setdefault(thread, Pieces(connection, head.place.namespace, thread))
                    fitting.append(reads.whole(connection, head, held))
        return heads, fitting

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what the ancestors of a checkpoint wrote to delta channels since the nearest stored value of each."""
        if not channels:
            return {}
        with self._runtime.database.read() as connection:
            histories = reads.history(connection, self._place(config), get_checkpoint_id(config) or None, channels)
        return {channel: self._tuples.history(histories[channel]) for channel in channels}

    def wait_durable(self, checkpoint_id: str, ns: str, timeout: float) -> None:
        """Return when a checkpoint that this process writes, or has read, is durable.

        Raises DatabaseUnavailable after ``timeout`` (seconds), or what kept the checkpoint from being written.
        """
        self._barrier.wait(ns, checkpoint_id, timeout)

    async def wait_durable_async(self, checkpoint_id: str, ns: str, timeout: float) -> None:
        """Wait as ``wait_durable`` does, holding no thread, so that any number of nodes may wait."""
        await self._barrier.wait_async(ns, checkpoint_id, timeout)

    # What is written.

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; one with the same id is replaced. Durable when it returns.

        Raises NotEncodable or PayloadTooLarge naming the channel, LeaseLost, StorageError; then nothing was written.
        """
        place, checkpoint_id = self._place(config), checkpoint["id"]
        try:
            self._put(place, config, checkpoint, get_checkpoint_metadata(config, metadata), new_versions)
        except BaseException as exc:
            self._barrier.failed(place.ns, checkpoint_id, exc)
            raise
        self._barrier.durable(place.ns, checkpoint_id)
        return config_of(place, checkpoint_id)

    def _put(
        self,
        place: SnapshotPlace,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: Mapping[str, Any],
        new_versions: ChannelVersions,
    ) -> None:
        db, parent, owner = self._runtime.database, get_checkpoint_id(config), self._owner(place.thread, config)
        about = about_checkpoint(place, checkpoint["id"], metadata)
        while True:
            draft = self._drafts.checkpoint(place, parent, checkpoint, metadata, new_versions)
            put = partial(snapshots.put, db, place=place, draft=draft)
            try:
                with self._convoys.leading((place.thread, owner)) as writes:
                    return self._write(owner, about, [*writes, put])
            except PiecesGone:  # the thread was deleted or pruned meanwhile
                self._drafts.forget(place, draft)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote on top of a checkpoint. Durable when it returns.

        Again with the same task: LangGraph's own channels (errors, interrupts, answers) are replaced, of others the
        first write stays. Raises NotEncodable or PayloadTooLarge naming the channel, LeaseLost, StorageError.
        """
        if not writes:
            return
        place, checkpoint_id = self._place(config), storable(config["configurable"]["checkpoint_id"], "checkpoint_id")
        channels = [channel for channel, _ in writes]
        rows, pieces = self._drafts.writes(writes, task_id, task_path)
        change = partial(
            snapshots.put_writes,
            self._runtime.database,
            place=place,
            snapshot=checkpoint_id,
            writes=rows,
            pieces=pieces,
            replace=all_special(channels),
        )
        owner = self._owner(place.thread, config)
        if all_special(channels) or not self._convoys.join((place.thread, owner), change):
            self._write(owner, about_writes(place, checkpoint_id, task=task_id, channels=channels), [change])

    def delete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints and writes of a thread."""
        self._administer(prune.forget, ThreadForgotten(), thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints whose metadata have one of these run ids, and the writes on top of them."""
        runs = [str(run) for run in run_ids]
        with self._runtime.database.read() as connection:
            threads = prune.threads_of_runs(connection, self._runtime.namespace, runs)
        for thread in threads:
            self._administer(prune.forget_runs, RunsForgotten(), thread, runs=runs)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another one."""
        self._administer(prune.copy, ThreadCopied(), target_thread_id, source=thread_of(source_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep only the newest checkpoint of each namespace of these threads, or none with ``strategy="delete"``.

        Ancestors that a delta channel of the newest one is rebuilt from are kept too.
        """
        if strategy not in {"keep_latest", "delete"}:
            msg = f"strategy={strategy!r}: use 'keep_latest' or 'delete'"
            raise InvalidConfiguration(msg)
        for thread in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread)
            else:
                self._administer(prune.prune, ThreadPruned(), thread, spread=self._tuples.spread)

    def keep_ends(self, owner: Segment) -> None:
        """Delete what an execution has written in between, down to what ``durability="exit"`` keeps of it."""
        thread, db = owner.thread, self._runtime.database
        place = SnapshotPlace(self._runtime.namespace, thread, "")
        with db.read() as connection:
            written = since_thinned(connection, owner.execution.id, self._runtime.load)
            between = in_between(connection, place, written, self._tuples)
        if between:
            at: dict[str, Any] = {"namespace": place.namespace, "thread": thread}
            thin = partial(prune.thin, db, **at, dropped=between, spread=self._tuples.spread)
            self._write(owner, ThreadThinned(), [thin])

    def _administer(self, change: Callable[..., None], about: Note, thread_id: str, **arguments: Any) -> None:
        thread, db = thread_of(thread_id), self._runtime.database
        bound = partial(change, db, namespace=self._runtime.namespace, thread=thread, **arguments)
        self._write(self._owner(thread), about, [bound])

    def _owner(self, thread: str, config: RunnableConfig | None = None) -> Segment | None:
        """Return the execution that writes here, if the thread is its own.

        It is named in the run's config: a stale owner must not get around the journal by being forgotten.
        """
        live = keys.segment_in(config) or segment()
        return live if live is not None and live.thread == thread else None

    def _write(self, owner: Segment | None, about: Event, changes: Sequence[Callable[[Any], object]]) -> None:
        """Make all changes at once, with the journal of the execution that owns the thread, or alone."""
        commit(self._runtime, about, lambda connection: [change(connection) for change in changes], owner=owner)

    def get_next_version(self, current: str | int | None, channel: None) -> str:  # noqa: ARG002 - LangGraph's
        """Return the next version: greater as a string, and never the one that another branch of the thread makes."""
        whole = str(current or 0).split(".")[0]
        return f"{int(whole) + 1:0{max(len(whole), 12)}}.{random.getrandbits(48):012x}"

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> DurableSaver:
        """Return a saver on the same state that also reads and writes these (module, name) classes, if loaded."""
        types = [cls for cls in loaded_types(extra_allowlist) if not self._codec.allows(cls)]
        if not types:
            return self
        clone = copy.copy(self)
        clone._types = (*self._types, *types)
        clone.serde = DurableSerializer(self.serde.codec.with_types(types))
        return clone

    def _place(self, config: RunnableConfig) -> SnapshotPlace:
        return place_of(self._runtime.namespace, config)

    # The same for async callers.

    aget_tuple = _bridged(get_tuple)
    aget_delta_channel_history = _bridged(get_delta_channel_history)
    aput = _bridged(put)
    aput_writes = _bridged(put_writes)
    adelete_thread = _bridged(delete_thread)
    adelete_for_runs = _bridged(delete_for_runs)
    acopy_thread = _bridged(copy_thread)
    aprune = _bridged(prune)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield what ``list`` yields; a page of checkpoints is read at a time."""
        pages = self._pages(config, filter or {}, before, limit)
        while (page := await self._runtime.database.on_journal_thread(next, pages, None)) is not None:
            for checkpoint in page:
                yield checkpoint
