"""Promise 7, order: messages of one sender to one receiver arrive in order, and events in the order of what happened.

Trio runs the tasks that are ready in random order, so each story is told several times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    OnDemand,
    PubSub,
    Registered,
    Registry,
    Unregistered,
    Wildcard,
    open_on_demand,
    open_pool,
)

MANY = 12

Heard: TypeAlias = list[tuple[int, int]]
"""The messages as they have arrived: the number of the sender, and its own number."""


class Listener(Actor):
    def __init__(self, heard: Heard) -> None:
        self.heard = heard

    def hear(self, message: tuple[int, int]) -> None:
        self.heard.append(message)

    async def hear_slowly(self, message: tuple[int, int]) -> None:
        await trio.lowlevel.checkpoint()
        self.heard.append(message)

    def set_timers(self) -> None:
        for number in range(MANY):
            for sender in range(3):
                self.send_after(1 + number, (sender, number))

    def finish(self) -> None:
        self.stop()

    async def on_message(self, message: Any) -> None:
        self.heard.append(message)


class Keyed(Listener):
    def __init__(self, key: str, heard: Heard) -> None:
        super().__init__(heard)


async def send_in_each_way(sender: int, address: Any) -> None:
    for number in range(MANY):
        message = sender, number
        match (sender + number) % 5:
            case 0:
                await address.call(Listener.hear, message)
            case 1:
                address.cast_nowait(Listener.hear_slowly, message)
            case 2:
                await address.cast(Listener.hear, message)
            case 3:
                address.send_nowait(message)
            case _:
                await address.call(Listener.hear_slowly, message)


async def senders(address: Any, *, at_once: int = 3) -> None:
    async with trio.open_nursery() as nursery:
        for sender in range(at_once):
            nursery.start_soon(send_in_each_way, sender, address)
    await wait_all_tasks_blocked()


async def to_a_reference(heard: Heard) -> None:
    async with supervised() as supervisor:
        await senders(await supervisor.start_child(Listener, heard))


async def to_a_name(heard: Heard) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        await supervisor.start_child(Listener, heard, name=names.via("listener"))
        await senders(names.via("listener"))


async def to_a_name_that_comes_later(heard: Heard) -> None:
    names: Registry[str, None] = Registry("names")

    async def send(sender: int) -> None:
        for number in range(MANY):
            await names.via("listener", wait=True).call(Listener.hear, (sender, number))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        for sender in range(3):
            nursery.start_soon(send, sender)
        await wait_all_tasks_blocked()
        await supervisor.start_child(Listener, heard, name=names.via("listener"))


async def to_an_actor_on_demand_that_retires(heard: Heard) -> None:
    keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed, heard)

    async def retire() -> None:
        for _ in range(10):
            ref = keyed.whereis("key")
            if ref is not None and ref.state == "running":
                ref.cast_nowait(Keyed.finish)
            await trio.lowlevel.checkpoint()

    async with open_on_demand(keyed) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(retire)
            await senders(keyed.via("key"))
        supervisor.stop()


async def by_one_publisher_to_an_actor(heard: Heard) -> None:
    topics: PubSub[str, tuple[int, int]] = PubSub("topics")

    async def publish(publisher: int) -> None:
        for number in range(MANY):
            if number % 2:
                topics.publish_nowait("a.b", (publisher, number))
            else:
                await topics.publish("a.b", (publisher, number))

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Listener, heard)
        topics.join(Wildcard("a.*"), Listener.hear_slowly, owner=ref)
        async with trio.open_nursery() as nursery:
            for publisher in range(3):
                nursery.start_soon(publish, publisher)
        await wait_all_tasks_blocked()


async def by_one_publisher_to_a_task_that_is_slow(heard: Heard) -> None:
    topics: PubSub[str, tuple[int, int]] = PubSub("topics")

    async def publish(publisher: int) -> None:
        for number in range(MANY):
            await topics.publish("topic", (publisher, number))

    async with topics.subscribe("topic", buffer=1, overflow="wait") as feed, trio.open_nursery() as nursery:
        for publisher in range(3):
            nursery.start_soon(publish, publisher)
        for _ in range(3 * MANY):
            heard.append(await feed.receive())


async def by_timers(heard: Heard) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Listener, heard)
        await ref.call(Listener.set_timers)
        await trio.sleep(100)


async def to_the_one_worker_of_a_pool(heard: Heard) -> None:
    async def send(sender: int) -> None:
        for number in range(MANY):
            if number % 2:
                await pool.call(Listener.hear_slowly, (sender, number))
            else:
                await pool.cast(Listener.hear, (sender, number))

    async with open_pool(Listener, heard, size=1) as pool:
        async with trio.open_nursery() as nursery:
            for sender in range(3):
                nursery.start_soon(send, sender)
        await wait_all_tasks_blocked()


Story: TypeAlias = Callable[[Heard], Awaitable[None]]

STORIES: list[Story] = [
    to_a_reference,
    to_a_name,
    to_a_name_that_comes_later,
    to_an_actor_on_demand_that_retires,
    by_one_publisher_to_an_actor,
    by_one_publisher_to_a_task_that_is_slow,
    by_timers,
    to_the_one_worker_of_a_pool,
]


@pytest.mark.parametrize("time", range(4))
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_messages_of_one_sender_arrive_in_order(story: Any, time: int, autojump_clock: MockClock) -> None:
    heard: Heard = []
    await story(heard)
    for sender in range(3):
        assert [number for who, number in heard if who == sender] == list(range(MANY))


@pytest.mark.parametrize("time", range(4))
async def test_a_watcher_hears_of_names_in_the_order_in_which_they_came_and_went(
    time: int, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names")
    happened: list[tuple[str, int, bool]] = []

    async def hold(number: int) -> None:
        for turn in range(5):
            await names.acquire("one", number)
            happened.append(("one", number, True))
            if turn % 2:
                await trio.lowlevel.checkpoint()
            happened.append(("one", number, False))
            names.unregister("one")

    with names.watch() as feed:
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(hold, number)
        heard = [
            (event.key, event.value, isinstance(event, Registered)) for event in await feed.receive_some(len(happened))
        ]
    # An `acquire` returns some steps after the name has come, so the two are compared for each holder.
    for number in range(4):
        assert [each for each in heard if each[1] == number] == [each for each in happened if each[1] == number]
    # A unique name comes and goes in turn.
    assert [has_come for *_, has_come in heard] == [True, False] * (len(heard) // 2)


async def test_a_watcher_sees_a_name_go_before_it_comes_to_the_next_owner(autojump_clock: MockClock) -> None:
    names: Registry[str, int] = Registry("names")
    async with supervised() as supervisor:
        nothing: Heard = []
        first = await supervisor.start_child(Listener, nothing)
        second = await supervisor.start_child(Listener, nothing)
        with names.watch() as feed:
            names.register("name", 1, owner=first)
            names.transfer("name", second, owner=first)
            names.take("name", 2, owner=first)
            heard = [(type(event), event.owner) for event in await feed.receive_some(5)]
    assert heard == [
        (Registered, first),
        (Unregistered, first),
        (Registered, second),
        (Unregistered, second),
        (Registered, first),
    ]


async def test_callers_of_a_pool_get_a_worker_in_the_order_in_which_they_came(autojump_clock: MockClock) -> None:
    heard: Heard = []
    async with open_pool(Listener, heard, size=1) as pool, trio.open_nursery() as nursery, pool.claim():
        for number in range(MANY):
            nursery.start_soon(pool.call, Listener.hear_slowly, (0, number))
            await wait_all_tasks_blocked()
    assert [number for _, number in heard] == [*range(MANY)]
