"""Tests the inside: what only private names can show, that nothing is kept, and what an operation does not look at."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.errors import Bang
from support.inside import is_instrument_installed, plain_holders
from support.keys import Keys
from support.owners import ENDS, SORTS, Sort, staged
from support.supervisors import supervised
from support.watcher import rows
from trio.testing import MockClock

from trioreg import (
    ANY,
    Actor,
    Entry,
    Registry,
)
from trioreg._registry.partition import DuplicatePartition

# The instrument that sees plain tasks end


class Named(Actor):
    """It registers a name when it starts."""

    def __init__(self, registry: Registry[str, int]) -> None:
        self.registry = registry

    async def on_start(self) -> None:
        self.registry.register("on_start", 1)


async def test_there_is_no_instrument_before_a_plain_task_holds_a_name(autojump_clock: MockClock) -> None:
    registry: Registry[str, int] = Registry("names")
    async with supervised() as supervisor:
        await supervisor.start_child(Named, registry, name=registry.via("actor", 1))
        assert registry.count() == 2
        assert not is_instrument_installed()


async def test_the_instrument_is_there_while_a_plain_task_holds_a_name(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("name", 1)
    assert is_instrument_installed()
    registry.unregister("name")


async def test_the_instrument_is_gone_when_the_last_plain_holder_has_ended(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def holder(seconds: float) -> None:
        registry.register(f"name {seconds}", 1)
        await trio.sleep(seconds)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder, 1)
        nursery.start_soon(holder, 2)
        await trio.sleep(1.5)
        assert is_instrument_installed()
        await trio.sleep(1)
        assert not is_instrument_installed()


async def test_the_instrument_is_gone_when_the_last_name_was_given_back_and_a_task_has_ended(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("name", 1)
    registry.unregister("name")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.lowlevel.checkpoint)
    assert not is_instrument_installed()
    # It comes back when it is needed.
    registry.register("name", 1)
    assert is_instrument_installed()
    registry.unregister("name")


# Nothing is kept


@pytest.mark.parametrize("sort", SORTS)
async def test_an_owner_that_ends_leaves_nothing_behind_in_the_registry_or_in_the_run(
    counters: Registry[str, int], sort: Sort, keys: Keys, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        for how in ENDS:
            owner = await stage.start(sort)
            for name in "abc":
                counters.register(keys(name), 1, owner=owner)
            async with counters.lock(keys("a")):
                await stage.end(owner, how)
            assert counters.count() == 0
            assert rows(counters) == []
            assert keys.kept() == []
            assert plain_holders() == 0
            assert owner._held is None


async def test_the_last_of_many_subscribers_does_not_keep_the_memory_of_all() -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate")
    for number in range(20_000):
        topics.register("topic", number)

    def is_early(number: int) -> bool:
        return number < 19_999

    assert topics.unregister_match("topic", ANY, where=is_early) == 19_999
    (partition,) = topics._names.duplicate
    assert partition.table["topic"].__sizeof__() < 10_000
    assert [value for _, value in topics.lookup("topic")] == [19_999]


# What is not looked at


async def test_an_entry_that_leaves_a_total_does_not_cost_a_look_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    load: Registry[str, int] = Registry("load", keys="duplicate", partitions=2, totals=True)
    load.register("key", 1)

    copied: list[str] = []

    def look(self: DuplicatePartition[str, int], key: str, at_most: int | None = None) -> list[Entry[int]]:
        copied.append(key)
        return list(self.table.get(key, {}).values())

    monkeypatch.setattr(DuplicatePartition, "entries", look)
    with load.hold("key", 2):
        assert load.total("key") == 3
    assert load.total("key") == 1
    assert copied == []


async def test_wait_for_and_add_look_at_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    load: Registry[str, int] = Registry("load", keys="duplicate", totals=True)
    for _ in range(10):
        load.register("key", 1)
    names = load._names
    assert len(names.entries_of(next(iter(load.lookup("key"))).owner, "key", at_most=1)) == 1
    copied: list[int] = []
    entries = DuplicatePartition[str, int].entries

    def look(self: DuplicatePartition[str, int], key: str, at_most: int | None = None) -> list[Entry[int]]:
        found = entries(self, key, at_most)
        copied.append(len(found))
        return found

    monkeypatch.setattr(DuplicatePartition, "entries", look)
    await load.wait_for("key")
    assert copied == [1]
    assert load.add("key", 4) == 5
    assert load.total("key") == 14


def test_removing_an_entry_copies_the_others_only_if_nearly_all_are_gone() -> None:
    partition: DuplicatePartition[str, int] = DuplicatePartition()
    owner: Any = None
    for number in range(1000):
        partition.add("key", number, Entry(owner, number))
    group = partition.table["key"]
    partition.remove("key", [0])
    assert partition.table["key"] is group
    partition.remove("key", [*range(1, 990)])
    assert partition.table["key"] is not group
    assert [*partition.table["key"]] == [*range(990, 1000)]


# The first entries of a key, read in a thread while another one changes them


class Changing(dict[int, Entry[str]]):
    """A dict of entries that says once, while it is read, that it has changed."""

    def __init__(self, error: RuntimeError) -> None:
        owner: Any = None
        super().__init__((number, Entry(owner, str(number))) for number in range(3))
        self.errors = [error]

    def values(self) -> Any:
        yield from list(super().values())[:1]
        if self.errors:
            raise self.errors.pop()
        yield from list(super().values())[1:]


def first_two(error: RuntimeError) -> list[str]:
    partition: DuplicatePartition[str, str] = DuplicatePartition()
    partition.table["key"] = Changing(error)
    return [entry.value for entry in partition.entries("key", 2)]


def test_first_entries_that_change_while_they_are_read_are_read_again() -> None:
    assert first_two(RuntimeError("dictionary changed size during iteration")) == ["0", "1"]


def test_first_entries_that_there_is_no_room_on_the_stack_for_are_an_error() -> None:
    with pytest.raises(RecursionError):
        first_two(RecursionError())


def test_entries_that_leave_are_given_although_their_key_raises_when_their_group_shrinks() -> None:
    class Key:
        comparisons = 0

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            Key.comparisons -= 1
            if Key.comparisons < 0:
                raise Bang
            return True

    kind: Any = DuplicatePartition
    partition = kind()
    key = Key()
    for number in range(1000):
        partition.add(key, number, f"entry {number}")
    for number in range(999):
        Key.comparisons = 1  # it is found, and that is all
        assert partition.remove(Key(), [number]) == [f"entry {number}"]
