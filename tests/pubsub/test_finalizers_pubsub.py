"""A ``__del__`` that ends or changes a subscription while its value is updated."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support.finalizers import Cyclic
from support.inside import assert_no_subscription
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import PubSub
from trioreg._registry import names as names_module
from trioreg._registry.entry import new_entry

pytestmark = pytest.mark.usefixtures("no_collection")


def once_as_an_entry_is_made(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """As if the collector ran just where the new entry is made."""

    def made(cls: Any, parts: Any) -> Any:
        monkeypatch.undo()
        action()
        return new_entry(cls, parts)

    monkeypatch.setattr(names_module, "new_entry", made)


async def test_a_subscription_that_a_finalizer_ends_as_it_is_updated_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms: PubSub[str, int] = PubSub("rooms")
    async with rooms.subscribe("lobby", value=1) as feed, rooms.subscribe("lobby", value=2) as second:
        with rooms.watch("lobby") as events:
            once_as_an_entry_is_made(monkeypatch, feed.close)
            assert rooms.update_value("lobby", lambda value: value * 10) == 1
            assert [(type(event).__name__, event.value) for event in messages(events)] == [
                ("Unregistered", 1),
                ("Unregistered", 2),
                ("Registered", 20),
            ]
        assert rooms.publish_nowait("lobby", 7) == 1
        assert messages(second) == [7]
    assert_no_subscription(rooms)


async def test_the_only_subscription_that_a_finalizer_ends_as_it_is_updated_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms: PubSub[str, int] = PubSub("rooms")
    async with rooms.subscribe("lobby", value=1) as feed:
        once_as_an_entry_is_made(monkeypatch, feed.close)
        assert rooms.update_value("lobby", lambda value: value * 10) == 0
        assert_no_subscription(rooms)


async def test_a_value_that_a_finalizer_updates_in_between_is_told_of_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms: PubSub[str, int] = PubSub("rooms")
    async with rooms.subscribe("lobby", value=1) as feed:
        with rooms.watch("lobby") as events:
            once_as_an_entry_is_made(monkeypatch, lambda: rooms.update_value("lobby", lambda _: 5))
            assert rooms.update_value("lobby", lambda value: value * 10) == 1
            assert [event.value for event in messages(events)] == [1, 5, 5, 10]
        assert rooms.publish_nowait("lobby", 7) == 1
        assert messages(feed) == [7]
    assert_no_subscription(rooms)


async def test_a_listener_that_updates_a_subscription_that_then_can_not_begin_leaves_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms: PubSub[str, int] = PubSub("rooms")
    insert = type(rooms._names).insert

    def inserted(names: Any, owner: Any, topic: Any, subscription: Any) -> None:
        insert(names, owner, topic, subscription)
        rooms.update_value("lobby", lambda _: "new")
        raise SystemExit

    monkeypatch.setattr(type(rooms._names), "insert", inserted)
    with pytest.raises(SystemExit):
        async with rooms.subscribe("lobby"):
            pass
    assert_no_subscription(rooms)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_subscriber_that_a_finalizer_adds_gets_the_next_message(
    partitions: int, autojump_clock: MockClock
) -> None:
    ticks: PubSub[str, int] = PubSub("ticks", partitions=partitions)
    async with supervised() as supervisor:
        readers = [await supervisor.start_child(Reader) for _ in range(8)]
        ticks.join("a", Reader.take, owner=readers[0])
        for reader in readers[1:]:
            ticks.publish_nowait("a", 0)
            before = ticks.publish_nowait("a", 0)
            Cyclic(partial(ticks.join, "a", Reader.take, owner=reader))
            gc.collect()
            assert ticks.publish_nowait("a", 1) == before + 1
            ticks.leave("a", owner=reader)


async def test_a_subscriber_that_a_finalizer_takes_out_gets_no_more_messages(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with supervised() as supervisor:
        reader = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=reader)
        for _ in range(2):
            assert ticks.publish_nowait("a", 0) == 1
        Cyclic(partial(ticks.leave, "a", owner=reader))
        gc.collect()
        assert ticks.publish_nowait("a", 1) == 0
        await wait_all_tasks_blocked()
        assert await reader.call(Reader.all) == [0, 0]
