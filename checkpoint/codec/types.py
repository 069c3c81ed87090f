"""Shapes: take an object apart and put it together again without calling its class, and without losing state.

A shape belongs to one class of the allow-list. ``split`` gives the parts of an object, ``build`` makes an equal
object of them. Neither runs ``__init__``, validators or setters: what was recorded is what comes back. The letters
of the parts stand in the stored JSON:

    v  attributes by name (for a pydantic model and a NamedTuple: its fields)     maps of name to value
    d  attributes that are no field of the class
    x  pydantic: extra fields      p  pydantic: private attributes
    s  pydantic: names of the fields that were set                                values
    a  exception: arguments        n  enum: member's name      b  the builtin value of a subclass, or a flag's bits

Classes that changed since: a field that is new takes its default; a model treats a field that is gone by its own
rule (``extra``). A class whose state is not visible to Python (a lock, a file) has no shape: Refused.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import functools
from contextlib import suppress
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

from durable.checkpoint.codec.names import shown_name, stored_name
from durable.checkpoint.errors import CorruptPayload

if TYPE_CHECKING:
    from collections.abc import Callable

MAPS = frozenset("vdxp")
"""Parts that map names to values; the other parts are values."""

BUILTIN_EXCEPTIONS: tuple[type[BaseException], ...] = tuple(
    {item for item in vars(builtins).values() if isinstance(item, type) and issubclass(item, BaseException)}
)

_BASES = (str, int, float, bytes, bytearray, tuple, list, set, frozenset, dict)
_FILL: dict[type, Callable[[Any, Any], None]] = {
    bytearray: bytearray.extend,
    list: list.extend,
    set: set.update,
    dict: dict.update,
}
_MODEL_SLOTS = frozenset({"__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"})
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement (or by a C module that allows subclasses)
_POINTER = object.__basicsize__ // 2
_MISSING = object()


class Refused(Exception):
    """Raised for a value that cannot be stored; ``trail`` grows from the value outwards while the walk unwinds.

    Each entry is the step from a container to what it holds, and the id of the container: an id that comes
    twice is a cycle.
    """

    def __init__(self, type_name: str, remedy: str = "") -> None:
        super().__init__(type_name)
        self.type_name = type_name
        self.remedy = remedy
        self.trail: list[tuple[str, int]] = []


def shape_of(cls: type) -> Shape:
    """Return how objects of exactly this class are taken apart. Raises Refused if their state cannot be seen."""
    if any(kind.__module__.startswith("pydantic.v1") for kind in cls.__mro__):
        raise Refused(shown_name(cls), "it is a pydantic v1 model: derive it from pydantic.BaseModel of version 2")
    if issubclass(cls, enum.Enum):
        return EnumShape(cls)
    if issubclass(cls, BaseException):
        return ExceptionShape(cls)
    base = next((base for base in _BASES if issubclass(cls, base)), object)
    _refuse_hidden_state(cls, base)
    if base is tuple and isinstance(getattr(cls, "_fields", None), tuple):
        return NamedTupleShape(cls, base)
    if hasattr(cls, "__pydantic_fields__") and hasattr(cls, "__pydantic_fields_set__"):
        return ModelShape(cls, base)
    return Shape(cls, base)


def _refuse_hidden_state(cls: type, base: Any) -> None:
    """Refuse classes that keep state in C, where nothing but the class itself can reach it (as copyreg does)."""
    between = cls.__mro__[: cls.__mro__.index(base)]
    hidden = cls.__itemsize__ != base.__itemsize__ or cls.__basicsize__ > _visible_size(cls, base, between)
    if hidden or cls in {object, type}:
        raise Refused(shown_name(cls), "its state is not visible to Python: return plain data instead")
    with suppress(TypeError):  # what object.__new__(lock type) and tuple.__new__(os.stat_result) raise
        if all(kind.__flags__ & _HEAP_TYPE for kind in between) and (base is object or base.__new__(cls) is not None):
            return
    raise Refused(shown_name(cls), "it is implemented in C: return plain data instead")


def _visible_size(cls: type, base: Any, between: tuple[type, ...]) -> int:
    """Return the bytes of an instance that Python can see: those of the base, its slots, dict and weak references."""
    members = [item for kind in between if "__slots__" in vars(kind) for item in vars(kind).values()]
    words = sum(isinstance(item, MemberDescriptorType) for item in members)
    words += (cls.__dictoffset__ != 0) + (cls.__weakrefoffset__ != 0)
    return int(base.__basicsize__ + words * _POINTER)


def _slots(between: tuple[type, ...]) -> dict[str, Any]:
    """Return the slots of these classes, by attribute name: descriptors, so that ``__setattr__`` is not asked."""
    return {
        name: member
        for kind in reversed(between)
        if "__slots__" in vars(kind)
        for name, member in vars(kind).items()
        if isinstance(member, MemberDescriptorType) and name not in _MODEL_SLOTS
    }


def _defaults(cls: type) -> dict[str, Callable[[], Any]]:
    """Return what makes the default of each field of a dataclass that has one."""
    makers: dict[str, Callable[[], Any]] = {}
    for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        if field.default is not dataclasses.MISSING:
            makers[field.name] = functools.partial(_same, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            makers[field.name] = field.default_factory
    return makers


def _same(value: Any) -> Any:
    return value


class Shape:
    """Dataclasses, slotted and plain classes, and subclasses of a builtin.

    What is derived and can be derived again (``cached_property``, the alias that ``Box[int](...)`` leaves behind) is
    not part of the state.
    """

    remade: frozenset[str] = frozenset()
    """Private attributes with a default factory: made again when their value cannot be stored (a lock)."""
    lossy = False
    """Whether arguments that cannot be stored are replaced by their repr."""

    def __init__(self, cls: Any, base: Any = object) -> None:
        self.cls = cls
        self.base = base
        self._slots = _slots(cls.__mro__[: cls.__mro__.index(base)])
        self._has_dict = cls.__dictoffset__ != 0
        self._defaults = _defaults(cls)
        self._derived = {"__orig_class__"} | {
            name
            for kind in cls.__mro__
            for name, member in vars(kind).items()
            if isinstance(member, functools.cached_property)
        }

    def split(self, value: Any) -> dict[str, Any]:
        """Return the parts of an object of this class. Raises Refused."""
        if self.base is object:
            return {"v": self._state(value)}
        if self.base is dict:
            plain: Any = dict(dict.items(value))
        elif self.base in (list, tuple, set, frozenset):
            plain = self.base(self.base.__iter__(value))
        else:  # unbound, so that what the subclass redefines is not asked
            plain = self.base.__getnewargs__(value)[0] if self.base is not bytearray else bytearray(memoryview(value))
        state = self._state(value)
        return {"b": plain, "v": state} if state else {"b": plain}

    def build(self, parts: dict[str, Any]) -> Any:
        """Return an object of this class with these parts. Raises CorruptPayload, or what a hash or slot raises."""
        if self.base is object:
            instance = object.__new__(self.cls)
        else:
            plain = parts.get("b")
            if type(plain) is not self.base:
                reason = f"a {stored_name(self.cls)} needs a {self.base.__name__}"
                raise CorruptPayload(reason)
            fill = _FILL.get(self.base)
            new: Any = self.base.__new__
            instance = new(self.cls, plain) if fill is None else new(self.cls)
            if fill is not None:
                fill(instance, plain)
        state = parts.get("v", {})
        self._restore(instance, state)
        for name, make in self._defaults.items():
            if name not in state:
                self._restore(instance, {name: make()})
        return instance

    def _state(self, value: Any) -> dict[str, Any]:
        state = {}
        for name, slot in self._slots.items():
            with suppress(AttributeError):
                state[name] = slot.__get__(value)
        if self._has_dict:
            attributes = object.__getattribute__(value, "__dict__")
            if not state and self._derived.isdisjoint(attributes):
                return attributes  # type: ignore[no-any-return]
            state.update((name, item) for name, item in attributes.items() if name not in self._derived)
        return state

    def _restore(self, instance: Any, state: dict[str, Any]) -> None:
        for name, item in state.items():
            slot = self._slots.get(name)
            if slot is not None:
                slot.__set__(instance, item)
            elif self._has_dict:
                object.__getattribute__(instance, "__dict__")[name] = item
            else:
                reason = f"{stored_name(self.cls)} has no attribute {name!r} any more"
                raise CorruptPayload(reason)


class NamedTupleShape(Shape):
    """NamedTuples, by field name, so that a field with a default may be added."""

    def split(self, value: Any) -> dict[str, Any]:
        """Return the fields, and the attributes of a subclass that has some."""
        fields = self.cls._fields
        items = tuple(tuple.__iter__(value))
        if len(items) != len(fields):
            raise Refused(shown_name(self.cls), f"it has {len(items)} items for {len(fields)} fields")
        state = self._state(value)
        parts = {"v": dict(zip(fields, items, strict=True))}
        return parts | {"d": state} if state else parts

    def build(self, parts: dict[str, Any]) -> Any:
        """Return the tuple. Raises CorruptPayload if a field without default is missing, or one is unknown."""
        values = self.cls._field_defaults | parts.get("v", {})
        if values.keys() != set(self.cls._fields):
            reason = f"the fields of {stored_name(self.cls)} are not those it was stored with"
            raise CorruptPayload(reason)
        instance = tuple.__new__(self.cls, [values[name] for name in self.cls._fields])
        self._restore(instance, parts.get("d", {}))
        return instance


class ModelShape(Shape):
    """Pydantic v2 models, RootModels and parametrised generics: fields, fields_set, extras and private attributes.

    Fields are stored as they are, not as ``model_dump`` shows them: a subclass in a field that is annotated with its
    base class stays that subclass. Nothing is validated on the way back.
    """

    def __init__(self, cls: Any, base: Any = object) -> None:
        super().__init__(cls, base)
        self._defaults = {}
        self._fields = cls.__pydantic_fields__
        self._private = getattr(cls, "__private_attributes__", {})
        self._extra = cls.model_config.get("extra", "ignore")
        self._root = bool(getattr(cls, "__pydantic_root_model__", False))
        self.remade = frozenset(name for name, field in self._private.items() if field.default_factory is not None)

    def split(self, value: Any) -> dict[str, Any]:
        """Return the state of the model; parts that are empty are left out."""
        state = self._state(value)
        parts: dict[str, Any] = {"v": state}
        if not state.keys() <= self._fields.keys():
            parts["v"] = {name: item for name, item in state.items() if name in self._fields}
            parts["d"] = {name: item for name, item in state.items() if name not in self._fields}
        parts["s"] = sorted(value.__pydantic_fields_set__)
        if not self._root:
            if value.__pydantic_extra__ is not None:
                parts["x"] = value.__pydantic_extra__
            if value.__pydantic_private__ is not None:
                parts["p"] = value.__pydantic_private__
        return parts

    def build(self, parts: dict[str, Any]) -> Any:
        """Return the model, not validated.

        Raises CorruptPayload for a field that is gone, if the model forbids extras.
        """
        stored = parts.get("v", {})
        fields = {name: item for name, item in stored.items() if name in self._fields}
        gone = {name: item for name, item in stored.items() if name not in fields}
        if gone and self._extra == "forbid":
            reason = f"{stored_name(self.cls)} has no field {min(gone)!r} any more"
            raise CorruptPayload(reason)
        extra = parts.get("x")
        if gone and self._extra == "allow":
            extra = gone | (extra or {})
        self._add_defaults(fields)
        model = object.__new__(self.cls)
        put = object.__setattr__
        put(model, "__dict__", fields)
        put(model, "__pydantic_fields_set__", set(parts.get("s", [])) - (gone.keys() - (extra or {}).keys()))
        if not self._root:
            self._put_beside(model, fields, extra, parts.get("p"))
        self._restore(model, parts.get("d", {}))
        return model

    def _add_defaults(self, fields: dict[str, Any]) -> None:
        for name, field in self._fields.items():
            if name not in fields and not field.is_required():
                fields[name] = field.get_default(call_default_factory=True, validated_data=fields)

    def _put_beside(
        self, model: Any, fields: dict[str, Any], extra: dict[str, Any] | None, private: dict[str, Any] | None
    ) -> None:
        """Set what a model keeps beside its fields: extras and private attributes."""
        if extra is None and self._extra == "allow":
            extra = {}
        if self._private:
            private = self._private_state(private, fields)
        object.__setattr__(model, "__pydantic_extra__", extra)
        object.__setattr__(model, "__pydantic_private__", private)

    def _private_state(self, stored: dict[str, Any] | None, fields: dict[str, Any]) -> dict[str, Any]:
        state = dict(stored or {})
        for name, attribute in self._private.items():
            if name not in state:
                default = attribute.get_default(call_default_factory=True, validated_data=fields | state)
                if type(default).__name__ != "PydanticUndefinedType":
                    state[name] = default
        return state


class EnumShape(Shape):
    """Members of any kind of enum by name, combined flags by their bits."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls

    def split(self, value: Any) -> dict[str, Any]:
        """Return the name, or the bits. Raises Refused for a pseudo-member that the class has made up."""
        name = value._name_
        if self.cls._member_map_.get(name) is value:
            return {"n": name}
        if isinstance(value, enum.Flag):
            return {"b": int.__int__(value._value_)}
        raise Refused(shown_name(self.cls), "it is not one of the enum's members: return its value")

    def build(self, parts: dict[str, Any]) -> Any:
        """Return the member. Raises CorruptPayload if the enum has none of that name any more."""
        name = parts.get("n")
        bits = parts.get("b")
        if type(bits) is int and issubclass(self.cls, enum.Flag):
            return self.cls(bits)
        member = self.cls._member_map_.get(name, _MISSING) if type(name) is str else _MISSING
        if member is _MISSING:
            reason = f"{stored_name(self.cls)} has no member {name!r}"
            raise CorruptPayload(reason)
        return member


class ExceptionShape(Shape):
    """Exceptions as type, arguments and attributes; cause, context and traceback are not kept.

    Only the builtin base is initialised, so an exception with required keywords comes back too. Arguments and
    attributes that cannot be stored become their repr, except the members of a group.
    """

    def __init__(self, cls: Any) -> None:
        base: Any = next(kind for kind in cls.__mro__ if kind in BUILTIN_EXCEPTIONS)
        super().__init__(cls, base)
        self.lossy = not issubclass(cls, BaseExceptionGroup)

    def split(self, value: Any) -> dict[str, Any]:
        """Return the arguments (of an OSError with its file names) and the attributes."""
        _, arguments, *more = self.base.__reduce__(value)
        state: dict[str, Any] = dict(more[0] or {}) if more else {}
        for name, slot in self._slots.items():
            with suppress(AttributeError):
                state[name] = slot.__get__(value)
        parts: dict[str, Any] = {"a": list(arguments)}
        return parts | {"v": state} if state else parts

    def build(self, parts: dict[str, Any]) -> Any:
        """Return the exception; ``__init__`` of the class itself is not called."""
        arguments = parts.get("a")
        if type(arguments) is not list:
            reason = f"a {stored_name(self.cls)} needs a list of arguments"
            raise CorruptPayload(reason)
        error = self.base.__new__(self.cls, *arguments)
        with suppress(Exception):  # a subclass may pass on other arguments than its builtin base takes
            self.base.__init__(error, *arguments)
        if not isinstance(error, OSError):  # its args leave out the file names
            error.args = tuple(arguments)
        for name, item in parts.get("v", {}).items():
            slot = self._slots.get(name)
            if slot is not None:
                slot.__set__(error, item)
            elif not name.startswith("__") and isinstance(getattr(self.base, name, None), MemberDescriptorType):
                BaseException.__setattr__(error, name, item)  # ImportError.name, .path
            else:
                vars(error)[name] = item
        return error
