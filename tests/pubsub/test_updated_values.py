"""update_value(): another value for a subscription that goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.inside import assert_no_subscription, patterns_in, slices_of
from support.owners import staged
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ANY, ActorExited, PubSub, Registered, Unregistered, Wildcard, current_owner


@pytest.fixture
def rooms() -> PubSub[Any, Any]:
    return PubSub("rooms", partitions=2)


def to(value: object) -> Callable[[object], object]:
    return lambda _: value


def values(rooms: PubSub[Any, Any], topic: Any) -> list[object]:
    return [value for _, value in rooms.members(topic)]


async def test_all_subscriptions_of_the_owner_to_the_topic_get_what_the_function_returns(
    rooms: PubSub[Any, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, rooms.subscribe("lobby", value=1), rooms.subscribe("lobby", value=2):
        ref = await stage.actor()
        rooms.join("lobby", owner=ref, value=5)
        async with rooms.subscribe("elsewhere", value=7), rooms.subscribe(Wildcard("#"), value=8):
            assert rooms.update_value("lobby", lambda value: value * 10) == 2
            assert sorted(values(rooms, "lobby"), key=str) == [10, 20, 5]
            assert values(rooms, "elsewhere") == [7]
            assert rooms.update_value("lobby", lambda value: value + 1, owner=ref) == 1
            assert sorted(values(rooms, "lobby"), key=str) == [10, 20, 6]
            assert rooms.update_value(Wildcard("#"), to(9)) == 1
            assert values(rooms, Wildcard("#")) == [9]
    assert_no_subscription(rooms)


async def test_an_owner_without_a_subscription_updates_nothing(rooms: PubSub[Any, Any]) -> None:
    asked: list[object] = []
    assert rooms.update_value("lobby", asked.append) == 0
    assert asked == []


async def test_an_actor_updates_its_own_value(rooms: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, rooms.subscribe("lobby", value="task"):
        ref = await supervisor.start_child(Reader)
        rooms.join("lobby", owner=ref)
        assert await ref.call(Reader.run, lambda: rooms.update_value("lobby", to("actor"))) == 1
        assert dict(rooms.members("lobby")) == {current_owner(): "task", ref: "actor"}


async def test_publishers_are_asked_with_the_new_value(rooms: PubSub[Any, Any]) -> None:
    async with rooms.subscribe("lobby", value="json") as feed:
        rooms.update_value("lobby", to("text"))
        assert rooms.publish_nowait("lobby", 1, where=lambda value: value == "json") == 0
        assert await rooms.publish("lobby", 2, where=lambda value: value == "text") == 1
        assert messages(feed) == [2]


async def test_a_feed_keeps_its_messages_its_counter_and_its_end(rooms: PubSub[Any, int]) -> None:
    async with rooms.subscribe("lobby", buffer=2, overflow="drop_newest") as feed:
        for number in range(3):
            rooms.publish_nowait("lobby", number)
        rooms.update_value("lobby", to("new"))
        assert feed.dropped == rooms.dropped("lobby", current_owner()) == 1
        assert rooms.publish_nowait("lobby", 3) == 0
        assert feed.dropped == rooms.dropped("lobby", current_owner()) == 2
        assert feed.receive_nowait() == 0
        assert rooms.publish_nowait("lobby", 4) == 1
        assert rooms.leave("lobby") == 1
        assert rooms.publish_nowait("lobby", 5) == 0
        assert [message async for message in feed] == [1, 4]
    assert_no_subscription(rooms)


async def test_the_end_of_the_block_ends_the_subscription(rooms: PubSub[Any, int]) -> None:
    pattern = Wildcard("lobby.#")
    async with rooms.subscribe(pattern) as feed:
        rooms.update_value(pattern, to("new"))
        assert patterns_in(rooms) == 1
        assert rooms.publish_nowait("lobby.1", 1) == 1
        async with rooms.subscribe(pattern, once=True) as second:
            assert second is None
        assert messages(feed) == [1]
    assert patterns_in(rooms) == 0
    assert_no_subscription(rooms)


@pytest.mark.parametrize("buffer", [2, float("inf")])
async def test_an_actor_gets_each_message_once_and_in_order(buffer: float, autojump_clock: MockClock) -> None:
    rooms: PubSub[str, int] = PubSub("rooms")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        rooms.join("lobby", Reader.take, owner=ref, buffer=buffer)
        for number in range(6):
            assert rooms.publish_nowait("lobby", number) == 1
            if number % 2:
                rooms.update_value("lobby", to(number), owner=ref)
                await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [*range(6)]
        rooms.leave("lobby", owner=ref)
        assert rooms.publish_nowait("lobby", 9) == 0
        assert await ref.call(Reader.all) == [*range(6)]


async def test_a_publisher_that_waits_for_room_waits_on(rooms: PubSub[Any, int], autojump_clock: MockClock) -> None:
    async with rooms.subscribe("lobby", buffer=1, overflow="wait") as feed, trio.open_nursery() as nursery:
        await rooms.publish("lobby", 1)
        nursery.start_soon(rooms.publish, "lobby", 2)
        await wait_all_tasks_blocked()
        rooms.update_value("lobby", to("new"))
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        assert [await feed.receive(), await feed.receive()] == [1, 2]


async def test_publishers_wait_for_room_as_before(rooms: PubSub[Any, int]) -> None:
    async with rooms.subscribe("lobby", buffer=1, overflow="wait") as feed:
        rooms.update_value("lobby", to("new"))
        rooms.publish_nowait("lobby", 1)
        with pytest.raises(trio.WouldBlock):
            rooms.publish_nowait("lobby", 2)
        assert messages(feed) == [1]


# Watchers


async def test_a_watcher_sees_the_old_value_go_and_the_new_one_come(rooms: PubSub[Any, Any]) -> None:
    me = current_owner()
    async with rooms.subscribe("lobby", value=1), rooms.subscribe("lobby", value=2):
        with rooms.watch("lobby") as events, rooms.watch(ANY) as of_all, rooms.watch("elsewhere") as others:
            rooms.update_value("lobby", lambda value: value * 10)
            assert messages(events) == [
                Unregistered("rooms", "lobby", me, 1, None),
                Registered("rooms", "lobby", me, 10),
                Unregistered("rooms", "lobby", me, 2, None),
                Registered("rooms", "lobby", me, 20),
            ]
            assert of_all.statistics().buffered == 4
            assert messages(others) == []


async def test_a_watcher_that_reads_late_begins_with_the_values_of_its_first_moment(rooms: PubSub[Any, Any]) -> None:
    me = current_owner()
    async with rooms.subscribe("lobby", value=1):
        with rooms.watch("lobby", initial=True) as events:
            rooms.update_value("lobby", to(2))
            assert messages(events) == [
                Registered("rooms", "lobby", me, 1),
                Unregistered("rooms", "lobby", me, 1, None),
                Registered("rooms", "lobby", me, 2),
            ]


async def test_the_end_is_told_with_the_last_value(rooms: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        rooms.join("lobby", owner=ref, value=1)
        rooms.update_value("lobby", to(2), owner=ref)
        with rooms.watch("lobby") as events:
            await stage.end(ref, "crashes")
            assert messages(events) == [Unregistered("rooms", "lobby", ref, 2, ref.exit)]


# A function that fails or meddles


async def test_a_function_that_raises_changes_nothing(rooms: PubSub[Any, Any]) -> None:
    async with rooms.subscribe("lobby", value=1), rooms.subscribe("lobby", value=0):
        with rooms.watch("lobby") as events:
            with pytest.raises(ZeroDivisionError):
                rooms.update_value("lobby", lambda value: 1 // value)
            assert messages(events) == []
        assert values(rooms, "lobby") == [1, 0]


async def test_a_function_that_leaves_brings_nothing_back(rooms: PubSub[Any, Any]) -> None:
    async with rooms.subscribe("lobby", value=1):
        assert rooms.update_value("lobby", lambda _: rooms.leave("lobby")) == 0
        assert_no_subscription(rooms)


async def test_a_subscription_that_the_function_begins_keeps_its_own_value(
    rooms: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        rooms.join("lobby", owner=ref, value=1)

        def begin_another(value: int) -> int:
            rooms.join("lobby", owner=ref, value=5)
            return value * 10

        assert rooms.update_value("lobby", begin_another, owner=ref) == 1
        assert values(rooms, "lobby") == [10, 5]


async def test_a_function_that_updates_is_the_last_to_write(rooms: PubSub[Any, Any]) -> None:
    async with rooms.subscribe("lobby", value=1):
        with rooms.watch("lobby") as events:
            assert rooms.update_value("lobby", lambda _: 7 + rooms.update_value("lobby", to(5))) == 1
            assert values(rooms, "lobby") == [8]
            assert [event.value for event in messages(events)] == [1, 5, 5, 8]
        assert rooms.publish_nowait("lobby", 1) == 1


async def test_what_can_not_be_updated_is_refused(rooms: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async def later(value: object) -> object:
        return value

    refused: list[Callable[[object], object]] = [later, lambda value: later(value)]

    async with staged() as stage, rooms.subscribe("lobby", value=1):
        ended = await stage.actor()
        await stage.end(ended)
        wrong: Any = 7
        with pytest.raises(TypeError, match="topic must be hashable"):
            rooms.update_value([], to(2))
        with pytest.raises(TypeError, match="fn must be"):
            rooms.update_value("lobby", wrong)
        for function in refused:
            with pytest.raises(TypeError, match="fn must be a sync function"):
                rooms.update_value("lobby", function)
        with pytest.raises(TypeError, match="owner must be"):
            rooms.update_value("lobby", to(2), owner=wrong)
        with pytest.raises(ActorExited):
            rooms.update_value("lobby", to(2), owner=ended)
        assert values(rooms, "lobby") == [1]


# While an audience is told


async def test_a_subscriber_whose_value_changes_while_an_audience_is_told_is_told_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)
    rooms: PubSub[str, int] = PubSub("rooms")
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = [await supervisor.start_child(Reader) for _ in range(4)]
        reached: list[int] = []

        async def publish() -> None:
            reached.append(await rooms.publish("lobby", 1))

        async with rooms.subscribe("lobby") as first:
            for ref in refs:
                rooms.join("lobby", Reader.take, owner=ref)
            nursery.start_soon(publish)
            while not first.statistics().buffered:
                await trio.lowlevel.checkpoint()
            for _ in range(3):
                rooms.update_value("lobby", to("new"), owner=refs[2])
            rooms.update_value("lobby", to("new"), owner=refs[3])
            rooms.leave("lobby", owner=refs[3])
            assert reached == []
            await wait_all_tasks_blocked()
            assert [await ref.call(Reader.all) for ref in refs] == [[1], [1], [1], []]
            assert reached == [4]


async def test_a_condition_of_a_publisher_that_changes_the_value_excludes_nobody(rooms: PubSub[Any, int]) -> None:
    def where(value: object) -> bool:
        rooms.update_value("lobby", to("new"))
        return value is None

    async with rooms.subscribe("lobby") as feed:
        assert rooms.publish_nowait("lobby", 1, where=where) == 1
        rooms.update_value("lobby", to(None))
        assert await rooms.publish("lobby", 2, where=where) == 1
        assert messages(feed) == [1, 2]
