"""Scenarios of messages: calls that are given up, actors on demand, calls in a circle, tasks with results, timers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from random import Random
from typing import Any

import trio
from support.carts import Cart, Shop
from support.errors import Bang
from support.inside import assert_nothing_left
from support.supervisors import supervised
from support.watcher import watching

from soak.scene import PAUSES, Boom, pause, plans
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    CallCycle,
    NotRegistered,
    Reply,
    await_many,
    open_on_demand,
    open_stream,
    race,
)


class Book(Actor):
    """It writes down what it handles."""

    def __init__(self, size: float) -> None:
        self.done: list[tuple[int, int]] = []

    def note(self, who: int, number: int) -> tuple[int, int]:
        self.done.append((who, number))
        return who, number

    async def note_slowly(self, who: int, number: int) -> tuple[int, int]:
        self.done.append((who, number))
        await trio.sleep(1)
        return who, number

    def later(self, who: int, number: int, reply: Reply[tuple[int, int]]) -> Reply[tuple[int, int]]:
        self.done.append((who, number))
        self.start_soon(self.answer, reply, who, number)
        return reply

    async def answer(self, reply: Reply[tuple[int, int]], who: int, number: int) -> None:
        await trio.lowlevel.checkpoint()
        reply.send((who, number))

    def all(self) -> list[tuple[int, int]]:
        return self.done


async def messages_arrive_once_and_in_order(draw: Random) -> None:
    """Clients send in every way, and give up some. The others are handled once, and each client's in order."""
    steps = [
        (what, limit, wait)
        for what in ("cast", "cast_nowait", "call", "call_slowly", "reply")
        for limit in (None, None, 0, 1)
        for wait in PAUSES
    ]
    programs = plans(draw, steps, tasks=4, length=5)
    size = draw.choice([1, 2, None])
    must: defaultdict[int, list[int]] = defaultdict(list)
    may: Counter[tuple[int, int]] = Counter()

    class Bounded(Book):
        mailbox_size = size

    async def client(who: int, ref: ActorRef[Book]) -> None:
        for number, (what, limit, wait) in enumerate(programs[who]):
            await pause(wait)
            may[who, number] += 1
            with trio.move_on_after(math.inf if limit is None else limit) as scope:
                if what == "cast":
                    await ref.cast(Book.note, who, number)
                elif what == "cast_nowait":
                    try:
                        ref.cast_nowait(Book.note_slowly, who, number)
                    except trio.WouldBlock:
                        may[who, number] -= 1
                        continue
                elif what == "call":
                    assert await ref.call(Book.note, who, number) == (who, number)
                elif what == "call_slowly":
                    assert await ref.call(Book.note_slowly, who, number) == (who, number)
                else:
                    reply: Reply[tuple[int, int]] = Reply()
                    assert await ref.call(Book.later, who, number, reply) == (who, number)
            if not scope.cancelled_caught:
                must[who].append(number)

    with trio.fail_after(1000):
        async with supervised() as supervisor:
            ref: ActorRef[Book] = await supervisor.start_child(Bounded, 0.0, restart="temporary")
            async with trio.open_nursery() as nursery:
                for who in range(len(programs)):
                    nursery.start_soon(client, who, ref, name=f"client {who}")
            done = await ref.call(Book.all)
    for who in range(len(programs)):
        mine = [number for each, number in done if each == who]
        assert mine == sorted(set(mine)), f"client {who}: handled {mine}"
        assert set(must[who]) <= set(mine), f"client {who}: of {must[who]}, {mine} were handled"
    assert not Counter(done) - may


async def on_demand_one_life_of_a_key(draw: Random) -> None:
    """Clients use two keys whose actors retire, crash, are ended and make room for each other. A key never has two
    lives, and each message is handled once, or its sender learns that it was not, or its actor has ended with it."""
    steps = [
        (what, key, wait)
        for what in ("cast", "cast", "call", "call", "slow", "crash", "stop", "kill", "look")
        for key in "ab"
        for wait in PAUSES
    ]
    programs = plans(draw, steps, tasks=4, length=4)
    shop = Shop()
    shop.start_takes = draw.choice([0, 0, 1])
    shop.stop_takes = draw.choice([0, 0, 1])
    shop.fails.update({key: draw.choice([0, 0, 1]) for key in "ab"})
    cuts = Counter(shop.fails)  # what cuts off messages: a start that fails, a crash, a kill
    carts = shop.carts(
        retire_after=draw.choice([1, 3, math.inf]),
        max_running=draw.choice([1, 2, math.inf]),
        backoff=draw.choice([None, None, Backoff(1, 1)]),
    )
    refused: set[tuple[int, int]] = set()
    told: set[tuple[int, int]] = set()

    async def client(who: int) -> None:
        for number, (what, key, wait) in enumerate(programs[who]):
            await pause(wait)
            message = who, number
            address = carts.via(key)
            try:
                if what == "cast":
                    await address.cast(Cart.note, message)
                elif what == "call":
                    assert await address.call(Cart.note, message) == message
                    told.add(message)
                elif what == "slow":
                    assert await address.call(Cart.note_slowly, message) == message
                    told.add(message)
                elif what == "crash":
                    cuts[key] += 1
                    await address.cast(Cart.crash)
                elif what == "stop":
                    await address.stop()
                elif what == "kill":
                    cuts[key] += 1
                    address.kill()
                else:
                    ref = carts.whereis(key)
                    assert ref is None or isinstance(ref, ActorRef)
            except (ActorExited, NotRegistered, Bang):
                refused.add(message)

    with trio.fail_after(1000):
        async with open_on_demand(carts) as supervisor:
            with watching(carts.registry):
                async with trio.open_nursery() as nursery:
                    for who in range(len(programs)):
                        nursery.start_soon(client, who, name=f"client {who}")
                await trio.sleep(20)
            supervisor.stop()
    for key in "ab":
        handled = shop.handled[key]
        assert len(handled) == len(set(handled)), f"{key}: handled twice: {handled}"
        for who in range(len(programs)):
            mine = [number for each, number in handled if each == who]
            assert mine == sorted(mine), f"{key}: client {who}: {mine}"
        if not cuts[key]:
            sent = {
                (who, number)
                for who, program in enumerate(programs)
                for number, (what, to, _) in enumerate(program)
                if to == key and what in ("cast", "call", "slow")
            }
            assert sent - refused <= set(handled), f"{key}: lost {sent - refused - set(handled)}"
    assert told <= {message for handled in shop.handled.values() for message in handled}
    assert len(carts) == 0
    assert_nothing_left(carts.registry)


class Ring(Actor):
    """It asks the next one, which may ask the next one, and so on."""

    def __init__(self) -> None:
        self.others: list[ActorRef[Ring]] = []

    def meet(self, others: list[ActorRef[Ring]]) -> None:
        self.others = others

    async def ask(self, way: list[int], waits: list[int]) -> int:
        await pause(waits[0])
        if not way:
            return 1
        try:
            return 1 + await self.others[way[0]].call(Ring.ask, way[1:], waits[1:])
        except CallCycle:
            return 0

    async def wait_for(self, number: int) -> str:
        try:
            await self.others[number].wait()
        except CallCycle:
            return "cycle"
        return "ended"


async def a_circle_of_calls_is_refused_and_nothing_hangs(draw: Random) -> None:
    """Actors call each other along random ways, and wait for each other's end. Each call ends, whatever they meet."""
    ways = [[draw.randrange(3) for _ in range(draw.randint(1, 4))] for _ in range(4)]
    waits = [[draw.choice((-1, -1, 0, 0, 1)) for _ in range(6)] for _ in ways]
    starts = [draw.choice([0, 0, 1]) for _ in ways]
    waiter, awaited, ends = draw.randrange(3), draw.randrange(3), draw.random() < 0.5
    over: list[int] = []

    async def client(number: int, refs: list[ActorRef[Ring]]) -> None:
        await pause(starts[number])
        try:
            got = await refs[number % 3].call(Ring.ask, ways[number], waits[number])
            assert 0 <= got <= len(ways[number]) + 1
        except ActorExited:
            assert ends
        over.append(number)

    async def wait(refs: list[ActorRef[Ring]]) -> None:
        try:
            await refs[waiter].call(Ring.wait_for, awaited)
        except ActorExited:
            assert waiter == awaited

    with trio.fail_after(1000):
        async with supervised(max_restarts=100) as supervisor:
            refs = [await supervisor.start_child(Ring, restart="temporary") for _ in range(3)]
            for ref in refs:
                ref.cast_nowait(Ring.meet, refs)
            async with trio.open_nursery() as nursery:
                if ends:
                    nursery.start_soon(wait, refs, name="waits for an end")
                for number in range(len(ways)):
                    nursery.start_soon(client, number, refs, name=f"client {number}")
                if ends:
                    await trio.sleep(draw.choice([0, 1, 2]))
                    refs[awaited].kill()
    assert sorted(over) == list(range(len(ways)))


async def results_come_once_each(draw: Random) -> None:
    """A stream, `await_many` and `race` over functions that return, crash and are ended at the same moments."""
    items = [(number, draw.choice([0, 0, 1, 2]), draw.random() < 0.25) for number in range(6)]
    ordered, most, leaves_at = draw.random() < 0.5, draw.choice([1, 2, 4]), draw.choice([2, 99, 99])
    running = 0

    async def work(item: tuple[int, int, bool]) -> int:
        nonlocal running
        number, seconds, fails = item
        running += 1
        assert running <= most
        try:
            await pause(seconds)
            if fails:
                raise Boom(number)
            return number
        finally:
            running -= 1

    async def one(number: int, seconds: int) -> int:
        await pause(seconds)
        return number

    with trio.fail_after(1000):
        got: list[int] = []
        async with open_stream(work, items, max_concurrency=most, ordered=ordered, on_error="return") as results:
            async for outcome in results:
                got.append(outcome.item[0])
                assert bool(getattr(outcome, "error", None)) == outcome.item[2]
                if len(got) == leaves_at:
                    break
        assert running == 0
        assert len(got) == len(set(got)) == min(leaves_at, len(items))
        assert not ordered or got == sorted(got)
        async with supervised(max_restarts=100) as supervisor:
            refs = [
                await supervisor.start_child(one, number, seconds, restart="temporary") for number, seconds, _ in items
            ]
            if items[0][2]:
                refs[0].kill()
            try:
                assert await race(refs) in range(len(items))
                assert await await_many(refs) == list(range(len(items)))
            except ActorExited as error:
                assert error.ref is refs[0]
                assert items[0][2]


class Clock(Actor):
    """It notes what its timers send."""

    def __init__(self, got: list[tuple[str, float]]) -> None:
        self.got = got

    def begin(self, what: str, seconds: float, ends_after: float) -> None:
        timer = (
            self.cast_every(seconds, Clock.tick, what)
            if what == "every"
            else self.cast_after(seconds, Clock.tick, what)
        )
        self.start_soon(self.end, ends_after, timer)

    async def end(self, seconds: float, timer: Any) -> None:
        await trio.sleep(seconds)
        timer.cancel()
        self.got.append(("cancelled", trio.current_time()))

    def tick(self, what: str) -> None:
        self.got.append((what, trio.current_time()))


async def timers_end_with_their_cancel_and_their_actor(draw: Random) -> None:
    """Timers end, are cancelled, and lose their actor, at the same moments. Nothing ticks after that."""
    plan = [(draw.choice(["every", "once"]), draw.choice([1, 2]), draw.choice([1, 2, 3])) for _ in range(3)]
    how, after = draw.choice(["stop", "kill", "cancel", "none"]), draw.choice([1, 2, 3])
    logs: list[list[tuple[str, float]]] = [[] for _ in plan]
    ended: list[float] = []

    with trio.fail_after(1000):
        async with supervised(max_restarts=100) as supervisor:
            begin = trio.current_time()
            refs = [await supervisor.start_child(Clock, log, restart="temporary") for log in logs]
            for ref, (what, seconds, ends_after) in zip(refs, plan, strict=True):
                await ref.call(Clock.begin, what, float(seconds), float(ends_after))
            await trio.sleep(after)
            if how == "stop":
                await refs[0].stop()
            elif how != "none":
                (refs[0].kill if how == "kill" else refs[0].cancel)()
            await trio.sleep(20)
            if how != "none":
                assert not refs[0].is_alive
            ended.append(trio.current_time() - begin)
    for log, (what, seconds, ends_after) in zip(logs, plan, strict=True):
        ticks = [at - begin for name, at in log if name != "cancelled"]
        most = int(ends_after // seconds) if what == "every" else int(ends_after >= seconds)
        # A tick that has been put into the mailbox in the moment of the cancel is handled still.
        assert len(ticks) <= most, (log, plan)
        assert all(at <= ends_after for at in ticks)
        assert log is logs[0] or len(ticks) >= (int((ends_after - 1) // seconds) if what == "every" else 0)


SCENARIOS: list[Any] = [
    messages_arrive_once_and_in_order,
    on_demand_one_life_of_a_key,
    a_circle_of_calls_is_refused_and_nothing_hangs,
    results_come_once_each,
    timers_end_with_their_cancel_and_their_actor,
]
