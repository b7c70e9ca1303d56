"""Tests the inside: compiled patterns and templates against a model, their description interpreted step by step."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.pattern_model import fill, interpret, leaves, names_in, nested, pattern_of, values, variables

from trioreg import Is
from trioreg._registry.compiled_pattern import Pattern, compile_pattern
from trioreg._registry.where_and_into import compile_into


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


@given(nested(st.one_of(leaves, variables, leaves.map(Is))), st.tuples(leaves, leaves, leaves))
def test_templates_agree_with_the_description(template: object, bound: tuple[object, ...]) -> None:
    result = compile_into((template,), ("x", "y", "z"))(bound)
    expected = (fill(template, dict(zip("xyz", bound, strict=True))),)
    assert result == expected
    assert repr(result) == repr(expected)  # 1 is 1 there, not True or 1.0, and a Pair is a Pair
