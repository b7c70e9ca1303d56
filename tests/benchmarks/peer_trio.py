"""Trio's floor: what Trio itself costs, for the steps that each library on top of it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from _peer import ACTORS, NAMES, Operation, Sampler, serve
from trio.lowlevel import Abort, RaiseCancelT, Task, checkpoint, current_task, reschedule, wait_task_rescheduled
from trio.testing import wait_all_tasks_blocked


def aborted(_: RaiseCancelT) -> Abort:
    return Abort.SUCCEEDED


class Table:
    """A method around ``dict.get``: the least that a look-up can cost."""

    def __init__(self) -> None:
        self._table = {f"agent {number}": number for number in range(NAMES)}

    def lookup(self, key: str) -> int | None:
        return self._table.get(key)


async def lookup(sampler: Sampler) -> list[float]:
    table = Table()
    keys = [f"agent {number}" for number in range(NAMES)]

    def run(n: int) -> None:
        for _ in range(n):
            for key in keys:
                table.lookup(key)

    return await sampler.wait(run, len(keys))


async def one_checkpoint(sampler: Sampler) -> list[float]:
    async def run(n: int) -> None:
        for _ in range(n):
            await checkpoint()

    return await sampler.wait(run)


async def two_switches(sampler: Sampler) -> list[float]:
    """Switch to another task and back."""
    main = current_task()
    partner: Task | None = None

    async def answer() -> None:
        nonlocal partner
        partner = current_task()
        while True:
            await wait_task_rescheduled(aborted)
            reschedule(main)

    async def run(n: int) -> None:
        assert partner is not None
        for _ in range(n):
            reschedule(partner)
            await wait_task_rescheduled(aborted)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        await wait_all_tasks_blocked()
        samples = await sampler.wait(run)
        nursery.cancel_scope.cancel()
    return samples


async def reschedule_many(sampler: Sampler) -> list[float]:
    """Wake many parked tasks; only the waking counts."""
    return await _reschedule(sampler, ACTORS, is_counted_to_the_end=False)


async def reschedule_hundred(sampler: Sampler) -> list[float]:
    """Wake a hundred parked tasks; only the waking counts."""
    return await _reschedule(sampler, 100, is_counted_to_the_end=False)


async def reschedule_and_run(sampler: Sampler) -> list[float]:
    """Wake many parked tasks, and wait until each has run and is parked again."""
    return await _reschedule(sampler, ACTORS, is_counted_to_the_end=True)


async def channels(sampler: Sampler) -> list[float]:
    """One sender, and many receivers with a memory channel each."""
    main = current_task()
    senders: list[trio.MemorySendChannel[str]] = []
    left = 0

    async def receiver(channel: trio.MemoryReceiveChannel[str]) -> None:
        nonlocal left
        async for _ in channel:
            left -= 1
            if not left:
                reschedule(main)

    async def run(n: int) -> None:
        nonlocal left
        for _ in range(n):
            left = len(senders)
            for sender in senders:
                sender.send_nowait("hello")
            await wait_task_rescheduled(aborted)

    async with trio.open_nursery() as nursery:
        for _ in range(ACTORS):
            send, receive = trio.open_memory_channel[str](10)
            senders.append(send)
            nursery.start_soon(receiver, receive)
        await wait_all_tasks_blocked()
        samples = await sampler.wait(run, ACTORS)
        nursery.cancel_scope.cancel()
    return samples


async def limiter(sampler: Sampler) -> list[float]:
    limiter = trio.CapacityLimiter(8)

    async def run(n: int) -> None:
        for _ in range(n):
            async with limiter:
                pass

    return await sampler.wait(run)


async def _reschedule(sampler: Sampler, number: int, *, is_counted_to_the_end: bool) -> list[float]:
    main = current_task()
    tasks: list[Task] = []
    left = 0

    async def park() -> None:
        nonlocal left
        tasks.append(current_task())
        while True:
            await wait_task_rescheduled(aborted)
            left -= 1
            if not left:
                reschedule(main)

    async def run(n: int) -> float | None:
        nonlocal left
        counted = 0.0
        for _ in range(n):
            left = len(tasks)
            began = sampler.clock()
            for task in tasks:
                reschedule(task)
            counted += sampler.clock() - began
            await wait_task_rescheduled(aborted)
        return None if is_counted_to_the_end else counted

    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(park)
        await wait_all_tasks_blocked()
        samples = await sampler.wait(run, number)
        nursery.cancel_scope.cancel()
    return samples


async def spawn(sampler: Sampler) -> list[float]:
    """Start a task and wait for its end, a hundred tasks at a time."""
    main = current_task()
    left = 0

    async def child() -> None:
        nonlocal left
        left -= 1
        if not left:
            reschedule(main)

    async with trio.open_nursery() as nursery:

        async def run(n: int) -> None:
            nonlocal left
            for _ in range(n):
                left = 100
                for _ in range(100):
                    nursery.start_soon(child)
                await wait_task_rescheduled(aborted)

        return await sampler.wait(run, 100)
    raise AssertionError("unreachable")


async def start_stop_task(sampler: Sampler) -> list[float]:
    """Start a task and wait until it says that it runs; ask it to end and wait until it has.

    That is what the start and the stop of an actor can't do without: a spawn, and four passes of the scheduler.
    """
    main = current_task()
    started: Task | None = None

    async def child() -> None:
        nonlocal started
        started = current_task()
        reschedule(main)
        await wait_task_rescheduled(aborted)
        reschedule(main)

    async with trio.open_nursery() as nursery:

        async def run(n: int) -> None:
            for _ in range(n):
                nursery.start_soon(child)
                await wait_task_rescheduled(aborted)
                assert started is not None
                reschedule(started)
                await wait_task_rescheduled(aborted)

        return await sampler.wait(run)
    raise AssertionError("unreachable")


FLOORS: dict[str, Callable[[Sampler], Awaitable[list[float]]]] = {
    "dict_get": lookup,
    "checkpoint": one_checkpoint,
    "two_switches": two_switches,
    "reschedule": reschedule_many,
    "reschedule_hundred": reschedule_hundred,
    "reschedule_and_run": reschedule_and_run,
    "channels": channels,
    "limiter": limiter,
    "spawn": spawn,
    "start_stop_task": start_stop_task,
}


def in_trio(measure: Callable[[Sampler], Awaitable[list[float]]]) -> Operation:
    return lambda sampler: trio.run(measure, sampler)


if __name__ == "__main__":
    serve({"trio": trio.__version__}, {name: in_trio(measure) for name, measure in FLOORS.items()})
