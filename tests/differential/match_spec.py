"""Patterns and templates as Elixir's match specifications."""

# The terms have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from trioreg import ANY, Is, Var

from .terms import TYPES, Term
from .wire import Point, Slot


class Spec:
    """Turns patterns into the head of a match specification. What a head can't say becomes a guard."""

    def __init__(self) -> None:
        self.guards: list[Term] = []
        self._names: dict[str, bytes] = {}
        self._fresh = 100

    def fresh(self) -> bytes:
        self._fresh += 1
        return b"$%d" % self._fresh

    def variable(self, name: str) -> bytes:
        return self._names.setdefault(name, b"$%d" % (len(self._names) + 1))

    def head(self, pattern: Term) -> Term:
        if pattern is ANY:
            return b"_"
        if isinstance(pattern, Var):
            return self.variable(pattern.name)
        if isinstance(pattern, Is):
            fresh = self.fresh()
            self.guards.append((b"=:=", fresh, (b"const", pattern.value)))
            return fresh
        if isinstance(pattern, type):
            fresh = self.fresh()
            self.guards.append(_type_test(pattern, fresh))
            return fresh
        if isinstance(pattern, Point):
            return {b"__struct__": b"Elixir.Point", b"x": self.head(pattern.x), b"y": self.head(pattern.y)}
        if pattern == {}:
            # A struct is a map as well, and an attrs object is no dict.
            return self.head(dict)
        if isinstance(pattern, dict):
            return {key: self.head(item) for key, item in pattern.items()}
        if isinstance(pattern, tuple | list):
            inner = [self.head(item) for item in pattern]
            return inner if isinstance(pattern, list) else tuple(inner)
        return pattern

    def guard(self, guard: Term) -> Term:
        if isinstance(guard, Var):
            return self.variable(guard.name)
        if not isinstance(guard, tuple) or guard[0] == b"const":
            return guard
        name, *parts = guard
        return (name, *map(self.guard, parts))

    def body(self, template: Term) -> Term:
        if isinstance(template, Var):
            return self.variable(template.name)
        if isinstance(template, tuple):
            return (tuple(map(self.body, template)),)
        if isinstance(template, list):
            return [self.body(item) for item in template]
        if isinstance(template, dict):
            return {key: self.body(item) for key, item in template.items()}
        return template if isinstance(template, Slot) else (b"const", template)


def _type_test(kind: type, variable: bytes) -> Term:
    name = TYPES[kind]
    if kind is int:  # a bool is an int
        return (b"orelse", (b"is_integer", variable), (b"=:=", variable, True), (b"=:=", variable, False))
    if name in ("is_dict", "is_point"):
        is_point = (b"is_map_key", b"__struct__", variable)
        return (b"andalso", (b"is_map", variable), is_point if kind is Point else (b"not", is_point))
    return (name.encode(), variable)
