"""What happens to a message if the buffer of a feed is full: the four rules, at the exact boundary."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.topics import GAP, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Feed, PubSub

BUFFERS = [0, 1, 2, 5]


@pytest.fixture
def ticks() -> PubSub[str, int]:
    return PubSub("ticks")


@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize("overflow", ["error", "drop_oldest", "drop_newest", "wait"])
async def test_a_buffer_takes_exactly_as_many_messages_as_it_says(
    ticks: PubSub[str, int], buffer: int, overflow: Any
) -> None:
    async with ticks.subscribe("a", buffer=buffer, overflow=overflow) as feed:
        for message in range(buffer):
            assert ticks.publish_nowait("a", message) == 1
        statistics = feed.statistics()
        assert (statistics.buffered, statistics.buffer, statistics.dropped) == (buffer, buffer, 0)
        assert messages(feed) == [*range(buffer)]


async def test_a_feed_without_a_buffer_tells_each_time_that_messages_are_missing(ticks: PubSub[str, int]) -> None:
    async with ticks.subscribe("a", buffer=0, overflow="error") as feed:
        for number in (1, 2):
            for message in range(number):
                assert ticks.publish_nowait("a", message) == 0
            assert messages(feed) == [(GAP, number)]


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_drop_newest_loses_the_message_that_finds_no_room(ticks: PubSub[str, int], buffer: int) -> None:
    async with ticks.subscribe("a", buffer=buffer, overflow="drop_newest") as feed:
        assert [ticks.publish_nowait("a", message) for message in range(buffer + 2)] == [1] * buffer + [0, 0]
        assert feed.dropped == feed.statistics().dropped == 2
        assert messages(feed) == [*range(buffer)]
        assert ticks.publish_nowait("a", 9) == int(buffer > 0)


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_drop_oldest_loses_the_message_that_has_waited_longest(ticks: PubSub[str, int], buffer: int) -> None:
    async with ticks.subscribe("a", buffer=buffer, overflow="drop_oldest") as feed:
        reached = [ticks.publish_nowait("a", message) for message in range(buffer + 2)]
        assert reached == [int(buffer > 0)] * (buffer + 2)
        assert feed.dropped == feed.statistics().dropped == 2
        assert feed.statistics().buffered == buffer
        assert messages(feed) == [*range(buffer + 2)][2:]


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_error_shows_the_count_of_the_lost_messages_at_their_place(ticks: PubSub[str, int], buffer: int) -> None:
    async with ticks.subscribe("a", buffer=buffer, overflow="error") as feed:
        assert [ticks.publish_nowait("a", message) for message in range(buffer + 2)] == [1] * buffer + [0, 0]
        assert feed.dropped == feed.statistics().dropped == 2
        assert feed.statistics().buffered == buffer
        assert messages(feed) == [*range(buffer), (GAP, 2)]
        assert ticks.publish_nowait("a", 9) == int(buffer > 0)
        assert messages(feed) == [9] if buffer else [(GAP, 1)]


async def test_error_has_a_place_for_each_time_that_there_was_no_room(ticks: PubSub[str, int]) -> None:
    async with ticks.subscribe("a", buffer=2) as feed:
        for message in (0, 1, 2):
            ticks.publish_nowait("a", message)
        assert await feed.receive() == 0
        for message in (3, 4, 5):
            ticks.publish_nowait("a", message)
        assert messages(feed) == [1, (GAP, 1), 3, (GAP, 2)]
        assert feed.dropped == 3


async def test_receive_some_ends_before_a_place_where_messages_are_missing(ticks: PubSub[str, int]) -> None:
    async with ticks.subscribe("a", buffer=2) as feed:
        for message in (0, 1, 2):
            ticks.publish_nowait("a", message)
        assert await feed.receive_some() == [0, 1]
        with pytest.raises(Exception, match="1 item lost"):
            await feed.receive_some()


async def test_receive_some_gives_as_many_messages_as_it_is_asked_for(ticks: PubSub[str, int]) -> None:
    async with ticks.subscribe("a") as feed:
        for message in range(5):
            ticks.publish_nowait("a", message)
        assert await feed.receive_some(1) == [0]
        assert await feed.receive_some(3) == [1, 2, 3]
        assert await feed.receive_some(3) == [4]


@pytest.mark.parametrize("overflow", ["error", "drop_oldest", "drop_newest", "wait"])
async def test_a_task_that_waits_gets_its_message_whatever_the_buffer(
    ticks: PubSub[str, int], overflow: Any, autojump_clock: MockClock
) -> None:
    got: list[int] = []

    async def receive(feed: Feed[int]) -> None:
        got.append(await feed.receive())

    async with ticks.subscribe("a", buffer=0, overflow=overflow) as feed:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(receive, feed)
            await wait_all_tasks_blocked()
            assert feed.statistics().tasks_waiting_receive == 2
            assert ticks.publish_nowait("a", 1) == 1
            assert await ticks.publish("a", 2) == 1
        assert sorted(got) == [1, 2]
        assert feed.dropped == 0


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_with_wait_publish_nowait_raises_before_anybody_got_the_message(
    ticks: PubSub[str, int], buffer: int
) -> None:
    async with (
        ticks.subscribe("a") as before,
        ticks.subscribe("a", buffer=buffer, overflow="wait") as feed,
        ticks.subscribe("a") as behind,
    ):
        for message in range(buffer):
            assert ticks.publish_nowait("a", message) == 3
        with pytest.raises(trio.WouldBlock):
            ticks.publish_nowait("a", 9)
        for other in (before, feed, behind):
            assert messages(other) == [*range(buffer)]
            assert other.dropped == 0


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_with_wait_publish_waits_until_there_is_room(
    ticks: PubSub[str, int], buffer: int, autojump_clock: MockClock
) -> None:
    reached: list[int] = []

    async def publish() -> None:
        reached.append(await ticks.publish("a", 9))

    async with ticks.subscribe("a", buffer=buffer, overflow="wait") as feed, ticks.subscribe("a") as other:
        for message in range(buffer):
            ticks.publish_nowait("a", message)
        messages(other)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            await wait_all_tasks_blocked()
            assert messages(other) == [9]  # all others are told first
            assert reached == []
            assert feed.statistics().tasks_waiting_send == 1
            with pytest.raises(trio.WouldBlock):
                ticks.publish_nowait("a", 10)
            assert await feed.receive() == [*range(buffer), 9][0]
            await wait_all_tasks_blocked()
            assert reached == [2]
        assert messages(feed) == [*range(buffer), 9][1:]
        assert feed.dropped == 0


@pytest.mark.parametrize("buffer", BUFFERS)
async def test_publishers_that_wait_are_served_first_come_first_served(
    ticks: PubSub[str, int], buffer: int, autojump_clock: MockClock
) -> None:
    async with ticks.subscribe("a", buffer=buffer, overflow="wait") as feed:
        async with trio.open_nursery() as nursery:
            for message in range(buffer + 5):
                nursery.start_soon(ticks.publish, "a", message)
                await wait_all_tasks_blocked()
            assert feed.statistics().tasks_waiting_send == 5
            got = [await feed.receive() for _ in range(buffer + 5)]
        assert got == [*range(buffer + 5)]


async def test_a_publisher_stands_in_every_line_from_the_first_moment_on(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    async with (
        ticks.subscribe("a", buffer=1, overflow="wait") as stuck,
        ticks.subscribe("a", buffer=1, overflow="wait") as quick,
    ):
        ticks.publish_nowait("a", 0)
        async with trio.open_nursery() as nursery:
            for message in (1, 2):
                nursery.start_soon(ticks.publish, "a", message)
                await wait_all_tasks_blocked()
            # Both wait for the first subscriber. The second one gets both messages, in their order.
            assert [await quick.receive() for _ in range(3)] == [0, 1, 2]
            assert stuck.statistics().tasks_waiting_send == 2
            assert [await stuck.receive() for _ in range(3)] == [0, 1, 2]


async def test_room_that_comes_while_a_publisher_waits_is_for_that_publisher(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    async with ticks.subscribe("a", buffer=1, overflow="wait") as feed:
        ticks.publish_nowait("a", 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks.publish, "a", 1)
            await wait_all_tasks_blocked()
            assert feed.receive_nowait() == 0
            with pytest.raises(trio.WouldBlock):  # the message that waited has taken the place
                ticks.publish_nowait("a", 2)
        assert messages(feed) == [1]


async def test_a_receiver_that_is_being_cancelled_does_not_count_as_room(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    async with ticks.subscribe("a", buffer=0, overflow="wait") as feed, trio.open_nursery() as nursery:
        nursery.start_soon(feed.receive)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with pytest.raises(trio.WouldBlock):
            ticks.publish_nowait("a", 1)


async def test_tasks_that_wait_to_receive_are_served_in_the_order_in_which_they_came(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    got: list[tuple[int, int]] = []
    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:

        async def receive(number: int) -> None:
            got.append((number, await feed.receive()))

        for number in range(4):
            nursery.start_soon(receive, number)
            await wait_all_tasks_blocked()
        for number in range(4):
            ticks.publish_nowait("a", number)
    assert sorted(got) == [(number, number) for number in range(4)]
