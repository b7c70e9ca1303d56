"""Tests the inside: a failure at any call within a start by message leaves no caller unanswered."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from importlib import import_module

import pytest
import trio
from support.faults import AtCall, Fault, fails_at_every_call, inside
from trio.testing import wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    DynamicSupervisor,
    NotRegistered,
    NotRunning,
    Registry,
    open_dynamic_supervisor,
)
from trioreg._actors import answers

BESIDE = import_module("trioreg._actors.beside")  # there is a function of that name too
NAMES: Registry[str, None] = Registry("names")


class Slow(Actor):
    async def on_start(self) -> None:
        await trio.sleep(1)


class Rooms(DynamicSupervisor):
    def open(self, key: str) -> Awaitable[ActorRef[Slow]]:
        return self.start_child(Slow, name=NAMES.via(key), restart="temporary")


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no memory
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("step", ["go_on_beside", "_run"])
def test_a_start_by_message_that_fails_leaves_no_caller_unanswered(step: str, which: int, is_stopped: bool) -> None:
    async def scenario(fault: Fault) -> None:
        over: list[str] = []
        begun: list[str] = []

        async def open_room(key: str) -> None:
            begun.append(key)
            with suppress(ActorExited, NotRunning, NotRegistered, MemoryError):
                await NAMES.via("rooms").call(Rooms.open, key)
            over.append(key)

        seen: list[object] = []

        def is_that(*args: object) -> bool:
            seen.append(args)
            return len(seen) == which + 1

        async with trio.open_nursery() as nursery:  # the callers are no part of the tree
            try:
                async with open_dynamic_supervisor() as supervisor:
                    ref = await supervisor.start_child(Rooms, name=NAMES.via("rooms"), restart="permanent")
                    with inside(BESIDE if step == "_run" else answers, step, fault, of=is_that):
                        for key in "abc":
                            nursery.start_soon(open_room, key)
                            await wait_all_tasks_blocked()
                        if is_stopped:
                            nursery.start_soon(ref.stop)
                        await trio.sleep(10)
                    assert sorted(over) == begun
                    owners = [NAMES.whereis(key) for key in ("rooms", "a", "b", "c")]
                    assert NAMES.count() == sum(isinstance(owner, ActorRef) and owner.is_alive for owner in owners)
                    with trio.fail_after(10):  # it has been restarted, or goes on
                        await NAMES.via("rooms").call(Rooms.open, "d")
                    await supervisor.start_child(Actor)
                    supervisor.stop()
            except* (MemoryError, ActorExited):
                pass
            await wait_all_tasks_blocked()
            assert sorted(over) == begun
        assert NAMES.count() == 0

    fails_at_every_call(AtCall, scenario)
