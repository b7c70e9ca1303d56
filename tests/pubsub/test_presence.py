"""members() and watch(): who is subscribed, who comes and who goes."""

from __future__ import annotations

from typing import Any

import pytest
from support.inside import assert_no_subscription
from support.owners import staged
from support.topics import GAP, messages
from trio.testing import MockClock

from trioreg import ANY, Entry, PubSub, Registered, Unregistered, Wildcard, current_owner


@pytest.fixture
def rooms() -> PubSub[Any, Any]:
    return PubSub("rooms", partitions=2)


async def test_members_are_the_owners_with_the_values_that_they_have_given(
    rooms: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage, rooms.subscribe("lobby", value="task"), rooms.subscribe(Wildcard("#"), value="all"):
        ref = await stage.actor()
        rooms.join("lobby", owner=ref, value={"name": "Ann"})
        rooms.join("lobby", owner=ref)
        assert sorted(rooms.members("lobby"), key=str) == sorted(
            [Entry(current_owner(), "task"), Entry(ref, {"name": "Ann"}), Entry(ref, None)], key=str
        )
        assert rooms.members(Wildcard("#")) == [(current_owner(), "all")]
        assert rooms.members("elsewhere") == []
        assert len(rooms) == 4
        assert set(rooms.topics()) == {"lobby", Wildcard("#")}
        assert "lobby" in rooms and Wildcard("#") in rooms and "elsewhere" not in rooms
    assert_no_subscription(rooms)


async def test_count_is_how_many_members_exactly_this_topic_has(
    rooms: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    assert rooms.count("lobby") == 0
    async with staged() as stage, rooms.subscribe("lobby"), rooms.subscribe(Wildcard("#")):
        refs = [await stage.actor() for _ in range(5)]  # in both partitions
        for ref in refs:
            rooms.join("lobby", owner=ref)
        rooms.join("lobby", owner=refs[0])
        assert rooms.count("lobby") == len(rooms.members("lobby")) == 7
        assert rooms.count(Wildcard("#")) == 1
        assert rooms.count("elsewhere") == 0
        await stage.end(refs[0])
        assert rooms.count("lobby") == 5
    unhashable: Any = []
    with pytest.raises(TypeError, match="topic must be hashable"):
        rooms.count(unhashable)


async def test_topics_of_an_owner_are_those_that_it_is_subscribed_to_each_once(
    rooms: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage, rooms.subscribe("lobby"), rooms.subscribe("kitchen"):
        ref = await stage.actor()
        for topic in ("lobby", "lobby", Wildcard("#")):
            rooms.join(topic, owner=ref)
        assert set(rooms.topics_of(ref)) == {"lobby", Wildcard("#")}
        assert len(rooms.topics_of(ref)) == 2
        assert set(rooms.topics_of(current_owner())) == {"lobby", "kitchen"}
        await stage.end(ref)
        assert rooms.topics_of(ref) == []
        with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not None"):
            rooms.topics_of(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_watcher_sees_who_comes_and_who_goes_in_order(
    rooms: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        me = current_owner()
        with rooms.watch("lobby") as events:
            async with rooms.subscribe("lobby", value=1), rooms.subscribe("other"), rooms.subscribe(Wildcard("lobby")):
                rooms.join("lobby", owner=ref, value=2)
            rooms.leave("lobby", owner=ref)
            assert messages(events) == [
                Registered("rooms", "lobby", me, 1),
                Registered("rooms", "lobby", ref, 2),
                Unregistered("rooms", "lobby", me, 1, None),
                Unregistered("rooms", "lobby", ref, 2, None),
            ]
    assert_no_subscription(rooms)


async def test_a_crash_is_told_with_its_exit(rooms: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        rooms.join("lobby", owner=ref, value="Ann")
        with rooms.watch("lobby", initial=True) as events:
            await stage.end(ref, "crashes")
            assert messages(events) == [
                Registered("rooms", "lobby", ref, "Ann"),
                Unregistered("rooms", "lobby", ref, "Ann", ref.exit),
            ]
            assert ref.exit is not None and ref.exit.reason == "crashed"


async def test_a_watcher_of_a_pattern_or_of_everything(rooms: PubSub[Any, Any]) -> None:
    pattern = Wildcard("a.*")
    with rooms.watch(pattern) as of_pattern, rooms.watch(ANY) as of_all:
        async with rooms.subscribe("a.1"), rooms.subscribe(pattern):
            pass
        assert [event.key for event in messages(of_pattern)] == [pattern] * 2
        assert [event.key for event in messages(of_all)] == ["a.1", pattern, pattern, "a.1"]


async def test_a_bounded_watcher_loses_what_finds_no_room(rooms: PubSub[Any, Any]) -> None:
    with rooms.watch("lobby", buffer=1) as events:
        async with rooms.subscribe("lobby"):
            pass
        got = messages(events)
        assert [type(event) for event in got[:1]] == [Registered]
        assert got[1:] == [(GAP, 1)]
        assert events.dropped == 1


async def test_a_watcher_is_no_member(rooms: PubSub[Any, Any]) -> None:
    with rooms.watch("lobby"):
        assert len(rooms) == 0
        assert rooms.publish_nowait("lobby", 1) == 0
    assert_no_subscription(rooms)


async def test_the_tables_show_how_many_messages_a_subscription_has_lost(
    rooms: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage, rooms.subscribe("lobby", buffer=1, overflow="drop_oldest", value="Ann"):
        ref = await stage.actor()
        rooms.join("lobby", owner=ref, buffer=1, overflow="drop_newest")
        assert "dropped" not in rooms.dump()
        for message in range(4):
            rooms.publish_nowait("lobby", message)
        assert "<subscription, value 'Ann', 3 dropped>" in rooms.dump()
        assert "<subscription, 3 dropped>" in rooms.dump()


async def test_the_tables_show_topics_and_values(rooms: PubSub[Any, Any]) -> None:
    async with rooms.subscribe("lobby", value="Ann"), rooms.subscribe(Wildcard("#")):
        shown = rooms.dump()
        assert "lobby" in shown and "Ann" in shown and "Wildcard('#')" in shown
        assert repr(rooms) == "<PubSub 'rooms', 2 subscriptions>"
