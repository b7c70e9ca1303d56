"""take(): a name taken over from its owner, in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import trio
from support.events import received
from support.owners import SORTS, Sort, held_by, staged
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, Event, Owner, Registered, Registry, Unregistered, current_owner


async def test_a_free_name_is_registered(names: Registry[str, int], autojump_clock: MockClock) -> None:
    with names.watch() as events:
        assert names.take("name", 7) is None
        assert names.lookup("name") == [(current_owner(), 7)]
        assert received(events) == [Registered("names", "name", current_owner(), 7)]


@pytest.mark.parametrize("sort", SORTS)
async def test_the_name_goes_over_with_the_new_value_and_the_former_owner_lives_on(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        former, taker = await stage.start(sort), await stage.actor()
        names.register("name", 1, owner=former)
        names.register("another", 2, owner=former)
        with names.watch() as events:
            assert await stage.run(taker, lambda: names.take("name", 7)) is former
            assert received(events) == [
                Unregistered("names", "name", former, 1, None),
                Registered("names", "name", taker, 7),
            ]
        assert names.lookup("name") == [(taker, 7)]
        assert names.keys(taker) == ["name"]
        assert names.keys(former) == ["another"]
        await stage.end(former)
        assert names.whereis("name") is taker
        await stage.end(taker)
        assert names.count() == 0


async def test_a_listener_sees_exactly_one_owner_at_each_event(autojump_clock: MockClock) -> None:
    told: list[list[Owner]] = []

    def look(event: Event[str, int]) -> None:
        told.append(held_by(listened, event.key))

    listened: Registry[str, int] = Registry("names", listeners=[look])
    async with staged() as stage:
        first, second = await stage.task(), await stage.actor()
        for owner in (first, second, first):
            listened.take("name", 1, owner=owner)
        assert told == [[first], [second], [second], [first], [first]]


async def test_the_owner_itself_changes_only_the_value(names: Registry[str, int], autojump_clock: MockClock) -> None:
    owner = names.register("name", 1)
    with names.watch() as events:
        assert names.take("name", 2) is None
        assert received(events) == []
    assert names.lookup("name") == [(owner, 2)]
    assert names.keys(owner) == ["name"]


async def test_an_owner_that_has_ended_takes_nothing(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        ended = await stage.actor()
        await stage.end(ended)
        names.register("name", 1)
        before = rows(names)
        for key in ("name", "free"):
            with pytest.raises(ActorExited):
                names.take(key, 2, owner=ended)
        assert rows(names) == before


async def test_candidates_wait_on_for_the_new_owner(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        first, taker = await stage.task(), await stage.actor()
        names.register("name", 1, owner=first)
        nursery.start_soon(names.acquire, "name", 5)
        await wait_all_tasks_blocked()
        names.take("name", 2, owner=taker)
        await stage.end(first)
        assert names.whereis("name") is taker
        await stage.end(taker)
        await wait_all_tasks_blocked()
        assert names.count() == 0  # the candidate had it, and has returned


async def test_a_candidate_that_takes_the_name_stops_waiting(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        holder, candidate = await stage.actor(), await stage.actor()
        names.register("name", 1, owner=holder)

        async def wait() -> None:
            assert await names.acquire("name", 5, owner=candidate) is candidate

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert names.take("name", 2, owner=candidate) is holder
        await wait_all_tasks_blocked()
        assert nursery.child_tasks == set()
        assert names.lookup("name") == [(candidate, 2)]


async def test_a_total_has_the_value_of_the_new_owner(autojump_clock: MockClock) -> None:
    load: Registry[str, int] = Registry("load", totals=True)
    async with staged() as stage:
        load.register("requests", 3, owner=await stage.actor())
        load.take("requests", 4)
        assert load.total("requests") == 4
        load.take("requests", 5)
        assert load.total("requests") == 5


async def test_the_end_of_a_hold_leaves_the_name_to_its_taker(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        taker = await stage.actor()
        with names.hold("name", 1):
            names.take("name", 2, owner=taker)
        assert names.whereis("name") is taker


async def test_a_lock_of_the_same_key_is_not_taken_along(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        taker = await stage.actor()
        names.register("name", 1)
        order: list[str] = []

        async def wait() -> None:
            async with names.lock("name"):
                order.append("next")

        async with names.lock("name"):
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            names.take("name", 2, owner=taker)
            await wait_all_tasks_blocked()
            order.append("first")
    assert order == ["first", "next"]


async def test_a_listener_may_take_the_name_back(autojump_clock: MockClock) -> None:
    events: list[tuple[type, Owner]] = []

    def take_back(event: Event[str, int]) -> None:
        events.append((type(event), event.owner))
        if isinstance(event, Registered) and event.owner is second:
            listened.take("name", 3, owner=first)

    listened: Registry[str, int] = Registry("names", listeners=[take_back])
    async with staged() as stage:
        first, second = await stage.task(), await stage.actor()
        listened.register("name", 1, owner=first)
        listened.take("name", 2, owner=second)
        assert listened.lookup("name") == [(first, 3)]
        assert (listened.keys(first), listened.keys(second)) == (["name"], [])
        assert events == [
            (Registered, first),
            (Unregistered, first),
            (Registered, second),
            (Unregistered, second),
            (Registered, first),
        ]


async def test_a_take_wakes_who_waits_for_the_name(names: Registry[str, int], autojump_clock: MockClock) -> None:
    found: list[Owner] = []

    async def wait() -> None:
        found.append(await names.wait_for("name"))

    async with staged() as stage, trio.open_nursery() as nursery:
        taker = await stage.actor()
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert names.take("name", 1, owner=taker) is None
        await wait_all_tasks_blocked()
        assert found == [taker]


class Meddling:
    """A key that is equal to all of its kind. The first comparisons run code of a test."""

    todo: ClassVar[list[Callable[[], object]]] = []

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        if Meddling.todo:
            Meddling.todo.pop(0)()
        return isinstance(other, Meddling)


async def test_a_name_that_its_owner_gives_up_in_the_same_moment_is_registered(autojump_clock: MockClock) -> None:
    names: Registry[Meddling, int] = Registry("names")
    key = Meddling()
    names.register(key, 1)
    async with staged() as stage:
        taker = await stage.actor()
        Meddling.todo = [lambda: None, lambda: names.unregister(key)]  # after the owner was looked up
        assert names.take(Meddling(), 7, owner=taker) is None
        assert Meddling.todo == []
        assert names.lookup(key) == [(taker, 7)]
        await stage.end(taker)
