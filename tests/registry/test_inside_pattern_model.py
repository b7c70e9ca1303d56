"""Tests the inside: compiled patterns and templates against a model, their description interpreted step by step."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from support.patterns import Colour, Pair, Point, Point3

from trioreg import ANY, Is, Var
from trioreg._registry.compiled_pattern import Pattern, compile_pattern
from trioreg._registry.where_and_into import compile_into


def fields_of(point: Point) -> dict[str, Any]:
    return {name: getattr(point, name) for name in ("x", "y", "z") if hasattr(point, name)}


def has_pattern(pattern: object) -> bool:
    if pattern is ANY or isinstance(pattern, Var | Is | type | dict | Pair):
        return True
    if isinstance(pattern, Point):
        return any(map(has_pattern, fields_of(pattern).values()))
    return isinstance(pattern, tuple | list) and any(map(has_pattern, cast("list[object]", pattern)))


def same(a: object, b: object) -> bool:
    return a is b or a == b


def interpret(pattern: Any, value: Any, bound: dict[str, object]) -> bool:
    if pattern is ANY:
        return True
    if isinstance(pattern, Var):
        return same(bound.setdefault(pattern.name, value), value)
    if isinstance(pattern, Is):
        return same(pattern.value, value)
    if isinstance(pattern, type):
        return isinstance(value, pattern)
    if not has_pattern(pattern):
        return same(pattern, value)
    if isinstance(pattern, Point):
        return isinstance(value, type(pattern)) and all(
            interpret(item, getattr(value, name), bound) for name, item in fields_of(pattern).items()
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
    if isinstance(pattern, Var):
        return [pattern.name]
    if isinstance(pattern, Point):
        return names_in(fields_of(pattern))
    parts: Any = pattern.values() if isinstance(pattern, dict) else pattern
    if not isinstance(pattern, tuple | list | dict):
        return []
    return list(dict.fromkeys(name for part in parts for name in names_in(part)))


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


values = nested(leaves)
variables = st.sampled_from("xyz").map(Var)
holes: st.SearchStrategy[Any] = st.one_of(
    st.just(ANY), variables, variables, st.sampled_from([int, str, tuple, dict, Point]), leaves.map(Is)
)
patterns = nested(st.one_of(leaves, holes))


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
        fields = {name: draw(pattern_of(item)) for name, item in fields_of(value).items()}
        if draw(st.booleans()):
            fields.pop("z", None)
        return Point3(**fields) if "z" in fields else Point(**fields)
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


def agree(pattern: Any, value: Any) -> Pattern:
    compiled = compile_pattern(pattern)
    bound: dict[str, object] = {}
    expected = interpret(pattern, value, bound)
    found = compiled.match(value)
    assert list(compiled.names) == names_in(pattern)
    assert (found is not None) == expected
    if found is not None:
        assert len(found) == len(compiled.names)
        assert all(bound[name] is item for name, item in zip(compiled.names, found, strict=True))
    return compiled


@given(st.data())
def test_matching_agrees_with_the_description(data: st.DataObject) -> None:
    value = data.draw(values, "value")
    pattern = data.draw(pattern_of(value), "pattern")
    compiled = agree(pattern, value)
    agree(pattern, data.draw(values, "other value"))
    try:
        table = {value: None}
    except TypeError:
        return
    if compiled.is_literal:  # then looking it up is the same as matching
        assert (compiled.literal in table) == (compiled.match(value) is not None)


@given(values)
def test_a_value_matches_itself_as_a_pattern(value: object) -> None:
    assert compile_pattern(value).match(value) == compile_pattern(Is(value)).match(value) == ()


def fill(template: Any, bound: dict[str, object]) -> Any:
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


@given(nested(st.one_of(leaves, variables, leaves.map(Is))), st.tuples(leaves, leaves, leaves))
def test_templates_agree_with_the_description(template: object, bound: tuple[object, ...]) -> None:
    result = compile_into((template,), ("x", "y", "z"))(bound)
    expected = (fill(template, dict(zip("xyz", bound, strict=True))),)
    assert result == expected
    assert repr(result) == repr(expected)  # 1 is 1 there, not True or 1.0, and a Pair is a Pair
