"""Patterns over values: the match specifications of Elixir and Erlang, in Python's manner.

A pattern is written as an example of what it matches, with holes in it: ``("score", Var("who"), int)``. It is turned
into a Python function once; that function is what runs for each entry. The source of the function says only what
shape the pattern has: the values in it are handed in beside the source and never become part of it. So nothing that a
user writes is ever executed, and patterns of one shape share one compiled code object.

Nothing here knows of registries.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from keyword import iskeyword
from operator import itemgetter
from types import FunctionType, UnionType
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast, get_args, get_origin

import attrs

from .._runtime import require_sync, sync_result

if TYPE_CHECKING:
    # To a type checker a hole fits wherever a value does, so that ``Point(Var("x"), ANY)`` is no error.
    from typing import Any as _Hole
else:
    _Hole = object

Bound: TypeAlias = tuple[object, ...]
"""The values of a pattern's variables, in the order of `Pattern.names`."""

_DEEPEST = 100
_SHAPES_KEPT = 256


# What a user writes


class _Any(_Hole):  # type: ignore[misc]
    """The class of `ANY`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY"

    def __reduce__(self) -> str:
        return "ANY"  # a copy, or an unpickled one, is the one there is


ANY = _Any()
"""Matches anything and binds nothing. What it matches need not be the same twice."""


def _check_name(_: object, attribute: attrs.Attribute[Any], name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")
    if not name.isidentifier() or iskeyword(name):
        raise ValueError(f"name must be an identifier, not {name!r}")
    if name == "_":
        raise ValueError("name must not be '_': write ANY for a value that needs no name")


@attrs.frozen(repr=False)
class Var(_Hole):  # type: ignore[misc]
    """Matches anything, and gives it a name.

    The same variable twice in a pattern matches equal values only (identical or ``==``, as the items of a list are
    compared), of which the first is bound. Where variables compare values, exceptions of a user's ``__eq__`` go
    through. The idea is the ``:"$1"`` of Erlang's match specifications, with names instead of numbers. What else a
    pattern may be is told in the registry's guide.

    Args:
        name: What ``where=`` and ``into=`` call it: an identifier, but not ``_``, which is `ANY`.

    Raises:
        TypeError: ``name`` is not a str.
        ValueError: ``name`` is not an identifier, or is a keyword, or ``_``.
    """

    name: str = attrs.field(validator=_check_name)

    def __repr__(self) -> str:
        return f"Var({self.name!r})"


@attrs.frozen(repr=False)
class Is(_Hole):  # type: ignore[misc]
    """Matches what is equal to ``value``, even where ``value`` would be a pattern itself.

    ::

        Is(int)                 # the class int, not an instance of it
        Is({"state": "up"})     # this dict, not every dict that has this item
        Is(ANY)                 # ANY, as a value

    In a template (``into=``) it stands for the value.
    """

    value: object

    def __repr__(self) -> str:
        return f"Is({self.value!r})"


# What it is compiled to


@attrs.frozen(eq=False, repr=False)
class Pattern:
    """A compiled pattern.

    Attributes:
        pattern: What was compiled.
        names: The variables, in the order of their first appearance.
        is_any: It matches everything and binds nothing: there is no need to call `match`.
        is_literal: It matches what is equal to one hashable value, as a key of a dict does: instead of calling
            `match` for all keys of a dict, `literal` may be looked up in it.
        literal: That value (without the `Is` around it, if there is one); None if ``is_literal`` is not True.
        match: Takes a value; returns the values of the variables in the order of `names` (so ``()`` if there are
            none), or None if the value does not match. Costs as much as the pattern is large.
    """

    pattern: object
    names: tuple[str, ...]
    is_any: bool
    is_literal: bool
    literal: object
    match: Callable[[object], Bound | None]

    def __repr__(self) -> str:
        return f"<Pattern {self.pattern!r}>"


def compile_pattern(pattern: object) -> Pattern:
    """Turn a pattern into a function that matches values with it.

    ============================ ==================================================================================
    pattern                      matches
    ============================ ==================================================================================
    `ANY`                        anything
    ``Var("x")``                 anything, and binds it; the same variable again: only what is equal to the first
    ``Is(value)``                what is equal to ``value``, whatever that is
    a class, ``int | None``      its instances: ``int`` matches ``True`` too, since `bool` is a subclass of `int`
    a tuple, a list              a tuple (a list) of the same length whose items match
    a named tuple                an instance of its class whose items match (any other subclass of `tuple`: likewise)
    a dict                       a dict that has at least these keys, with values that match; ``{}`` any dict
    an attrs or dataclass object an instance of its class whose fields match, without the fields that its class
                                 leaves out of ``==``; if it holds no pattern, what is equal to it
    anything else                what is equal to it: sets, strings, numbers, references, ...
    ============================ ==================================================================================

    Equal means identical or ``==``, as for the keys of a dict and the items of a list: ``1``, ``1.0`` and ``True``
    match each other, and ``nan`` matches the very same ``nan``. Instances of subclasses match wherever instances of a
    class do, as in Python's own class patterns. An attrs or dataclass object whose class has no equality of its own
    (``eq=False``, as that of a `trio.Event`) equals only itself, and is a pattern only where a field *is* `ANY`, a
    `Var` or an `Is`. The keys of a dict and the items of a set are plain values.

    The pattern is read once: its lists, dicts and sets may be changed afterwards (not those in an attrs or dataclass
    object that holds no pattern: such an object is compared as it is). The idea, and dicts that match dicts
    with more in them, is that of Elixir's match specifications.

    Args:
        pattern: Any object.

    Returns:
        The compiled pattern. This costs some microseconds, and some 100 for each new shape: the last 256 are kept.

    Raises:
        TypeError: The pattern holds a class that can have no instances, such as `typing.Any` or ``list[int]``.
        ValueError: The pattern contains itself, is nested more than 100 deep, or has a hole in a set or in a key.
    """
    node = _read(pattern, ())
    code = _Code()
    node.emit(code, "v0")
    code.lines.append(f"return {_tuple_of(code.bound.values())}")
    is_literal = isinstance(node, _Equal) and _is_hashable(node.value)
    return Pattern(
        pattern=pattern,
        names=tuple(code.bound),
        is_any=isinstance(node, _Anything),
        is_literal=is_literal,
        literal=node.value if is_literal and isinstance(node, _Equal) else None,
        match=code.function("v0"),
    )


def compile_where(
    where: Callable[..., object] | None, names: tuple[str, ...]
) -> Callable[[object, Bound], bool] | None:
    """Turn a user's predicate into a function of a value that has matched, and of what its pattern has bound.

    Args:
        where: Called with the variables as keyword arguments; or, if there are none, with the value itself. Its
            exceptions go through. If it returns a coroutine, that is a `TypeError`.
        names: The pattern's variables.

    Returns:
        The function, or None if ``where`` is None.

    Raises:
        TypeError: ``where`` is not callable, is async, or does not take these arguments (where its signature can be
            known; not that of some builtins).
    """
    if where is None:
        return None
    _check_callable("where", where, names, positional=0 if names else 1)
    predicate = where
    if not names:

        def ask(value: object, bound: Bound) -> bool:
            answer = predicate(value)
            return answer is True or (answer is not False and bool(sync_result("where", predicate, answer)))

        return ask
    call = _by_keyword(predicate, names)

    def ask_by_name(value: object, bound: Bound) -> bool:
        answer = call(bound)
        return answer is True or (answer is not False and bool(sync_result("where", predicate, answer)))

    return ask_by_name


def compile_into(into: object, names: tuple[str, ...]) -> Callable[[Bound], object]:
    """Turn the shape that a result is to have into a function of what a pattern has bound.

    Args:
        into: A callable (a class is one), which is called with the variables as keyword arguments. Or a template:
            tuples, named tuples, lists and dicts (keys too), nested as you like, in which each `Var` stands for what
            it is bound to, ``Is(value)`` for ``value``, and anything else for itself. Each result has lists and dicts
            of its own.
        names: The pattern's variables.

    Raises:
        TypeError: A callable is async, or does not take these arguments (where its signature can be known).
        ValueError: A template has a variable that the pattern does not bind, or `ANY`; or it contains itself, or is
            nested more than 100 deep.
    """
    if callable(into):
        _check_callable("into", into, names, positional=0)
        return _by_keyword(into, names)
    code = _Code()
    code.lines.append(f"return {_fill(into, names, code, ())}")
    return code.function("bound")


# How: what a pattern says, as a tree


class _Node:
    """A part of a pattern: what it asks of a value, and how that is written as code."""

    __slots__ = ()

    def emit(self, code: _Code, subject: str) -> None:
        """Add steps that return None unless the local variable ``subject`` matches."""
        raise NotImplementedError  # pragma: no cover  # abstract


class _Anything(_Node):
    __slots__ = ()

    def emit(self, code: _Code, subject: str) -> None:
        pass


@attrs.frozen
class _Bind(_Node):
    name: str

    def emit(self, code: _Code, subject: str) -> None:
        first = code.bound.setdefault(self.name, subject)
        if first is not subject:
            code.unless(f"{first} is {subject} or {first} == {subject}")


@attrs.frozen
class _Equal(_Node):
    """Matches by ``==``: a value with no pattern in it.

    Attributes:
        is_plain: ``value`` is what the user wrote; no `Is` has been taken off anywhere in it.
    """

    value: object
    is_plain: bool = True

    def emit(self, code: _Code, subject: str) -> None:
        value = code.constant(self.value)
        code.unless(f"{subject} is {value} or {subject} == {value}")


@attrs.frozen
class _EqualBy(_Node):
    """A field of an attrs class with a comparison of its own: ``attrs.field(eq=str.lower)``."""

    key: Callable[[Any], object]
    value: object

    def emit(self, code: _Code, subject: str) -> None:
        keyed = code.local(f"{code.constant(self.key)}({subject})")
        _Equal(self.key(self.value)).emit(code, keyed)


@attrs.frozen
class _Instance(_Node):
    cls: type | UnionType

    def emit(self, code: _Code, subject: str) -> None:
        code.unless(f"isinstance({subject}, {code.constant(self.cls)})")


@attrs.frozen
class _Items(_Node):
    """Tuples and lists."""

    cls: type[tuple[object, ...]] | type[list[object]]
    items: tuple[_Node, ...]

    def emit(self, code: _Code, subject: str) -> None:
        n = len(self.items)
        code.unless(f"isinstance({subject}, {code.constant(self.cls)}) and len({subject}) == {n}")
        if issubclass(self.cls, list):
            # A copy: another thread, or some value's __eq__, may make the list shorter meanwhile.
            subject = code.local(f"tuple({subject})")
            code.unless(f"len({subject}) == {n}")
        for number, item in enumerate(self.items):
            if not isinstance(item, _Anything):
                item.emit(code, code.local(f"{subject}[{number}]"))


@attrs.frozen
class _Mapping(_Node):
    items: tuple[tuple[object, _Node], ...]

    def emit(self, code: _Code, subject: str) -> None:
        code.unless(f"isinstance({subject}, dict)")
        for key, item in self.items:
            # Not subject[key], which a defaultdict would answer.
            value = code.local(f"{subject}.get({code.constant(key)}, {code.missing()})")
            code.unless(f"{value} is not {code.missing()}")
            item.emit(code, value)


@attrs.frozen
class _Fields(_Node):
    """Instances of attrs classes and dataclasses."""

    cls: type
    fields: tuple[tuple[str, _Node], ...]

    def emit(self, code: _Code, subject: str) -> None:
        code.unless(f"isinstance({subject}, {code.constant(self.cls)})")
        for name, item in self.fields:
            value = code.local(f"getattr({subject}, {code.constant(name)}, {code.missing()})")
            code.unless(f"{value} is not {code.missing()}")
            item.emit(code, value)


_anything = _Anything()


def _read(pattern: object, path: tuple[object, ...]) -> _Node:
    if pattern is ANY or pattern is object:
        return _anything
    if isinstance(pattern, Var):
        return _Bind(pattern.name)
    if isinstance(pattern, Is):
        return _Equal(pattern.value, is_plain=False)
    if isinstance(pattern, type | UnionType) or get_origin(pattern) is not None:
        return _read_class(cast("type | UnionType", pattern))
    fields = _fields_of(pattern)
    if fields is not None:
        return _read_fields(pattern, fields, _deeper("pattern", path, pattern))
    if isinstance(pattern, tuple | list):
        items = cast("tuple[object, ...] | list[object]", pattern)
        return _read_items(items, _deeper("pattern", path, items))
    if isinstance(pattern, dict):
        mapping = cast("dict[object, object]", pattern)
        inside = _deeper("pattern", path, mapping)
        for key in mapping:
            _check_plain(key, "a key of a dict")
        return _Mapping(tuple((key, _read(value, inside)) for key, value in mapping.items()))
    if isinstance(pattern, set | frozenset):
        members = cast("set[object] | frozenset[object]", pattern)
        for member in members:
            _check_plain(member, "a member of a set")
        # A frozenset equals the same sets as the set, and stays as it is.
        return _Equal(frozenset(members) if type(members) is set else members)
    return _Equal(pattern)


def _read_class(cls: type | UnionType) -> _Node:
    try:
        # `isinstance` looks at the members of a union only until one fits: each has to be asked by itself.
        for member in get_args(cls) if get_origin(cls) in (Union, UnionType) else (cls,):
            isinstance(None, member)
    except TypeError as error:
        hint = ": write ANY to match anything" if cls is Any else f" ({error})"
        raise TypeError(f"pattern holds {cls!r}, which has no instances{hint}") from None
    return _Instance(cls)


def _read_items(pattern: tuple[object, ...] | list[object], inside: tuple[object, ...]) -> _Node:
    items = tuple(_read(item, inside) for item in pattern)
    # An instance of a subclass, a named tuple, equals plain tuples, but is meant to match its own class.
    cls = type(pattern)
    if cls in (tuple, list):
        equals = [item for item in items if isinstance(item, _Equal)]
        if len(equals) == len(items):
            values = [item.value for item in equals]
            return _Equal(tuple(values) if cls is tuple else values, all(item.is_plain for item in equals))
    return _Items(cls, items)


_Field: TypeAlias = tuple[str, Callable[[Any], object] | None]


def _fields_of(pattern: object) -> list[_Field] | None:
    """The fields by which ``pattern`` is compared, each with its key for that; None: it is to be taken as a whole."""
    cls = type(pattern)
    if attrs.has(cls):
        fields: list[_Field] = [(field.name, field.eq_key) for field in attrs.fields(cls) if field.eq]
    elif dataclasses.is_dataclass(cls):
        fields = [(field.name, None) for field in dataclasses.fields(cls) if field.compare]
    else:
        return None
    # Objects that are equal to none but themselves (events, channels, tasks) are not looked into: they are no values,
    # and what is behind them may be anything. One with a hole in it, however, was made to be a pattern.
    if cls.__eq__ is object.__eq__ and not any(_is_hole(getattr(pattern, name, None)) for name, _ in fields):
        return None
    return fields


def _read_fields(pattern: object, fields: list[_Field], inside: tuple[object, ...]) -> _Node:
    nodes: list[tuple[str, _Node]] = []
    is_value = True
    for name, key in fields:
        value = getattr(pattern, name, _missing)
        if value is _missing:  # declared, never set: its own __eq__ would fail
            is_value = False
            continue
        node = _read(value, inside)
        is_value = is_value and isinstance(node, _Equal) and node.is_plain
        nodes.append((name, _EqualBy(key, node.value) if key is not None and isinstance(node, _Equal) else node))
    return _Equal(pattern) if is_value else _Fields(type(pattern), tuple(nodes))


def _is_hole(value: object) -> bool:
    return value is ANY or isinstance(value, Var | Is)


def _check_plain(value: object, place: str) -> None:
    if _is_hole(value):
        raise ValueError(f"pattern has {value!r} as {place}, which has to be a plain value")
    if isinstance(value, tuple | frozenset):
        for item in cast("Iterable[object]", value):
            _check_plain(item, place)


def _deeper(argument: str, path: tuple[object, ...], value: object) -> tuple[object, ...]:
    """The path to what is in ``value``."""
    if any(outer is value for outer in path):
        raise ValueError(f"{argument} contains itself, by way of a {type(value).__name__}")
    if len(path) >= _DEEPEST:
        raise ValueError(f"{argument} must not be nested more than {_DEEPEST} deep")
    return (*path, value)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


# How: templates and callables


def _fill(template: object, names: tuple[str, ...], code: _Code, path: tuple[object, ...]) -> str:
    """The expression that makes what ``template`` stands for."""
    if isinstance(template, Var):
        if template.name not in names:
            known = ", ".join(names) or "no variables"
            raise ValueError(f"into has {template!r}, which the pattern does not bind (it binds {known})")
        return f"bound[{names.index(template.name)}]"
    if template is ANY:
        raise ValueError("into has ANY, which is bound to nothing: give it a name with Var(), there and in the pattern")
    if isinstance(template, Is):
        return code.constant(template.value)
    if isinstance(template, tuple | list):
        sequence = cast("tuple[object, ...] | list[object]", template)
        inside = _deeper("into", path, sequence)
        items = [_fill(item, names, code, inside) for item in sequence]
        if isinstance(sequence, list):
            return f"[{', '.join(items)}]"
        make = getattr(sequence, "_make", None)  # of a named tuple
        return _tuple_of(items) if make is None else f"{code.constant(make)}({_tuple_of(items)})"
    if isinstance(template, dict):
        mapping = cast("dict[object, object]", template)
        inside = _deeper("into", path, mapping)
        pairs = [
            f"{_fill(key, names, code, inside)}: {_fill(value, names, code, inside)}" for key, value in mapping.items()
        ]
        return f"{{{', '.join(pairs)}}}"
    return code.constant(template)


def _check_callable(argument: str, function: Callable[..., object], names: tuple[str, ...], *, positional: int) -> None:
    require_sync(argument, function)
    try:
        # Not of what it wraps: a decorator may give that more arguments, or fewer.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # some builtins do not tell
        return
    try:
        signature.bind(*[None] * positional, **dict.fromkeys(names))
    except TypeError as error:
        if positional:
            wanted = "the value as its only argument, since the pattern has no variables"
        elif names:
            wanted = f"the pattern's variables as keyword arguments ({', '.join(names)})"
        else:
            wanted = "no arguments, since the pattern has no variables"
        raise TypeError(f"{argument} must take {wanted}, and {function!r} does not: {error}") from None


def _by_keyword(function: Callable[..., object], names: tuple[str, ...]) -> Callable[[Bound], object]:
    """Call ``function`` with the variables as keyword arguments."""
    # Where a plain function begins with just these parameters, it makes no difference whether they are given by
    # position, and that takes a third of the time. (Of other callables a signature does not tell enough.)
    if isinstance(function, FunctionType) and not function.__code__.co_posonlyargcount:
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount][: len(names)]
        if parameters == names:
            return lambda bound: function(*bound)
        if len(names) > 1 and sorted(parameters) == sorted(names):
            in_order = cast("Callable[[Bound], Bound]", itemgetter(*map(names.index, parameters)))
            return lambda bound: function(*in_order(bound))
    return lambda bound: function(**dict(zip(names, bound, strict=True)))


# How: functions from source


class _Code:
    """The body of one function.

    Attributes:
        lines: Its statements: only what is written in this module, never anything of a user's.
        bound: The variables of the pattern, and the local variable in which each is.
    """

    __slots__ = ("_constants", "_locals", "_missing", "bound", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bound: dict[str, str] = {}
        self._constants: list[object] = []
        self._locals = 0
        self._missing: str | None = None

    def constant(self, value: object) -> str:
        """A name for ``value``."""
        self._constants.append(value)
        return f"k{len(self._constants) - 1}"

    def missing(self) -> str:
        """A name for the default that no value can be."""
        if self._missing is None:
            self._missing = self.constant(_missing)
        return self._missing

    def local(self, expression: str) -> str:
        """A new local variable with that value."""
        self._locals += 1
        self.lines.append(f"v{self._locals} = {expression}")
        return f"v{self._locals}"

    def unless(self, condition: str) -> None:
        """No match, unless that is true."""
        self.lines.append(f"if not ({condition}): return None")

    def function(self, parameter: str) -> Callable[[Any], Any]:
        """The function, as it stands now."""
        return _factory(parameter, len(self._constants), "\n        ".join(self.lines))(*self._constants)


@lru_cache(maxsize=_SHAPES_KEPT)
def _factory(parameter: str, constants: int, body: str) -> Callable[..., Callable[[Any], Any]]:
    # The constants are the arguments of an outer function, and so neither in the source nor in a dict of globals.
    arguments = ", ".join(f"k{number}" for number in range(constants))
    source = f"def factory({arguments}):\n    def match({parameter}):\n        {body}\n    return match\n"
    namespace: dict[str, Any] = {}
    exec(compile(source, "<trioreg pattern>", "exec"), namespace)
    return cast("Callable[..., Callable[[Any], Any]]", namespace["factory"])


def _tuple_of(expressions: Iterable[str]) -> str:
    return f"({''.join(f'{expression}, ' for expression in expressions)})"


_missing = object()
