"""Run context: what a tool changes in it is recorded with the tool's result, and changed again on a replay.

Followed are the entries of a dict and the fields of a dataclass or a pydantic model, by their stored form, so that a
change deep inside one counts. What cannot be stored, and a context of another kind, is not followed: the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from durable.checkpoint.codec.names import stored_as
from durable.errors import CodecError

if TYPE_CHECKING:
    from durable.live.services import Services

log = logging.getLogger("durable.openai_agents")


@stored_as("durable.adapters.openai_agents.run_context:Patched")
@dataclass(frozen=True)
class Patched:
    """A tool's result, and what the tool changed in the run's context: by name, with the names that are gone."""

    result: Any
    changed: Mapping[str, Any]
    gone: tuple[str, ...] = ()


class Watch:
    """Look at a run's context before a tool runs; see what the tool has changed."""

    def __init__(self, services: Services, context: Any) -> None:
        self._services = services
        self._context = context
        self._before = self._stored()

    def recorded(self, result: Any) -> Any:
        """Return what is recorded of the tool: its result, with the changes if there are any."""
        after, values = self._stored(), parts_of(self._context)
        changed = {name: values[name] for name, stored in after.items() if self._before.get(name) != stored}
        gone = tuple(name for name in self._before if name not in values)
        return Patched(result, changed, gone) if changed or gone else result

    def _stored(self) -> dict[str, bytes]:
        stored = {}
        for name, value in parts_of(self._context).items():
            try:
                stored[name] = self._services.codec.encode(value)
            except CodecError as exc:
                log.info("what tools change in %r of the run's context is not recorded: %s", name, exc)
        return stored


def parts_of(context: Any) -> Mapping[str, Any]:
    """Return the parts of a context that are followed, by name."""
    if isinstance(context, Mapping):
        return {name: value for name, value in context.items() if isinstance(name, str)}
    if isinstance(context, BaseModel):
        return dict(context.__dict__)
    if is_dataclass(context):
        return {field.name: getattr(context, field.name) for field in fields(context) if hasattr(context, field.name)}
    return {}


def say_if_not_followed(context: Any) -> None:
    """Warn of a context in which what tools change is not recorded."""
    if context is not None and not isinstance(context, (Mapping, BaseModel)) and not is_dataclass(context):
        log.warning(
            "what tools change in a context of type %s is not recorded, and is lost if another process goes on; use a "
            "dict, a dataclass or a pydantic model",
            type(context).__qualname__,
        )


def replayed(recorded: Any, context: Any) -> Any:
    """Return the recorded result, after what the tool changed was changed in this context too."""
    if not isinstance(recorded, Patched):
        return recorded
    if isinstance(context, MutableMapping):
        context.update(recorded.changed)
        for name in recorded.gone:
            context.pop(name, None)
    else:
        for name, value in recorded.changed.items():
            setattr(context, name, value)
    return recorded.result
