"""Questions to a registry and what is done with the answers: match(), select(), unregister_match(), update_value(),
dispatch()."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest
import trio
from support.errors import leaves
from support.owners import ENDS, SORTS, End, Sort, staged
from support.watcher import rows
from trio.lowlevel import Task, add_instrument, current_task, remove_instrument
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import ANY, Entry, Is, NotRegistered, Owner, Registry, Var
from trioreg._registry.query import ROWS_PER_TURN


@attrs.frozen
class Point:
    x: int
    y: int


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
    assert registry.match("nobody's", ANY) == []


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
    assert topics.count_match("nobody's", ANY) == 0


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
    assert registry.values("key") == [0]


async def test_where_that_takes_other_arguments_is_refused(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    with pytest.raises(TypeError, match=r"where must take the pattern's variables as keyword arguments \(x\)"):
        registry.match("key", Var("x"), where=lambda y: y)
    with pytest.raises(TypeError, match="where must take the value as its only argument"):
        registry.unregister_match("key", ANY, where=lambda: True)
    assert registry.count() == 1


# unregister_match()


async def test_unregister_match_removes_some_of_several_entries_of_one_owner(
    topics: Registry[str, object], autojump_clock: MockClock
) -> None:
    for value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        topics.register("key", value)
    topics.register("other", ("a", 5))
    assert topics.unregister_match("key", ("a", ANY)) == 2
    assert topics.values("key") == [("b", 2), ("c", 4)]
    assert sorted(topics.keys()) == ["key", "key", "other"]
    assert topics.unregister_match("key", ("a", ANY)) == 0
    assert topics.unregister_match("key", (Var("x"), Var("y")), where=lambda x, y: y > 3) == 1
    assert topics.unregister_match("key", ANY) == 1
    assert topics.keys() == ["other"]
    assert topics.count() == 1


async def test_unregister_match_of_a_unique_key_removes_it_if_it_fits(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("key", 1)
    assert names.unregister_match("key", str) == 0
    assert names.keys() == ["key"]
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
        assert topics.values("key") == [2]
        assert topics.values("key", other) == [1, 2]
        assert topics.unregister_match("key", 2, owner=other) == 1
        assert topics.values("key", other) == [1]


@pytest.mark.parametrize("sort", SORTS)
async def test_what_unregister_match_has_left_goes_with_its_owner(
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


async def test_where_may_change_what_unregister_match_looks_at(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    def where(value: int) -> bool:
        topics.unregister_match("key", 2)
        return True

    for value in (1, 2, 3):
        topics.register("key", value)
    assert topics.unregister_match("key", ANY, where=where) == 2
    assert topics.count() == 0
    assert topics.keys() == []


# select() and count_select()


async def test_select_gives_everything_as_key_owner_value(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        first, second = await stage.actor(), await stage.task()
        registry.register("a", 1, owner=first)
        registry.register("b", 2, owner=second)
        registry.register("c", 3, owner=first)
        everything = [("a", first, 1), ("b", second, 2), ("c", first, 3)]
        by_key: Callable[[Any], Any] = lambda row: row[0]  # noqa: E731
        assert sorted(await registry.select(), key=by_key) == everything
        assert sorted(registry.select_nowait(), key=by_key) == everything
        assert await registry.count_select() == 3


async def test_select_takes_a_pattern_for_keys_for_owners_and_for_values(
    registry: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        first, second = await stage.actor(), await stage.task()
        registry.register(("user", 1), "x", owner=first)
        registry.register(("user", 2), "y", owner=second)
        registry.register(("room", 1), 7, owner=first)
        cases: list[tuple[dict[str, Any], list[object]]] = [
            ({"key": ("user", ANY)}, [("user", 1), ("user", 2)]),
            ({"key": (ANY, 1)}, [("room", 1), ("user", 1)]),
            ({"owner": first}, [("room", 1), ("user", 1)]),
            ({"owner": type(second)}, [("user", 2)]),
            ({"value": str}, [("user", 1), ("user", 2)]),
            ({"owner": first, "value": str}, [("user", 1)]),
            ({"key": ("user", 2), "value": "x"}, []),
            ({"key": ("room", 1), "owner": second}, []),
            ({"key": "nobody's"}, []),
        ]
        for where, expected in cases:
            found = cast("list[Any]", await registry.select(**where))
            assert sorted(row[0] for row in found) == expected
            assert await registry.count_select(**where) == len(expected)
        keys: list[Any] = await registry.select(Var("key"), into=Var("key"))
        assert sorted(keys) == [("room", 1), ("user", 1), ("user", 2)]


async def test_select_of_one_key_is_a_lookup_of_it(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    owner = topics.register("key", 1)
    topics.register("key", 2)
    topics.register("other", 3)
    assert await topics.select("key") == [("key", owner, 1), ("key", owner, 2)]
    assert await topics.select("key", value=2) == [("key", owner, 2)]


async def test_select_of_one_owner_lists_a_key_as_often_as_it_has_it(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        other = await stage.actor()
        owner = topics.register("key", 1)
        topics.register("key", 2, owner=other)
        topics.register("key", 3)
        assert await topics.select(owner=owner) == [("key", owner, 1), ("key", owner, 3)]
        assert await topics.count_select(owner=other) == 1


async def test_select_of_an_owner_that_has_ended_is_empty(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        for sort in SORTS:
            owner = await stage.start(sort)
            registry.register("key", 1, owner=owner)
            await stage.end(owner)
            assert await registry.select(owner=owner) == []
            assert await registry.select(owner=Is(owner)) == []


async def test_a_variable_may_stand_in_key_and_value(registry: Registry[Any, Any], autojump_clock: MockClock) -> None:
    registry.register(1, (1, "yes"))
    registry.register(2, (1, "no"))
    assert await registry.select(Var("x"), value=(Var("x"), Var("word")), into=Var("word")) == ["yes"]


async def test_where_of_a_selection_gets_the_variables_or_else_the_row(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = registry.register("a", 1)
    registry.register("b", 2)
    assert await registry.select(where=lambda row: row == ("b", owner, 2)) == [("b", owner, 2)]
    assert await registry.select(Var("k"), value=Var("v"), where=lambda k, v: (k, v) == ("a", 1)) == [("a", owner, 1)]


async def test_into_shapes_the_results(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.register("a", 1)
    key, value = Var("key"), Var("value")
    assert await registry.select(key, value=value, into=value) == [1]
    assert await registry.select(key, value=value, into=(value, key)) == [(1, "a")]
    assert await registry.select(key, value=value, into=[key, {"v": value}]) == [["a", {"v": 1}]]
    assert await registry.select(key, value=value, into=lambda key, value: key * (value + 1)) == ["aa"]
    assert registry.select_nowait(Var("x"), value=Var("y"), into=lambda x, y: Point(y, y)) == [Point(1, 1)]


async def test_into_with_a_variable_that_is_not_bound_is_refused(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with pytest.raises(ValueError, match=r"into has Var\('y'\), which the pattern does not bind"):
        await registry.select(Var("x"), into=Var("y"))
    with pytest.raises(ValueError, match=r"into has Var\('y'\), which the pattern does not bind"):
        registry.select_nowait(Var("x"), into=Var("y"))


@pytest.mark.parametrize("n", [0, 1, 3 * ROWS_PER_TURN])
async def test_select_is_a_checkpoint_that_honours_cancellation(
    registry: Registry[int, int], n: int, autojump_clock: MockClock
) -> None:
    for number in range(n):
        registry.register(number, number)
    with assert_checkpoints():
        assert await registry.count_select() == n
    with trio.CancelScope() as scope:
        scope.cancel()
        await registry.select()
    assert scope.cancelled_caught
    assert registry._names.selections == []


class Steps(trio.abc.Instrument):
    """How many steps the current task takes, and which rows it looks at in the longest of them."""

    def __init__(self) -> None:
        self.steps = 0
        self.looked = 0
        self.longest = 0
        self._task = current_task()

    def look(self, row: object) -> bool:
        self.looked += 1
        self.longest = max(self.longest, self.looked)
        return True

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            self.steps += 1
            self.looked = 0


async def test_select_lets_other_tasks_run_on_the_way(registry: Registry[int, int], autojump_clock: MockClock) -> None:
    n = 10 * ROWS_PER_TURN
    for number in range(n):
        registry.register(number, number)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    steps = Steps()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        add_instrument(steps)
        assert await registry.count_select(where=steps.look) == n
        remove_instrument(steps)
        nursery.cancel_scope.cancel()
    assert steps.longest <= ROWS_PER_TURN
    # Two tasks that can run take turns, in any order.
    assert steps.steps >= n / ROWS_PER_TURN
    assert turns >= n / ROWS_PER_TURN - 2


async def test_select_of_one_key_with_many_owners_lets_other_tasks_run_too(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    n = 4 * ROWS_PER_TURN
    for number in range(n):
        topics.register("key", number)
    steps = Steps()
    add_instrument(steps)
    assert len(await topics.select("key", where=steps.look)) == n
    assert len(await topics.select(owner=topics.lookup("key")[0].owner, where=steps.look)) == n
    remove_instrument(steps)
    assert steps.longest <= ROWS_PER_TURN


class Meanwhile:
    """Does something while a selection is on its way: each time it has looked at so many rows."""

    def __init__(self, registry: Registry[Any, Any], n: int = 3 * ROWS_PER_TURN) -> None:
        self.registry = registry
        self.n = n
        for number in range(n):
            registry.register(("filler", number), None)

    async def select(self, action: Callable[[], object], **pattern: Any) -> list[Any]:
        results: list[Any] = []

        async def select() -> None:
            results.extend(await self.registry.select(**pattern))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(select)
            # Its first step is the checkpoint at its beginning; after the second it has looked at some rows.
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            assert self.registry._names.selections != []
            action()
        assert self.registry._names.selections == []
        return results


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("sort", SORTS)
async def test_select_shows_nobody_who_has_ended_meanwhile(
    registry: Registry[Any, Any], sort: Sort, how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ends, stays = await stage.start(sort), await stage.start(sort)
        registry.register(("early", "ends"), 1, owner=ends)
        registry.register(("early", "stays"), 1, owner=stays)
        for number in range(3 * ROWS_PER_TURN):
            registry.register(("filler", number), None)
        registry.register(("late", "ends"), 1, owner=ends)
        registry.register(("late", "stays"), 1, owner=stays)
        found: list[Any] = []

        async def select() -> None:
            found.extend(await registry.select((Var("when"), str)))
            # Nothing can have happened since, so this is what it must be.
            now = [row for row in registry.select_nowait((Var("when"), str)) if row in found]
            assert found == now

        async with trio.open_nursery() as nursery:
            nursery.start_soon(select)
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            nursery.start_soon(stage.end, ends, how)
        assert {key for key, _, _ in found} >= {("early", "stays"), ("late", "stays")}


async def test_select_shows_nobody_who_has_ended_after_a_change_of_its_value(
    names: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    names.register("first", 1)
    meanwhile = Meanwhile(names)

    def change() -> None:
        names.update_value("first", lambda value: value + 1)
        names.unregister("first")

    assert await meanwhile.select(change, value=int) == []


async def test_select_shows_a_value_that_has_changed_meanwhile_as_it_is_now(
    names: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    owner = names.register("first", 1)
    meanwhile = Meanwhile(names)
    names.register("last", 10)

    def change() -> None:
        for key in ("first", "last"):
            names.update_value(key, lambda value: value + 1)

    found = await meanwhile.select(change, value=int)
    assert sorted(found) == [("first", owner, 2), ("last", owner, 11)]


async def test_select_shows_a_value_that_fits_only_since_it_has_changed_meanwhile_once(
    names: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    owner = names.register("first", "text")
    meanwhile = Meanwhile(names)
    names.register("last", "text")

    def change() -> None:
        for value in (1, 2):
            for key in ("first", "last"):
                names.update_value(key, lambda _: value)  # noqa: B023

    found = await meanwhile.select(change, value=int)
    assert sorted(found) == [("first", owner, 2), ("last", owner, 2)]


async def test_select_shows_once_a_value_that_has_changed_before_it_is_looked_at(autojump_clock: MockClock) -> None:
    names: Registry[Any, Any] = Registry("names", partitions=2)
    even = [number for number in range(20_000) if hash(number) % 2 == 0]
    for number in even:
        names.register(number, number)  # the first partition: many steps, and more results than one dict holds
    owner = names.register(1, 0)
    selected: list[Any] = []

    async def select() -> None:
        selected.extend(await names.select())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(select)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        names.update_value(1, lambda value: value + 1)
    assert [row for row in selected if row[0] == 1] == [(1, owner, 1)]
    assert len(selected) == len(even) + 1


async def test_where_that_changes_a_row_each_time_it_is_asked_does_not_hang(
    names: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    owner = names.register("counter", 0)
    names.register("other", 0)

    def count(row: object) -> bool:
        names.update_value("counter", lambda value: value + 1)
        return True

    found = await names.select(where=count)
    assert [(key, held) for key, held, _ in sorted(found)] == [("counter", owner), ("other", owner)]


async def test_select_shows_no_value_that_does_not_fit_any_more(
    names: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    names.register("first", 1)
    meanwhile = Meanwhile(names)
    names.register("last", 10)

    def change() -> None:
        for key in ("first", "last"):
            names.update_value(key, str)

    assert await meanwhile.select(change, value=int) == []


async def test_select_shows_a_name_that_was_handed_over_with_its_new_holder(
    names: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.actor()
        names.register("first", 1)
        meanwhile = Meanwhile(names)
        names.register("last", 10)

        def change() -> None:
            for key in ("first", "last"):
                names.transfer(key, heir)

        found = await meanwhile.select(change, value=int)
        assert sorted(found) == [("first", heir, 1), ("last", heir, 10)]


async def test_select_misses_nothing_that_was_there_all_the_time(
    registry: Registry[Any, Any], autojump_clock: MockClock
) -> None:
    """Whatever comes and goes meanwhile, and whatever the memory of what has gone is used for."""
    for number in range(3 * ROWS_PER_TURN):
        registry.register(("stays", number), number)
    for number in range(ROWS_PER_TURN):
        registry.register(("goes", number), number)
    done = False

    async def churn() -> None:
        round = 0
        while not done:
            for number in range(20):
                registry.register(("comes", round, number), number)
            if round:
                for number in range(20):
                    registry.unregister(("comes", round - 1, number))
            registry.unregister(("goes", round))
            round += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(churn)
        found: list[Any] = await registry.select((Var("what"), Var("number")), into=(Var("what"), Var("number")))
        done = True
    assert {row for row in found if row[0] == "stays"} == {("stays", number) for number in range(3 * ROWS_PER_TURN)}


async def test_a_selection_whose_where_raises_leaves_nothing_behind(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 0)
    with pytest.raises(ZeroDivisionError):
        await registry.select(value=Var("x"), where=lambda x: 1 / x)
    assert registry._names.selections == []


async def test_where_may_change_the_registry_that_is_selected_from(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    def where(key: str) -> bool:
        registry.unregister("a")
        return True

    for number, key in enumerate("abc"):
        registry.register(key, number)
    assert sorted(await registry.select(Var("key"), where=where, into=Var("key"))) == ["b", "c"]


async def test_two_selections_at_once_do_not_disturb_each_other(
    registry: Registry[int, int], autojump_clock: MockClock
) -> None:
    n = 2 * ROWS_PER_TURN
    for number in range(n):
        registry.register(number, number)
    counts: list[int] = []

    async def count() -> None:
        counts.append(await registry.count_select())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(count)
            await trio.lowlevel.checkpoint()
        registry.unregister(0)
    assert counts == [n - 1] * 3


# update_value()


async def test_update_value_gives_the_new_and_the_old_value(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = names.register("key", 1)
    assert names.update_value("key", lambda value: value + 1) == (2, 1)
    assert names.lookup("key") == [Entry(owner, 2)]
    assert names.keys() == ["key"]


async def test_update_value_by_someone_who_is_not_the_owner_is_refused(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.actor()
        names.register("key", 1, owner=owner)
        with pytest.raises(NotRegistered, match=r"<task .*> is not registered as 'key' in 'names'"):
            names.update_value("key", lambda value: pytest.fail("called"))
        assert names.lookup("key") == [(owner, 1)]
        assert names.update_value("key", lambda value: value + 1, owner=owner) == (2, 1)


async def test_update_value_of_what_nobody_holds_is_refused(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    with pytest.raises(NotRegistered):
        names.update_value("key", lambda value: pytest.fail("called"))
    assert names.count() == 0


async def test_update_value_by_a_function_that_raises_changes_nothing(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("key", 0)
    with pytest.raises(ZeroDivisionError):
        names.update_value("key", lambda value: 1 // value)
    assert names.values("key") == [0]


async def test_update_value_by_a_function_that_unregisters_meanwhile_leaves_no_entry(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    def update(value: int) -> int:
        names.unregister("key")
        return value + 1

    names.register("key", 1)
    with pytest.raises(NotRegistered):
        names.update_value("key", update)
    assert rows(names) == []
    assert names.keys() == []


async def test_update_value_does_not_touch_a_later_registration_of_the_same_key(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    def update(value: int) -> int:
        names.unregister("key")
        names.register("key", 10)
        return value + 1

    names.register("key", 1)
    with pytest.raises(NotRegistered):
        names.update_value("key", update)
    assert names.values("key") == [10]


async def test_update_value_by_a_function_that_hands_the_name_over_does_not_touch_the_heirs(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.actor()

        def update(value: int) -> int:
            names.transfer("key", heir)
            return value + 1

        names.register("key", 1)
        with pytest.raises(NotRegistered):
            names.update_value("key", update)
        assert names.lookup("key") == [(heir, 1)]


async def test_an_update_within_an_update_is_what_the_outer_one_replaces(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    def update(value: int) -> int:
        assert names.update_value("key", lambda value: value + 10) == (11, 1)
        return value + 1

    names.register("key", 1)
    assert names.update_value("key", update) == (2, 11)
    assert names.values("key") == [2]


async def test_update_value_is_no_event_and_wakes_nobody(names: Registry[str, int], autojump_clock: MockClock) -> None:
    names.register("key", 1)
    with names.watch() as events:
        names.update_value("key", lambda value: value + 1)
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()


# dispatch()


async def test_dispatch_calls_once_for_each_partition_that_has_entries(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    calls: list[list[Entry[int]]] = []
    async with staged() as stage:
        owners = [await stage.actor() for _ in range(8)]
        for number, owner in enumerate(owners):
            registry.register(
                "key" if registry._names.duplicate or number == 0 else f"other {number}", number, owner=owner
            )
        expected = registry.lookup("key")
        assert registry.dispatch("key", calls.append) == len(expected)
        assert [entry for entries in calls for entry in entries] == expected
        assert all(calls)
        by_owner = registry._names.duplicate and registry._names.by_owner
        assert len(calls) == (registry.partitions if by_owner else 1)


async def test_dispatch_is_never_called_with_no_entries(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    assert registry.dispatch("key", lambda entries: pytest.fail("called")) == 0
    assert await registry.dispatch_parallel("key", lambda entries: pytest.fail("called")) == 0


async def test_an_error_in_dispatch_leaves_and_the_partitions_after_it_are_not_dispatched_to(
    autojump_clock: MockClock,
) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    calls = 0

    def fail(entries: list[Entry[int]]) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("in a dispatch")

    async with staged() as stage:
        for number in range(8):
            topics.register("key", number, owner=await stage.actor())
        with pytest.raises(ValueError, match="in a dispatch"):
            topics.dispatch("key", fail)
        assert calls == 1


async def test_what_a_dispatch_unregisters_in_a_later_partition_is_not_dispatched_to(
    autojump_clock: MockClock,
) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    seen: list[Owner] = []

    def fn(entries: list[Entry[int]]) -> None:
        seen.extend(owner for owner, _ in entries)
        for owner in owners:
            topics.unregister("key", owner=owner)

    async with staged() as stage:
        owners = [await stage.actor() for _ in range(8)]
        for owner in owners:
            topics.register("key", 1, owner=owner)
        assert topics.dispatch("key", fn) == 2
        assert len(seen) == 2


async def test_a_dispatch_may_register_more_of_the_same_key(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    def fn(entries: list[Entry[int]]) -> None:
        for _, value in entries:
            topics.register("key", value + 1)

    topics.register("key", 1)
    assert topics.dispatch("key", fn) == 1
    assert topics.values("key") == [1, 2]


# dispatch_parallel()


async def test_dispatch_parallel_runs_a_task_for_each_partition_side_by_side(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    seen: list[int] = []

    async def fn(entries: list[Entry[int]]) -> None:
        await trio.sleep(10)
        seen.extend(entry.value for entry in entries)

    async with staged() as stage:
        for number in range(8):
            topics.register("key", number, owner=await stage.actor())
        began = trio.current_time()
        assert await topics.dispatch_parallel("key", fn) == 8
        assert trio.current_time() - began == pytest.approx(10)
        assert sorted(seen) == list(range(8))


async def test_dispatch_parallel_is_a_checkpoint_that_honours_cancellation(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def fn(entries: list[Entry[int]]) -> None:
        called.append(entries)

    called: list[object] = []
    with assert_checkpoints():
        await registry.dispatch_parallel("key", fn)
    registry.register("key", 1)
    with assert_checkpoints():
        await registry.dispatch_parallel("key", fn)
    assert len(called) == 1
    with trio.CancelScope() as scope:
        scope.cancel()
        await registry.dispatch_parallel("key", fn)
    assert scope.cancelled_caught
    assert len(called) == 1


async def test_errors_in_dispatch_parallel_leave_as_a_group(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=2)

    async def fn(entries: list[Entry[int]]) -> None:
        raise ValueError(f"with {len(entries)} entries")

    async with staged() as stage:
        for number in range(4):
            topics.register("key", number, owner=await stage.actor())
        with pytest.raises(ExceptionGroup) as caught:
            await topics.dispatch_parallel("key", fn)
        assert {str(error) for error in leaves(caught.value)} == {"with 2 entries"}


async def test_dispatch_parallel_shows_nobody_who_has_ended_before_its_task_runs(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    seen: list[Owner] = []

    async def fn(entries: list[Entry[int]]) -> None:
        assert all(owner.is_alive for owner, _ in entries)
        seen.extend(owner for owner, _ in entries)

    async def subscriber(steps: int) -> None:
        topics.register("key", steps)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()

    stays = topics.register("key", 0)
    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(subscriber, number % 8)
        for _ in range(8):
            nursery.start_soon(topics.dispatch_parallel, "key", fn)
            await trio.lowlevel.checkpoint()
    assert seen.count(stays) == 8
    assert topics.lookup("key") == [(stays, 0)]


async def test_a_local_pubsub(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    inboxes: dict[Owner, list[str]] = {}
    async with staged() as stage:
        subscribers = [await stage.task() for _ in range(4)]
        for subscriber in subscribers:
            inboxes[subscriber] = []
            await stage.run(subscriber, lambda: topics.register("weather", 1))

        def publish(text: str) -> int:
            def deliver(entries: list[Entry[int]]) -> None:
                for owner, _ in entries:
                    inboxes[owner].append(text)

            return topics.dispatch("weather", deliver)

        assert publish("rain") == 4
        await stage.end(subscribers[0], "crashes")
        assert publish("sun") == 3
        await wait_all_tasks_blocked()
        assert list(inboxes.values()) == [["rain"], *[["rain", "sun"]] * 3]
