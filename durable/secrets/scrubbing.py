"""Take secrets out of errors: out of an error, of all that it came from, and of the members of a group.

This fails closed. Each error is cleaned in place where its class allows that. An error that still tells a secret
afterwards, or cannot be looked at, is replaced by a plain error with the rest of its text, so that no traceback leads
to it.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any, cast

from durable.errors import Cancelled, Suspended
from durable.secrets.redaction import tells_of_headers

if TYPE_CHECKING:
    from types import GetSetDescriptorType

    from durable.secrets.redaction import Redactor

_CONTROL = (Suspended, Cancelled, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException)
"""What a stand-in must be to mean the same to whoever drives the code."""
_LINKS = tuple(cast("GetSetDescriptorType", vars(BaseException)[name]) for name in ("__cause__", "__context__"))
"""The links themselves, whatever a class puts in front of them."""


def scrubbed(redactor: Redactor, error: BaseException) -> BaseException:
    """Return the error with no secret in its text, notes, arguments, causes and members.

    It is another error where the same one cannot be cleaned.
    """
    linked = _linked(error)
    if not redactor.knows and not any(tells_of_headers(_text(member)) for member in linked):
        return error
    # all are cleaned before any is looked at: the text of one may hold that of another
    cleaned = [_cleaned(redactor, member) for member in linked]
    clean = {
        id(member): in_place and not _tells(redactor, member) for member, in_place in zip(linked, cleaned, strict=True)
    }
    new: dict[int, BaseException] = {}
    for member in linked:
        _replaced(redactor, member, clean, new)
    for member in linked:
        _relink(member, new)
    return new[id(error)]


def _relink(error: BaseException, new: dict[int, BaseException]) -> None:
    replacement = new[id(error)]
    suppress = error.__suppress_context__
    for link in _LINKS:
        before = link.__get__(error)
        link.__set__(replacement, None if before is None else new[id(before)])
    BaseException.__setattr__(replacement, "__suppress_context__", suppress)  # which setting a cause has changed


def _linked(error: BaseException) -> list[BaseException]:
    """Return the error and all that a traceback of it shows, each once."""
    linked: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        member = waiting.pop()
        if member is None or id(member) in linked:
            continue
        linked[id(member)] = member
        waiting += [*(link.__get__(member) for link in _LINKS), *_members(member)]
    return list(linked.values())


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return BaseExceptionGroup.exceptions.__get__(error) if isinstance(error, BaseExceptionGroup) else ()


def _cleaned(redactor: Redactor, error: BaseException) -> bool:
    """Clean it in place as far as its class allows. False if that is not clear."""
    try:
        args = tuple(_held(redactor, arg) for arg in error.args)
        if any(now is not then for now, then in zip(args, error.args, strict=True)):
            error.args = args
        for name, value in list(vars(error).items()):
            clean = _held(redactor, value) if type(value) in {str, bytes} else value
            if clean is not value:
                setattr(error, name, clean)
        notes = getattr(error, "__notes__", None)
        if notes is not None:
            error.__notes__ = [redactor.text(str(note)) for note in notes]
    except Exception:  # noqa: BLE001 - a class of the user's may forbid anything: then it is replaced
        return False
    return True


def _held(redactor: Redactor, value: Any) -> Any:
    if isinstance(value, BaseException) or (type(value) is list and any(isinstance(v, BaseException) for v in value)):
        return value  # the members of a group among them; what their repr tells is looked at afterwards
    if type(value) is bytes:
        return redactor.binary(value)
    shown = value if type(value) is str else repr(value)
    clean = redactor.text(shown)
    return value if clean == shown else clean


def _tells(redactor: Redactor, error: BaseException) -> bool:
    """True if anything that is printed of it has a secret, or if that cannot be seen."""
    if any(getattr(type(error), link.__name__) is not link for link in _LINKS):
        return True  # a traceback would follow others than are looked at here
    try:
        shown = [str(error), repr(error), repr(error.args), *traceback.format_exception_only(error)]
    except Exception:  # noqa: BLE001 - a __str__ of the user's may raise anything
        return True
    lines = (text.replace("\\r", "\r").replace("\\n", "\n") for text in shown)
    return any(redactor.text(text) != text for text in lines)


def _replaced(
    redactor: Redactor, error: BaseException, clean: dict[int, bool], new: dict[int, BaseException]
) -> BaseException:
    """Return the error itself or its stand-in, and remember which."""
    if id(error) not in new:
        before = _members(error)
        members = [_replaced(redactor, member, clean, new) for member in before]
        same = clean[id(error)] and all(now is then for now, then in zip(members, before, strict=True))
        new[id(error)] = error if same else _stand_in(redactor, error, members)
    return new[id(error)]


def _stand_in(redactor: Redactor, error: BaseException, members: list[BaseException]) -> BaseException:
    text = redactor.text(f"{type(error).__qualname__}: {_text(error)}")
    stand_in: BaseException
    if members:
        stand_in = BaseExceptionGroup(text, members)
    elif isinstance(error, Exception):
        stand_in = RuntimeError(text)
    else:
        stand_in = next(kind for kind in _CONTROL if isinstance(error, kind))(text)
    return stand_in.with_traceback(error.__traceback__)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the user's may raise anything
        return "(its text cannot be made)"
