"""A subscription ends in the same step as its owner, and nothing of it is left in any table."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.inside import assert_no_subscription, plain_holders
from support.owners import ENDS, SORTS, End, Sort, staged
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Feed, PubSub, Registered, Unregistered, Wildcard, receive

TOPICS: list[Any] = ["a", Wildcard("a.#"), Wildcard("*")]


@pytest.fixture
def ticks() -> PubSub[Any, Any]:
    return PubSub("ticks", partitions=2)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("sort", SORTS)
async def test_the_feeds_of_an_owner_that_ends_give_what_they_have_and_end(
    ticks: PubSub[Any, Any], sort: Sort, how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.start(sort)
        async with (
            ticks.subscribe(TOPICS[0], owner=owner) as one,
            ticks.subscribe(TOPICS[1], owner=owner) as two,
            ticks.subscribe(TOPICS[2], owner=owner) as three,
        ):
            assert ticks.publish_nowait("a", 1) == 3
            await stage.end(owner, how)
            assert_no_subscription(ticks)
            assert ticks.publish_nowait("a", 2) == 0
            for feed in (one, two, three):
                assert await feed.receive() == 1
                with pytest.raises(trio.EndOfChannel):
                    await feed.receive()
                assert [message async for message in feed] == []
        assert_no_subscription(ticks)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("sort", SORTS)
async def test_a_task_that_waits_in_a_feed_is_woken_by_the_end_of_its_owner(
    ticks: PubSub[Any, Any], sort: Sort, how: End, autojump_clock: MockClock
) -> None:
    ended: list[type[BaseException]] = []

    async def receive(feed: Feed[Any]) -> None:
        try:
            await feed.receive()
        except trio.EndOfChannel:
            ended.append(trio.EndOfChannel)

    async with staged() as stage:
        owner = await stage.start(sort)
        async with ticks.subscribe("a", owner=owner) as feed:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive, feed)
                nursery.start_soon(receive, feed)
                await wait_all_tasks_blocked()
                await stage.end(owner, how)
            assert ended == [trio.EndOfChannel] * 2


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("buffer", [float("inf"), 2])
async def test_the_subscriptions_of_an_actor_end_in_its_last_step(
    ticks: PubSub[Any, Any], how: End, buffer: float, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        for topic in TOPICS:
            ticks.join(topic, owner=ref, buffer=buffer)
        seen: list[int] = []

        async def watch() -> None:
            await ref.wait()
            seen.append(len(ticks))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await wait_all_tasks_blocked()
            await stage.end(ref, how)
        assert seen == [0]
        assert_no_subscription(ticks)


@pytest.mark.parametrize("how", ["end of its owner", "leave", "end of its block"])
async def test_a_publisher_that_waits_for_a_subscription_that_ends_goes_on(
    ticks: PubSub[Any, Any], how: str, autojump_clock: MockClock
) -> None:
    reached: list[int] = []

    async def publish() -> None:
        reached.append(await ticks.publish("a", 2))

    async with staged() as stage, trio.open_nursery() as nursery:
        owner = await stage.task()
        async with ticks.subscribe("a", buffer=1, overflow="wait", owner=owner) as feed:
            ticks.publish_nowait("a", 1)
            nursery.start_soon(publish)
            await wait_all_tasks_blocked()
            assert reached == []
            if how == "end of its owner":
                await stage.end(owner)
            elif how == "leave":
                ticks.leave("a", owner=owner)
            if how != "end of its block":
                await wait_all_tasks_blocked()
                assert reached == [0]
                assert messages(feed) == [1]
        await wait_all_tasks_blocked()
        assert reached == [0]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("how", ["returns", "is killed", "is cancelled"])
async def test_a_publisher_that_waits_for_an_actor_that_ends_goes_on(
    ticks: PubSub[Any, Any], how: End, autojump_clock: MockClock
) -> None:
    reached: list[int] = []

    async def publish() -> None:
        reached.append(await ticks.publish("a", 3))

    async with staged() as stage, trio.open_nursery() as nursery:
        ref = await stage.supervisor.start_child(Reader, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        nursery.start_soon(publish)
        await wait_all_tasks_blocked()
        assert reached == []
        if how == "returns":
            until.set()
        elif how == "is killed":
            ref.kill()
        else:
            ref.cancel()
        await wait_all_tasks_blocked()
        assert reached == [int(how == "returns")]
    assert_no_subscription(ticks)


class Falling(Reader):
    async def fall(self, until: trio.Event) -> None:
        await until.wait()
        raise ZeroDivisionError

    async def on_stop(self, exit: object) -> None:
        await trio.sleep(3)


@pytest.mark.parametrize("how", ["crashes", "is cancelled", "is killed"])
async def test_a_publisher_that_waits_for_an_actor_goes_on_before_its_on_stop(
    ticks: PubSub[Any, Any], how: End, autojump_clock: MockClock
) -> None:
    told: list[float] = []

    async def publish() -> None:
        assert await ticks.publish("a", 1) == 0
        told.append(trio.current_time())

    async with staged() as stage, trio.open_nursery() as nursery:
        ref = await stage.supervisor.start_child(Falling, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        until = trio.Event()
        ref.cast_nowait(Falling.fall, until)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 0)
        for _ in range(2):
            nursery.start_soon(publish)
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        if how == "crashes":
            until.set()
        elif how == "is cancelled":
            ref.cancel()
        else:
            ref.kill()
        await ref.wait()
        await wait_all_tasks_blocked()
        assert told == [begun] * 2
        assert trio.current_time() == begun + (0 if how == "is killed" else 3)
    assert_no_subscription(ticks)


async def test_an_actor_that_is_asked_to_stop_takes_what_has_waited_for_room_before(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    got: list[int] = []
    reached: list[int] = []

    class Last(Reader):
        async def on_stop(self, exit: object) -> None:
            got.extend(self.got)

    async def publish(message: int) -> None:
        reached.append(await ticks.publish("a", message))

    async with staged() as stage, trio.open_nursery() as nursery:
        ref = await stage.supervisor.start_child(Last, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        await wait_all_tasks_blocked()
        for message in range(3):
            nursery.start_soon(publish, message)
            await wait_all_tasks_blocked()
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        assert await ticks.publish("a", 7) == 0  # this one comes too late
        until.set()
        await ref.wait()
        assert got == [0, 1, 2]
        await wait_all_tasks_blocked()
        assert reached == [1, 1, 1]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("buffer", [float("inf"), 1, 3])
@pytest.mark.parametrize("retained", [0, 2])
async def test_messages_that_an_ended_actor_has_not_handled_are_logged(
    ticks: PubSub[Any, Any],
    buffer: float,
    retained: int,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    for topic in range(retained):
        ticks.publish_nowait(f"a.{topic}", topic, retain=True)
    async with staged() as stage, trio.open_nursery() as nursery:
        ref = await stage.supervisor.start_child(Reader, restart="temporary")
        ref.cast_nowait(Reader.hold, trio.Event())
        await wait_all_tasks_blocked()
        ref.cast_nowait(Reader.take, "by cast")
        ticks.join(Wildcard("a.*"), Reader.take, owner=ref, buffer=buffer, overflow="drop_newest")
        ticks.join("left", Reader.take, owner=ref, buffer=buffer, overflow="wait")
        ticks.publish_nowait("left", 1)
        if buffer == 1:
            nursery.start_soon(ticks.publish, "left", 2)  # its publisher learns that it was not handled
            await wait_all_tasks_blocked()
        ticks.leave("left", owner=ref)
        for message in range(5):
            ticks.publish_nowait("a.x", message)
        ref.kill()
        await ref.wait()
    left = 1 + 1 + retained + int(min(buffer, 5))
    (line,) = [record.getMessage() for record in caplog.records if "unhandled" in record.getMessage()]
    assert line.endswith(f"ended (killed) with {left} unhandled messages in its mailbox")


async def test_an_actor_that_ends_takes_no_message_and_holds_up_no_publisher(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Slow(Reader):
        async def on_stop(self, exit: object) -> None:
            await trio.sleep(3)

    async with staged() as stage, trio.open_nursery() as nursery:
        ref = await stage.supervisor.start_child(Slow, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        ref.cast_nowait(Reader.hold, trio.Event())
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        nursery.start_soon(ref.wait)
        ref.cancel()
        await wait_all_tasks_blocked(0.1)
        assert len(ticks) == 1  # it is in its on_stop
        assert ticks.publish_nowait("a", 2) == 0
        assert await ticks.publish("a", 3) == 0
    assert_no_subscription(ticks)


async def test_the_end_of_one_of_many_owners_ends_its_own_subscriptions_only(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        refs = [await stage.actor() for _ in range(30)]
        for ref in refs:
            ticks.join("a", owner=ref)
            ticks.join(Wildcard("#"), owner=ref)
        await stage.end(refs[7])
        for topic in ("a", Wildcard("#")):
            assert {owner for owner, _ in ticks.members(topic)} == {*refs} - {refs[7]}
        assert ticks.publish_nowait("a", 1) == 58
    assert_no_subscription(ticks)


async def test_no_plain_task_is_kept_that_has_no_subscription(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with ticks.subscribe("a"):
        assert plain_holders() == 1
    assert plain_holders() == 0


async def test_the_step_of_the_end_is_told_to_those_who_watch(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        with ticks.watch("a") as events:
            ticks.join("a", owner=ref, value="in")
            await stage.end(ref, "crashes")
            assert messages(events) == [
                Registered("ticks", "a", ref, "in"),
                Unregistered("ticks", "a", ref, "in", ref.exit),
            ]


async def test_an_actor_that_is_stopping_is_not_among_those_that_a_message_has_reached(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    gate = trio.Event()
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = [await supervisor.start_child(Reader, restart="temporary") for _ in range(3)]
        for ref in refs:
            ticks.join("a", Reader.take, owner=ref)
        refs[0].cast_nowait(Reader.hold, gate)
        await wait_all_tasks_blocked()
        nursery.start_soon(refs[0].stop)
        await wait_all_tasks_blocked()
        assert ticks.publish_nowait("a", 1) == 2
        assert await ticks.publish("a", 2) == 2
        gate.set()


async def test_an_actor_that_is_ending_and_receives_in_a_shield_gets_no_publication(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    got: list[object] = []

    async def shielded(shield: trio.CancelScope) -> None:
        ticks.join("a")
        with shield:
            while True:
                got.append(await receive())

    ticks = PubSub("ticks")  # one partition: a plain message to one actor has a way of its own
    shield = trio.CancelScope(shield=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(shielded, shield, restart="temporary")
        for number in (1, 2):
            await wait_all_tasks_blocked()
            assert ticks.publish_nowait("a", number) == 1
        await wait_all_tasks_blocked()
        ref.kill()
        reached = ticks.publish_nowait("a", 3)
        await wait_all_tasks_blocked()
        shield.cancel()  # first: an error would wait for the end of the actor
        assert (reached, got) == (0, [1, 2])
