"""register(), unregister(), lookup(), whereis(), keys() and values()."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.owners import ENDS, SORTS, End, Holder, Sort, held_by, staged
from support.registry_kinds import KINDS, kind_id
from support.supervisors import supervised
from support.watcher import rows
from trio.testing import MockClock

from trioreg import (
    ActorRef,
    AlreadyRegistered,
    Entry,
    Registry,
    current_owner,
)


async def test_a_lookup_gives_the_owner_and_the_value(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    owner = registry.register("key", 7)
    assert registry.lookup("key") == [Entry(owner, 7)]
    assert registry.lookup("key")[0].owner is owner
    assert registry.lookup("other") == []
    assert registry.keys(owner) == ["key"]
    assert registry.values("key", owner) == [7]
    assert registry.values("other", owner) == []
    assert registry.count() == 1


async def test_the_value_is_none_unless_one_is_given(registry: Registry[str, None], autojump_clock: MockClock) -> None:
    owner = registry.register("key")
    assert registry.lookup("key") == [Entry(owner, None)]


async def test_a_lookup_is_a_copy(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.register("key", 1)
    registry.lookup("key").clear()
    registry.keys(current_owner()).clear()
    registry.values("key", current_owner()).clear()
    assert len(registry.lookup("key")) == 1
    assert len(registry.keys(current_owner())) == len(registry.values("key", current_owner())) == 1


async def test_an_entry_that_was_looked_up_does_not_change_afterwards(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = names.register("key", 1)
    (entry,) = names.lookup("key")
    names.update_value("key", lambda value: value + 1)
    names.unregister("key")
    assert entry == (owner, 1)


async def test_a_taken_unique_key_names_its_holder(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        holder = await stage.actor()
        names.register("key", 5, owner=holder)
        with pytest.raises(
            AlreadyRegistered, match=r"'key' is already registered in 'names': held by <Holder #\d+>"
        ) as e:
            names.register("key", 6)
        assert (e.value.registry, e.value.key, e.value.holder, e.value.value) == ("names", "key", holder, 5)


@pytest.mark.parametrize("sort", SORTS)
async def test_a_second_registration_of_a_unique_key_by_its_holder_is_refused_and_no_table_grows(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        holder = await stage.start(sort)
        names.register("key", 1, owner=holder)
        before = [(table.rows, table.size) for table in names.tables()]
        for _ in range(100):
            with pytest.raises(AlreadyRegistered):
                names.register("key", 2, owner=holder)
        assert [(table.rows, table.size) for table in names.tables()] == before
        assert names.keys(holder) == ["key"]
        assert names.values("key", holder) == [1]


async def test_an_owner_may_have_a_duplicate_key_several_times_and_keys_lists_it_as_often(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = topics.register("key", 1)
    topics.register("other", 0)
    topics.register("key", 2)
    topics.register("key", 1)
    assert sorted(topics.keys(current_owner())) == ["key", "key", "key", "other"]
    assert topics.values("key", current_owner()) == [1, 2, 1]
    assert topics.lookup("key") == [(owner, 1), (owner, 2), (owner, 1)]
    assert topics.count() == 4


async def test_unregister_removes_every_entry_that_the_owner_has_for_the_key(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        other = await stage.actor()
        topics.register("key", 0, owner=other)
        for value in (1, 2, 3):
            topics.register("key", value)
        topics.register("kept", 4)
        assert topics.unregister("key") == 3
        assert topics.unregister("key") == 0
        assert topics.lookup("key") == [(other, 0)]
        assert topics.keys(current_owner()) == ["kept"]


async def test_unregistering_what_another_holds_does_nothing(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        other = await stage.actor()
        registry.register("key", 1, owner=other)
        before = rows(registry)
        assert registry.unregister("key") == 0
        assert rows(registry) == before


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("how", ENDS)
async def test_all_entries_of_an_owner_go_with_it_and_no_others(
    topics: Registry[str, int], sort: Sort, how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ends, stays = await stage.start(sort), await stage.start(sort)
        for value in range(3):
            topics.register("key", value, owner=ends)
            topics.register("key", 10 + value, owner=stays)
            topics.register(f"key {value}", value, owner=ends)
        await stage.end(ends, how)
        assert topics.lookup("key") == [(stays, 10), (stays, 11), (stays, 12)]
        assert topics.keys(ends) == []
        assert topics.values("key", ends) == []
        assert topics.count() == 3
        assert {owner for _, owner in rows(topics)} == {stays}


async def test_entries_are_in_the_order_in_which_they_came(autojump_clock: MockClock) -> None:
    by_key: Registry[str, int] = Registry("topics", keys=("duplicate", "key"), partitions=4)
    async with staged() as stage:
        first, second = await stage.actor(), await stage.actor()
        for value in range(6):
            by_key.register("key", value, owner=[first, second][value % 2])
        assert [value for _, value in by_key.lookup("key")] == [0, 1, 2, 3, 4, 5]


async def test_whereis_is_the_holder_or_none(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        holder = await stage.actor()
        assert names.whereis("key") is None
        names.register("key", 1, owner=holder)
        assert names.whereis("key") is holder
        await stage.end(holder)
        assert names.whereis("key") is None


def test_an_actor_ref_is_what_a_registry_gives_back_for_an_actor() -> None:
    async def main() -> None:
        registry: Registry[str, None] = Registry("tested")
        async with staged() as stage:
            ref = await stage.actor()
            registry.register("key", owner=ref)
            assert held_by(registry, "key") == [ref]
            assert isinstance(registry.whereis("key"), ActorRef)

    trio.run(main)


async def test_the_none_of_whereis_is_refused_as_an_owner(names: Registry[str, int], autojump_clock: MockClock) -> None:
    names.register("mine", 1)
    holder: Any = names.whereis("key")
    with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not None"):
        names.keys(holder)
    with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not None"):
        names.values("mine", holder)


async def test_an_owner_with_names_in_many_registries_gives_all_of_them_back(autojump_clock: MockClock) -> None:
    registries: list[Registry[int, int]] = [Registry(kind_id(kind), keys=kind[0], partitions=kind[1]) for kind in KINDS]
    for sort in SORTS:
        async with staged() as stage:
            owner = await stage.start(sort)
            for registry in registries:
                for key in range(5):
                    registry.register(key, key, owner=owner)
            registries[0].unregister(0, owner=owner)
            assert [registry.count() for registry in registries] == [4, 5, 5, 5, 5, 5]
            await stage.end(owner)
            assert [registry.count() for registry in registries] == [0] * 6
            assert [rows(registry) for registry in registries] == [[]] * 6


async def test_keys_of_whereis_work_as_in_the_talk(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    async with supervised() as supervisor:
        bond = await supervisor.start_child(Holder, name=agents.via("James Bond"))
        found = agents.via("James Bond").whereis()
        assert found is not None
        assert found is bond
        assert agents.keys(found) == ["James Bond"]
