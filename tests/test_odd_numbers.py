"""Seconds and counts that are none: one clear error names the argument and the value, and nothing has changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from support.supervisors import supervised
from trio.testing import MockClock

import trioreg
from trioreg import (
    Actor,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    OnDemand,
    Partitions,
    PartitionSupervisor,
    Pool,
    PubSub,
    Registry,
    RestartLimit,
    Supervisor,
)

HUGE = 10**400
"""An int that a float can't hold."""

UNPRINTABLE = 10**5000
"""An int that Python does not even print: it has more than 4,300 digits."""


class Idle(Actor):
    def __init__(self, key: object = None) -> None:
        pass


class Clock(Actor):
    async def on_message(self, message: object) -> None:
        pass

    def tick(self) -> None:
        pass

    @trioreg.raises(Exception)
    def begin(self, timer: Callable[[Clock, Any], object], seconds: object) -> None:
        timer(self, seconds)


async def double(number: int) -> int:
    return 2 * number


NONE: list[int] = []

TIMERS: dict[str, Callable[[Clock, Any], object]] = {
    "send_after": lambda clock, seconds: clock.send_after(seconds, "tick"),
    "send_every": lambda clock, seconds: clock.send_every(seconds, "tick"),
    "cast_after": lambda clock, seconds: clock.cast_after(seconds, Clock.tick),
    "cast_every": lambda clock, seconds: clock.cast_every(seconds, Clock.tick),
}

# Each makes something with one argument that is a number of seconds, or a factor.
FINITE: dict[str, Callable[[Any], object]] = {
    "initial": lambda value: Backoff(initial=value),
    "maximum": lambda value: Backoff(maximum=value),
    "factor": lambda value: Backoff(factor=value),
    "jitter": lambda value: Backoff(jitter=value),
}

SECONDS: dict[str, Callable[[Any], object]] = {
    "RestartLimit max_seconds": lambda value: RestartLimit(3, value),
    "Supervisor max_seconds": lambda value: Supervisor([], max_seconds=value),
    "DynamicSupervisor max_seconds": lambda value: DynamicSupervisor(max_seconds=value),
    "PartitionSupervisor max_seconds": lambda value: PartitionSupervisor(2, Idle, max_seconds=value),
    "Pool max_seconds": lambda value: Pool("p", Idle, size=1, max_seconds=value),
    "ChildSpec shutdown": lambda value: ChildSpec(Idle, shutdown=value),
    "within shutdown": lambda value: trioreg.child(Idle).within(value),
    "OnDemand shutdown": lambda value: OnDemand("o", Idle, shutdown=value),
    "Pool shutdown": lambda value: Pool("p", Idle, size=1, shutdown=value),
    "OnDemand retire_after": lambda value: OnDemand("o", Idle, retire_after=value),
}

COUNTS: dict[str, Callable[[Any], object]] = {
    "Registry partitions": lambda value: Registry[str, None]("r", partitions=value),
    "PubSub partitions": lambda value: PubSub[str, str]("p", partitions=value),
    "Partitions partitions": lambda value: Partitions[Idle]("p", value),
    "PartitionSupervisor partitions": lambda value: PartitionSupervisor(value, Idle),
    "Pool size": lambda value: Pool("p", Idle, size=value),
    "open_stream max_concurrency": lambda value: trioreg.open_stream(double, NONE, max_concurrency=value),
    "open_stream buffer": lambda value: trioreg.open_stream(double, NONE, max_concurrency=1, buffer=value),
}

COUNTS_OR_INF: dict[str, Callable[[Any], object]] = {
    "OnDemand max_running": lambda value: OnDemand("o", Idle, max_running=value),
    "DynamicSupervisor max_children": lambda value: DynamicSupervisor(max_children=value),
    "Pool queue_limit": lambda value: Pool("p", Idle, size=1, queue_limit=value),
    "PubSub.subscribe buffer": lambda value: PubSub[str, str]("p").subscribe("topic", buffer=value),
    "PubSub.watch buffer": lambda value: PubSub[str, str]("p").watch("topic", buffer=value),
    "Registry.watch buffer": lambda value: Registry[str, None]("r").watch("key", buffer=value),
}

RESTARTS: dict[str, Callable[[Any], object]] = {
    "RestartLimit max_restarts": lambda value: RestartLimit(value),
    "Supervisor max_restarts": lambda value: Supervisor([], max_restarts=value),
    "Pool max_restarts": lambda value: Pool("p", Idle, size=1, max_restarts=value),
}

NO_NUMBERS = (True, "5", Decimal(5), Decimal("inf"), Fraction(1, 2), 1j)


def cases(makers: dict[str, Any], values: tuple[object, ...]) -> list[Any]:
    return [
        pytest.param(name.split()[-1], make, value, id=f"{name}={shown(value)[:20]}")
        for name, make in makers.items()
        for value in values
    ]


def shown(value: object) -> str:
    return "int" if value is UNPRINTABLE else repr(value)


def assert_names(error: Exception, argument: str, value: object) -> None:
    text = str(error)
    assert text.startswith(f"{argument} must be "), text
    assert shown(value)[:10] in text
    assert len(text) < 200  # a long number is shortened


@pytest.mark.parametrize(("argument", "make", "value"), cases(FINITE | SECONDS, NO_NUMBERS))
def test_what_is_no_number_is_no_time(argument: str, make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(TypeError) as caught:
        make(value)
    assert_names(caught.value, argument, value)


@pytest.mark.parametrize(
    ("argument", "make", "value"), cases(FINITE | SECONDS, (math.nan, -math.inf, -1, HUGE, -HUGE, UNPRINTABLE))
)
def test_a_time_is_a_number_that_a_float_can_hold(argument: str, make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(ValueError, match=argument) as caught:
        make(value)
    assert_names(caught.value, argument, value)


@pytest.mark.parametrize(("argument", "make", "value"), cases(FINITE, (math.inf,)))
def test_a_backoff_is_finite(argument: str, make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(ValueError, match="finite"):
        make(value)


@pytest.mark.parametrize(
    ("argument", "make", "value"), cases(COUNTS | COUNTS_OR_INF, (*NO_NUMBERS, 1.0, math.nan, -math.inf))
)
def test_a_count_is_an_int(argument: str, make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(TypeError) as caught:
        make(value)
    assert_names(caught.value, argument, value)


@pytest.mark.parametrize(("argument", "make", "value"), cases(COUNTS | COUNTS_OR_INF, (-1, HUGE, -HUGE, UNPRINTABLE)))
def test_a_count_is_at_least_zero_and_not_beyond_all_bounds(
    argument: str, make: Callable[[Any], object], value: object
) -> None:
    with pytest.raises(ValueError, match=argument) as caught:
        make(value)
    assert_names(caught.value, argument, value)


@pytest.mark.parametrize(("argument", "make", "value"), cases(RESTARTS, NO_NUMBERS))
def test_what_is_no_number_is_no_count_of_restarts(argument: str, make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(TypeError) as caught:
        make(value)
    assert_names(caught.value, argument, value)


@pytest.mark.parametrize(
    ("argument", "make", "value"), cases(RESTARTS, (math.nan, -math.inf, -1, 0.5, HUGE, -HUGE, UNPRINTABLE))
)
def test_a_count_of_restarts_is_a_whole_number(argument: str, make: Callable[[Any], object], value: object) -> None:
    with pytest.raises(ValueError, match=argument) as caught:
        make(value)
    assert_names(caught.value, argument, value)


@pytest.mark.parametrize("timer", TIMERS)
@pytest.mark.parametrize(
    "value", [*NO_NUMBERS, None, math.nan, math.inf, -math.inf, -1, HUGE, -HUGE, UNPRINTABLE], ids=shown
)
async def test_a_timer_with_an_odd_number_of_seconds_is_refused_and_the_actor_lives_on(
    timer: str, value: object, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        with pytest.raises((TypeError, ValueError)) as caught:
            await clock.call(Clock.begin, TIMERS[timer], value)
        assert_names(caught.value, "seconds", value)
        assert clock.is_alive


@pytest.mark.parametrize("timer", [trioreg.send_after, trioreg.send_every])
async def test_a_timer_of_a_function_actor_refuses_an_odd_number_of_seconds(
    timer: Callable[[Any, object], object], autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        with pytest.raises(ValueError, match="seconds must be a number that a float can hold"):
            timer(HUGE, "tick")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        assert (await ref.wait()).reason == "normal"


@pytest.mark.parametrize("setting", ["handler_timeout", "idle_timeout"])
@pytest.mark.parametrize("value", [*NO_NUMBERS, math.nan, -math.inf, -1, HUGE, UNPRINTABLE], ids=shown)
async def test_a_class_with_an_odd_timeout_is_refused_before_anything_starts(
    setting: str, value: object, autojump_clock: MockClock
) -> None:
    class Odd(Actor):
        def __init__(self) -> None:
            raise AssertionError("started")

    setattr(Odd, setting, value)
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        before = supervisor.tree()
        with pytest.raises((TypeError, ValueError)) as caught:
            await supervisor.start_child(Odd, name=names.via("odd"))
        assert_names(caught.value, f"{Odd.__qualname__}.{setting}", value)
        assert names.count() == 0
        assert supervisor.tree() == before


@pytest.mark.parametrize("value", [True, "5", math.nan, -1, HUGE], ids=shown)
async def test_an_instance_with_an_odd_idle_timeout_crashes_and_says_so(value: Any, autojump_clock: MockClock) -> None:
    class Odd(Actor):
        def __init__(self) -> None:
            self.idle_timeout = value

        async def on_idle(self) -> None:
            raise AssertionError("on_idle was called")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Odd, restart="temporary")
        error = (await ref.wait()).error
        assert isinstance(error, TypeError | ValueError)
        assert_names(error, f"{Odd.__qualname__}.idle_timeout", value)


async def test_a_class_may_make_its_idle_timeout_a_property(autojump_clock: MockClock) -> None:
    class Lazy(Actor):
        @property
        def idle_timeout(self) -> float:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
            return 5

        async def on_idle(self) -> None:
            self.stop("idle")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lazy, restart="temporary")
        assert (await ref.wait()).value == "idle"


@pytest.mark.parametrize("value", [True, 1.5, "2", 0, HUGE, UNPRINTABLE], ids=shown)
async def test_a_pool_refuses_to_resize_to_an_odd_number(value: Any, autojump_clock: MockClock) -> None:
    async with trioreg.open_pool(Idle, size=1) as pool:
        with pytest.raises((TypeError, ValueError)) as caught:
            await pool.resize(value)
        assert_names(caught.value, "size", value)
        assert pool.statistics().size == 1


@pytest.mark.parametrize("value", [True, 1.5, "2", 0, math.inf, UNPRINTABLE], ids=shown)
async def test_a_feed_refuses_an_odd_number_of_items_and_loses_none(value: Any, autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    with names.watch() as feed:
        names.register("a")
        with pytest.raises((TypeError, ValueError)) as caught:
            await feed.receive_some(value)
        assert_names(caught.value, "at_most", value)
        assert len(await feed.receive_some()) == 1


def test_the_longest_waits_are_allowed() -> None:
    longest = 1.7e308
    assert Backoff(longest, longest).delay(3) == longest
    assert RestartLimit(math.inf, math.inf).max_seconds == math.inf
    assert ChildSpec(Idle, shutdown=longest).seconds == longest
    assert ChildSpec(Idle, shutdown=10**300).seconds == 10**300


def test_a_backoff_of_ints_stays_cheap_after_very_many_restarts() -> None:
    assert Backoff(initial=1, maximum=60, factor=2).delay(10**15) == 60
    assert Backoff(initial=0, maximum=60, factor=2).delay(10**15) == 0
