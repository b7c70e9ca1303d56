"""Random terms and patterns, as Python has them."""

# The terms have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeAlias

from trioreg import ANY, Is, Var

from .wire import Point

Term: TypeAlias = Any
"""What `wire.py` can encode. Bytes are an atom."""

Names: TypeAlias = Sequence[str]

# No 0 and no 1: in Python they equal False and True. No float that is a whole number: it equals an int.
LEAVES: list[Term] = [None, True, False, 2, 3, 7, -5, 0.5, 2.5, "", "a", "James Bond", b"up", b"down"]
TYPES: dict[type, str] = {
    int: "is_integer",
    float: "is_float",
    str: "is_binary",
    tuple: "is_tuple",
    list: "is_list",
    dict: "is_dict",
    Point: "is_point",
}


def random_key(rng: random.Random, depth: int = 2) -> Term:
    if depth == 0 or rng.random() < 0.5:
        return rng.choice(LEAVES)
    if rng.random() < 0.2:
        return Point(random_key(rng, depth - 1), random_key(rng, depth - 1))
    return tuple([random_key(rng, depth - 1) for _ in range(rng.randrange(4))])


def random_value(rng: random.Random, depth: int = 3) -> Term:
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(LEAVES)
    kind = rng.randrange(5)
    if kind == 0:
        return Point(random_value(rng, depth - 1), random_value(rng, depth - 1))
    if kind == 1:
        return {key: random_value(rng, depth - 1) for key in rng.sample("abc", rng.randrange(4))}
    items = [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return items if kind == 2 else tuple(items)


def random_pattern(rng: random.Random, value: Term, names: Names) -> Term:
    """A pattern that is likely, but not sure, to match ``value``."""
    choice = rng.randrange(20)
    if choice == 0:
        return rng.choice(LEAVES)
    if choice == 1:
        return Is(value)
    if choice == 2:
        return type(value) if type(value) in TYPES else rng.choice([*TYPES])
    if choice <= 6:
        return ANY if rng.random() < 0.3 else Var(rng.choice(names))
    if isinstance(value, Point):
        return Point(random_pattern(rng, value.x, names), random_pattern(rng, value.y, names))
    if isinstance(value, dict):
        left_out = rng.choice("abcdef")
        items = value.items()
        return {key: random_pattern(rng, item, names) for key, item in items if key != left_out}
    if isinstance(value, tuple | list):
        inner = [random_pattern(rng, item, names) for item in value]
        return inner if isinstance(value, list) else tuple(inner)
    return value


def names_of(pattern: Term) -> list[str]:
    """The variables of a pattern, in the order of their first appearance."""
    if isinstance(pattern, Var):
        return [pattern.name]
    return list(dict.fromkeys([name for part in parts_of(pattern) for name in names_of(part)]))


def parts_of(pattern: Term) -> Sequence[Term]:
    if isinstance(pattern, Point):
        return (pattern.x, pattern.y)
    if isinstance(pattern, dict):
        return [*pattern.values()]
    return pattern if isinstance(pattern, tuple | list) else ()
