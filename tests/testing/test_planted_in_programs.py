"""explore() finds bugs in programs, each a well-known one. The program without its bug passes.

Each program is told whether it has its bug.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import trio
from trio.lowlevel import checkpoint

from trioreg import Actor, Owner, Registry, open_dynamic_supervisor
from trioreg.testing import ScheduleFailed, explore

RUNS = int(os.environ.get("TRIOREG_EXPLORE_RUNS", "30"))
"""Under how many schedules the right programs are run."""


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def steps(count: int) -> None:
    for _ in range(count):
        await checkpoint()


class Cart(Actor):
    pass


async def one_actor_for_each_key(has_bug: bool) -> None:
    """A double start: two tasks find no actor, and each starts one."""
    names: Registry[str, None] = Registry("carts")
    found: set[Owner] = set()

    async def visit(pause: int) -> None:
        await steps(pause)
        name = names.via("a-17", of=Cart)
        if has_bug:
            ref = name.whereis() or await supervisor.start_child(Cart, restart="temporary")
            if name.whereis() is None:
                names.register("a-17", owner=ref)
        else:
            ref = await supervisor.start_or_get(Cart, name=name, restart="temporary")
        found.add(ref)

    async with open_dynamic_supervisor() as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(visit, 0)
            nursery.start_soon(visit, 2)
        supervisor.stop()
    assert len(found) == 1, "two actors for one key"


class Ledger(Actor):
    def __init__(self) -> None:
        self.notes: list[str] = []

    async def note(self, text: str) -> None:
        await trio.sleep(1)
        self.notes.append(text)

    async def note_once(self, text: str) -> None:
        await trio.sleep(1)
        if text not in self.notes:
            self.notes.append(text)

    def total(self) -> int:
        return len(self.notes)


async def a_note_is_taken_once(has_bug: bool) -> None:
    """A publication told twice: the sender has no answer in time, and sends it again."""

    async def tell() -> None:
        for _ in range(3):
            with trio.move_on_after(1):
                await ledger.call(Ledger.note if has_bug else Ledger.note_once, "sold")
                return

    async with open_dynamic_supervisor() as supervisor:
        ledger = await supervisor.start_child(Ledger)
        await tell()
        assert await ledger.call(Ledger.total) == 1, "told twice"
        supervisor.stop()


class OwnLock:
    """A lock that a user has written."""

    def __init__(self, has_bug: bool) -> None:
        self.is_held = False
        self.waiting: deque[trio.Event] = deque()
        self.has_bug = has_bug

    async def acquire(self) -> None:
        while self.is_held:
            event = trio.Event()
            self.waiting.append(event)
            await event.wait()
            if self.has_bug:
                break  # the lock was free when this task was woken: is it still?
        self.is_held = True

    def release(self) -> None:
        self.is_held = False
        if self.waiting:
            self.waiting.popleft().set()


async def a_lock_has_one_holder(has_bug: bool) -> None:
    """A lock held by two: it was free when a task was woken, and is taken when that task runs."""
    lock = OwnLock(has_bug)
    inside = 0

    async def enter(pause: int) -> None:
        nonlocal inside
        await steps(pause)
        await lock.acquire()
        inside += 1
        assert inside == 1, "two tasks have the lock"
        await steps(2)
        inside -= 1
        lock.release()

    async with trio.open_nursery() as nursery:
        for pause in (0, 1, 3):
            nursery.start_soon(enter, pause)


async def two_locks_in_one_order(has_bug: bool) -> None:
    """A deadlock: two tasks take two locks in different orders."""
    names: Registry[str, None] = Registry("accounts")

    async def transfer(one: str, other: str, pause: int) -> None:
        await steps(pause)
        first, second = (one, other) if has_bug else sorted((one, other))
        async with names.lock(first), names.lock(second):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(transfer, "a", "b", 0)
        nursery.start_soon(transfer, "b", "a", 1)


async def nothing_is_lost_when_a_reader_is_cancelled(has_bug: bool) -> None:
    """A lost message at shutdown: it has been taken, and its reader is cancelled before it is stored."""
    send, receive = trio.open_memory_channel[int](10)
    stored: list[int] = []

    async def read() -> None:
        async for number in receive:
            with trio.CancelScope(shield=not has_bug):
                await checkpoint()
                stored.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for number in range(3):
            await steps(3)
            send.send_nowait(number)
        await checkpoint()
        nursery.cancel_scope.cancel()
    left = receive.statistics().current_buffer_used
    assert len(stored) + left == 3, "a message is lost"


class Shop(Actor):
    def __init__(self) -> None:
        self.tickets = 1

    def left(self) -> int:
        return self.tickets

    def take(self) -> None:
        self.tickets -= 1

    def take_if_left(self) -> bool:
        if self.tickets == 0:
            return False
        self.take()
        return True


async def a_ticket_is_sold_once(has_bug: bool) -> None:
    """Check, then act: between two calls, another task takes what was there."""
    sold: list[int] = []

    async def buy(pause: int) -> None:
        await steps(pause)
        if has_bug:
            if not await shop.call(Shop.left):
                return
            await shop.call(Shop.take)
        elif not await shop.call(Shop.take_if_left):
            return
        sold.append(pause)

    async with open_dynamic_supervisor() as supervisor:
        shop = await supervisor.start_child(Shop)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(buy, 0)
            nursery.start_soon(buy, 1)
        supervisor.stop()
    assert len(sold) == 1, "sold twice"


PROGRAMS = [
    one_actor_for_each_key,
    a_note_is_taken_once,
    a_lock_has_one_holder,
    two_locks_in_one_order,
    nothing_is_lost_when_a_reader_is_cancelled,
    a_ticket_is_sold_once,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_bug_in_a_program_is_found(program: Any) -> None:
    with pytest.raises(ScheduleFailed):
        explore(partial(program, has_bug=True), runs=1000)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_without_that_bug_passes(program: Any) -> None:
    assert explore(partial(program, has_bug=False), runs=RUNS).schedules > 1
