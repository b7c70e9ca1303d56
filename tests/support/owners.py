"""Owners of both sorts for the registry's tests: actors and plain tasks that live until they are told to end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, cast

import attrs
import trio

from support.inside import owner_of_this_task
from support.supervisors import supervised
from trioreg import Actor, ActorRef, DynamicSupervisor, Owner, Registry

End: TypeAlias = Literal["returns", "crashes", "is cancelled", "is killed"]
Sort: TypeAlias = Literal["actor", "task"]

ENDS: list[End] = ["returns", "crashes", "is cancelled", "is killed"]
SORTS: list[Sort] = ["actor", "task"]


class Crash(Exception):
    """The error of an owner that crashes."""


class Holder(Actor):
    """It lives until it is ended, and runs a function that it is given as its own code."""

    def run(self, function: Callable[[], object]) -> object:
        return function()

    def crash(self) -> None:
        raise Crash


@attrs.frozen
class _Life:
    orders: trio.MemorySendChannel[End | Callable[[], object]]
    results: trio.MemoryReceiveChannel[object]
    ended: trio.Event


class Stage:
    """Starts owners and ends them."""

    def __init__(self, supervisor: DynamicSupervisor, nursery: trio.Nursery) -> None:
        self.supervisor = supervisor
        self._nursery = nursery
        self._tasks: dict[Owner, _Life] = {}

    async def start(self, sort: Sort) -> Owner:
        return await (self.actor() if sort == "actor" else self.task())

    async def actor(self) -> ActorRef[Holder]:
        return await self.supervisor.start_child(Holder, restart="temporary")

    async def task(self) -> Owner:
        return cast("Owner", await self._nursery.start(self._host))

    async def run(self, owner: Owner, function: Callable[[], object]) -> Any:
        """Have ``function`` called by the owner itself."""
        if isinstance(owner, ActorRef):
            return await cast("ActorRef[Holder]", owner).call(Holder.run, function)
        life = self._tasks[owner]
        life.orders.send_nowait(function)
        return await life.results.receive()

    async def end(self, owner: Owner, how: End = "returns") -> None:
        """End an owner, and wait until it has ended."""
        if isinstance(owner, ActorRef):
            ref = cast("ActorRef[Holder]", owner)
            if how == "returns":
                await ref.stop()
            elif how == "crashes":
                ref.cast_nowait(Holder.crash)
            elif how == "is cancelled":
                ref.cancel()
            else:
                ref.kill()
            await ref.wait()
        else:
            life = self._tasks.pop(owner)
            life.orders.send_nowait(how)
            await life.ended.wait()

    async def _host(self, *, task_status: trio.TaskStatus[Owner]) -> None:
        ended = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                task_status.started(await nursery.start(self._live, ended))
        except* Crash:
            pass
        ended.set()

    async def _live(self, ended: trio.Event, *, task_status: trio.TaskStatus[Owner]) -> None:
        orders, next_order = trio.open_memory_channel[End | Callable[[], object]](1)
        result, results = trio.open_memory_channel[object](1)
        owner = owner_of_this_task()
        self._tasks[owner] = _Life(orders, results, ended)
        with trio.CancelScope() as scope:
            task_status.started(owner)
            async for order in next_order:
                if callable(order):
                    result.send_nowait(order())
                elif order == "returns":
                    return
                elif order == "crashes":
                    raise Crash
                else:
                    scope.cancel()


@asynccontextmanager
async def staged(*, max_restarts: float = 1_000) -> AsyncGenerator[Stage]:
    """A stage; the owners that are left on it at the end of the block are cancelled."""
    async with supervised(max_restarts=max_restarts) as supervisor, trio.open_nursery() as nursery:
        yield Stage(supervisor, nursery)
        nursery.cancel_scope.cancel()


def held_by(registry: Registry[Any, Any], key: object) -> list[Owner]:
    """The owners that are registered as ``key``."""
    return [entry.owner for entry in registry.lookup(key)]
