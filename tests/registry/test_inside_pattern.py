"""Tests the inside: what a compiled pattern says of itself."""

from __future__ import annotations

from typing import Any, cast

import pytest
from support.patterns import Job, Pair, Point

from trioreg import ANY, Is, Var
from trioreg._registry.compiled_pattern import compile_pattern
from trioreg._registry.where_and_into import compile_where


def test_patterns_of_one_shape_share_their_code() -> None:
    def code(pattern: object) -> object:
        return cast("Any", compile_pattern(pattern).match).__code__

    assert code((1, Var("a"), int)) is code(("x", Var("b"), str))


@pytest.mark.parametrize("pattern", [ANY, object], ids=repr)
def test_a_pattern_that_matches_anything_says_so(pattern: object) -> None:
    assert compile_pattern(pattern).is_any


@pytest.mark.parametrize("pattern", [Var("x"), (), (ANY,), {}, int, Is(ANY)], ids=repr)
def test_any_other_pattern_does_not_say_that_it_matches_anything(pattern: object) -> None:
    assert not compile_pattern(pattern).is_any


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (1, 1),
        (None, None),
        (("a", (2, None)), ("a", (2, None))),
        (Is(int), int),
        ((Is(int), 1), (int, 1)),
        (frozenset({1}), frozenset({1})),
        (Point(1, 2), Point(1, 2)),
    ],
    ids=repr,
)
def test_a_hashable_value_without_patterns_is_a_literal(pattern: object, literal: object) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.is_literal
    assert compiled.literal == literal
    assert {literal: 1}[compiled.literal] == 1


@pytest.mark.parametrize(
    "pattern",
    [
        ANY,
        Var("x"),
        int,
        (1, ANY),
        {"a": 1},
        [1],
        (1, [2]),
        Is([1]),
        Pair(1, 2),
        Point(1, ANY),
        Point(Is(1), 2),
        Job("cook"),
    ],
    ids=repr,
)
def test_other_patterns_are_no_literals(pattern: object) -> None:
    compiled = compile_pattern(pattern)
    assert not compiled.is_literal
    assert compiled.literal is None


def test_a_compiled_pattern_shows_what_it_was() -> None:
    assert repr(compile_pattern((1, Var("x")))) == "<Pattern (1, Var('x'))>"


def test_no_where_compiles_to_none() -> None:
    assert compile_where(None, ("x",)) is None
