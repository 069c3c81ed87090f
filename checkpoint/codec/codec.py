"""Turn values into bytes and back: ``decode`` gives an equal value, or ``encode`` refuses it by name.

The bytes are UTF-8 JSON, ``{"v":1,"d":...}``, to be read by people and other programs. What JSON has, stands as
itself; anything else is an object with the key ``$t``: the tag of a builtin (``{"$t":"tuple","v":[1,2]}``) or, as
``module:qualname``, a class of the allow-list (``{"$t":"app:Order","v":{"id":7}}``, see ``types``). A dict that has
that key itself, or keys that are no strings, is stored as ``{"$t":"dict","v":[key, value, key, value]}``.

No pickle, and no name found in data is imported, looked up in a module or called: CVE-2025-64439, CVE-2026-28277 and
CVE-2025-68664 are what happens otherwise. Decoding rebuilds, it does not validate.

Not kept: identity (a shared object comes back twice), a NaN's payload, an exception's cause and traceback.
Refused: functions, classes as values, open resources, cycles, more than 200 levels, subclasses of builtins that are
not on the allow-list.

Errors: NotEncodable, PayloadTooLarge from ``encode``; UnknownType, CorruptPayload from ``decode``.
"""

from __future__ import annotations

import hashlib
import json
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import TYPE_CHECKING, Any, NoReturn

from durable.checkpoint.codec.builtins import READERS, TAG, pairs
from durable.checkpoint.codec.names import shown_name, stored_name
from durable.checkpoint.codec.types import BUILTIN_EXCEPTIONS, MAPS, Refused, Shape, shape_of
from durable.checkpoint.codec.walk import CANONICAL, NATIVE, READABLE, TOO_DEEP, Walk, not_encodable, plain_size
from durable.checkpoint.errors import CodecError, CorruptPayload, NotEncodable, PayloadTooLarge, UnknownType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VERSION = 1
LIMIT = 32 * 1024 * 1024
"""Bytes of one encoded value."""

_MARK = f'"{TAG}"'
_HEAD, _TAIL = f'{{"v":{VERSION},"d":', "}"
_ADVICE: tuple[tuple[tuple[type, ...], str], ...] = (
    ((FunctionType, BuiltinFunctionType, MethodType), "return data, not a function; a name can stand for it"),
    ((GeneratorType, AsyncGeneratorType), "return what it yields, as a list"),
    ((CoroutineType,), "await it and return its result"),
    ((ModuleType,), "return data, not a module; a name can stand for it"),
    ((type,), "return an instance of the class, or its name"),
)


def _no_constant(_: str) -> NoReturn:
    reason = "NaN and Infinity are no JSON"
    raise CorruptPayload(reason)


_PLAIN = json.JSONDecoder(parse_constant=_no_constant)


class Codec:
    """Encodes and decodes values of builtin types and of the classes in ``types``; nothing else.

    ``limit`` is in bytes of one encoded value. Of two classes with the same module and qualified name (a notebook
    cell that ran twice) the later one counts, and objects of the earlier one are refused. ``redact`` takes out of
    encoded bytes what must not be stored, and returns the same object if there is nothing. Immutable, thread-safe.
    """

    __slots__ = ("_redact", "_shapes", "_tagged", "_types", "limit")

    def __init__(
        self, types: Iterable[type] = (), *, limit: int = LIMIT, redact: Callable[[bytes], bytes] | None = None
    ) -> None:
        self.limit = limit
        self._redact = redact
        self._types: dict[str, type] = {stored_name(cls): cls for cls in BUILTIN_EXCEPTIONS}
        classes: Iterable[Any] = types
        for cls in classes:
            if not isinstance(cls, type):
                msg = f"types takes classes, not {cls!r}"
                raise TypeError(msg)
            self._types[stored_name(cls)] = cls
        self._shapes: dict[type, Shape] = {}
        self._tagged = json.JSONDecoder(parse_constant=_no_constant, object_hook=self._revive)

    def with_types(self, types: Iterable[type]) -> Codec:
        """Return a codec that allows these classes too."""
        return Codec((*self._types.values(), *types), limit=self.limit, redact=self._redact)

    def allows(self, cls: type) -> bool:
        """True if an object of exactly this class may be encoded."""
        return cls in NATIVE or self._types.get(stored_name(cls)) is cls

    def encode(self, value: object, *, what: str = "value") -> bytes:
        """Return the value as bytes. Raises NotEncodable with the path below ``what``, or PayloadTooLarge."""
        return self.redacted(value, what=what)[0]

    def redacted(self, value: object, *, what: str = "value") -> tuple[bytes, bool]:
        """Return what ``encode`` returns, and True if something was taken out: decoding then gives another value."""
        written = self._write(value, what, READABLE)
        if self._redact is None:
            return written, False
        stored = self._redact(written)
        return stored, stored is not written

    def fingerprint(self, value: object) -> str:
        """Return the sha256 (hex) of the value, the same in every process.

        The order of dict keys and sets does not count.
        """
        return hashlib.sha256(self._write(value, "value", CANONICAL)).hexdigest()

    def decode(self, data: bytes) -> Any:
        """Return the value. Raises UnknownType for a class that is not allowed, CorruptPayload for anything else."""
        try:
            text = str(data, "utf-8")
            document = (self._tagged if _MARK in text else _PLAIN).decode(text)
        except (CodecError, MemoryError):
            raise
        except Exception as exc:  # whatever crafted bytes provoke in a parser, a constructor or a hash
            reason = f"{type(exc).__name__} while decoding"
            raise CorruptPayload(reason) from exc
        if type(document) is not dict or type(document.get("v")) is not int or "d" not in document:
            reason = 'it is not of the form {"v":1,"d":...}'
            raise CorruptPayload(reason)
        version = document["v"]
        if version != VERSION:
            reason = f"format {version}, this process reads format {VERSION}; upgrade durable-adapters here"
            raise CorruptPayload(reason)
        return document["d"]

    def _write(self, value: object, what: str, encoder: json.JSONEncoder) -> bytes:
        try:
            data = self._text(value, what, encoder)
        except Refused as refused:
            raise not_encodable(refused, what) from None
        except RecursionError:
            raise NotEncodable(what, *TOO_DEEP) from None
        if len(data) > self.limit:
            raise PayloadTooLarge(len(data), self.limit, what)
        return data

    def _text(self, value: object, what: str, encoder: json.JSONEncoder) -> bytes:
        size = plain_size(value, self.limit, 0)
        if size > self.limit:
            raise PayloadTooLarge(size, self.limit, what)
        if size >= 0:
            try:
                return f"{_HEAD}{encoder.encode(value)}{_TAIL}".encode()
            except ValueError:  # NaN, an infinity or a lone surrogate somewhere: they need tags
                pass
        walk = Walk(self._shape, self.limit, what, canonical=encoder is CANONICAL)
        tree = walk.one(value, 0)
        walk.spend(0)
        return f"{_HEAD}{encoder.encode(tree)}{_TAIL}".encode()

    def _shape(self, cls: type) -> Shape:
        """Return the shape of an allowed class. Raises Refused."""
        shape = self._shapes.get(cls)
        if shape is None:
            current = self._types.get(stored_name(cls))
            if current is not cls:
                raise Refused(shown_name(cls), _remedy(cls, replaced=current is not None))
            shape = self._shapes[cls] = shape_of(cls)
        return shape

    def _revive(self, tagged: dict[str, Any]) -> Any:
        """Return what a JSON object stands for. The parser calls this from the inside out."""
        tag = tagged.get(TAG)
        if tag is None and TAG not in tagged:
            return tagged
        if type(tag) is not str:
            reason = "a tag that is no string"
            raise CorruptPayload(reason)
        read = READERS.get(tag)
        if read is not None:
            return read(tagged)
        cls = self._types.get(tag)
        if cls is None:
            raise UnknownType(tag[:200] if tag.isprintable() else ascii(tag[:200]))
        try:
            shape = self._shape(cls)
        except Refused as refused:
            why = f"{tag} ({refused.remedy})"
            raise UnknownType(why) from None
        return shape.build({part: _map(item) if part in MAPS else item for part, item in tagged.items()})


def _remedy(cls: type, *, replaced: bool) -> str:
    """Return what to do about a class that is not on the allow-list."""
    if replaced:
        return "a class of the same name was named in Runtime(types=[...]) later, and that one counts"
    for kinds, advice in _ADVICE:
        if issubclass(cls, kinds):
            return advice
    try:
        shape = shape_of(cls)
    except Refused as refused:
        return refused.remedy
    base = getattr(shape, "base", object)
    plain = "return plain data" if base is object else f"convert it with {base.__name__}(...)"
    return f"{plain}, or name the type in Runtime(types=[{cls.__name__}])"


def _map(stored: Any) -> dict[str, Any]:
    """Return attributes by name, from an object or from pairs. Raises CorruptPayload."""
    attributes = stored if type(stored) is dict else dict(pairs(stored))
    if not all(type(name) is str for name in attributes):
        reason = "attributes whose names are no strings"
        raise CorruptPayload(reason)
    return attributes
