"""DurableSession: the SDK's Session in our database, each write once.

Inside an execution a write is a step: its items and its record commit in one transaction, so a crash neither loses nor
doubles them, a replay does not write again, and an owner that has lost its claim is refused. A read is recorded as
the revision that was seen, a number, and a replay reads that revision again. Outside of executions each call is a
transaction of its own.

All methods wait on the database's own threads; the event loop never does.

Source: agents.memory.session.Session; what a negative limit means is SQLiteSession's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agents.memory.session import SessionABC, _CompactionSnapshot
from agents.memory.session_settings import SessionSettings, coerce_session_settings, resolve_session_limit

from durable.adapters.openai_agents.state import session_diff
from durable.checkpoint.state import sessions
from durable.checkpoint.state.sessions import NewItem, SessionPlace
from durable.declare.ids import checked
from durable.declare.policy import READ, ToolPolicy
from durable.errors import InvalidConfiguration
from durable.live.scope import scope
from durable.record.kinds import FRAMEWORK
from durable.step.call import Call, Placed
from durable.step.crossing import place, run_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.items import TResponseInputItem

    from durable.checkpoint.state.sessions import Item
    from durable.live.scope import Scope
    from durable.runtime import Runtime

T = TypeVar("T")

APP = "openai_agents"
_WRITE = ToolPolicy(effect="transactional")


class DurableSession(SessionABC):
    """A conversation on a runtime's database, by its id. Raises InvalidId.

    ``session_settings`` are the SDK's; what they limit is what a read returns, never what is kept.
    """

    journals_itself = True
    """Inside an execution its operations are steps already."""

    def __init__(
        self,
        session_id: str,
        runtime: Runtime,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = checked(session_id, "the session's id")
        self.session_settings = coerce_session_settings(session_settings or {})
        self._runtime = runtime
        self._place = SessionPlace(runtime.namespace, APP, "", self.session_id)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The latest ``limit`` items, oldest first; all without a limit, and with a negative one."""
        most = resolve_session_limit(limit, self.session_settings)
        return [self._decoded(item) for item in await self._items(most if most is None or most >= 0 else None)]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items. Raises NotEncodable or PayloadTooLarge naming the item, LeaseLost, StorageError."""
        here = self._here()
        if here is None:
            await self._write("add_items", items, partial(self._append, new=self._encoded(items)))
            return
        items = session_diff.unwritten(here, items)
        if items:
            new, prints = self._encoded(items), session_diff.prints(here, items)

            def add(connection: Any) -> list[str]:
                self._append(connection, new)
                return prints

            await self._write("add_items", items, add, identity=session_diff.identity(here, items))

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the last item back and return it; None if there is none."""

        def pop(connection: Any) -> TResponseInputItem | None:
            found = sessions.pop(self._runtime.database, connection, self._place)
            return None if found is None else self._decoded(found)

        return await self._write("pop_item", None, pop)

    async def clear_session(self) -> None:
        """Take all items back; outside of executions they are deleted for good."""

        def clear(connection: Any) -> None:
            sessions.withdraw(self._runtime.database, connection, self._place)
            if scope() is None:
                sessions.purge(connection, self._place)

        await self._write("clear_session", None, clear)

    async def _get_compaction_snapshot(
        self, limit: int, *, prune_prefix: Callable[[TResponseInputItem], bool] | None = None
    ) -> _CompactionSnapshot | None:
        """What the SDK's compaction asks for: the latest items, and a way to replace their end in one transaction.

        With it go the first items of the session, as long as ``prune_prefix`` is true of them.
        """
        found = await self._items(limit + 1)
        seen = found[-limit:]

        async def replace_suffix(start: int, output: list[TResponseInputItem]) -> bool:
            expected, new = seen[start:], self._encoded(output)
            if not expected:
                return False
            change = partial(self._replace, expected=expected, new=new, prune_prefix=prune_prefix)
            return await self._write("replace_suffix", {"start": expected[0].seq, "items": output}, change)

        return _CompactionSnapshot([self._decoded(item) for item in seen], len(found) <= limit, replace_suffix)

    def _replace(
        self,
        connection: Any,
        *,
        expected: list[Item],
        new: list[NewItem],
        prune_prefix: Callable[[TResponseInputItem], bool] | None,
    ) -> bool:
        session, withdraw = sessions.get(connection, self._place), partial(sessions.withdraw, self._runtime.database)
        if session is None or sessions.read(connection, session, last=len(expected)) != expected:
            return False
        withdraw(connection, self._place, since=expected[0].seq, expect=session.revision)
        if prune_prefix is not None:
            left = sessions.read(connection, session)
            kept = next((item.seq for item in left if not prune_prefix(self._decoded(item))), None)
            withdraw(connection, self._place, before=kept)
        if new:
            self._append(connection, new)
        return True

    def _append(self, connection: Any, new: list[NewItem]) -> None:
        if new:
            sessions.append(self._runtime.database, connection, self._place, new, make=True)

    async def _items(self, last: int | None) -> list[Item]:
        here = self._here()
        if here is None:
            return await self._runtime.database.on_journal_thread(self._read, last, None)
        call = Call(
            "session.get_items",
            {"session": self.session_id, "last": last},
            READ,
            kind=FRAMEWORK,
            scope=here,
        )
        return await self._runtime.database.surely_on_journal_thread(self._read_again, place(call), last)

    def _read_again(self, step: Placed, last: int | None) -> list[Item]:
        return self._read(last, run_step(step, lambda _: self._revision()))

    def _read(self, last: int | None, revision: int | None) -> list[Item]:
        with self._runtime.database.read() as connection:
            session = sessions.get(connection, self._place)
            return [] if session is None else sessions.read(connection, session, last=last, revision=revision)

    def _revision(self) -> int:
        with self._runtime.database.read() as connection:
            session = sessions.get(connection, self._place)
        return 0 if session is None else session.revision

    async def _write(self, name: str, given: Any, change: Callable[[Any], T], *, identity: str | None = None) -> T:
        """The one way to the database: as a step of the execution that runs here, or alone."""
        database, here = self._runtime.database, self._here()
        if here is None:
            return await database.surely_on_journal_thread(database.transact, change)
        arguments = {"session": self.session_id, "given": given}
        step = place(Call(f"session.{name}", arguments, _WRITE, identity, kind=FRAMEWORK, scope=here))
        return await database.surely_on_journal_thread(
            run_step, step, lambda pending: change(pending.context.connection)
        )

    def _here(self) -> Scope | None:
        here = scope()
        if here is not None and here.segment.runtime.database is not self._runtime.database:
            msg = (
                f"session {self.session_id!r} is kept by another Runtime than the execution that uses it: they cannot "
                "commit together; make both with the same Runtime"
            )
            raise InvalidConfiguration(msg)
        return here

    def _encoded(self, items: list[TResponseInputItem]) -> list[NewItem]:
        codec = self._runtime.codec
        return [NewItem(codec.encode(item, what=f"item {place_in}")) for place_in, item in enumerate(items)]

    def _decoded(self, item: Item) -> TResponseInputItem:
        return cast("TResponseInputItem", self._runtime.codec.decode(item.body))
