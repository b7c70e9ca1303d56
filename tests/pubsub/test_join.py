"""PubSub.join(): an actor gets each message as a cast, or in its on_message or receive()."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import trio
from support.inside import assert_no_subscription
from support.supervisors import supervised
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, PubSub, Wildcard, current, receive


@pytest.fixture
def ticks() -> PubSub[Any, Any]:
    return PubSub("ticks")


@pytest.mark.parametrize("buffer", [math.inf, 1, 3])
async def test_each_message_runs_the_method(ticks: PubSub[Any, Any], buffer: float, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        assert await ref.call(Reader.run, lambda: ticks.join("a", Reader.take, buffer=buffer))
        for message in range(3):
            assert ticks.publish_nowait("a", message) == 1
            await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [0, 1, 2]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("buffer", [math.inf, 2])
async def test_without_a_method_each_message_goes_to_on_message(
    ticks: PubSub[Any, Any], buffer: float, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", owner=ref, buffer=buffer)
        ticks.publish_nowait("a", 1)
        ticks.publish_nowait("a", 2)
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all_plain) == [1, 2]
    assert_no_subscription(ticks)


async def test_a_function_actor_receives_the_messages(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    got: list[Any] = []

    async def worker() -> None:
        ticks.join("a")
        while True:
            got.append(await receive())

    async with supervised() as supervisor:
        await supervisor.start_child(worker)
        await wait_all_tasks_blocked()
        assert ticks.publish_nowait("a", 1) == 1
        assert await ticks.publish("a", 2) == 1
        await wait_all_tasks_blocked()
        assert got == [1, 2]
    assert_no_subscription(ticks)


async def test_a_function_actor_subscribes_like_a_task(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    got: list[Any] = []

    async def worker() -> None:
        async with ticks.subscribe("a", value="mine") as feed:
            assert [owner for owner, _ in ticks.members("a")] == [current()]
            async for message in feed:
                got.append(message)

    async with supervised() as supervisor:
        await supervisor.start_child(worker)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        assert got == [1]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("buffer", [1, 5])
async def test_a_function_actor_has_no_bounded_subscription(
    ticks: PubSub[Any, Any], buffer: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(trio.sleep_forever)
        with pytest.raises(TypeError, match="is a function actor, which has no buffer: use subscribe"):
            ticks.join(Wildcard("#"), owner=ref, buffer=buffer)
        with pytest.raises(TypeError, match="function actor"):
            ticks.join(Wildcard("#"), Reader.take, owner=ref)
        assert_no_subscription(ticks)


async def test_messages_of_a_bounded_subscription_do_not_fill_up_a_bounded_mailbox(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Small(Reader):
        mailbox_size = 2

    async with supervised() as supervisor:
        for buffer in (math.inf, 5):
            ref = await supervisor.start_child(Small)
            until = trio.Event()
            ref.cast_nowait(Reader.hold, until)
            await wait_all_tasks_blocked()
            ticks.join("a", Reader.take, owner=ref, buffer=buffer)
            assert [ticks.publish_nowait("a", message) for message in range(5)] == [1] * 5
            assert ref.statistics().queued == 1
            ref.cast_nowait(Reader.take, "cast")
            until.set()
            await wait_all_tasks_blocked()
            got = await ref.call(Reader.all)
            assert [message for message in got if message != "cast"] == [0, 1, 2, 3, 4]
            await ref.stop()
    assert_no_subscription(ticks)


async def test_join_says_whether_there_is_a_new_subscription(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        assert ticks.join("a", Reader.take, owner=ref, once=True) is True
        assert ticks.join("a", Reader.take, owner=ref, once=True) is False
        assert ticks.join("b", Reader.take, owner=ref, once=True) is True
        assert ticks.join(Wildcard("a"), Reader.take, owner=ref, once=True) is True
        assert len(ticks) == 3
        assert ticks.join("a", Reader.take, owner=ref) is True
        assert ticks.publish_nowait("a", 1) == 3
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [1, 1, 1]
    assert_no_subscription(ticks)


async def test_leave_ends_all_subscriptions_of_an_owner_to_a_topic(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        for _ in range(3):
            ticks.join(Wildcard("a.#"), Reader.take, owner=ref)
        ticks.join("a", Reader.take, owner=ref)
        assert await ref.call(Reader.leave, ticks, Wildcard("a.#")) == 3
        assert await ref.call(Reader.leave, ticks, Wildcard("a.#")) == 0
        assert ticks.publish_nowait("a", 1) == 1
        assert ticks.leave("a", owner=ref) == 1
    assert_no_subscription(ticks)


@pytest.mark.parametrize("buffer", [math.inf, 1, 3])
async def test_an_actor_that_leaves_still_handles_what_it_has(
    ticks: PubSub[Any, Any], buffer: float, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=ref, buffer=buffer, overflow="drop_newest")
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        for message in range(3):
            ticks.publish_nowait("a", message)
        ticks.leave("a", owner=ref)
        assert ticks.publish_nowait("a", 7) == 0
        until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [0, 1, 2][: int(min(buffer, 3))]
        assert_no_subscription(ticks)


@pytest.mark.parametrize("buffer", [math.inf, 1, 3])
async def test_an_actor_that_stops_still_handles_what_it_has(
    ticks: PubSub[Any, Any], buffer: float, autojump_clock: MockClock
) -> None:
    got: list[Any] = []

    class Last(Reader):
        async def on_stop(self, exit: object) -> None:
            got.extend(self.got)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last)
        ticks.join("a", Reader.take, owner=ref, buffer=buffer, overflow="drop_newest")
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        for message in range(3):
            ticks.publish_nowait("a", message)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            assert ticks.publish_nowait("a", 7) == 0
            until.set()
        assert got == [0, 1, 2][: int(min(buffer, 3))]
    assert_no_subscription(ticks)


async def test_a_restarted_actor_joins_again_in_its_on_start(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Screen(Reader):
        async def on_start(self) -> None:
            ticks.join("a", Screen.show)

        def show(self, message: object) -> None:
            if message == "crash":
                raise ZeroDivisionError
            self.got.append(message)

    async with supervised() as supervisor:
        await supervisor.start_child(Screen, restart="permanent")
        ((first, _),) = ticks.members("a")
        ticks.publish_nowait("a", "crash")
        await wait_all_tasks_blocked()
        ((second, _),) = ticks.members("a")
        assert first is not second
        assert ticks.publish_nowait("a", 1) == 1
    assert_no_subscription(ticks)


class Small(Actor):
    async def nothing(self) -> None: ...


@pytest.mark.parametrize(
    ("method", "options", "error", "words"),
    [
        (Reader.take, {"topic": {}}, TypeError, "topic must be hashable"),
        (Reader.take, {"buffer": 0}, ValueError, "buffer must be at least 1, not 0"),
        (Reader.take, {"overflow": None}, ValueError, "overflow must be one of"),
        (Reader.all, {}, TypeError, "Reader.all"),
        (Small.nothing, {}, TypeError, "nothing"),
        (len, {}, TypeError, "len"),
        (7, {}, TypeError, "7"),
    ],
)
@pytest.mark.parametrize("buffer", [math.inf, 2])
async def test_a_wrong_argument_is_refused_before_anything_has_changed(
    ticks: PubSub[Any, Any],
    method: Any,
    options: dict[str, Any],
    error: type[Exception],
    words: str,
    buffer: float,
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        with pytest.raises(error, match=words):
            ticks.join(
                **cast(
                    "dict[str, Any]",
                    {"topic": Wildcard("#"), "method": method, "owner": ref, "buffer": buffer} | options,
                )
            )
        assert_no_subscription(ticks)


async def test_a_task_is_told_to_subscribe_instead(ticks: PubSub[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"is none: write 'async with ticks.subscribe\(...\)' in a task"):
        ticks.join("a", Reader.take)
    assert_no_subscription(ticks)


async def test_an_actor_that_has_ended_can_not_join(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        await ref.stop()
        with pytest.raises(ActorExited):
            ticks.join(Wildcard("#"), Reader.take, owner=ref)
        assert_no_subscription(ticks)
