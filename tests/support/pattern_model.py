"""A naive matcher of patterns and a naive filler of templates, written from the docs. And strategies for both."""

# Patterns have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from collections import OrderedDict
from functools import cache
from types import UnionType
from typing import Any, cast

import attrs
from hypothesis import strategies as st

from support.patterns import Colour, Job, Pair, Point, Point3
from trioreg import ANY, Is, Var


@attrs.frozen(eq=False)
class Token:
    """It equals only itself."""

    mark: object


# The matcher


def fields_of(value: object) -> dict[str, Any] | None:
    """The fields by which an object is compared; None where it has none."""
    if isinstance(value, Job):
        return {"title": value.title, "pay": value.pay}
    if isinstance(value, Token):
        return {"mark": value.mark}
    if isinstance(value, Point):
        return {name: getattr(value, name) for name in ("x", "y", "z") if hasattr(value, name)}
    return None


def has_pattern(pattern: object) -> bool:
    if pattern is ANY or isinstance(pattern, Var | Is | type | UnionType | dict | Pair):
        return True
    if isinstance(pattern, Token):
        return pattern.mark is ANY or isinstance(pattern.mark, Var | Is)
    fields = fields_of(pattern)
    if fields is not None:
        return any(map(has_pattern, fields.values()))
    return isinstance(pattern, tuple | list) and any(map(has_pattern, cast("list[object]", pattern)))


def same(a: object, b: object) -> bool:
    return a is b or a == b


def interpret(pattern: Any, value: Any, bound: dict[str, object]) -> bool:
    """Whether a value matches, step by step. The variables of the pattern are added to ``bound``."""
    if pattern is ANY:
        return True
    if isinstance(pattern, Var):
        return same(bound.setdefault(pattern.name, value), value)
    if isinstance(pattern, Is):
        return same(pattern.value, value)
    if isinstance(pattern, type | UnionType):
        return isinstance(value, pattern)
    if not has_pattern(pattern):
        return same(pattern, value)
    fields = fields_of(pattern)
    if fields is not None:
        return isinstance(value, type(pattern)) and all(
            interpret(item, getattr(value, name), bound) for name, item in fields.items()
        )
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and interpret(item, value[key], bound) for key, item in pattern.items()
        )
    kind = list if isinstance(pattern, list) else Pair if isinstance(pattern, Pair) else tuple
    return (
        isinstance(value, kind)
        and len(cast("list[object]", value)) == len(pattern)
        and all(interpret(item, other, bound) for item, other in zip(pattern, value, strict=True))
    )


def names_in(pattern: Any) -> list[str]:
    """The variables of a pattern, in the order of their first appearance."""
    if isinstance(pattern, Var):
        return [pattern.name]
    if isinstance(pattern, Token) and not has_pattern(pattern):
        return []
    parts: Any = pattern.values() if isinstance(pattern, dict) else pattern
    fields = fields_of(pattern)
    if fields is not None:
        parts = fields.values()
    elif not isinstance(pattern, tuple | list | dict):
        return []
    return list(dict.fromkeys([name for part in parts for name in names_in(part)]))


def fill(template: Any, bound: dict[str, object]) -> Any:
    """What a template gives."""
    if isinstance(template, Var):
        return bound[template.name]
    if isinstance(template, Is):
        return template.value
    if isinstance(template, Pair):
        return Pair(fill(template.x, bound), fill(template.y, bound))
    if isinstance(template, dict):
        return {key: fill(item, bound) for key, item in cast("dict[str, Any]", template).items()}
    if isinstance(template, tuple | list):
        items = [fill(item, bound) for item in cast("list[Any]", template)]
        return items if isinstance(template, list) else tuple(items)
    return template


# Strategies

leaves: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 2), st.booleans(), st.none(), st.sampled_from(["a", "b", 1.0, math.nan, frozenset({1}), Colour.RED])
)


def nested(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        parts,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            st.builds(Point, inner, inner),
            st.builds(Point3, inner, inner, inner),
            st.builds(Pair, inner, inner),
        ),
        max_leaves=8,
    )


def with_objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """`nested`, and objects of other sorts in it: a field that does not count, no equality, a dict of a subclass."""
    return nested(
        st.one_of(
            parts,
            st.builds(Job, parts, parts, st.integers(0, 1)),
            st.builds(Token, parts),
            st.dictionaries(st.sampled_from("ab"), parts, max_size=2).map(OrderedDict),
        )
    )


def hashable(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        parts,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(tuple), st.builds(Point, inner, inner), st.builds(Pair, inner, inner)
        ),
        max_leaves=4,
    )


values = with_objects(leaves)
keys = hashable(leaves)
variables = st.sampled_from("xyz").map(Var)
holes: st.SearchStrategy[Any] = st.one_of(
    st.just(ANY),
    variables,
    variables,
    st.sampled_from([int, str, tuple, dict, Point, Job, int | str, Point | None]),
    leaves.map(Is),
)
patterns = with_objects(st.one_of(leaves, holes))


@st.composite
def pattern_of(draw: st.DrawFn, value: Any) -> Any:
    """A pattern that is likely, but not sure, to match ``value``."""
    choice = draw(st.integers(0, 19))
    if choice == 0:
        return draw(patterns)
    if choice == 1:
        return Is(value)
    if choice == 2:
        return type(value)
    if choice <= 6:
        return draw(st.one_of(st.just(ANY), variables))
    if isinstance(value, Point):
        fields = {name: draw(pattern_of(item)) for name, item in (fields_of(value) or {}).items()}
        if draw(st.booleans()):
            fields.pop("z", None)
        return Point3(**fields) if "z" in fields else Point(**fields)
    if isinstance(value, Job):
        return Job(draw(pattern_of(value.title)), draw(pattern_of(value.pay)), draw(st.integers(0, 1)))
    if isinstance(value, Token):
        return draw(st.sampled_from([value, Token(ANY), Token(Var("x")), Token(value.mark)]))
    if isinstance(value, Pair):
        pair = Pair(draw(pattern_of(value.x)), draw(pattern_of(value.y)))
        return draw(st.sampled_from([pair, tuple(pair)]))
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        left_out = draw(st.sets(st.sampled_from("abc"), max_size=1))
        return {key: draw(pattern_of(item)) for key, item in items.items() if key not in left_out}
    if isinstance(value, tuple | list):
        kept = [draw(pattern_of(item)) for item in cast("list[Any]", value)]
        return kept if isinstance(value, list) else tuple(kept)
    return value


@cache
def templates(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Shapes of a result, with these variables in them. Kept, as a new strategy takes Hypothesis long."""
    bound = st.sampled_from(names).map(Var) if names else st.nothing()
    return nested(st.one_of(leaves, bound, leaves.map(Is))).filter(lambda template: template is not None)
