"""Timers: `send_after` and `send_every`, of actors and of functions."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, Exit, Timer


class Clock(Actor):
    def __init__(self) -> None:
        self.heard: list[tuple[float, object]] = []
        self.began = trio.current_time()
        self.timer: Timer | None = None

    async def on_message(self, message: Any) -> None:
        self.heard.append((trio.current_time() - self.began, message))

    def after(self, seconds: float, message: object) -> None:
        self.timer = self.send_after(seconds, message)

    def every(self, seconds: float, message: object) -> None:
        self.timer = self.send_every(seconds, message)

    def cancel_timer(self) -> None:
        assert self.timer is not None
        self.timer.cancel()

    def read(self) -> list[tuple[float, object]]:
        return self.heard


async def test_send_after_sends_once_after_its_seconds(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 5, "tick")
        await trio.sleep(20)
        assert await clock.call(Clock.read) == [(5, "tick")]


async def test_send_every_sends_until_it_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.every, 3, "tick")
        await trio.sleep(10)
        await clock.call(Clock.cancel_timer)
        await trio.sleep(10)
        assert await clock.call(Clock.read) == [(3, "tick"), (6, "tick"), (9, "tick")]


@pytest.mark.parametrize("mailbox_size", [None, 1])
async def test_repeated_messages_do_not_pile_up_while_the_actor_is_busy(
    mailbox_size: int | None, autojump_clock: MockClock
) -> None:
    class Busy(Clock):
        async def work(self, seconds: float) -> None:
            await trio.sleep(seconds)

    Busy.mailbox_size = mailbox_size
    async with supervised() as supervisor:
        busy = await supervisor.start_child(Busy)
        await busy.call(Clock.every, 3, "tick")
        await busy.call(Busy.work, 10)
        await busy.call(Busy.work, 1)
        await trio.sleep(2)
        heard = await busy.call(Clock.read)
        assert [time for time, _ in heard] == [10, 12]


async def test_repeated_messages_do_not_pile_up_while_a_function_does_not_receive(autojump_clock: MockClock) -> None:
    heard: list[float] = []

    async def function() -> None:
        began = trio.current_time()
        trioreg.send_every(3, "tick")
        await trio.sleep(10)
        for _ in range(2):
            assert await trioreg.receive() == "tick"
            heard.append(trio.current_time() - began)

    async with supervised() as supervisor:
        await (await supervisor.start_child(function)).wait()
    assert heard == [10, 12]


async def test_a_repeated_message_that_has_waited_for_room_does_not_hold_up_the_next_ones(
    autojump_clock: MockClock,
) -> None:
    class Busy(Clock):
        mailbox_size = 1

        async def work(self, seconds: float) -> None:
            await trio.sleep(seconds)

    async with supervised() as supervisor:
        busy = await supervisor.start_child(Busy)
        await busy.call(Clock.every, 3, "tick")
        await busy.cast(Busy.work, 10)
        await wait_all_tasks_blocked()
        busy.send_nowait("other")
        await trio.sleep(18)
        # The first tick gets in and is handled in one turn of the actor: its timer learns of it afterwards.
        assert [time for time, _ in await busy.call(Clock.read) if time > 10] == [13, 16]


async def test_a_cancelled_timer_sends_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 5, "tick")
        await clock.call(Clock.cancel_timer)
        await trio.sleep(20)
        assert await clock.call(Clock.read) == []


async def test_a_timer_does_not_outlive_its_actor(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock, restart="temporary")
        await clock.call(Clock.after, 1000, "tick")
        began = trio.current_time()
        assert (await clock.stop()).reason == "normal"
        assert trio.current_time() == began


class StopsSlowly(Clock):
    async def stop_slowly(self) -> None:
        self.after(1, "tick")
        self.stop()
        await trio.sleep(3)


async def end_of_one_that_stops_slowly() -> Exit:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(StopsSlowly, restart="temporary")
        await ref.cast(StopsSlowly.stop_slowly)
        return await ref.wait()


async def test_a_timer_due_while_its_actor_stops_does_not_crash_it(autojump_clock: MockClock) -> None:
    assert (await end_of_one_that_stops_slowly()).reason == "normal"


async def test_a_timer_due_while_its_actor_stops_sends_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    await end_of_one_that_stops_slowly()
    assert "unhandled" not in caplog.text


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), ("1", TypeError), (True, TypeError)])
async def test_wrong_seconds_are_refused(seconds: Any, error: type[Exception]) -> None:
    class Wrong(Clock):
        @trioreg.raises(TypeError, ValueError)
        def wrong(self) -> None:
            self.send_after(seconds, "tick")

    async with supervised() as supervisor:
        clock = await supervisor.start_child(Wrong)
        with pytest.raises(error, match="seconds"):
            await clock.call(Wrong.wrong)
        assert clock.is_alive


async def test_a_function_receives_its_send_after_message(autojump_clock: MockClock) -> None:
    async def wait_for_tea() -> tuple[object, float]:
        began = trio.current_time()
        trioreg.send_after(180, "tea")
        return await trioreg.receive(), trio.current_time() - began

    async with supervised() as supervisor:
        ref = await supervisor.start_child(wait_for_tea)
        assert await ref.result() == ("tea", 180)


async def test_a_function_receives_its_send_every_messages_until_it_cancels_them(
    autojump_clock: MockClock,
) -> None:
    async def count() -> list[float]:
        began = trio.current_time()
        timer = trioreg.send_every(10, "tick")
        times: list[float] = []
        for _ in range(3):
            assert await trioreg.receive() == "tick"
            times.append(trio.current_time() - began)
        timer.cancel()
        with trio.move_on_after(100):
            await trioreg.receive()
            raise AssertionError("cancelled")
        return times

    async with supervised() as supervisor:
        ref = await supervisor.start_child(count)
        assert await ref.result() == [10, 20, 30]


@pytest.mark.parametrize("send", [trioreg.send_after, trioreg.send_every])
async def test_timers_are_refused_outside_of_an_actor(
    send: Callable[[float, object], trioreg.Timer],
) -> None:
    with pytest.raises(RuntimeError, match=rf"{send.__name__}\(\) was called outside of an actor"):
        send(1, "tea")


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), (math.inf, ValueError), ("1", TypeError)])
async def test_timers_of_a_function_refuse_wrong_seconds(seconds: Any, error: type[Exception]) -> None:
    async def send() -> None:
        with pytest.raises(error, match="seconds must be"):
            trioreg.send_after(seconds, "tea")

    async with supervised() as supervisor:
        await (await supervisor.start_child(send)).result()


@pytest.mark.parametrize("how", ["cancel the timer", "end the actor"])
async def test_a_timer_that_is_ended_while_it_waits_for_room_leaves_nothing_open(
    how: str, autojump_clock: MockClock
) -> None:
    timers: list[Timer] = []

    class Small(Actor):
        mailbox_size = 1

        async def on_message(self, message: object) -> None:
            timers.append(self.send_every(1, "tick"))
            await trio.sleep(10)

    async with supervised() as supervisor:
        small = await supervisor.start_child(Small, restart="temporary")
        await small.send("work")
        await wait_all_tasks_blocked(0)
        await small.send("more work")  # the mailbox is full
        await trio.sleep(5)
        if how == "cancel the timer":
            timers[0].cancel()
        else:
            small.cancel()
        await wait_all_tasks_blocked(0)
        gc.collect()  # an async generator that was left open is a warning, which is an error
