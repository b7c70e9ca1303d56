"""select(), count_select() and select_nowait(): the whole of a registry by a pattern."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
from support.inside import ROWS_PER_TURN
from support.keys import Keys
from support.owners import ENDS, SORTS, End, Sort, staged
from support.patterns import Point
from trio.lowlevel import Task, add_instrument, current_task, remove_instrument
from trio.testing import MockClock, assert_checkpoints

from trioreg import ANY, Is, Registry, Var

# What is found, and how it is given


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
            ({"key": "free"}, []),
        ]
        for where, expected in cases:
            found = await registry.select(**where)
            assert sorted(row[0] for row in found) == expected
            assert await registry.count_select(**where) == len(expected)
        keys = cast("list[tuple[str, int]]", await registry.select(Var("key"), into=Var("key")))
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


async def test_into_of_a_selection_without_variables_gets_the_row(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = registry.register("a", 1)
    assert await registry.select(into=lambda row: row) == [("a", owner, 1)]
    assert registry.select_nowait("a", into=lambda row: row[0]) == ["a"]
    assert await registry.select(into=0) == [0]


async def test_into_with_a_variable_that_is_not_bound_is_refused(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with pytest.raises(ValueError, match=r"into has Var\('y'\), which the pattern does not bind"):
        await registry.select(Var("x"), into=Var("y"))
    with pytest.raises(ValueError, match=r"into has Var\('y'\), which the pattern does not bind"):
        registry.select_nowait(Var("x"), into=Var("y"))


# Other tasks run on the way


@pytest.mark.parametrize("n", [0, 1, 3 * ROWS_PER_TURN])
async def test_select_is_a_checkpoint_that_honours_cancellation(
    registry: Registry[Any, int], n: int, keys: Keys, autojump_clock: MockClock
) -> None:
    for number in range(n):
        registry.register(number, number)
    with assert_checkpoints():
        assert await registry.count_select() == n
    with trio.CancelScope() as scope:
        scope.cancel()
        await registry.select()
    assert scope.cancelled_caught
    assert_changes_are_not_kept(registry, keys)


def assert_changes_are_not_kept(registry: Registry[Any, Any], keys: Keys) -> None:
    """No selection notes changes any more: an entry that comes and goes is not kept."""
    registry.register(keys("comes and goes"), None)
    registry.unregister(keys("comes and goes"))
    assert keys.kept() == []


class Steps(trio.abc.Instrument):
    """Counts the steps of the current task, and the most rows that it looks at in one step."""

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


# What happens meanwhile


class Meanwhile:
    """Does something while a selection is on its way, when it has looked at some of its rows."""

    def __init__(self, registry: Registry[Any, Any], n: int = 3 * ROWS_PER_TURN) -> None:
        self.registry = registry
        self.n = n
        for number in range(n):
            registry.register(("filler", number), None)

    async def select(self, action: Callable[[], object], **pattern: Any) -> list[Any]:
        results: list[Any] = []
        is_done = False

        async def select() -> None:
            nonlocal is_done
            results.extend(await self.registry.select(**pattern))
            is_done = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(select)
            # The first step of the selection is a checkpoint. After its second step it has looked at some rows.
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            assert not is_done
            action()
        assert_changes_are_not_kept(self.registry, Keys())
        return results


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("sort", SORTS)
async def test_select_shows_no_owner_that_has_ended_meanwhile(
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
            # No other task has run since, so what was found is still there.
            now = [row for row in registry.select_nowait((Var("when"), str)) if row in found]
            assert found == now

        async with trio.open_nursery() as nursery:
            nursery.start_soon(select)
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            nursery.start_soon(stage.end, ends, how)
        assert {key for key, _, _ in found} >= {("early", "stays"), ("late", "stays")}


async def test_select_shows_no_entry_that_went_after_a_change_of_its_value(
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


async def test_select_shows_once_a_value_that_fits_only_since_it_has_changed_meanwhile(
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
    """Also when other entries come and go meanwhile, and their memory is used again."""
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
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    registry.register("key", 0)
    with pytest.raises(ZeroDivisionError):
        await registry.select(value=Var("x"), where=lambda x: 1 / x)
    assert_changes_are_not_kept(registry, keys)


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
