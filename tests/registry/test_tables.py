"""tables() and dump(): a registry as its table viewer shows it."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.owners import staged
from support.registry_kinds import KeysKind
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Registry


async def test_tables_show_each_entry_once_and_each_owners_keys_beside_it(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owners = [await stage.actor() for _ in range(5)]
        for number, owner in enumerate(owners):
            registry.register(f"key {number}", number, owner=owner)
        tables = registry.tables()
        n = registry.partitions
        assert [table.name for table in tables] == [
            *(f"KeyPartition{i}" for i in range(n)),
            *(f"PIDPartition{i}" for i in range(n)),
        ]
        keys = [row for table in tables[:n] for row in table.rows]
        assert sorted(keys, key=lambda row: str(row[0])) == [
            (f"key {number}", owner, number) for number, owner in enumerate(owners)
        ]
        leases = [row for table in tables[n:] for row in table.rows]
        assert {(row[0], row[1], row[3]) for row in leases} == {
            (owner, f"key {number}", 1) for number, owner in enumerate(owners)
        }
        assert sum(table.objects for table in tables) == 10


async def test_the_owner_table_counts_the_entries_of_each_key(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = topics.register("key", 1)
    topics.register("key", 2)
    topics.register("other", 3)
    leases = {row for table in topics.tables() if table.name.startswith("PID") for row in table.rows}
    assert {(owner, key, count) for owner, key, _, count in leases} == {(owner, "key", 2), (owner, "other", 1)}


@pytest.mark.parametrize(("keys", "partitions_of_key"), [("duplicate", 4), (("duplicate", "key"), 1)])
async def test_duplicate_keys_are_partitioned_by_owner_or_by_key(
    keys: KeysKind, partitions_of_key: int, autojump_clock: MockClock
) -> None:
    registry: Registry[str, int] = Registry("topics", keys=keys, partitions=4)
    async with staged() as stage:
        for number in range(8):
            registry.register("key", number, owner=await stage.actor())
        used = [table for table in registry.tables() if table.name.startswith("Key") and table.rows]
        assert len(used) == partitions_of_key


async def test_dump_shows_the_tables_as_text(autojump_clock: MockClock) -> None:
    agents: Registry[str, int] = Registry("agents")
    assert "KeyPartition0: 0 objects" in agents.dump()
    owner = agents.register("James Bond", 7)
    text = agents.dump()
    assert text.splitlines()[0] == "registry 'agents', unique keys"
    assert "KeyPartition0: 1 object, " in text
    assert [line.split() for line in text.splitlines() if "7" in line.split()] == [
        ["'James", "Bond'", *repr(owner).split(), "7"]
    ]


async def hold(registry: Registry[int, None], names: int) -> None:
    for key in range(names):
        registry.register(key)
    await trio.sleep_forever()


async def test_a_dump_with_a_limit_begins_with_the_owners_of_the_most_names(autojump_clock: MockClock) -> None:
    topics: Registry[int, None] = Registry("topics", keys="duplicate")
    async with trio.open_nursery() as nursery:
        for names in (1, 1200, 2):
            nursery.start_soon(hold, topics, names)
            await wait_all_tasks_blocked()
        lines = topics.dump(limit=2).splitlines()
        assert lines[:3] == [
            "registry 'topics', duplicate keys",
            "1,203 names of 3 owners, the most names first:",
            "  <task test_tables.hold> 1,200, <task test_tables.hold> 2, and 1 more",
        ]
        assert [line for line in lines if "more" in line][1:] == ["  ... 1,201 more", "  ... 1,201 more"]
        assert len(lines) == 3 + 2 * (1 + 4 + 1)
        assert len(topics.dump().splitlines()) == 1 + 2 * (1 + 2 + 1203)
        nursery.cancel_scope.cancel()


async def test_a_table_shows_as_many_rows_as_you_say(autojump_clock: MockClock) -> None:
    agents: Registry[int, None] = Registry("agents")
    for key in range(3):
        agents.register(key)
    table = agents.tables()[0]
    assert table.format(limit=0).splitlines() == [str(table).splitlines()[0], "  ... 3 more"]
    assert table.format(limit=3) == str(table)


@pytest.mark.parametrize("limit", [-1, 1.5, "2"])
def test_a_limit_of_a_dump_is_a_whole_number(limit: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="limit must be"):
        Registry("agents").dump(limit=limit)


@pytest.mark.parametrize("limit", [-1, 1.5, "2"])
def test_a_limit_of_a_table_is_a_whole_number(limit: Any) -> None:
    (table, _) = Registry("agents").tables()
    with pytest.raises((TypeError, ValueError), match="limit must be"):
        table.format(limit=limit)


@pytest.mark.parametrize(("key", "more"), [("ab", 0), ("e\u0301b", 1), ("\u6587b", -1)])
async def test_the_columns_of_a_dump_fit_however_wide_a_character_is(key: str, more: int) -> None:
    names: Registry[str, None] = Registry("names")
    names.register("a long key", None)
    names.register(key, None)
    one, other = (
        next(line for line in names.dump().splitlines() if repr(each) in line) for each in ("a long key", key)
    )
    assert other.index("<task") == one.index("<task") + more  # as many characters more as are shown in no column
