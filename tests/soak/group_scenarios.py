"""Scenarios of PubSub, pools and partitions: subscribers that come and go, workers that are handed out."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random
from typing import Any, Literal

import trio
from support.inside import assert_no_subscription
from support.pools import Hand, Site, assert_whole
from support.supervisors import supervised
from support.topics import Reader

from soak.scene import PAUSES, Boom, pause, plans
from trioreg import (
    ActorExited,
    ActorRef,
    CallCycle,
    NotRegistered,
    NotRunning,
    Partitions,
    PoolFull,
    PubSub,
    Wildcard,
    open_partition_supervisor,
    open_pool,
)


async def topics_are_told_in_order(draw: Random) -> None:
    """Publishers and subscribers of both kinds come and go. What one publisher publishes arrives in order and without a
    gap while the subscription lasts, and once."""
    topics: PubSub[str, tuple[int, int]] = PubSub("topics", partitions=draw.choice([1, 3]))
    publishes = [[(draw.choice(PAUSES), draw.random() < 0.5) for _ in range(draw.randint(1, 5))] for _ in range(3)]
    overflow: Literal["wait", "error"] = "wait" if draw.random() < 0.5 else "error"
    buffer = draw.choice([0, 1, 2]) if overflow == "wait" else math.inf
    stays = [(draw.choice([0, 0, 1]), draw.randint(1, 6), draw.choice(["leave", "crash", "cancel"])) for _ in range(3)]
    is_wild = [draw.random() < 0.4 for _ in stays]
    retains, ends_actor = draw.random() < 0.5, draw.choice([None, "kill", "leave"])
    got: list[list[tuple[int, int]]] = [[] for _ in stays]

    async def publisher(who: int) -> None:
        for number, (wait, waits_for_room) in enumerate(publishes[who]):
            await pause(wait)
            message = who, number
            if waits_for_room:
                await topics.publish("a.b", message, retain=retains)
            else:
                while True:
                    try:
                        topics.publish_nowait("a.b", message, retain=retains)
                        break
                    except trio.WouldBlock:
                        await trio.sleep(0.5)

    async def subscriber(who: int) -> None:
        after, most, how = stays[who]
        await pause(after)
        topic: Any = Wildcard("a.*") if is_wild[who] else "a.b"
        with trio.CancelScope() as scope:
            async with topics.subscribe(topic, buffer=buffer, overflow=overflow) as feed:
                async for message in feed:
                    got[who].append(message)
                    if len(got[who]) == most:
                        if how == "crash":
                            raise Boom
                        if how == "leave":
                            break
                        scope.cancel()

    async def safe(who: int) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(subscriber, who, name=f"subscriber {who}")
        except* Boom:
            pass

    with trio.fail_after(1000):
        async with supervised() as supervisor:
            actor = await supervisor.start_child(Reader, restart="temporary")
            topics.join("a.b", Reader.take, owner=actor)
            async with trio.open_nursery() as nursery:
                for who in range(len(stays)):
                    nursery.start_soon(safe, who)
                async with trio.open_nursery() as publishers:
                    for who in range(len(publishes)):
                        publishers.start_soon(publisher, who, name=f"publisher {who}")
                    if ends_actor == "kill":
                        await pause(draw.choice([0, 1]))
                        actor.kill()
                    elif ends_actor == "leave":
                        await pause(draw.choice([0, 1]))
                        assert await actor.call(Reader.leave, topics, "a.b") == 1
                await trio.sleep(5)
                nursery.cancel_scope.cancel()
            if actor.is_alive:
                taken = await actor.call(Reader.all)
                in_order(taken, is_whole=ends_actor is None, publishes=[len(each) for each in publishes])
        for who, messages in enumerate(got):
            # A later subscriber begins with the retained message, which is the last one of some publisher.
            assert len(messages) == len(set(messages)), f"subscriber {who} got one twice: {messages}"
            in_order(messages, is_whole=False, publishes=[])
    topics.forget("a.b")
    assert_no_subscription(topics)


def in_order(messages: list[tuple[int, int]], *, is_whole: bool, publishes: list[int]) -> None:
    """Each publisher's messages come in order, and without a gap between two of them."""
    by_publisher: defaultdict[int, list[int]] = defaultdict(list)
    for who, number in messages:
        by_publisher[who].append(number)
    for who, numbers in by_publisher.items():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"publisher {who}: {numbers}"
    if is_whole:
        assert {who: len(numbers) for who, numbers in by_publisher.items()} == dict(enumerate(publishes))


async def a_worker_for_one_caller_at_a_time(draw: Random) -> None:
    """Callers claim, call and cast; some give up; workers crash and are killed; the size changes. No worker works for
    two, none is lost, and each caller gets an end."""
    strategy: Any = draw.choice(["idle_first", "idle_first", "round_robin", "least_loaded", "by_key"])
    steps = [
        (what, limit, wait)
        for what in ("call", "call", "cast", "claim", "crash", "kill", "retry", "resize")
        for limit in (None, None, 0, 1)
        for wait in PAUSES
    ]
    programs = plans(draw, steps, tasks=4, length=4)
    sizes = [draw.randint(1, 3) for _ in range(20)]
    site = Site()
    site.start_takes = draw.choice([0, 0, 1])
    claimed: set[ActorRef[Hand]] = set()
    over = 0

    async with open_pool(
        Hand, site, size=2, strategy=strategy, max_restarts=math.inf, queue_limit=draw.choice([1, math.inf, math.inf])
    ) as pool:

        async def client(who: int) -> None:
            nonlocal over
            for number, (what, limit, wait) in enumerate(programs[who]):
                await pause(wait)
                key: Any = {"key": number} if strategy == "by_key" else {}
                with trio.move_on_after(math.inf if limit is None else limit):
                    try:
                        if what == "call":
                            assert await pool.call(Hand.work, (who, number), **key) == (who, number)
                        elif what == "retry":
                            await pool.call(Hand.note, (who, number), retries=2, idempotent=True, **key)
                        elif what == "cast":
                            await pool.cast(Hand.note, (who, number), **key)
                        elif what == "crash":
                            await pool.call(Hand.crash, **key)
                        elif what == "resize":
                            await pool.resize(sizes[4 * who + number])
                        elif what == "kill":
                            workers = pool.workers()
                            workers[number % len(workers)].kill() if workers else None
                        else:
                            async with pool.claim(**key) as worker:
                                assert worker not in claimed, "one worker for two"
                                claimed.add(worker)
                                try:
                                    await worker.call(Hand.work, (who, number))
                                finally:
                                    claimed.discard(worker)
                    except (ActorExited, PoolFull):
                        pass
                over += 1

        with trio.fail_after(1000):
            async with trio.open_nursery() as nursery:
                for who in range(len(programs)):
                    nursery.start_soon(client, who, name=f"client {who}")
            assert over == sum(map(len, programs))
            await assert_whole(pool, len(pool))


async def a_pool_ends_under_load(draw: Random) -> None:
    """A pool ends, gives up, or its block is cancelled, while callers wait and work. Each of them gets an end."""
    how, after = draw.choice(["leave", "cancel", "give up", "raise"]), draw.choice([-1, 0, 0, 1, 2])
    callers = [(draw.choice(["call", "cast", "claim"]), draw.choice([0, 0, 1]), draw.choice([0, 1])) for _ in range(6)]
    site = Site()
    over = 0
    before = trio.lowlevel.current_statistics().tasks_living

    async def client(what: str, wait: int, seconds: int, pool: Any) -> None:
        nonlocal over
        try:
            await pause(wait)
            if what == "call":
                await pool.call(Hand.work, "w", seconds)
            elif what == "cast":
                await pool.cast(Hand.work, "w", seconds)
            else:
                async with pool.claim() as worker:
                    await worker.call(Hand.work, "w", seconds)
        except (ActorExited, NotRunning, CallCycle):
            pass
        over += 1

    with trio.fail_after(1000):
        async with trio.open_nursery() as outside:
            with trio.CancelScope() as scope:
                try:
                    async with open_pool(Hand, site, size=2, max_restarts=0 if how == "give up" else 3) as pool:
                        for number, caller in enumerate(callers):
                            outside.start_soon(client, *caller, pool, name=f"client {number}")
                        await pause(after)
                        if how == "cancel":
                            scope.cancel()
                        elif how == "give up":
                            for worker in pool.workers():
                                worker.kill()
                            await trio.sleep(20)
                        elif how == "raise":
                            raise Boom
                except* (Boom, Exception) as group:
                    assert how in ("give up", "raise"), group
    assert over == len(callers)
    assert trio.lowlevel.current_statistics().tasks_living == before


async def a_partition_is_found_through_its_restarts(draw: Random) -> None:
    """Clients call the actor of a key, crash it, and wait for its name. Each call is answered, or its actor ended."""
    steps = [(what, key, wait) for what in ("call", "call", "crash", "kill") for key in range(3) for wait in PAUSES]
    programs = plans(draw, steps, tasks=4, length=4)
    waits = draw.random() < 0.5
    parts: Partitions[Hand] = Partitions("parts", 2)
    site = Site()

    async def client(who: int) -> None:
        for number, (what, key, wait) in enumerate(programs[who]):
            await pause(wait)
            address = parts.via(key, wait=waits)
            try:
                if what == "kill":
                    address.kill()
                elif what == "crash":
                    await address.cast(Hand.crash)
                else:
                    assert await address.call(Hand.note, (who, number)) == (who, number)
            except ActorExited:
                pass
            except NotRegistered:
                raise AssertionError("a partition had no actor during a restart") from None

    async with open_partition_supervisor(parts, Hand, site, max_restarts=math.inf) as supervisor:
        with trio.fail_after(1000):
            async with trio.open_nursery() as nursery:
                for who in range(len(programs)):
                    nursery.start_soon(client, who, name=f"client {who}")
            await trio.sleep(5)
            assert [child.state for child in supervisor.which_children()] == ["running"] * 2
        supervisor.stop()
    assert parts.whereis(0) is None


SCENARIOS: list[Any] = [
    topics_are_told_in_order,
    a_worker_for_one_caller_at_a_time,
    a_pool_ends_under_load,
    a_partition_is_found_through_its_restarts,
]
