"""Timers whose message is a method: `Actor.cast_after` and `Actor.cast_every`."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, ActorExited, DynamicSupervisor, Timer, raises


class Clock(Actor):
    def __init__(self) -> None:
        self.began = trio.current_time()
        self.struck: list[tuple[float, str, int]] = []
        self.timer: Timer | None = None

    def strike(self, what: str, times: int = 1) -> None:
        self.struck.append((trio.current_time() - self.began, what, times))

    async def chime(self, what: str, times: int = 1) -> None:
        await trio.sleep(0.5)
        self.strike(what, times)

    def ring(self, what: str) -> Any:
        return self.chime(what)  # a sync method that returns a coroutine

    def after(self, seconds: float, method: Any, *args: Any, **kwargs: Any) -> None:
        self.timer = self.cast_after(seconds, method, *args, **kwargs)

    def every(self, seconds: float, method: Any, *args: Any, **kwargs: Any) -> None:
        self.timer = self.cast_every(seconds, method, *args, **kwargs)

    def cancel_timer(self) -> None:
        assert self.timer is not None
        self.timer.cancel()

    async def work(self, seconds: float) -> None:
        await trio.sleep(seconds)

    @raises(TypeError, ValueError, ActorExited)
    def attempt(self, seconds: Any, method: Any, *args: Any, **kwargs: Any) -> None:
        self.cast_after(seconds, method, *args, **kwargs)

    @raises(Bang)
    def refuse(self) -> None:
        raise Bang

    def read(self) -> list[tuple[float, str, int]]:
        return self.struck


async def test_cast_after_runs_the_method_once_after_its_seconds(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 5, Clock.strike, "five", times=5)
        await trio.sleep(20)
        assert await clock.call(Clock.read) == [(5, "five", 5)]


@pytest.mark.parametrize("method", [Clock.chime, Clock.ring])
async def test_cast_after_runs_a_method_that_awaits(method: Any, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 5, method, "five")
        await trio.sleep(20)
        assert await clock.call(Clock.read) == [(5.5, "five", 1)]


async def test_cast_every_runs_the_method_until_the_timer_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.every, 3, Clock.strike, "tick")
        await trio.sleep(10)
        await clock.call(Clock.cancel_timer)
        await trio.sleep(10)
        assert await clock.call(Clock.read) == [(3, "tick", 1), (6, "tick", 1), (9, "tick", 1)]


@pytest.mark.parametrize("mailbox_size", [None, 1])
@pytest.mark.parametrize("method", [Clock.strike, Clock.chime, Clock.ring])
async def test_casts_of_a_timer_do_not_pile_up_while_the_actor_is_busy(
    method: Any, mailbox_size: int | None, autojump_clock: MockClock
) -> None:
    class Busy(Clock):
        pass

    Busy.mailbox_size = mailbox_size
    async with supervised() as supervisor:
        busy = await supervisor.start_child(Busy)
        await busy.call(Clock.every, 3, method, "tick")
        await busy.call(Clock.work, 10)
        await trio.sleep(1)
        await busy.call(Clock.work, 0.1)
        await trio.sleep(2)
        late = 0 if method is Clock.strike else 0.5
        assert [time for time, *_ in await busy.call(Clock.read)] == [10 + late, 12 + late]


async def test_an_override_of_the_method_is_what_a_timer_runs(autojump_clock: MockClock) -> None:
    class Loud(Clock):
        def strike(self, what: str, times: int = 1) -> None:
            super().strike(what.upper(), times)

    async with supervised() as supervisor:
        clock = await supervisor.start_child(Loud)
        await clock.call(Clock.after, 5, Clock.strike, "five")
        await trio.sleep(20)
        assert await clock.call(Clock.read) == [(5, "FIVE", 1)]


async def test_a_cast_that_waits_is_handled_in_its_order(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 1, Clock.strike, "timer")
        clock.cast_nowait(Clock.work, 5)
        clock.cast_nowait(Clock.strike, "before")
        await trio.sleep(2)
        clock.cast_nowait(Clock.strike, "after")
        assert [what for _, what, _ in await clock.call(Clock.read)] == ["before", "timer", "after"]


async def test_a_declared_error_of_a_timed_cast_is_logged_and_the_next_one_comes(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.every, 1, Clock.refuse)
        await trio.sleep(2.5)
        assert clock.is_alive
    assert [record.getMessage().endswith("Clock.refuse failed with a declared error") for record in caplog.records] == [
        True,
        True,
    ]


async def test_a_timed_cast_does_not_outlive_its_actor(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock, restart="temporary")
        await clock.call(Clock.after, 1000, Clock.strike, "late")
        began = trio.current_time()
        assert (await clock.stop()).reason == "normal"
        assert trio.current_time() == began


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((-1, Clock.strike, "x"), ValueError, "seconds must be at least 0 and finite, not -1"),
        ((math.inf, Clock.strike, "x"), ValueError, "seconds must be at least 0 and finite, not inf"),
        (("1", Clock.strike, "x"), TypeError, "seconds must be a number, not '1'"),
        ((1, Clock.strike), TypeError, r"Clock.strike\(\): missing a required argument: 'what'"),
        ((1, print), TypeError, "print is not a method of Clock"),
        ((1, Clock.on_message, "x"), TypeError, r"Clock.on_message can't be sent as a message: use ref.send"),
    ],
)
async def test_wrong_arguments_of_a_timed_cast_are_refused_at_once(
    arguments: tuple[Any, ...], error: type[Exception], match: str
) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        with pytest.raises(error, match=match):
            await clock.call(Clock.attempt, *arguments)
        assert clock.is_alive


async def test_cast_every_refuses_zero_seconds() -> None:
    class Wrong(Clock):
        async def on_start(self) -> None:
            self.cast_every(0, Clock.strike, "x")

    async with supervised() as supervisor:
        with pytest.raises(ValueError, match="seconds must be more than 0"):
            await supervisor.start_child(Wrong)


async def test_slow_starts_that_a_timer_casts_to_its_supervisor_do_not_pile_up(autojump_clock: MockClock) -> None:
    began: list[float] = []

    class Slow(Actor):
        async def on_start(self) -> None:
            began.append(trio.current_time())
            await trio.sleep(10)

    class Growing(DynamicSupervisor):
        async def on_start(self) -> None:
            await super().on_start()
            self.cast_every(3, Growing.grow)

        def grow(self) -> Awaitable[object]:
            return self.start_child(Slow)

    async with supervised() as supervisor:
        start = trio.current_time()
        await supervisor.start_child(Growing)
        await trio.sleep(29)
        assert [time - start for time in began] == [3, 15, 27]


async def test_a_start_by_a_timer_that_fails_does_not_keep_the_next_one_from_coming(autojump_clock: MockClock) -> None:
    tries: list[float] = []

    class Broken(Actor):
        async def on_start(self) -> None:
            tries.append(trio.current_time())
            raise Bang

    class Trying(DynamicSupervisor):
        async def on_start(self) -> None:
            await super().on_start()
            self.cast_every(3, Trying.start_child, Broken)

    async with supervised() as supervisor:
        start = trio.current_time()
        await supervisor.start_child(Trying)
        await trio.sleep(10)
        assert [time - start for time in tries] == [3, 6, 9]


async def test_a_timer_can_be_cancelled_by_the_method_that_it_casts_to(autojump_clock: MockClock) -> None:
    class Once(Clock):
        async def strike_once(self) -> None:
            self.strike("once")
            self.cancel_timer()
            self.cancel_timer()
            await trio.sleep(5)

    async with supervised() as supervisor:
        clock = await supervisor.start_child(Once)
        await clock.call(Once.every, 1, Once.strike_once)
        await trio.sleep(20)
        assert await clock.call(Clock.read) == [(1, "once", 1)]


async def test_a_timer_that_is_set_while_its_actor_stops_casts_nothing(autojump_clock: MockClock) -> None:
    struck: list[str] = []

    class Stopping(Actor):
        async def work(self) -> None:
            self.stop()
            self.cast_after(0, Stopping.strike)
            self.cast_every(1, Stopping.strike)
            await trio.sleep(5)

        def strike(self) -> None:
            struck.append("never")

    async with supervised() as supervisor:
        clock = await supervisor.start_child(Stopping, restart="temporary")
        await clock.call(Stopping.work)
        assert (await clock.wait()).reason == "normal"
    assert struck == []
