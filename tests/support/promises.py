"""What the tests of the promises share: actors that end in every way, or do not start; ends; empty registries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import trio

from support.errors import Bang
from support.watcher import rows
from trioreg import Actor, ActorExited, ActorRef, Exit, Registry


def assert_empty(first: Registry[Any, Any], *others: Registry[Any, Any]) -> None:
    for registry in (first, *others):
        assert registry.count() == 0
        assert rows(registry) == []


class Agent(Actor):
    """An actor that can end in every way."""

    def __init__(self, registry: Registry[str, int] | None = None, keys: Sequence[str] = ()) -> None:
        for key in keys:
            assert registry is not None
            registry.register(key, 7)

    def ping(self) -> str:
        return "pong"

    async def aping(self) -> str:
        await trio.lowlevel.checkpoint()
        return "pong"

    def bang(self) -> None:
        raise Bang

    async def abang(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    def bang_behind(self) -> None:
        async def bang() -> None:
            raise Bang

        self.start_soon(bang)


class StopsSlowly(Agent):
    """It takes a second for `on_stop`."""

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)


async def went_on() -> None:
    """Fail if the block goes on: an error of its children should leave it."""
    await trio.sleep(1000)
    raise AssertionError("the block went on")


async def stop(ref: ActorRef[Agent]) -> None:
    await ref.stop()


async def cancel(ref: ActorRef[Agent]) -> None:
    ref.cancel()


async def kill(ref: ActorRef[Agent]) -> None:
    ref.kill()


async def crash_inline(ref: ActorRef[Agent]) -> None:
    with pytest.raises(ActorExited):
        await ref.call(Agent.bang)


async def crash_queued(ref: ActorRef[Agent]) -> None:
    ref.cast_nowait(Agent.bang)


async def crash_async(ref: ActorRef[Agent]) -> None:
    ref.cast_nowait(Agent.abang)


async def crash_in_background(ref: ActorRef[Agent]) -> None:
    ref.cast_nowait(Agent.bang_behind)


ACTOR_ENDS = [stop, cancel, kill, crash_inline, crash_queued, crash_async, crash_in_background]


End = Callable[[ActorRef[Agent]], Awaitable[None]]


actor_ends = pytest.mark.parametrize("end", ACTOR_ENDS, ids=[end.__name__ for end in ACTOR_ENDS])


class BadInit(Actor):
    def __init__(self, registry: Registry[str, int]) -> None:
        registry.register("in init", 1)
        raise Bang


class BadStart(Actor):
    def __init__(self, registry: Registry[str, int]) -> None:
        self.registry = registry
        registry.register("in init", 1)

    async def on_start(self) -> None:
        self.registry.register("in on_start", 2)
        await trio.lowlevel.checkpoint()
        raise Bang


class BadBackground(Actor):
    def __init__(self, registry: Registry[str, int]) -> None:
        self.registry = registry
        self.start_soon(self._work)

    async def on_start(self) -> None:
        await trio.sleep_forever()

    async def _work(self) -> None:
        self.registry.register("in background", 3)
        raise Bang
