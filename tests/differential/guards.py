"""Conditions on variables: a guard of a match specification, with `Var` in it.

Elixir runs it as it is. Here `holds` interprets it.
"""

# The terms have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import cast

from trioreg import Var

from .terms import LEAVES, Names, Term, random_value
from .wire import Point


class BadGuard(Exception):
    """A guard that fails: in Elixir it counts as false, as a whole."""


def random_guard(rng: random.Random, names: Names, depth: int = 2) -> Term:
    if depth and rng.random() < 0.5:
        kind = rng.choice([b"andalso", b"orelse", b"not"])
        return (kind, *[random_guard(rng, names, depth - 1) for _ in range(1 if kind == b"not" else 2)])
    one = Var(rng.choice(names))
    return rng.choice(
        [
            (
                rng.choice([b"is_integer", b"is_float", b"is_binary", b"is_atom", b"is_tuple", b"is_list", b"is_map"]),
                one,
            ),
            (rng.choice([b"=:=", b"=/="]), one, (b"const", random_value(rng, 1))),
            (rng.choice([b"=:=", b"=/="]), one, Var(rng.choice(names))),
            (rng.choice([b">", b"<"]), one, rng.choice([2, 3, 7])),
            (b">", (b"+", one, 2), 5),
            (b"=:=", (b"rem", one, 2), 1),
            (b">", (rng.choice([b"size", b"length", b"map_size"]), one), rng.randrange(3)),
            (b"=:=", (b"element", 1, one), (b"const", rng.choice(LEAVES))),
        ]
    )


def holds(guard: Term, bound: dict[str, Term]) -> bool:
    """Whether a condition is true of what the variables are bound to."""
    try:
        return evaluate(guard, bound) is True
    except BadGuard:
        return False


def evaluate(guard: Term, bound: dict[str, Term]) -> Term:
    if isinstance(guard, Var):
        return bound[guard.name]
    if not isinstance(guard, tuple):
        return guard
    name, *parts = guard
    if name == b"const":
        return parts[0]
    if name == b"andalso":
        return evaluate(parts[0], bound) and evaluate(parts[1], bound)
    if name == b"orelse":
        return evaluate(parts[0], bound) or evaluate(parts[1], bound)
    return GUARDS[name](*[evaluate(part, bound) for part in parts])


def _sized(kind: type | tuple[type, ...], size: Callable[[Term], int]) -> Callable[[Term], int]:
    def of(term: Term) -> int:
        if not isinstance(term, kind):
            raise BadGuard
        return size(term)

    return of


def _is_number(term: Term) -> bool:
    return isinstance(term, int | float) and not isinstance(term, bool)


def _add(term: Term, other: int) -> Term:
    if not _is_number(term):
        raise BadGuard
    return term + other


def _remainder(term: Term, by: int) -> int:
    if not _is_integer(term):
        raise BadGuard
    return int(math.fmod(term, by))  # Erlang rounds to zero


def _element(number: int, term: Term) -> Term:
    if not isinstance(term, tuple) or len(term) < number:
        raise BadGuard
    return term[number - 1]


def _is_integer(term: Term) -> bool:
    return isinstance(term, int) and not isinstance(term, bool)


GUARDS: dict[bytes, Callable[..., Term]] = {
    b"not": lambda term: not term,
    b"is_integer": _is_integer,
    b"is_float": lambda term: isinstance(term, float),
    b"is_binary": lambda term: isinstance(term, str),
    b"is_atom": lambda term: isinstance(term, bytes | bool | None),
    b"is_tuple": lambda term: isinstance(term, tuple),
    b"is_list": lambda term: isinstance(term, list),
    b"is_map": lambda term: isinstance(term, dict | Point),
    b"=:=": lambda one, other: one == other,
    b"=/=": lambda one, other: one != other,
    # A number comes before every other term.
    b">": lambda one, other: one > other if _is_number(one) else True,
    b"<": lambda one, other: one < other if _is_number(one) else False,
    b"+": _add,
    b"rem": _remainder,
    b"size": _sized((tuple, str), lambda term: len(term.encode() if isinstance(term, str) else term)),
    b"length": _sized(list, len),
    b"map_size": _sized((dict, Point), lambda term: 3 if isinstance(term, Point) else len(term)),
    b"element": _element,
}


def where_of(rng: random.Random, guard: Term, names: Names) -> Callable[..., bool]:
    """``where=``: a function of the variables, in one of the forms that it may have."""

    def test(**bound: Term) -> bool:
        return holds(guard, bound)

    form = rng.randrange(3)
    if form == 0:
        return test
    parameters = [*names]
    if form == 1:
        rng.shuffle(parameters)
    source = f"lambda {', '.join(parameters)}: test({', '.join(f'{name}={name}' for name in parameters)})"
    return cast("Callable[..., bool]", eval(source, {"test": test}))
