"""Tests the inside: a walk along the entries of a key finds all that stay, while others come and go."""

from __future__ import annotations

from bisect import bisect_right
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faults import fail_once
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, Registry
from trioreg._registry import walk as walk_module
from trioreg._registry.entry import Entry
from trioreg._registry.names import Names
from trioreg._registry.partition import DuplicatePartition
from trioreg._registry.walk import walk


class Idler(Actor):
    pass


Partition = DuplicatePartition[str, int]


def groups_of(partition: Partition) -> list[int]:
    return list(partition.table.get("key", {}))


@given(
    st.integers(1, 30),
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(["add", "add elsewhere", "remove", "remove some", "undo"]), st.integers(0, 99))),
    st.integers(0, 4),
)
def test_entries_that_stay_are_given_once_and_no_others_twice(
    size: int, at_most: int, steps: list[tuple[str, int]], per_part: int
) -> None:
    owner: Any = object()
    partition: Partition = DuplicatePartition()
    numbers = count()

    def add(key: str) -> dict[int, Entry[int]]:
        number = next(numbers)
        return partition.add(key, number, Entry(owner, number))

    for _ in range(size):
        add("key")
    stay = set(groups_of(partition))
    group = partition.table["key"]
    given: list[int] = []
    todo = iter(steps)
    for part in walk(partition, group, next(numbers), at_most):
        assert len(part) <= at_most
        present = groups_of(partition)
        for entry in part:
            assert entry.value in present
            given.append(entry.value)
        for _ in range(per_part):
            kind, which = next(todo, ("", 0))
            present = groups_of(partition)
            if kind.startswith("add"):
                add("key" if kind == "add" else "other")
            elif kind == "undo":
                partition.undo_add(add("key" if present else "other"))
            elif kind and present:
                first = which % len(present)
                gone = present[first : first + (1 if kind == "remove" else 5)]
                partition.remove("key", gone)
                stay -= set(gone)
    assert given == sorted(set(given))
    assert stay <= set(given) <= set(range(size))


def filled(size: int) -> tuple[Partition, dict[int, Entry[int]]]:
    partition: Partition = DuplicatePartition()
    owner: Any = object()
    for number in range(size):
        partition.add("key", number, Entry(owner, number))
    return partition, partition.table["key"]


@pytest.mark.parametrize("when", ["before the iterator", "after the iterator", "before the entries"])
def test_a_finalizer_that_the_collector_runs_within_a_walk_may_remove_entries(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, group = filled(20)
    parts = walk(partition, group, 20, 5)
    given = [entry.value for entry in next(parts)]

    def finalize() -> None:
        monkeypatch.undo()
        partition.remove("key", [2, 3, 6, 12])

    def islice_and_finalize(group: dict[int, Entry[int]], begin: int, end: int) -> islice[int]:
        if when == "before the iterator":
            finalize()
        found = islice(group, begin, end)
        if when == "after the iterator":
            finalize()
        return found

    def bisect_and_finalize(numbers: list[int], last: int) -> int:
        finalize()
        return bisect_right(numbers, last)

    if when == "before the entries":
        monkeypatch.setattr(walk_module, "bisect_right", bisect_and_finalize)
    else:
        monkeypatch.setattr(walk_module, "islice", islice_and_finalize)
    given += [entry.value for part in parts for entry in part]
    assert given == [number for number in range(20) if number not in (6, 12)]


def test_a_full_stack_ends_a_walk_with_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    partition, group = filled(20)
    parts = walk(partition, group, 20, 5)
    fail_once(monkeypatch, walk_module, "islice", RecursionError)
    with pytest.raises(RecursionError):
        next(parts)


def test_a_walk_goes_on_when_its_group_has_got_sparse_and_was_replaced() -> None:
    partition, group = filled(1_000)
    parts = walk(partition, group, 1_000, 10)
    given = [entry.value for entry in next(parts)]
    partition.remove("key", [*range(5, 15), *range(20, 990)])
    assert partition.table["key"] is not group
    given += [entry.value for part in parts for entry in part]
    assert given == sorted(set(given))
    assert {*range(10), *range(15, 20), *range(990, 1_000)} <= set(given)


def test_a_walk_ends_while_others_join_all_the_time() -> None:
    owner: Any = object()
    partition: Partition = DuplicatePartition()
    for number in range(3):
        partition.add("key", number, Entry(owner, number))
    parts = walk(partition, partition.table["key"], 3, 3)
    assert [entry.value for entry in next(parts)] == [0, 1, 2]
    for number in range(3, 9):
        partition.add("key", number, Entry(owner, number))
    assert next(parts) == []
    assert next(parts, None) is None


async def test_a_walk_finds_all_after_the_end_of_an_entry_has_failed(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names", keys="duplicate")
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Idler) for _ in range(12)]
        with names.watch("key"):
            for number, ref in enumerate(refs[:7]):
                names.register("key", number, owner=ref)
            fail_once(monkeypatch, Names, "_note_removal")
            with pytest.raises(MemoryError):
                names.unregister("key", owner=refs[1])
            for number, ref in enumerate(refs[7:], 7):
                names.register("key", number, owner=ref)
            walked = [entry.value for part in names._names.walk("key", 3) for entry in part]
    assert walked == list(range(12))


async def test_a_walk_goes_through_all_partitions_of_a_key(autojump_clock: MockClock) -> None:
    names: Registry[str, int] = Registry("names", keys="duplicate", partitions=3)
    async with supervised() as supervisor:
        for number in range(10):
            names.register("key", number, owner=await supervisor.start_child(Idler))
        parts = list(names._names.walk("key", 2))
        assert sorted(entry.value for part in parts for entry in part) == list(range(10))
        assert max(map(len, parts)) == 2
        assert list(names._names.walk("other", 2)) == []
