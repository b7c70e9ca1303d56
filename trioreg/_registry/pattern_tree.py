"""A pattern as a tree. Each node asks something of a value, and writes that as code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any, NamedTuple, Protocol, TypeAlias, Union, cast, get_args, get_origin

import attrs

from .pattern import ANY, Is, Var, deeper, is_hole
from .pattern_code import MISSING, FunctionBuilder

# Named tuples, and not attrs classes: an attrs class takes much longer to make, in every import of trioreg.


class Node(Protocol):
    """A part of a pattern."""

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        """Add steps that return None unless the local variable ``subject`` matches."""


class Anything(NamedTuple):
    def emit(self, code: FunctionBuilder, subject: str) -> None:
        pass


class Bind(NamedTuple):
    name: str

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        first = code.bound.setdefault(self.name, subject)
        if first is not subject:
            code.unless(f"{first} is {subject} or {first} == {subject}")


class Equal(NamedTuple):
    """Matches by ``==``: a value without a pattern in it.

    Attributes:
        is_plain: ``value`` is just as the user wrote it: no `Is` was removed from it or from its items.
    """

    value: object
    is_plain: bool = True

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        value = code.constant(self.value)
        code.unless(f"{subject} is {value} or {subject} == {value}")


class EqualBy(NamedTuple):
    """A field of an attrs class with a comparison of its own: ``attrs.field(eq=str.lower)``."""

    key: Callable[[Any], object]
    value: object

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        keyed = code.local(f"{code.constant(self.key)}({subject})")
        Equal(self.key(self.value)).emit(code, keyed)


class Instance(NamedTuple):
    cls: type | UnionType

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        code.unless(f"isinstance({subject}, {code.constant(self.cls)})")


class Items(NamedTuple):
    """Tuples and lists."""

    cls: type[tuple[object, ...]] | type[list[object]]
    items: tuple[Node, ...]

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        n = len(self.items)
        code.unless(f"isinstance({subject}, {code.constant(self.cls)}) and len({subject}) == {n}")
        if issubclass(self.cls, list):
            # A copy: another thread, or a value's `__eq__`, may make the list shorter meanwhile.
            subject = code.local(f"tuple({subject})")
            code.unless(f"len({subject}) == {n}")
        for number, item in enumerate(self.items):
            if not isinstance(item, Anything):
                item.emit(code, code.local(f"{subject}[{number}]"))


class Mapping(NamedTuple):
    items: tuple[tuple[object, Node], ...]

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        code.unless(f"isinstance({subject}, dict)")
        for key, item in self.items:
            # Not `subject[key]`: a defaultdict would add the key.
            value = code.local(f"{subject}.get({code.constant(key)}, {code.missing()})")
            code.unless(f"{value} is not {code.missing()}")
            item.emit(code, value)


class Fields(NamedTuple):
    """Instances of attrs classes and dataclasses."""

    cls: type
    fields: tuple[tuple[str, Node], ...]

    def emit(self, code: FunctionBuilder, subject: str) -> None:
        code.unless(f"isinstance({subject}, {code.constant(self.cls)})")
        for name, item in self.fields:
            value = code.local(f"getattr({subject}, {code.constant(name)}, {code.missing()})")
            code.unless(f"{value} is not {code.missing()}")
            item.emit(code, value)


_ANYTHING = Anything()


def read_pattern(pattern: object, path: tuple[object, ...]) -> Node:
    if pattern is ANY or pattern is object:
        return _ANYTHING
    if isinstance(pattern, Var):
        return Bind(pattern.name)
    if isinstance(pattern, Is):
        return Equal(pattern.value, is_plain=False)
    if isinstance(pattern, type | UnionType) or get_origin(pattern) is not None:
        return _read_class(cast("type | UnionType", pattern))
    fields = _fields_of(pattern)
    if fields is not None:
        return _read_fields(pattern, fields, deeper("pattern", path, pattern))
    if isinstance(pattern, tuple | list):
        items = cast("tuple[object, ...] | list[object]", pattern)
        return _read_items(items, deeper("pattern", path, items))
    if isinstance(pattern, dict):
        mapping = cast("dict[object, object]", pattern)
        inside = deeper("pattern", path, mapping)
        for key in mapping:
            _check_plain(key, "a key of a dict")
        return Mapping(tuple((key, read_pattern(value, inside)) for key, value in mapping.items()))
    if isinstance(pattern, set | frozenset):
        members = cast("set[object] | frozenset[object]", pattern)
        for member in members:
            _check_plain(member, "a member of a set")
        # A frozenset equals the same sets as the set, and can't change.
        return Equal(frozenset(members) if type(members) is set else members)
    return Equal(pattern)


def _read_class(cls: type | UnionType) -> Node:
    try:
        # `isinstance` looks at the members of a union only until one matches, so each is checked alone.
        for member in get_args(cls) if get_origin(cls) in (Union, UnionType) else (cls,):
            isinstance(None, member)
    except TypeError as error:
        hint = ": write ANY to match anything" if cls is Any else f" ({error})"
        raise TypeError(f"pattern holds {cls!r}, which has no instances{hint}") from None
    return Instance(cls)


def _read_items(pattern: tuple[object, ...] | list[object], inside: tuple[object, ...]) -> Node:
    items = tuple(read_pattern(item, inside) for item in pattern)
    # An instance of a subclass, such as a named tuple, equals plain tuples, but should match its own class.
    cls = type(pattern)
    if cls in (tuple, list):
        equals = [item for item in items if isinstance(item, Equal)]
        if len(equals) == len(items):
            values = [item.value for item in equals]
            return Equal(tuple(values) if cls is tuple else values, all(item.is_plain for item in equals))
    return Items(cls, items)


_Field: TypeAlias = tuple[str, Callable[[Any], object] | None]


def _fields_of(pattern: object) -> list[_Field] | None:
    """The fields by which ``pattern`` is compared, each with its comparison key. None: compare it as a whole."""
    cls = type(pattern)
    if attrs.has(cls):
        fields: list[_Field] = [(field.name, field.eq_key) for field in attrs.fields(cls) if field.eq]
    elif dataclasses.is_dataclass(cls):
        fields = [(field.name, None) for field in dataclasses.fields(cls) if field.compare]
    else:
        return None
    # An object that equals only itself (an event, a channel, a task) is not a value, and its fields may hold anything:
    # compare it as a whole. But if it has a hole in it, it was made to be a pattern.
    if cls.__eq__ is object.__eq__ and not any(is_hole(getattr(pattern, name, None)) for name, _ in fields):
        return None
    return fields


def _read_fields(pattern: object, fields: list[_Field], inside: tuple[object, ...]) -> Node:
    nodes: list[tuple[str, Node]] = []
    is_value = True
    for name, key in fields:
        value = getattr(pattern, name, MISSING)
        if value is MISSING:  # declared, never set: its own __eq__ would fail
            is_value = False
            continue
        node = read_pattern(value, inside)
        is_value = is_value and isinstance(node, Equal) and node.is_plain
        nodes.append((name, EqualBy(key, node.value) if key is not None and isinstance(node, Equal) else node))
    return Equal(pattern) if is_value else Fields(type(pattern), tuple(nodes))


def _check_plain(value: object, place: str) -> None:
    if is_hole(value):
        raise ValueError(f"pattern has {value!r} as {place}, which has to be a plain value")
    if isinstance(value, tuple | frozenset):
        for item in cast("Iterable[object]", value):
            _check_plain(item, place)
