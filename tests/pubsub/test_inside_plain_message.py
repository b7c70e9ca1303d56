"""Tests the inside: a message to idle actors goes a way of its own, and does what any other message does."""

from __future__ import annotations

import gc
import weakref
from random import Random
from typing import Any

import pytest
import trio
from support.calls import counted_calls
from support.supervisors import supervised
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, PubSub, Wildcard
from trioreg._pubsub import publishing


def keep_nothing(topic: object, changes: int, audience: object) -> None:
    pass


async def seen(seed: int, *, is_common: bool) -> list[Any]:
    """What the steps that belong to a seed show. ``is_common``: every message goes the common way."""
    random = Random(seed)
    ticks: PubSub[Any, Any] = PubSub("ticks")
    if is_common:
        ticks._keep = keep_nothing  # type: ignore[method-assign]
    log: list[Any] = []
    gate = trio.Event()
    async with supervised() as supervisor:
        refs: list[ActorRef[Reader]] = [await supervisor.start_child(Reader, restart="temporary") for _ in range(2)]
        for number in range(60):
            ref = random.choice(refs)
            topic: Any = random.choice(["a", "a", "a", Wildcard("a.#")])
            step = random.choices(["publish", "join", "leave", "hold", "let go", "stop"], [30, 4, 4, 3, 6, 1])[0]
            if step == "publish":
                log.append(ticks.publish_nowait("a", number))
            elif step == "join":
                method = random.choice([None, Reader.take])
                buffer = random.choice([float("inf"), 1])
                ticks.join(topic, method, buffer=buffer, overflow="drop_oldest", owner=ref)
            elif step == "leave":
                log.append(ticks.leave(topic, owner=ref))
            elif step == "hold":
                ref.cast_nowait(Reader.hold, gate)
            else:
                gate.set()
                gate = trio.Event()
                await wait_all_tasks_blocked()
                log.append((await ref.call(Reader.all), await ref.call(Reader.all_plain)))
                if step == "stop":
                    await ref.stop()
                    refs[refs.index(ref)] = await supervisor.start_child(Reader, restart="temporary")
        gate.set()
        await wait_all_tasks_blocked()
        log += [(await ref.call(Reader.all), await ref.call(Reader.all_plain)) for ref in refs]
    return log


@pytest.mark.parametrize("seed", range(30))
async def test_a_plain_message_does_what_the_common_way_does(
    seed: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await seen(seed, is_common=False)
    monkeypatch.setattr(publishing, "UNUSUAL", [True])  # so that `tell_now` calls `put` for each subscription
    assert short == await seen(seed, is_common=True)


async def test_an_actor_that_has_left_is_told_nothing_more(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with supervised() as supervisor:
        first = await supervisor.start_child(Reader)
        second = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=first)
        assert ticks.publish_nowait("a", 1) == 1
        await wait_all_tasks_blocked()
        ticks.join("a", Reader.take, owner=second)
        ticks.leave("a", owner=first)
        assert ticks.publish_nowait("a", 2) == 1
        await wait_all_tasks_blocked()
        assert await first.call(Reader.all) == [1]
        assert await second.call(Reader.all) == [2]
        await second.stop()
        assert ticks.publish_nowait("a", 3) == 0


async def test_an_actor_that_a_finalizer_lets_join_during_a_message_gets_the_next_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with supervised() as supervisor:
        first = await supervisor.start_child(Reader)
        second = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=first)
        lookup = ticks._registry.lookup

        def lookup_and_collect_garbage(topic: Any) -> Any:
            found = lookup(topic)
            monkeypatch.undo()
            ticks.join("a", Reader.take, owner=second)
            return found

        monkeypatch.setattr(ticks._registry, "lookup", lookup_and_collect_garbage)
        assert ticks.publish_nowait("a", 1) == 1
        assert ticks.publish_nowait("a", 2) == 2


async def test_a_topic_keeps_nothing_of_its_only_actor_when_that_has_ended(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader, restart="temporary")
        ticks.join("a", Reader.take, owner=ref)
        assert ticks.publish_nowait("a", 1) == 1
        weak = weakref.ref(ref)
        await ref.stop()
        del ref
        gc.collect()
        assert weak() is None


async def test_another_thread_may_not_send_a_plain_message_to_an_actor() -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    def elsewhere() -> None:
        with pytest.raises(RuntimeError, match=r"trio\.from_thread"):
            ticks.publish_nowait("a", 1)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=ref)
        await wait_all_tasks_blocked()
        await trio.to_thread.run_sync(elsewhere)
        assert await ref.call(Reader.all) == []


async def test_from_the_second_on_messages_to_the_only_actor_of_a_topic_go_the_short_way(
    autojump_clock: MockClock,
) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    counts: list[int] = []
    async with supervised() as supervisor:
        ticks.join("a", owner=await supervisor.start_child(Reader))
        for number in range(3):
            await wait_all_tasks_blocked()
            with counted_calls() as calls:
                ticks.publish_nowait("a", number)
            counts.append(calls.count)
    first, second, third = counts
    assert second == third < first / 2
