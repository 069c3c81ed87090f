"""Sessions of the SDK and of others: their reads come from the journal on a replay, their writes happen once.

A write and its record are two commits here. A write of which a crash left no record is looked for in the session: it is
there if the session's last items are those that were to be added. ``DurableSession`` needs none of this: it writes in
the journal's own transaction, and says so by ``journals_itself``.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from durable.adapters.openai_agents.state import session_diff
from durable.declare.policy import READ, Done, NotDone, ToolPolicy, Unknown
from durable.errors import StepAborted
from durable.live.scope import here
from durable.record.kinds import FRAMEWORK
from durable.step.attempt import PASSING
from durable.step.call import Call
from durable.step.crossing import place, run_step_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ITSELF = "journals_itself"


def journaled(session: Any) -> Any:
    """The session to hand to the SDK inside an execution; None stays None."""
    if session is None or isinstance(session, type) or getattr(session, _ITSELF, False):
        return session
    return ForeignSession(session)


class ForeignSession:
    """A session whose operations are steps. In all else it is, also to ``isinstance``, the one inside."""

    journals_itself = True

    def __init__(self, session: Any) -> None:
        self._session = session
        for name in ("get_items", "add_items", "pop_item", "clear_session"):
            setattr(self, name, _signed(getattr(self, name), getattr(session, name)))

    @property  # type: ignore[misc]  # the SDK treats some sessions by their class
    def __class__(self) -> type:
        return type(self._session)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        return _signed(self._compact, found) if name == "run_compaction" and callable(found) else found

    async def get_items(self, limit: int | None = None, **more: Any) -> list[Any]:
        """The items as they were when this was first asked here."""
        items: list[Any] = await _step(
            "session.get_items", {"limit": limit}, READ, lambda: self._session.get_items(limit, **more)
        )
        return items

    async def add_items(self, items: list[Any], **more: Any) -> None:
        """Add those that were not added yet."""
        items = session_diff.unwritten(here(), items)
        if not items:
            return
        prints, place_of = session_diff.prints(here(), items), here()

        async def is_there(_: str, arguments: Any) -> Done | NotDone | Unknown:
            added = arguments["items"]
            try:
                last = await self._session.get_items(len(added)) if added else []
            except Exception:  # noqa: BLE001 - a session bound to the loop of the process that is gone
                return Unknown()
            return Done(prints) if last == added else NotDone()

        policy = ToolPolicy(effect="once", reconcile=is_there)
        identity = session_diff.identity(place_of, items)
        call = Call("session.add_items", {"items": items}, policy, identity, kind=FRAMEWORK, scope=place_of)
        step = place(call)
        tried = step.match is not None and step.match.epoch > 0

        async def add(_: Any) -> list[str]:
            if tried and isinstance(await is_there("", call.arguments), Done):  # it was written, and raised then
                return prints
            try:
                await self._session.add_items(items, **more)
            except BaseException as exc:
                if isinstance(exc, (Exception, *PASSING)):
                    raise
                raise StepAborted(step.key, repr(exc)) from exc
            return prints

        try:
            await run_step_async(step, add)
        except StepAborted as aborted:
            raise aborted.__cause__ or aborted from None

    async def pop_item(self, **more: Any) -> Any:
        """Take the last item away, once."""
        return await _step("session.pop_item", None, ToolPolicy(), lambda: self._session.pop_item(**more))

    async def clear_session(self, **more: Any) -> None:
        """Take all items away."""
        await _step("session.clear", None, READ, lambda: self._session.clear_session(**more))

    async def _compact(self, *args: Any, **options: Any) -> Any:
        return await _step("session.compact", None, READ, lambda: self._session.run_compaction(*args, **options))


def _signed(method: Any, inner: Any) -> Any:
    """Return the method under the signature of the one inside: the SDK reads there who wants the run's context."""

    @functools.wraps(inner)
    async def signed(*args: Any, **options: Any) -> Any:
        return await method(*args, **options)

    return signed


async def _step(name: str, arguments: Any, policy: ToolPolicy, act: Callable[[], Awaitable[Any]]) -> Any:
    async def body(_: Any) -> Any:
        return await act()

    return await run_step_async(place(Call(name, arguments, policy, kind=FRAMEWORK, scope=here())), body)
