"""What happens to a message if the buffer of an actor's subscription is full: the four rules, at the exact boundary."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from support.inside import assert_no_subscription
from support.supervisors import supervised
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, CallCycle, Overflow, PubSub, current_owner, raises

BUFFERS = [1, 2, 5]


class BoundedReader(Reader):
    mailbox_size = 1


@pytest.fixture
def ticks() -> PubSub[str, int]:
    return PubSub("ticks")


@asynccontextmanager
async def held(
    ticks: PubSub[str, int], buffer: int, overflow: Any, cls: type[Reader] = Reader
) -> AsyncGenerator[tuple[ActorRef[Reader], trio.Event]]:
    """A subscribed actor that handles nothing until the event is set."""
    async with supervised() as supervisor:
        ref = await supervisor.start_child(cls, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=buffer, overflow=overflow)
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        await wait_all_tasks_blocked()
        yield ref, until
    assert_no_subscription(ticks)


@pytest.mark.parametrize("cls", [Reader, BoundedReader])
@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize("overflow", ["error", "drop_oldest", "drop_newest", "wait"])
async def test_a_buffer_takes_exactly_as_many_messages_as_it_says(
    ticks: PubSub[str, int], buffer: int, overflow: Any, cls: type[Reader], autojump_clock: MockClock
) -> None:
    async with held(ticks, buffer, overflow, cls) as (ref, until):
        assert [ticks.publish_nowait("a", message) for message in range(buffer)] == [1] * buffer
        until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [*range(buffer)]


@pytest.mark.parametrize("cls", [Reader, BoundedReader])
@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize("overflow", ["error", "drop_oldest", "drop_newest", "wait"])
async def test_dropped_counts_each_message_that_is_lost_from_the_first_one_on(
    ticks: PubSub[str, int], buffer: int, overflow: Any, cls: type[Reader], autojump_clock: MockClock
) -> None:
    async with held(ticks, buffer, overflow, cls) as (ref, until):
        lost: list[int] = []
        for message in range(buffer + 3):
            with suppress(trio.WouldBlock):
                ticks.publish_nowait("a", message)
            lost.append(ticks.dropped("a", ref))
        assert lost == [0] * buffer + ([0, 0, 0] if overflow == "wait" else [1, 2, 3])
        until.set()
        await wait_all_tasks_blocked()
        assert ticks.dropped("a", ref) == (0 if overflow == "error" else lost[-1])  # with "error" it has crashed
        if ref.is_alive:
            ticks.leave("a", owner=ref)
        assert ticks.dropped("a", ref) == 0


async def test_dropped_is_the_sum_of_the_subscriptions_of_one_owner_to_one_topic(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    async with (
        held(ticks, 1, "drop_newest") as (ref, _),
        ticks.subscribe("a", buffer=0, overflow="drop_oldest") as feed,
        ticks.subscribe("b", buffer=0, overflow="drop_oldest"),
    ):
        ticks.join("a", Reader.take, owner=ref, buffer=2, overflow="drop_oldest")
        ticks.join("a", Reader.take, owner=ref)
        for message in range(4):
            ticks.publish_nowait("a", message)
        assert ticks.dropped("a", ref) == 3 + 2
        assert ticks.dropped("a", current_owner()) == feed.dropped == 4
        assert ticks.dropped("b", current_owner()) == ticks.dropped("b", ref) == 0
        unhashable: Any = []
        with pytest.raises(TypeError, match="topic must be hashable"):
            ticks.dropped(unhashable, ref)
        with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not None"):
            ticks.dropped("a", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_drop_newest_loses_the_message_that_finds_no_room(
    ticks: PubSub[str, int], buffer: int, autojump_clock: MockClock
) -> None:
    async with held(ticks, buffer, "drop_newest") as (ref, until):
        assert [ticks.publish_nowait("a", message) for message in range(buffer + 2)] == [1] * buffer + [0, 0]
        until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [*range(buffer)]


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_drop_oldest_loses_the_message_that_has_waited_longest(
    ticks: PubSub[str, int], buffer: int, autojump_clock: MockClock
) -> None:
    async with held(ticks, buffer, "drop_oldest") as (ref, until):
        assert [ticks.publish_nowait("a", message) for message in range(buffer + 2)] == [1] * (buffer + 2)
        until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [*range(buffer + 2)][2:]


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_error_crashes_the_actor_at_the_place_where_messages_are_missing(
    ticks: PubSub[str, int], buffer: int, autojump_clock: MockClock
) -> None:
    got: list[Any] = []

    class Last(Reader):
        async def on_stop(self, exit: object) -> None:
            got.extend(self.got)

    async with held(ticks, buffer, "error", Last) as (ref, until):
        assert [ticks.publish_nowait("a", message) for message in range(buffer + 2)] == [1] * buffer + [0, 0]
        until.set()
        exit = await ref.wait()
        assert isinstance(exit.error, Overflow)
        assert exit.error.count == 2
        assert got == [*range(buffer)]


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_with_wait_publish_nowait_raises_before_anybody_got_the_message(
    ticks: PubSub[str, int], buffer: int, autojump_clock: MockClock
) -> None:
    async with ticks.subscribe("a") as other, held(ticks, buffer, "wait") as (ref, until):
        for message in range(buffer):
            ticks.publish_nowait("a", message)
        with pytest.raises(trio.WouldBlock):
            ticks.publish_nowait("a", 9)
        assert await other.receive_some() == [*range(buffer)]
        until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [*range(buffer)]
        ticks.leave("a")


@pytest.mark.parametrize("cls", [Reader, BoundedReader])
@pytest.mark.parametrize("buffer", BUFFERS)
async def test_with_wait_publishers_are_served_first_come_first_served(
    ticks: PubSub[str, int], buffer: int, cls: type[Reader], autojump_clock: MockClock
) -> None:
    async with held(ticks, buffer, "wait", cls) as (ref, until):
        async with trio.open_nursery() as nursery:
            for message in range(buffer + 4):
                nursery.start_soon(ticks.publish, "a", message)
                await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 4
            until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [*range(buffer + 4)]


async def test_a_message_that_the_actor_has_begun_with_does_not_count(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.hold, owner=ref, buffer=1, overflow="drop_newest")
        first, second = trio.Event(), trio.Event()
        assert ticks.publish_nowait("a", first) == 1
        assert ticks.publish_nowait("a", second) == 0
        await wait_all_tasks_blocked()
        assert ticks.publish_nowait("a", second) == 1
        assert ticks.publish_nowait("a", second) == 0


async def test_each_subscription_of_an_actor_has_a_buffer_of_its_own(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with held(ticks, 1, "drop_newest") as (ref, until):
        ticks.join("a", Reader.take, owner=ref, buffer=2, overflow="drop_newest")
        ticks.join("a", Reader.take, owner=ref)
        assert [ticks.publish_nowait("a", message) for message in range(3)] == [3, 2, 1]
        until.set()
        await wait_all_tasks_blocked()
        assert sorted(await ref.call(Reader.all)) == [0, 0, 0, 1, 1, 2]


async def test_an_actor_whose_message_has_got_in_may_wait_for_the_publisher(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Publisher(Reader):
        async def publish(self) -> None:
            self.got.append(await ticks.publish("a", 1))

    class Asking(Reader):
        async def ask(self, publisher: ActorRef[Publisher]) -> None:
            self.got += await publisher.call(Publisher.all)

    async with supervised() as supervisor, ticks.subscribe("a", buffer=1, overflow="wait") as slow:
        publisher = await supervisor.start_child(Publisher, restart="temporary")
        ref = await supervisor.start_child(Asking, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 0)
        publisher.cast_nowait(Publisher.publish)
        await wait_all_tasks_blocked()
        until.set()
        await wait_all_tasks_blocked()
        ref.cast_nowait(Asking.ask, publisher)  # it waits for the publisher, and that for the slow one
        await wait_all_tasks_blocked()
        assert await slow.receive() == 0
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [0, 1, 2]


async def test_an_actor_may_wait_for_a_publisher_in_the_step_in_which_it_lets_its_message_in(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Publisher(Reader):
        async def publish(self) -> None:
            self.got.append(await ticks.publish("a", self.ref))

    class Asking(Reader):
        async def ask(self, publisher: ActorRef[Publisher]) -> None:
            self.got.append(await publisher.call(Publisher.all))

    async with supervised() as supervisor:
        publisher = await supervisor.start_child(Publisher, restart="temporary")
        ref = await supervisor.start_child(Asking, restart="temporary")
        ticks.join("a", Asking.ask, owner=ref, buffer=1, overflow="wait")
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", publisher)
        publisher.cast_nowait(Publisher.publish)
        await wait_all_tasks_blocked()
        until.set()  # the actor takes a message, which wakes the publisher, and asks it before it has its turn
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [[1], [1]]


async def test_an_actor_that_waits_for_room_with_itself_is_a_cycle(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Echo(Reader):
        async def publish_twice(self) -> None:
            await ticks.publish("a", 1)
            with pytest.raises(CallCycle):
                await ticks.publish("a", 2)
            with pytest.raises(trio.WouldBlock):
                ticks.publish_nowait("a", 3)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Echo)
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        async with ticks.subscribe("a") as other:
            await ref.call(Echo.publish_twice)
            assert await other.receive_some() == [1, 2]
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [1]  # what was refused as a cycle waits in no line
        assert ticks.publish_nowait("a", 4) == 1


async def test_an_actor_that_declares_overflow_lives_on_and_gets_later_messages(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    got: list[int] = []

    class Slow(Actor):
        @raises(Overflow)
        async def read(self, message: int) -> None:
            got.append(message)
            await trio.sleep(10)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow)
        ticks.join("a", Slow.read, owner=ref, buffer=1, overflow="error")
        for message in range(3):  # it is at work on 0, 1 waits, and there is no room for 2
            ticks.publish_nowait("a", message)
            await wait_all_tasks_blocked()
        await trio.sleep(11)
        ticks.publish_nowait("a", 3)
        await trio.sleep(30)
        assert got == [0, 1, 3]
