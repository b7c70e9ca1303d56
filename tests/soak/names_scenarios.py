"""Scenarios of the registry: names that come and go, and are waited for, handed over, taken, held and locked."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, Literal

import trio
from support.events import received
from support.inside import assert_nothing_left
from support.supervisors import supervised

from soak.scene import PAUSES, Boom, always, assert_living, pause, plans
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    NotRegistered,
    Owner,
    Registered,
    Registry,
    current_owner,
)

KEYS = ("a", "b")


async def names_come_and_go(draw: Random) -> None:
    """Tasks register and unregister, and end in every way. Events are in order, and no name leads to an ended task."""
    kind: Literal["unique", "duplicate"] = "unique" if draw.random() < 0.6 else "duplicate"
    registry: Registry[str, int] = Registry("names", keys=kind, partitions=draw.choice([1, 3]))
    steps = [(what, key, wait) for what in ("in", "in", "out") for key in KEYS for wait in PAUSES]
    programs = plans(draw, steps, tasks=4, length=6)
    ends = [draw.choice(["return", "crash", "cancel"]) for _ in programs]

    async def holder(number: int) -> None:
        with trio.CancelScope() as scope:
            for what, key, wait in programs[number]:
                if what == "out":
                    registry.unregister(key)
                else:
                    try:
                        me = registry.register(key, number)
                    except AlreadyRegistered as error:
                        assert error.holder.is_alive
                    else:
                        assert me is current_owner() or me == current_owner()
                await pause(wait)
            if ends[number] == "crash":
                raise Boom
            if ends[number] == "cancel":
                scope.cancel()
                await trio.sleep_forever()

    async def safe(number: int) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(holder, number, name=f"holder {number}")
        except* Boom:
            pass

    async def wait(key: str) -> None:
        with trio.move_on_after(3):
            owner = await registry.wait_for(key)
            assert owner.is_alive

    with registry.watch() as events, always(lambda: assert_living(registry)):
        async with trio.open_nursery() as nursery:
            for key in KEYS:
                nursery.start_soon(wait, key, name=f"waits for {key}")
            for number in range(len(programs)):
                nursery.start_soon(safe, number)
        happened = received(events)
    present: Counter[tuple[str, Owner]] = Counter()
    for event in happened:
        if isinstance(event, Registered):
            assert kind == "duplicate" or not any(key == event.key for key, _ in +present)
            present[event.key, event.owner] += 1
        else:
            assert present[event.key, event.owner] > 0, "an end was told before its begin, or twice"
            present[event.key, event.owner] -= 1
    assert not +present
    assert_nothing_left(registry)


async def acquired_by_one_at_a_time(draw: Random) -> None:
    """Candidates wait for a name, and some give up. Each other one gets it, once, in the order in which they came."""
    registry: Registry[str, None] = Registry("leaders", partitions=draw.choice([1, 3]))
    patience = [draw.choice([None, None, 0, 1, 2, 3]) for _ in range(5)]
    comes = [draw.choice([0, 0, 0, 1]) for _ in patience]
    leads = [draw.choice([0, 1, 1, 2]) for _ in patience]
    ends = [draw.choice(["unregister", "return", "crash"]) for _ in patience]
    leading: list[int] = []
    came: list[int] = []
    led: list[int] = []

    async def candidate(number: int) -> None:
        await pause(comes[number])
        limit = patience[number]
        with trio.CancelScope() as scope:
            if limit is not None:
                scope.deadline = trio.current_time() + limit
            came.append(number)
            await registry.acquire("leader")
        if registry.whereis("leader") != current_owner():
            assert scope.cancelled_caught, "it does not have the name that it got"
            return
        assert not scope.cancelled_caught, "it has the name, and was told that it has not"
        leading.append(number)
        led.append(number)
        assert leading == [number]
        await pause(leads[number])
        leading.remove(number)
        if ends[number] == "unregister":
            assert registry.unregister("leader") == 1
            assert registry.whereis("leader") != current_owner()
            await pause(1)
        elif ends[number] == "crash":
            raise Boom

    async def safe(number: int) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(candidate, number, name=f"candidate {number}")
        except* Boom:
            pass

    with trio.fail_after(100), always(lambda: assert_living(registry)):
        async with trio.open_nursery() as nursery:
            for number in range(len(patience)):
                nursery.start_soon(safe, number)
    assert sorted(led) == sorted(set(led))
    assert {number for number, limit in enumerate(patience) if limit is None} <= set(led)
    assert led == [number for number in came if number in led], "a candidate was overtaken"
    assert_nothing_left(registry)


async def locked_by_one_at_a_time(draw: Random) -> None:
    """Tasks and actors use locks of a key; some give up, some crash inside. Never are two inside, and all get in."""
    registry: Registry[str, None] = Registry("names", partitions=draw.choice([1, 3]))
    stays = [[draw.choice([-1, 0, 0, 1]) for _ in range(2)] for _ in range(4)]
    patience = [draw.choice([None, None, 0, 1]) for _ in stays]
    crashes = [draw.random() < 0.3 for _ in stays]
    inside: list[int] = []
    entered: Counter[int] = Counter()

    async def user(number: int) -> None:
        for stay in stays[number]:
            with trio.CancelScope() as scope:
                if (limit := patience[number]) is not None:
                    scope.deadline = trio.current_time() + limit
                async with registry.lock("key"):
                    with trio.CancelScope(shield=True):
                        assert inside == []
                        inside.append(number)
                        entered[number] += 1
                        await pause(stay)
                        inside.remove(number)
                    if crashes[number]:
                        raise Boom

    class Locker(Actor):
        async def use(self, number: int) -> None:
            await user(number)

    async def safe(number: int) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(user, number, name=f"user {number}")
        except* Boom:
            pass

    with trio.fail_after(100):
        async with supervised(max_restarts=100) as supervisor:
            actor = await supervisor.start_child(Locker, restart="temporary")
            async with trio.open_nursery() as nursery:
                actor.cast_nowait(Locker.use, 0)
                for number in range(1, len(stays)):
                    nursery.start_soon(safe, number)
            await trio.sleep(10)
    for number, limit in enumerate(patience):
        assert limit is not None or entered[number] == (1 if crashes[number] else len(stays[number]))
    assert len(registry._locks) == 0
    assert_nothing_left(registry)


async def handed_over_without_a_gap(draw: Random) -> None:
    """Tasks pass a name on, take it, wait for it, and end. It has one holder at each step, until its holder ends."""
    registry: Registry[str, int] = Registry("names")
    steps = [
        (what, other, wait) for what in ("pass", "take", "acquire", "end") for other in range(3) for wait in PAUSES
    ]
    programs = plans(draw, steps, tasks=3, length=4)
    owners: dict[int, Owner] = {}
    begin = trio.Event()

    async def player(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        owners[number] = me = registry.register(f"player {number}", number)
        task_status.started()
        await begin.wait()
        for what, other, wait in programs[number]:
            await pause(wait)
            if what == "take":
                former = registry.take("name", number)
                assert former is None or former == me or former.is_alive
                assert registry.whereis("name") == me
            elif what == "acquire" and registry.whereis("name") != me:
                with trio.move_on_after(2):  # another player may have taken it before this returns
                    assert await registry.acquire("name", number) == me
            elif what == "pass":
                try:
                    registry.transfer("name", owners[other])
                except NotRegistered:
                    assert registry.whereis("name") != me
                except ActorExited:
                    assert not owners[other].is_alive
                else:
                    assert registry.whereis("name") == owners[other]
            elif what == "end":
                return

    with trio.fail_after(100), always(lambda: assert_living(registry)):
        async with trio.open_nursery() as nursery:
            for number in range(len(programs)):
                await nursery.start(player, number, name=f"player {number}")
            begin.set()
    assert_nothing_left(registry)


async def holds_end_with_their_holder(draw: Random) -> None:
    """Actors hold names in handlers and in background tasks, and are ended. The names end with the actor or the block,
    the earlier of the two."""
    registry: Registry[str, None] = Registry("names")
    ends = [draw.choice(["stop", "kill", "cancel", "crash"]) for _ in range(3)]
    after = [draw.choice([0, 1, 1, 2]) for _ in ends]
    stays = [draw.choice([0, 1, 2]) for _ in ends]
    behind = [draw.random() < 0.5 for _ in ends]

    class Holder(Actor):
        async def work(self, key: str, seconds: float) -> None:
            with registry.hold(key):
                await pause(seconds)
                assert registry.whereis(key) == self.ref

        async def work_behind(self, key: str, seconds: float) -> None:
            self.start_soon(self.work, key, seconds)

        def crash(self) -> None:
            raise Boom

    async def end(number: int, ref: ActorRef[Holder]) -> None:
        await pause(after[number])
        if ends[number] == "stop":
            await ref.stop()
        elif ends[number] == "crash":
            ref.cast_nowait(Holder.crash)
        else:
            (ref.kill if ends[number] == "kill" else ref.cancel)()
        await ref.wait()
        assert registry.keys(ref) == []

    with trio.fail_after(100), always(lambda: assert_living(registry)):
        async with supervised(max_restarts=100) as supervisor, trio.open_nursery() as nursery:
            for number in range(len(ends)):
                ref = await supervisor.start_child(Holder, restart="temporary")
                method = Holder.work_behind if behind[number] else Holder.work
                ref.cast_nowait(method, f"name {number}", stays[number])
                nursery.start_soon(end, number, ref, name=f"ends holder {number}")
    assert_nothing_left(registry)


SCENARIOS: list[Any] = [
    names_come_and_go,
    acquired_by_one_at_a_time,
    locked_by_one_at_a_time,
    handed_over_without_a_gap,
    holds_end_with_their_holder,
]
