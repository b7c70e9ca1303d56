"""What you write in a pattern: `ANY`, `Var` and `Is`.

A pattern is an example of what it matches, with holes in it: ``("score", Var("who"), int)``. `compile_pattern`
(`compiled_pattern.py`) has the whole table of what a pattern may be. None of the pattern files knows registries.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import attrs


def _hole() -> type[object]:
    """The base class of a hole.

    To a type checker a hole fits wherever a value does, so that ``Point(Var("x"), ANY)`` is no error. mypy can't follow
    this call, so it takes the base class as Any. The other checkers see that the constructors of holes give Any.
    """
    return object


_DEEPEST = 100


class _Any:
    """The class of `ANY`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY"

    def __reduce__(self) -> str:
        return "ANY"  # copies and unpickled ones are this object


ANY: Any = _Any()
"""Matches anything and binds nothing. Twice in a pattern, it may match two different values."""


def _check_name(_: object, attribute: attrs.Attribute[Any], name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")
    if not name.isidentifier() or iskeyword(name):
        raise ValueError(f"name must be an identifier, not {name!r}")
    if name == "_":
        raise ValueError("name must not be '_': write ANY for a value that needs no name")


@attrs.frozen(repr=False)
class Var(_hole()):  # type: ignore[misc]
    """Matches anything, and gives it a name.

    The same variable twice in a pattern matches equal values only: identical or ``==``, as the items of a list.
    The variable is bound to the first of them. An exception from a value's own ``__eq__`` goes through. The idea is
    ``:"$1"`` in Erlang's match specifications, with names instead of numbers. The registry's guide shows what else a
    pattern may be.

    Args:
        name: The name in ``where=`` and ``into=``: an identifier, but not ``_`` (write `ANY`).

    Raises:
        TypeError: ``name`` is not a str.
        ValueError: ``name`` is not an identifier, or is a keyword, or ``_``.
    """

    if TYPE_CHECKING:

        def __new__(cls, name: str) -> Any: ...

        def __init__(self, name: str) -> None: ...

    name: str = attrs.field(validator=_check_name)

    def __repr__(self) -> str:
        return f"Var({self.name!r})"


@attrs.frozen(repr=False)
class Is(_hole()):  # type: ignore[misc]
    """Matches values that are equal to ``value``, even if ``value`` could be a pattern itself.

    ::

        Is(int)                 # the class int, not an instance of it
        Is({"state": "up"})     # this dict, not every dict that has this item
        Is(ANY)                 # ANY, as a value

    In a template (``into=``) it stands for ``value``.
    """

    if TYPE_CHECKING:

        def __new__(cls, value: object) -> Any: ...

        def __init__(self, value: object) -> None: ...

    value: object

    def __repr__(self) -> str:
        return f"Is({self.value!r})"


def is_hole(value: object) -> bool:
    return value is ANY or isinstance(value, Var | Is)


def deeper(argument: str, path: tuple[object, ...], value: object) -> tuple[object, ...]:
    """The path to the items of ``value``. Raises if ``value`` contains itself, or is nested too deep."""
    if any(outer is value for outer in path):
        raise ValueError(f"{argument} contains itself, by way of a {type(value).__name__}")
    if len(path) >= _DEEPEST:
        raise ValueError(f"{argument} must not be nested more than {_DEEPEST} deep")
    return (*path, value)
