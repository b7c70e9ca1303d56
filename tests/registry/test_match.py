"""match(), count_match() and unregister_match(): the entries of one key whose values fit a pattern."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any, Literal, Optional, Union

import pytest
from support.owners import SORTS, Sort, staged
from support.patterns import Point
from support.watcher import rows
from trio.testing import MockClock

from trioreg import ANY, Entry, Is, Registry, Var, current_owner


def values(entries: list[Entry[Any]]) -> list[Any]:
    return [entry.value for entry in entries]


# match() and count_match()


async def test_match_gives_the_entries_of_a_key_whose_value_fits(
    registry: Registry[str, object], autojump_clock: MockClock
) -> None:
    owner = registry.register("key", (1, "one"))
    registry.register("other", (1, "one"))
    assert registry.match("key", (ANY, str)) == [Entry(owner, (1, "one"))]
    assert registry.match("key", (ANY, int)) == []
    assert registry.match("free", ANY) == []


async def test_match_picks_among_the_entries_of_one_key(
    topics: Registry[str, object], autojump_clock: MockClock
) -> None:
    for value in (1, "a", (1, 2), (2, 2), [1, 2], {"k": 1, "l": 2}, Point(1, 2), None):
        topics.register("key", value)
    assert values(topics.match("key", int)) == [1]
    assert values(topics.match("key", (ANY, 2))) == [(1, 2), (2, 2)]
    assert values(topics.match("key", [ANY, ANY])) == [[1, 2]]
    assert values(topics.match("key", {"k": int})) == [{"k": 1, "l": 2}]
    assert values(topics.match("key", Point(ANY, 2))) == [Point(1, 2)]
    assert values(topics.match("key", None)) == [None]
    assert topics.count_match("key", ANY) == 8
    assert topics.count_match("key", (ANY, ANY)) == 2
    assert topics.count_match("free", ANY) == 0


async def test_a_variable_that_occurs_twice_matches_equal_values_only(
    topics: Registry[str, object], autojump_clock: MockClock
) -> None:
    for value in ((1, 2), (2, 2), (3, 3)):
        topics.register("key", value)
    assert values(topics.match("key", (Var("x"), Var("x")))) == [(2, 2), (3, 3)]
    assert values(topics.match("key", (Var("x"), Var("x")), where=lambda x: x > 2)) == [(3, 3)]


async def test_where_gets_the_variables_or_else_the_value(
    topics: Registry[str, object], autojump_clock: MockClock
) -> None:
    for value in ((1, 5), (5, 1), (2, 3)):
        topics.register("key", value)
    assert values(topics.match("key", (Var("low"), Var("high")), where=lambda low, high: low < high)) == [
        (1, 5),
        (2, 3),
    ]
    assert values(topics.match("key", (ANY, ANY), where=lambda value: sum(value) == 6)) == [(1, 5), (5, 1)]
    assert topics.count_match("key", (ANY, int), where=lambda value: value[0] == 2) == 1


async def test_an_error_in_where_goes_through(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.register("key", 0)
    for ask in (
        lambda: registry.match("key", ANY, where=lambda value: 1 / value),
        lambda: registry.count_match("key", ANY, where=lambda value: 1 / value),
        lambda: registry.unregister_match("key", ANY, where=lambda value: 1 / value),
        lambda: registry.select_nowait(value=Var("x"), where=lambda x: 1 / x),
    ):
        with pytest.raises(ZeroDivisionError):
            ask()
    assert registry.values("key", current_owner()) == [0]


async def test_where_that_takes_other_arguments_is_refused(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    with pytest.raises(TypeError, match=r"where must take the pattern's variables as keyword arguments \(x\)"):
        registry.match("key", Var("x"), where=lambda y: y)
    with pytest.raises(TypeError, match="where must take the value, or the row in a select, as its only argument"):
        registry.unregister_match("key", ANY, where=lambda: True)
    assert registry.count() == 1


@pytest.mark.parametrize("pattern", [Optional[int], Union[int, str]], ids=repr)  # noqa: UP007, UP045
async def test_a_union_of_typing_matches_as_a_union_with_a_bar_does(pattern: object) -> None:
    registry: Registry[str, object] = Registry("names", keys="duplicate")
    registry.register("key", 1)
    registry.register("key", 1.5)
    assert registry.count_match("key", pattern) == 1


@pytest.mark.parametrize("pattern", [list[int], Literal[1], (1, dict[str, int])], ids=repr)
async def test_a_type_that_has_no_instances_is_refused_as_a_pattern(pattern: object) -> None:
    registry: Registry[str, object] = Registry("names", keys="duplicate")
    with pytest.raises(TypeError, match="which has no instances"):
        registry.match("key", pattern)
    assert registry.count_match("key", Is(pattern)) == 0


# unregister_match()


async def test_unregister_match_removes_some_of_several_entries_of_one_owner(
    topics: Registry[str, object], autojump_clock: MockClock
) -> None:
    for value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        topics.register("key", value)
    topics.register("other", ("a", 5))
    assert topics.unregister_match("key", ("a", ANY)) == 2
    assert topics.values("key", current_owner()) == [("b", 2), ("c", 4)]
    assert sorted(topics.keys(current_owner())) == ["key", "key", "other"]
    assert topics.unregister_match("key", ("a", ANY)) == 0
    assert topics.unregister_match("key", (Var("x"), Var("y")), where=lambda x, y: y > 3) == 1
    assert topics.unregister_match("key", ANY) == 1
    assert topics.keys(current_owner()) == ["other"]
    assert topics.count() == 1


async def test_unregister_match_of_a_unique_key_removes_it_if_it_fits(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("key", 1)
    assert names.unregister_match("key", str) == 0
    assert names.keys(current_owner()) == ["key"]
    assert names.unregister_match("key", int) == 1
    assert names.count() == 0


async def test_unregister_match_leaves_the_entries_of_others_alone(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        other = await stage.actor()
        for value in (1, 2):
            topics.register("key", value)
            topics.register("key", value, owner=other)
        assert topics.unregister_match("key", 1) == 1
        assert topics.values("key", current_owner()) == [2]
        assert topics.values("key", other) == [1, 2]
        assert topics.unregister_match("key", 2, owner=other) == 1
        assert topics.values("key", other) == [1]


@pytest.mark.parametrize("sort", SORTS)
async def test_the_entries_that_unregister_match_leaves_go_with_their_owner(
    topics: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.start(sort)
        for value in range(4):
            topics.register("key", value, owner=owner)
        assert topics.unregister_match("key", 0, owner=owner) == 1
        assert topics.unregister_match("key", 2, owner=owner) == 1
        await stage.end(owner)
        assert rows(topics) == []
        assert topics.count() == 0


async def test_where_may_change_the_entries_that_unregister_match_looks_at(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    def where(value: int) -> bool:
        topics.unregister_match("key", 2)
        return True

    for value in (1, 2, 3):
        topics.register("key", value)
    assert topics.unregister_match("key", ANY, where=where) == 2
    assert topics.count() == 0
    assert topics.keys(current_owner()) == []


async def test_unregister_match_removes_nothing_if_where_raises_for_a_later_entry(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    for value in (1, 2, 0):
        topics.register("key", value)
    with pytest.raises(ZeroDivisionError):
        topics.unregister_match("key", ANY, where=lambda value: 1 / value)
    assert topics.values("key", current_owner()) == [1, 2, 0]
