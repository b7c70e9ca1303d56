"""What a ``__del__`` asks of an actor while the garbage collector runs is done a little later."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
from support.finalizers import Cyclic
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor

pytestmark = pytest.mark.usefixtures("no_collection")


class Keeper(Actor):
    def __init__(self) -> None:
        self.got: list[object] = []

    def stop_later(self) -> None:
        Cyclic(lambda: self.stop("done"))

    def remind(self) -> None:
        timer = self.send_after(5, "wake up")
        Cyclic(timer.cancel)

    def received(self) -> list[object]:
        return self.got

    async def on_message(self, message: Any) -> None:
        self.got.append(message)


async def test_an_actor_that_a_finalizer_stops_ends_after_the_collection(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Keeper, restart="temporary")
        await ref.call(Keeper.stop_later)
        gc.collect()
        assert ref.is_alive
        exit = await ref.wait()
        assert (exit.reason, exit.value) == ("normal", "done")


async def test_a_timer_that_a_finalizer_cancels_sends_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Keeper)
        await ref.call(Keeper.remind)
        gc.collect()
        await wait_all_tasks_blocked()
        await trio.sleep(10)
        assert await ref.call(Keeper.received) == []
