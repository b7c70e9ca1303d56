"""registries(): every registry of the run, as data."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, OnDemand, Partitions, PubSub, Registry, open_on_demand, open_partition_supervisor, open_pool


class Part(Actor):
    def __init__(self, key: object = None) -> None:
        pass

    def note(self) -> None:
        pass


async def test_a_registry_is_shown_with_its_numbers(autojump_clock: MockClock) -> None:
    agents: Registry[int, None] = Registry("agents", partitions=4)
    assert trioreg.registries() == []
    for key in range(5):
        agents.register(key)
    (info,) = trioreg.registries()
    assert (info.name, info.kind, info.purpose, info.partitions) == ("agents", "unique", "names", 4)
    assert (info.names, info.owners, info.top_holders) == (5, 1, ((trioreg.current_owner(), 5),))
    assert info.registry is agents


async def test_what_the_runtime_has_made_for_itself_is_shown_too(autojump_clock: MockClock) -> None:
    news: PubSub[str, str] = PubSub("news")
    carts = OnDemand("carts", Part)
    async with (
        open_pool(Part, size=2, name="parts"),
        open_partition_supervisor(Partitions("shards", 3), Part, at_end="stop"),
        open_on_demand(carts),
        news.subscribe("a"),
        news.subscribe("b"),
    ):
        await carts.via("a-17").call(Part.note)
        assert [(info.name, info.purpose, info.kind, info.names) for info in trioreg.registries()] == [
            ("carts", "actors on demand", "unique", 1),
            ("news", "topics", "duplicate", 2),
            ("parts", "pool", "unique", 2),
            ("shards", "partitions", "unique", 3),
        ]
        assert [info.registry for info in trioreg.registries()] == [None] * 4


async def test_the_owners_of_the_most_names_come_first(autojump_clock: MockClock) -> None:
    topics: Registry[int, None] = Registry("topics", keys="duplicate")

    async def hold(names: int) -> None:
        for key in range(names):
            topics.register(key)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for names in range(1, 13):
            nursery.start_soon(hold, names)
        await wait_all_tasks_blocked()
        (info,) = trioreg.registries()
        assert info.owners == 12
        assert [count for _, count in info.top_holders] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
        nursery.cancel_scope.cancel()


async def test_the_tables_are_there_as_data_and_as_text(autojump_clock: MockClock) -> None:
    news: PubSub[str, str] = PubSub("news")
    async with news.subscribe("a"):
        (info,) = trioreg.registries()
        assert [table.name for table in info.tables()] == ["KeyPartition0", "PIDPartition0"]
        assert info.dump() == news.dump()
        assert info.dump(limit=1) == news.dump(limit=1)


async def test_a_registry_that_nothing_keeps_is_shown_while_it_has_names(autojump_clock: MockClock) -> None:
    Registry[str, None]("lost").register("a")
    gc.collect()
    (info,) = trioreg.registries()
    assert (info.name, info.names, info.registry) == ("lost", 1, None)


async def test_only_registries_of_this_run_are_shown(autojump_clock: MockClock) -> None:
    elsewhere: Registry[str, None] = Registry("elsewhere")

    async def other() -> list[str]:
        elsewhere.register("a")
        return [info.name for info in trioreg.registries()]

    assert await trio.to_thread.run_sync(trio.run, other) == ["elsewhere"]
    assert trioreg.registries() == []


async def test_an_owner_whose_keys_can_not_be_compared_is_counted(autojump_clock: MockClock) -> None:
    class Odd:
        is_odd = False

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if self.is_odd:
                raise OSError
            return self is other

    odd: Registry[Odd, None] = Registry("odd", keys="duplicate")
    keys = [Odd(), Odd()]
    for key in keys:
        odd.register(key)
    Odd.is_odd = True
    try:
        assert [(info.names, info.owners) for info in trioreg.registries()] == [(2, 1)]
    finally:
        Odd.is_odd = False


@pytest.mark.parametrize("limit", [-1, 1.5, "2"])
async def test_a_limit_of_a_dump_is_a_whole_number(limit: Any) -> None:
    Registry[str, None]("agents").register("a")
    with pytest.raises((TypeError, ValueError), match="limit must be"):
        trioreg.registries()[0].dump(limit=limit)


def test_there_are_no_registries_outside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        trioreg.registries()


async def test_the_repr_of_a_registry_says_how_many_names_and_owners_it_has(autojump_clock: MockClock) -> None:
    agents: Registry[int, None] = Registry("agents")
    agents.register(7)
    (info,) = trioreg.registries()
    assert repr(info) == "<'agents', unique keys, 1 name of 1 owner>"
