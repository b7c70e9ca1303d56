"""What can be a key, and what a registry does with keys that misbehave."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.events import received
from support.inside import assert_nothing_waits
from support.owners import SORTS, Sort, held_by, staged
from support.registry_kinds import KINDS, Fragile, KeysKind, is_unique, kind_id
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ANY,
    AlreadyRegistered,
    Is,
    Owner,
    Registry,
    Var,
    current_owner,
)

# What can be a key


@pytest.mark.parametrize("key", [None, 0, "", (), ("nested", (1, 2)), frozenset({1}), 2.5, b"bytes", int, len])
async def test_any_hashable_is_a_key(registry: Registry[Any, int], key: object, autojump_clock: MockClock) -> None:
    registry.register(key, 1)
    registry.register("another", 2)
    assert [entry.value for entry in registry.lookup(key)] == [1]
    assert registry.keys(current_owner()) == [key, "another"]
    assert registry.unregister(key) == 1
    assert registry.keys(current_owner()) == ["another"]


async def test_the_only_key_of_an_owner_is_listed_as_often_as_it_is_registered(autojump_clock: MockClock) -> None:
    registry: Registry[str, int] = Registry("r", keys="duplicate")
    for value in range(3):
        registry.register("a", value)
    assert registry.keys(current_owner()) == ["a", "a", "a"]


async def test_keys_compare_as_the_keys_of_a_dict_do(registry: Registry[Any, str], autojump_clock: MockClock) -> None:
    registry.register(1, "one")
    assert [entry.value for entry in registry.lookup(True)] == ["one"]
    assert [entry.value for entry in registry.lookup(1.0)] == ["one"]
    assert registry.unregister(1.0) == 1
    assert registry.count() == 0


async def test_a_unique_key_that_compares_equal_is_taken(names: Registry[Any, str], autojump_clock: MockClock) -> None:
    names.register(1, "one")
    with pytest.raises(AlreadyRegistered):
        names.register(True, "true")
    assert names.keys(current_owner()) == [1]


async def test_nan_is_a_key_that_is_only_itself(registry: Registry[float, int], autojump_clock: MockClock) -> None:
    nan, other = float("nan"), float("nan")
    for names in ([nan], [nan, other]):
        for name in names:
            registry.register(name, 1)
        assert registry.values(nan, current_owner()) == [1]
        assert [registry.unregister(name) for name in names] == [1] * len(names)
        assert registry.count() == 0
        assert registry.unregister(nan) == 0


class Grumpy:
    """A key that refuses to be compared with keys of other types."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grumpy):
            raise TypeError("I compare with my own kind only")
        return True

    def __hash__(self) -> int:
        return 7


async def test_only_keys_with_the_same_hash_are_compared(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    registry.register(Grumpy(), 1)
    assert registry.unregister("other") == 0
    assert registry.values("other", current_owner()) == []
    registry.register("other", 2)
    assert registry.unregister("other") == 1
    assert registry.unregister(Grumpy()) == 1
    assert registry.count() == 0


async def test_a_key_that_cannot_be_compared_with_what_is_watched_ends_with_its_owner_all_the_same(
    registry: Registry[Any, int], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged() as stage:
        with registry.watch(7), registry.watch() as everything:
            for sort in SORTS:
                grumpy, later = await stage.start(sort), await stage.start(sort)
                registry.register(Grumpy(), 1, owner=grumpy)
                assert registry.count() == 1
                await stage.end(grumpy)
                assert rows(registry) == []
                registry.register("a", 1, owner=later)
                await stage.end(later)
                assert rows(registry) == []
                assert len(received(everything)) == 4


# Keys that look like wildcards


@pytest.mark.parametrize("key", [ANY, Var("x"), Is(1), int, (ANY, 1), (Var("x"), Var("x"))], ids=repr)
async def test_a_key_that_looks_like_a_pattern_is_a_key_like_any_other(
    registry: Registry[Any, int], key: object, autojump_clock: MockClock
) -> None:
    registry.register(1, 0)
    registry.register((1, 1), 0)
    registry.register(key, 1)
    owner = registry.register("other", 0)
    assert registry.lookup(key) == [(owner, 1)]
    assert registry.match(key, int) == [(owner, 1)]
    assert registry.values(key, current_owner()) == [1]
    seen: list[int] = []
    assert registry.dispatch(key, lambda entries: seen.extend(entry.value for entry in entries)) == 1
    assert seen == [1]
    # A selection's key is a pattern: `Is` takes it literally.
    assert await registry.select(Is(key)) == [(key, owner, 1)]
    assert registry.unregister_match(key, 1) == 1
    assert registry.lookup(key) == []
    assert registry.count() == 3


async def test_any_is_a_plain_key_where_a_key_is_asked_for(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    assert registry.lookup(ANY) == []
    assert registry.match(ANY, ANY) == []
    assert registry.unregister(ANY) == 0
    assert registry.unregister_match(ANY, ANY) == 0
    assert registry.dispatch(ANY, lambda entries: entries) == 0


# Keys whose hash changes


class Shifty:
    """A key whose hash can change, which is wrong for a key."""

    def __init__(self) -> None:
        self.hash = 1

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize("sort", SORTS)
async def test_a_key_whose_hash_has_changed_goes_with_its_owner_and_takes_no_other_key_along(
    registry: Registry[Any, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ends, stays = await stage.start(sort), await stage.start(sort)
        key, others = Shifty(), Shifty()
        registry.register("before", 1, owner=ends)
        registry.register(key, 2, owner=ends)
        registry.register("after", 3, owner=ends)
        registry.register("kept", 4, owner=stays)
        registry.register(others, 5, owner=stays)
        key.hash = others.hash = 2
        with registry.watch() as events:
            await stage.end(ends)
            gone = [events.receive_nowait() for _ in range(3)]
        assert {(event.key, event.value) for event in gone} == {("before", 1), (key, 2), ("after", 3)}
        assert {owner for _, owner in rows(registry)} == {stays}
        assert registry.count() == 2
        await stage.end(stays)
        assert registry.count() == 0
        assert rows(registry) == []


@pytest.mark.parametrize("others", [[], ["other"]], ids=["one-name", "two-names"])
async def test_a_key_whose_hash_has_changed_is_not_found_but_still_goes_with_its_owner(
    counters: Registry[Any, int], others: list[str], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.task()
        key = Shifty()
        counters.register(key, 1, owner=owner)
        for other in others:
            counters.register(other, 1, owner=owner)
        key.hash = 2
        with suppress(KeyError):  # what it says depends on how much the owner holds
            assert counters.unregister(key, owner=owner) == 0
        assert counters.count() == 1 + len(others)
        await stage.end(owner)
        assert rows(counters) == []
        assert counters.count() == 0
        kept = weakref.ref(key)
        del key
        gc.collect()
        assert kept() is None


class Moody:
    """A key that can be told to change its hash, or to fail when it is compared."""

    def __init__(self) -> None:
        self.hash = 1
        self.fails = False

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if self.fails:
            raise ValueError("not today")
        return self is other


@pytest.mark.parametrize("change", ["hash", "fails"])
async def test_a_wait_for_a_key_that_misbehaves_since_can_be_cancelled(change: str) -> None:
    registry: Registry[Moody, None] = Registry("names")
    keys = [Moody(), Moody()]
    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(registry.wait_for, key)
            await wait_all_tasks_blocked()
        for key in keys:
            setattr(key, change, 2)
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught
    assert registry.count() == 0


async def test_a_watch_of_a_key_that_misbehaves_since_can_be_left() -> None:
    registry: Registry[Moody, None] = Registry("names")
    keys = [Moody(), Moody()]
    with registry.watch(keys[0]), registry.watch(keys[1]) as events:
        for key in keys:
            key.fails = True
    with pytest.raises(trio.ClosedResourceError):
        events.receive_nowait()


async def test_a_lock_on_a_key_that_misbehaves_since_can_be_left_and_given_up() -> None:
    registry: Registry[str, None] = Registry("names")
    keys = [Moody(), Moody()]
    async with registry.lock(keys[0]), registry.lock(keys[1]):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(registry.lock(keys[1]).__aenter__)
                await wait_all_tasks_blocked()
                for key in keys:
                    key.fails = True
                scope.cancel()
        assert scope.cancelled_caught


# Keys whose comparison fails


Operation = Callable[[Registry[Any, int], list[Any]], object]
FRAGILE: list[tuple[str, Operation]] = [
    ("register", lambda r, o: r.register(Fragile("new"), 1, owner=o[1])),
    ("register by one with a single name", lambda r, o: r.register(Fragile("new"), 1, owner=o[2])),
    ("register again", lambda r, o: r.register(Fragile("a"), 1, owner=o[0])),
    ("unregister", lambda r, o: r.unregister(Fragile("b"), owner=o[0])),
    ("unregister_match", lambda r, o: r.unregister_match(Fragile("b"), 1, owner=o[0])),
    ("update_value", lambda r, o: r.update_value(Fragile("b"), lambda value: value + 1, owner=o[0])),
    ("transfer", lambda r, o: r.transfer(Fragile("b"), o[1], owner=o[0])),
    ("transfer to one with a single name", lambda r, o: r.transfer(Fragile("b"), o[2], owner=o[0])),
]


@pytest.mark.parametrize("kind", KINDS, ids=[*map(kind_id, KINDS)])
@pytest.mark.parametrize("totals", [False, True], ids=["plain", "totals"])
@pytest.mark.parametrize("operation", [operation for _, operation in FRAGILE], ids=[name for name, _ in FRAGILE])
async def test_a_comparison_that_fails_anywhere_leaves_tables_owners_and_totals_consistent(
    kind: tuple[KeysKind, int], totals: bool, operation: Operation, autojump_clock: MockClock
) -> None:
    registry: Registry[Any, int] = Registry("tested", keys=kind[0], partitions=kind[1], totals=totals)

    async def attempt(n: int | None) -> tuple[bool, object]:
        """Do the operation with the n-th comparison failing.

        Returns whether a comparison failed, and what is in the registry afterwards.
        """
        async with staged() as stage:
            owners: list[Owner] = [await stage.actor() for _ in range(3)]
            for owner, key in [(0, "a"), (0, "b"), (0, "c"), (1, "d"), (1, "e"), (2, "f")]:
                registry.register(Fragile(key), 1, owner=owners[owner])
            Fragile.left = n
            failed = False
            try:
                operation(registry, owners)
            except ZeroDivisionError:
                failed = True
            except (AlreadyRegistered, ValueError):
                pass
            finally:
                Fragile.left = None
            found = sorted((key.name, owners.index(owner), value) for key, owner, value in registry.select_nowait())
            leases = sorted((key.name, owners.index(owner)) for owner in owners for key in registry.keys(owner))
            assert leases == [(key, owner) for key, owner, _ in found]
            if totals:
                assert {key: registry.total(Fragile(key)) for key, _, _ in found} == {
                    key: sum(value for other, _, value in found if other == key) for key, _, _ in found
                }
            assert registry.count() == len(found)
        assert registry.count() == 0
        return failed, found

    _, after = await attempt(None)
    _, before = await attempt(0) if is_unique(registry) else (True, None)
    for n in range(100):
        failed, found = await attempt(n)
        if not failed:
            assert found == after
            return
        assert found in (before, after) or before is None
    raise AssertionError("there is no end of comparisons")


async def test_a_comparison_that_fails_anywhere_leaves_no_task_waiting_for_a_name_that_is_free(
    names: Registry[Any, int], autojump_clock: MockClock
) -> None:
    async def attempt(n: int) -> bool:
        """Give the name back with the n-th comparison failing. Returns whether a comparison failed."""
        told: list[str] = []

        async def acquire(owner: Owner) -> None:
            try:
                await names.acquire(Fragile("name"), 2, owner=owner)
            except ZeroDivisionError:
                told.append("failed")
            else:
                assert held_by(names, Fragile("name")) == [owner]
                told.append("holds it")

        async with staged() as stage:
            first, second = await stage.actor(), await stage.actor()
            for key in "abc":
                names.register(Fragile(key), 0, owner=second)
            names.register(Fragile("name"), 1, owner=first)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(acquire, second)
                await wait_all_tasks_blocked()
                Fragile.left = n
                try:
                    names.unregister(Fragile("name"), owner=first)
                except ZeroDivisionError:
                    assert held_by(names, Fragile("name")) == [first]
                    names.unregister(Fragile("name"), owner=first)
                    told.append("failed")
                is_over = Fragile.left is not None
                Fragile.left = None
            assert told == ["holds it"] if is_over else "failed" in told
            assert_nothing_waits(names)
        assert names.count() == 0
        return not is_over

    for n in range(100):
        if not await attempt(n):
            assert n > 0
            return
    raise AssertionError("there is no end of comparisons")
