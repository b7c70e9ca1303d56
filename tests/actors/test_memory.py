"""What is not kept alive: handled messages, answered calls, and the state of actors that have ended."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from support.idlers import Idler
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor


@pytest.mark.parametrize("method", [SecretAgent.echo, SecretAgent.aecho])
@pytest.mark.parametrize("operation", ["call", "cast"])
async def test_an_idle_actor_keeps_nothing_of_its_last_message(
    method: Any, operation: str, autojump_clock: MockClock
) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        text = Text("long")
        kept = weakref.ref(text)
        if operation == "call":
            await ref.call(method, text)
        else:
            ref.cast_nowait(method, text)
        del text
        await idle(ref)
        gc.collect()
        assert kept() is None


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_state_of_an_ended_actor_is_not_kept_by_its_reference(end: str, autojump_clock: MockClock) -> None:
    class Treasure:
        pass

    class Chest(Actor):
        def __init__(self) -> None:
            self.treasure = Treasure()

        def look(self) -> weakref.ref[Treasure]:
            return weakref.ref(self.treasure)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Chest, restart="temporary")
        treasure = await ref.call(Chest.look)
        assert treasure() is not None
        if end == "stop":
            await ref.stop()
        else:
            ref.kill()
            await ref.wait()
        gc.collect()
        assert treasure() is None
        assert ref.exit is not None


async def test_a_message_to_an_idle_actor_leaves_one_object_for_the_garbage_collector(
    autojump_clock: MockClock,
) -> None:
    actors = 100
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Idler, list[object]()) for _ in range(actors)]
        for _ in range(2):  # the first async handler brings a scope with it
            for ref in refs:
                ref.send_nowait("message")
            await wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        try:
            for ref in refs:
                ref.send_nowait("message")
            await wait_all_tasks_blocked()
            young = gc.get_objects(generation=0)
        finally:
            gc.enable()
        assert actors <= len(young) < 1.5 * actors
        del young
