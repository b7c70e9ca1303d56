"""Actors on demand with a `RestartLimit`: a key that crashes too often is left alone, or ends its supervisor."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.errors import Bang
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ActorExited,
    CrashedTooOften,
    Instrument,
    NotRunning,
    RestartLimit,
    RestartLimitExceeded,
    add_instrument,
    open_on_demand,
)


async def crash(address: Any) -> None:
    with pytest.raises(ActorExited):
        await address.call(Cart.crash)
    await wait_all_tasks_blocked()


async def test_a_key_that_crashes_too_often_is_refused_until_its_crashes_are_old(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(limit=RestartLimit(2, 60))
    async with open_on_demand(carts):
        address: Any = carts.via("a")
        for _ in range(3):
            await crash(address)
            await trio.sleep(10)
        for form in ("call", "cast", "send"):
            with pytest.raises(CrashedTooOften, match="can be started again in 30 seconds") as caught:
                await getattr(address, form)(*((1,) if form == "send" else (Cart.note, 1)))
            assert isinstance(caught.value.__cause__, Bang)
            assert (caught.value.key, caught.value.on_demand, caught.value.retry_after) == ("a", "carts", 30)
        with pytest.raises(CrashedTooOften):
            address.cast_nowait(Cart.note, 1)
        with pytest.raises(CrashedTooOften):
            address.send_nowait(1)
        assert (len(carts), carts.registry.count()) == (0, 0)
        assert await carts.via("b").call(Cart.note, 1) == 1  # each key counts for itself
        await trio.sleep(30)
        assert await address.call(Cart.note, 2) == 2
        await crash(address)
        with pytest.raises(CrashedTooOften, match="in 10 seconds"):
            address.cast_nowait(Cart.note, 3)
    assert shop.lives == {"a": 4, "b": 1}


async def test_with_a_limit_of_infinitely_many_restarts_a_crash_is_only_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts = shop.carts(limit=RestartLimit(math.inf, 60))
    async with open_on_demand(carts):
        for _ in range(2):
            await crash(carts.via("a"))
        assert await carts.via("a").call(Cart.note, 1) == 1
    assert shop.lives == {"a": 3}
    assert [vars(record)["event_name"] for record in caplog.records if record.levelno >= logging.WARNING] == [
        "actor_exited",
        "actor_exited",
    ]


async def test_with_a_limit_for_less_than_a_step_of_the_clock_a_crash_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    carts = shop.carts(limit=RestartLimit(0, 1e-12))
    async with open_on_demand(carts):
        await crash(carts.via("a"))
        assert await carts.via("a").call(Cart.note, 1) == 1
    assert "key_failed" not in {vars(record).get("event_name") for record in caplog.records}


async def test_a_start_that_fails_is_a_crash_and_a_kill_is_none(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.fails["a"] = 1
    carts = shop.carts(limit=RestartLimit(0, 60))
    async with open_on_demand(carts):
        for end in ("kill", "cancel", "stop"):
            await carts.via("b").call(Cart.note, 1)
            ref = carts.whereis("b")
            assert ref is not None
            result = getattr(ref, end)()
            if result is not None:
                await result
            await ref.wait()
        with pytest.raises(ActorExited):
            await carts.via("a").call(Cart.note, 1)
        with pytest.raises(CrashedTooOften, match="more than 0 restarts"):
            await carts.via("a").call(Cart.note, 1)
    assert shop.lives == {"a": 1, "b": 3}


async def test_what_waits_for_the_next_life_is_refused_and_does_not_count_as_a_crash(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    shop.stop_takes = 4
    carts = shop.carts(limit=RestartLimit(0, 60))
    errors: list[ActorExited] = []

    async def ask() -> None:
        with pytest.raises(ActorExited) as caught:
            await carts.via("a").call(Cart.note, 1)
        errors.append(caught.value)

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        carts.via("a").cast_nowait(Cart.crash)
        await trio.sleep(1)
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        carts.via("a").cast_nowait(Cart.note, 2)
        await carts.via("a").wait()
        await wait_all_tasks_blocked()
        (error,) = errors
        assert isinstance(error.__cause__, CrashedTooOften)
        assert "1 unhandled message" in caplog.text
        await trio.sleep(60)
        assert await carts.via("a").call(Cart.note, 3) == 3
    assert shop.handled == {"a": [3]}
    assert shop.lives == {"a": 2}


async def test_a_next_life_that_is_refused_does_not_make_its_key_wait_longer(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(limit=RestartLimit(1, 60))
    async with open_on_demand(carts):
        await crash(carts.via("a"))
        await trio.sleep(10)
        shop.stop_takes = 4
        carts.via("a").cast_nowait(Cart.crash)
        await trio.sleep(1)
        with pytest.raises(ActorExited):
            await carts.via("a").call(Cart.note, 1)  # it waits for the end of the life that crashes
        with pytest.raises(CrashedTooOften) as caught:
            carts.via("a").cast_nowait(Cart.note, 2)
        assert trio.current_time() + caught.value.retry_after == 60
        assert isinstance(caught.value.__cause__, Bang)


async def test_a_next_life_that_is_refused_can_itself_be_stopped_before(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stop_takes = 4

    class Small(Cart):
        mailbox_size = 1

    carts = shop.carts(Small, limit=RestartLimit(0, 60))
    outcomes: list[type[BaseException]] = []

    async def ask() -> None:
        try:
            await carts.via("a").call(Cart.note, 1)
        except Exception as error:
            outcomes.append(type(error))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        carts.via("a").cast_nowait(Cart.crash)
        await trio.sleep(1)
        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.start_soon(carts.via("a").stop)
        await wait_all_tasks_blocked()
        for _ in range(2):
            nursery.start_soon(ask)
    assert outcomes == [ActorExited] * 5
    assert len(carts) == carts.registry.count() == 0
    assert shop.lives == {"a": 1}


async def test_with_escalate_the_supervisor_gives_up(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts = shop.carts(limit=RestartLimit(1, 60, "escalate"))
    with pytest.raises(ExceptionGroup) as caught:
        async with open_on_demand(carts):
            carts.via("b").cast_nowait(Cart.note, 1)
            await crash(carts.via("a"))
            await crash(carts.via("a"))
            await trio.sleep_forever()
    limit, *errors = caught.value.exceptions
    assert isinstance(limit, RestartLimitExceeded)
    assert (limit.child, limit.is_of_child, str(limit)) == (
        "a",
        True,
        "carts gave up: child 'a' had more than 1 restart in 60 seconds",
    )
    assert [type(error) for error in errors] == [Bang, Bang]
    assert str(limit) in caplog.messages
    with pytest.raises(NotRunning):
        carts.via("a").cast_nowait(Cart.note, 1)


async def test_with_escalate_the_instruments_are_told_of_the_limit(autojump_clock: MockClock) -> None:
    told: list[tuple[str, RestartLimitExceeded]] = []

    class Watching(Instrument):
        def gave_up(self, supervisor: str, error: RestartLimitExceeded, /) -> None:
            told.append((supervisor, error))

    carts = Shop().carts(limit=RestartLimit(0, 60, "escalate"))
    with pytest.raises(ExceptionGroup) as caught:
        async with open_on_demand(carts):
            add_instrument(Watching())
            await crash(carts.via("a"))
            await trio.sleep_forever()
    assert told == [("carts", caught.value.exceptions[0])]


async def test_a_crash_during_the_shutdown_is_not_one_too_many(autojump_clock: MockClock) -> None:
    carts = Shop().carts(limit=RestartLimit(0, 60, "escalate"))
    async with open_on_demand(carts):
        await carts.via("a").call(Cart.note, 1)
        carts.via("a").cast_nowait(Cart.crash)
    assert len(carts) == 0


async def test_a_key_whose_crashes_are_old_is_forgotten(autojump_clock: MockClock) -> None:
    carts = Shop().carts(limit=RestartLimit(1, 10))
    async with open_on_demand(carts):
        lives: Any = carts._lives
        for number in range(10):
            await crash(carts.via(str(number)))
            await trio.sleep(3)
        assert len(lives._limit._by_key) == 4


async def test_a_key_that_crashes_again_and_again_does_not_keep_others_from_being_forgotten(
    autojump_clock: MockClock,
) -> None:
    carts = Shop().carts(limit=RestartLimit(9, 10))
    async with open_on_demand(carts):
        lives: Any = carts._lives
        await crash(carts.via("again"))
        for number in range(10):
            await crash(carts.via(str(number)))
            await crash(carts.via("again"))
            await trio.sleep(3)
        assert len(lives._limit._by_key) == 5
