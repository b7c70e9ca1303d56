"""Objects to match with patterns, and what a registry says of a pattern, a predicate and a template."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import attrs
import trio

from trioreg import Registry

T = TypeVar("T")


class Pair(NamedTuple):
    x: object
    y: object


@attrs.frozen
class Point:
    x: int
    y: int


@attrs.frozen
class Point3(Point):
    z: int = 0


@dataclass
class Job:
    title: str
    pay: float = 0.0
    seen: int = field(default=0, compare=False)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def asked(question: Callable[[Registry[str, Any]], T], *values: object) -> T:
    """What a registry answers that has these values under one key, "key", in a Trio run of its own."""

    async def main() -> T:
        registry: Registry[str, Any] = Registry("asked", keys="duplicate")
        for value in values:
            registry.register("key", value)
        return question(registry)

    return trio.run(main)


def bindings(pattern: object, value: object) -> dict[str, object] | None:
    """The variables of a pattern and what they are bound to, in their order; None where the value does not match."""
    bound: list[dict[str, object]] = []

    def where(*_: object, **variables: object) -> bool:
        bound.append(variables)
        return True

    entries = asked(lambda registry: registry.match("key", pattern, where=where), value)
    assert len(entries) == len(bound)
    return bound[0] if bound else None


def match(pattern: object, value: object) -> tuple[object, ...] | None:
    """What the variables of a pattern are bound to, in their order; None where the value does not match."""
    bound = bindings(pattern, value)
    return None if bound is None else tuple(bound.values())


def matches(pattern: object, value: object) -> bool:
    return asked(lambda registry: registry.count_match("key", pattern), value) == 1


def check(where: Callable[..., object], pattern: object, value: object) -> bool:
    """Whether a predicate lets a value pass that matches the pattern."""
    assert matches(pattern, value)
    return asked(lambda registry: registry.count_match("key", pattern, where=where), value) == 1


def into(template: object, pattern: object, *values: object, where: Callable[..., object] | None = None) -> list[Any]:
    """What a selection makes of values that match the pattern."""
    return asked(lambda registry: registry.select_nowait(value=pattern, where=where, into=template), *values)
