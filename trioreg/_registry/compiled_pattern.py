"""Patterns over values: the match specifications of Elixir and Erlang, in Python's manner.

A pattern is an example of the values that it matches, with holes in it: ``("score", Var("who"), int)``. It becomes a
Python function once, and that function runs for each entry. The function's source says only the shape of the pattern.
The values in the pattern are passed in beside the source, and never become part of it. So no text of a user is ever
executed, and patterns of one shape share one code object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from .pattern_code import FunctionBuilder, tuple_of
from .pattern_tree import Anything, Equal, read_pattern

Bound: TypeAlias = tuple[object, ...]
"""The values of a pattern's variables, in the order of `Pattern.names`."""


@attrs.frozen(eq=False, repr=False)
class Pattern:
    """A compiled pattern.

    Attributes:
        pattern: What was compiled.
        names: The variables, in the order of their first appearance.
        is_any: Whether it matches everything and binds nothing. Then you need not call `match`.
        is_literal: Whether it matches just the values that equal one hashable value. Then you can look up `literal` in
            a dict, instead of calling `match` for all its keys.
        literal: That value, without an `Is` around it; None if ``is_literal`` is False.
        match: A function of a value. It returns the values of the variables in the order of `names` (``()`` if there
            are none), or None if the value does not match. The cost grows with the size of the pattern.
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
    """Compile a pattern to a function that matches values.

    ============================ ==================================================================================
    pattern                      matches
    ============================ ==================================================================================
    `ANY`                        anything
    ``Var("x")``                 anything, and binds it; the same variable again: only what is equal to the first
    ``Is(value)``                what is equal to ``value``, even if ``value`` looks like a pattern
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
    (``eq=False``, such as `trio.Event`) equals only itself, and is a pattern only where a field *is* `ANY`, a
    `Var` or an `Is`. The keys of a dict and the items of a set are plain values.

    The pattern is read once: you may change its lists, dicts and sets afterwards. The exception is an attrs or
    dataclass object that holds no pattern, as it is compared as it is. The idea, and that dicts match dicts with more
    items, comes from Elixir's match specifications.

    Args:
        pattern: Any object.

    Returns:
        The compiled pattern. It takes some microseconds, and about 100 for a new shape; the last 256 shapes are kept.

    Raises:
        TypeError: The pattern holds a class that can have no instances, such as `typing.Any` or ``list[int]``.
        ValueError: The pattern contains itself, is nested more than 100 deep, or has a hole in a set or in a key.
    """
    node = read_pattern(pattern, ())
    code = FunctionBuilder()
    node.emit(code, "v0")
    code.lines.append(f"return {tuple_of(code.bound.values())}")
    is_literal = isinstance(node, Equal) and _is_hashable(node.value)
    return Pattern(
        pattern=pattern,
        names=tuple(code.bound),
        is_any=isinstance(node, Anything),
        is_literal=is_literal,
        literal=node.value if is_literal and isinstance(node, Equal) else None,
        match=code.function("v0"),
    )


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
