"""tables() and dump(): a registry as its table viewer shows it."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pytest
from support.owners import staged
from support.registry_kinds import KeysKind
from trio.testing import MockClock

from trioreg import (
    Registry,
)


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
