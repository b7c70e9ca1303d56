"""Actors on demand when their supervisor ends: each finishes what it has, and nothing new is taken."""

from __future__ import annotations

import math
import sys
from threading import Thread
from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.processes import in_a_fork
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, Backoff, Exit, NotRunning, OnDemandSupervisor, open_dynamic_supervisor, open_on_demand


class Sender(Cart):
    async def go_on(self, form: str, steps: int) -> None:
        await trio.sleep(1)
        self.note(steps)
        address: Any = self.shop.on_demand.via(self.key)
        if not steps:
            return
        if form == "cast_nowait":
            address.cast_nowait(Sender.go_on, form, steps - 1)
        elif form == "cast":
            await address.cast(Sender.go_on, form, steps - 1)
        elif form == "cast with keywords":
            address.cast_nowait(Sender.go_on, form, steps=steps - 1)
        elif form == "send_nowait":
            address.send_nowait("sent")
        else:
            await address.send("sent")

    @staticmethod
    async def _call(address: Any) -> None:
        await address.call(Sender.note, "called")

    async def call_itself(self) -> str:
        await trio.sleep(1)
        self.start_soon(self._call_in_background)
        await trio.sleep(1)
        return "done"

    async def _call_in_background(self) -> None:
        with pytest.raises(NotRunning):
            await self.shop.on_demand.via(self.key).call(Cart.note, "called")
        self.shop.handled["background"].append("refused")

    async def ask(self, key: str) -> None:
        await trio.sleep(1)
        with pytest.raises(NotRunning, match=r"^carts is not running: it shuts down, and starts no more actors$"):
            await self.shop.on_demand.via(key).call(Cart.note, 1)
        self.note("refused")


@pytest.mark.parametrize("max_running", [math.inf, 1])
@pytest.mark.parametrize("form", ["cast_nowait", "cast", "cast with keywords", "send_nowait", "send"])
async def test_what_an_actor_sends_to_its_own_key_then_is_counted_as_unhandled_and_crashes_nothing(
    form: str, max_running: float, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts: Any = shop.carts(Sender, max_running=max_running)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Sender.go_on, form, 3)
        carts.via("a").cast_nowait(Sender.note, "behind")
        await wait_all_tasks_blocked()
        ref = carts.whereis("a")
    assert shop.handled == {"a": [3, "behind"]}
    assert ref.exit == Exit("normal")
    assert "with 1 unhandled message in its mailbox" in caplog.text


@pytest.mark.parametrize("max_running", [math.inf, 1])
async def test_a_call_to_its_own_key_then_is_refused(max_running: float, autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Sender, max_running=max_running)
    answers: list[str] = []

    async def ask() -> None:
        answers.append(await carts.via("a").call(Sender.call_itself))

    async with trio.open_nursery() as nursery, open_on_demand(carts):
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
    assert answers == ["done"]
    assert shop.handled == {"background": ["refused"]}


@pytest.mark.parametrize("key", ["idle", "busy", "new"])
async def test_what_an_actor_sends_to_another_key_then_is_refused(key: str, autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Sender)
    async with open_on_demand(carts):
        await carts.via("idle").call(Sender.note, 1)
        carts.via("busy").cast_nowait(Sender.note_slowly, 1, 3)
        carts.via("a").cast_nowait(Sender.ask, key)
        await wait_all_tasks_blocked()
    assert shop.handled["a"] == ["refused"]


class Stubborn(Cart):
    async def shield(self, seconds: float) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)
        self.note("ended")


async def test_a_killed_actor_that_shields_itself_holds_up_only_itself(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Stubborn, max_running=2, shutdown=5)
    ends: dict[str, float] = {}

    async def note_end(key: str) -> None:
        await carts.via(key).wait()
        ends[key] = trio.current_time()

    async with trio.open_nursery() as nursery, open_on_demand(carts):
        carts.via("long").cast_nowait(Stubborn.shield, 100)
        carts.via("short").cast_nowait(Stubborn.shield, 10)
        carts.via("next").cast_nowait(Stubborn.note_slowly, 1, math.inf)
        await wait_all_tasks_blocked()
        for key in ("long", "short", "next"):
            nursery.start_soon(note_end, key)
        await wait_all_tasks_blocked()
    assert ends == {"short": 10, "next": 15, "long": 100}


async def test_each_that_starts_only_then_has_its_own_time(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(max_running=2, shutdown=5)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1, 4)
        carts.via("b").cast_nowait(Cart.note_slowly, 1, math.inf)
        carts.via("c").cast_nowait(Cart.note_slowly, 1, math.inf)  # starts at 4, instead of a
        carts.via("d").cast_nowait(Cart.note_slowly, 1, 3)  # starts at 5, instead of b
        await wait_all_tasks_blocked()
    assert trio.current_time() == 9
    assert {key: len(messages) for key, messages in shop.handled.items()} == dict.fromkeys("abcd", 1)


async def test_callers_that_wait_for_room_then_are_served_or_told(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=1, shutdown=3)
    answers: list[object] = []

    async def ask(key: str) -> None:
        try:
            answers.append(await carts.via(key).call(Cart.note_slowly, key, 2 if key < "d" else math.inf))
        except ActorExited as error:
            answers.append((key, error.exit.reason))

    async with trio.open_nursery() as nursery, open_on_demand(carts):
        for key in "abcd":
            nursery.start_soon(ask, key)
            await wait_all_tasks_blocked()
        with trio.move_on_after(0.5):
            await carts.via("e").call(Cart.note, "given up")
    assert answers == ["a", "b", "c", ("d", "killed")]
    assert "e" not in shop.lives


def test_another_run_can_run_them_afterwards() -> None:
    shop = Shop()
    carts = shop.carts(max_running=1)

    async def main() -> None:
        async with open_on_demand(carts):
            for key in "ab":
                carts.via(key).cast_nowait(Cart.note_slowly, 1, 1)

    for _ in range(2):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert shop.handled == {"a": [1, 1], "b": [1, 1]}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
async def test_after_a_fork_the_child_can_run_them_anew(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts()

    async def main() -> None:
        shop.refs.clear()
        with trio.fail_after(5):
            async with open_on_demand(carts):
                assert len(carts) == 0
                assert await carts.via("a").call(Cart.note, 2) == 2

    def check() -> None:
        errors: list[BaseException] = []

        def run() -> None:
            try:
                trio.run(main)
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=run)  # in this thread Trio still has the parent's run
        thread.start()
        thread.join()
        assert errors == []

    async with open_on_demand(carts):
        await carts.via("a").call(Cart.note, 1)
        in_a_fork(check)
        assert await carts.via("a").call(Cart.note, 3) == 3


async def test_a_supervisor_that_is_terminated_and_started_again_runs_them_again(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(shutdown=10)
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(OnDemandSupervisor, carts)
        carts.via("a").cast_nowait(Cart.note_slowly, 1, 3)
        await wait_all_tasks_blocked()
        await supervisor.terminate_child(ref)
        assert trio.current_time() == 3
        with pytest.raises(NotRunning):
            carts.via("a").cast_nowait(Cart.note, "between")
        await supervisor.start_child(OnDemandSupervisor, carts)
        assert await carts.via("a").call(Cart.note, 2) == 2
        supervisor.stop()
    assert shop.handled == {"a": [1, 2]}


async def test_at_the_shutdown_a_next_life_does_not_wait_for_its_backoff(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stop_takes = 1
    carts = shop.carts(backoff=Backoff(initial=3, maximum=60), shutdown=100)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.crash)
        await wait_all_tasks_blocked()  # it is ending
        carts.via("a").cast_nowait(Cart.note, 1)
    assert shop.handled == {"a": [1]}
    assert trio.current_time() == 2  # both lives have ended
