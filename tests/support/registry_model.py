"""A naive model of a registry, a list of rows, and a Trio run that goes on only while it is waited for."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import attrs
import outcome
import trio
from trio.testing import wait_all_tasks_blocked

from support.owners import Stage, staged
from trioreg import (
    ActorExited,
    Event,
    Exit,
    Owner,
    Registered,
    Unregistered,
)

T = TypeVar("T")
KEYS = ["a", "b", "c", 1, True, 1.0, ("nested", 1)]


class Guest:
    """A Trio run that goes on only while `do` waits for it."""

    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._end: outcome.Outcome[None] | None = None
        self._is_ready = False
        self._send, self._jobs = trio.open_memory_channel[Callable[[], Awaitable[None]]](1)
        self.stage: Stage
        self.nursery: trio.Nursery
        self._token: trio.lowlevel.TrioToken
        trio.lowlevel.start_guest_run(self._main, run_sync_soon_threadsafe=self._steps.put, done_callback=self._set_end)
        while not self._is_ready:
            self._step()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with staged() as self.stage, trio.open_nursery() as self.nursery:
            self._is_ready = True
            async for job in self._jobs:
                await job()
            self.nursery.cancel_scope.cancel()

    def _set_end(self, end: outcome.Outcome[None]) -> None:
        self._end = end

    def _step(self) -> None:
        self._steps.get()()
        if self._end is not None:
            self._end.unwrap()

    def do(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run ``function`` in Trio, until it has returned and all tasks wait."""
        results: list[outcome.Outcome[T]] = []

        async def job() -> None:
            result = await outcome.acapture(function)
            await wait_all_tasks_blocked()
            results.append(result)

        self._token.run_sync_soon(self._send.send_nowait, job)
        while not results:
            assert self._end is None, "the run is over"
            self._step()
        return results[0].unwrap()

    def close(self) -> None:
        if self._end is None:
            self._token.run_sync_soon(self._send.close)
        while self._end is None:
            self._step()


# The model


@attrs.define(eq=False)
class Row:
    """A registration."""

    key: Any
    owner: Owner
    value: int


@attrs.define(eq=False)
class Wait:
    """A task that waits: for its turn, for a name, or for a lock.

    Attributes:
        owner: For whom, where it waits for its turn.
        expected: What it should have come to; None while it should wait.
        result: What it has come to.
        release: Set to have it leave the lock.
    """

    key: Any
    owner: Owner | None = None
    value: int = 0
    expected: object = None
    result: object = None
    scope: trio.CancelScope = attrs.Factory(trio.CancelScope)
    release: trio.Event = attrs.Factory(trio.Event)
    crashes: bool = False


@attrs.define(eq=False)
class Hold:
    context: AbstractContextManager[None]
    row: Row


class Model:
    """What a registry should be."""

    def __init__(self, is_unique: bool) -> None:
        self.is_unique = is_unique
        self.rows: list[Row] = []
        self.queue: list[Wait] = []
        self.events: list[Event[Any, int]] = []

    def of(self, key: Any, owner: Owner | None = None) -> list[Row]:
        return [row for row in self.rows if row.key == key and (owner is None or row.owner == owner)]

    def add(self, key: Any, owner: Owner, value: int) -> Row:
        row = Row(key, owner, value)
        self.rows.append(row)
        self.events.append(Registered("tested", key, owner, value))
        return row

    def remove(self, row: Row, exit: Exit | None = None) -> None:
        self.rows.remove(row)
        self.events.append(Unregistered("tested", row.key, row.owner, row.value, exit))
        for wait in self.queue:
            if wait.key == row.key:
                self.queue.remove(wait)
                assert wait.owner is not None
                wait.expected = wait.owner
                self.add(wait.key, wait.owner, wait.value)
                return

    def end(self, owner: Owner, exit: Exit | None) -> None:
        for wait in [wait for wait in self.queue if wait.owner == owner]:
            self.queue.remove(wait)
            wait.expected = ActorExited
        for row in [row for row in self.rows if row.owner == owner]:
            self.remove(row, exit)

    def hand_over(self, row: Row, to: Owner, value: int, exit: Exit | None = None) -> None:
        self.rows[self.rows.index(row)] = Row(row.key, to, value)
        self.events.append(Unregistered("tested", row.key, row.owner, row.value, exit))
        self.events.append(Registered("tested", row.key, to, value))
        for wait in self.queue:
            if wait.key == row.key and wait.owner == to:
                self.queue.remove(wait)
                wait.expected = to
                return
