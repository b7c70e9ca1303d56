"""Tests the inside: a failure at any call within a counter, a lock, a block or `acquire` leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call
from support.inside import assert_nothing_left, assert_nothing_waits, exact_totals
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, Owner, Registry

KINDS = [AtCall, WithRoom]

Counters = Registry[str, Any]


def rows(counters: Counters) -> list[tuple[str, Owner, Any]]:
    return sorted(counters.select_nowait(), key=str)


def hold(counters: Counters, owner: Owner, to: Owner) -> None:
    with counters.hold("new", 2, owner=owner):
        pass


CHANGES: dict[str, Callable[[Counters, Owner, Owner], object]] = {
    "register": lambda counters, owner, to: counters.register("new", 2, owner=owner),
    "unregister": lambda counters, owner, to: counters.unregister("held", owner=owner),
    "unregister by value": lambda counters, owner, to: counters.unregister_match("held", 3, owner=owner),
    "add": lambda counters, owner, to: counters.add("held", 5, owner=owner),
    "hold": hold,
    "transfer": lambda counters, owner, to: counters.transfer("held", to, owner=owner),
    "update": lambda counters, owner, to: counters.update_value("held", lambda value: value + 1, owner=owner),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    ("change", "keys"),
    [
        (change, keys)
        for change in CHANGES
        for keys in ("unique", "duplicate")
        if keys == "unique" or change not in ("transfer", "update")
    ],
)
def test_the_total_is_the_sum_of_the_values_whatever_fails(change: str, keys: Any, watched: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        counters: Counters = Registry("counters", keys=keys, totals=True)
        watch = counters.watch() if watched else None
        if watch is not None:
            watch.__enter__()
        async with supervised() as supervisor:
            owner: Owner = await supervisor.start_child(Actor)
            to: Owner = await supervisor.start_child(Actor)
            counters.register("held", 3, owner=owner)
            if keys == "duplicate":
                counters.register("held", 0.5, owner=owner)
                counters.register("held", 4, owner=to)
            before = rows(counters)
            done = fault(lambda: CHANGES[change](counters, owner, to))
            for key in ("held", "new"):
                values = [entry.value for entry in counters.lookup(key)]
                assert counters.total(key) == sum(values)
                assert (key in exact_totals(counters)) == bool(values)
            if not done and not watched and change != "hold":
                assert rows(counters) == before
        assert counters.count() == 0
        assert exact_totals(counters) == {}
        if watch is not None:
            watch.__exit__(None, None, None)

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("totals", [False, True])
def test_an_acquire_that_fails_holds_nothing(totals: bool, held: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Counters = Registry("names", totals=totals)

        async def leader() -> None:
            with names.hold("leader", 1):
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            if held:
                nursery.start_soon(leader)
                await wait_all_tasks_blocked()
            with suppress(MemoryError):
                await Stepped(names.acquire("leader", 1), fault)
                names.unregister("leader")
            await trio.sleep(2)
            assert names.count() == 0
            assert_nothing_waits(names)

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [False, True])
def test_a_lock_that_could_not_be_taken_is_free(held: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")

        async def holder() -> None:
            async with names.lock("key"):
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            if held:
                nursery.start_soon(holder)
                await wait_all_tasks_blocked()
            lock = names.lock("key")
            with suppress(MemoryError):
                await Stepped(lock.__aenter__(), fault)
                await lock.__aexit__(None, None, None)
            with trio.fail_after(5):
                async with names.lock("key"):
                    pass
        assert_nothing_left(names)

    fails_at_every_call(kind, scenario)


BLOCKS: dict[str, Callable[[Registry[str, None]], Any]] = {
    "watch": lambda names: names.watch("key"),
    "watch all": lambda names: names.watch(),
    "hold": lambda names: names.hold("key"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_that_could_not_be_entered_leaves_nothing_behind(block: str, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        manager = BLOCKS[block](names)
        if fault(manager.__enter__):
            manager.__exit__(None, None, None)
        assert_nothing_left(names)

    fails_at_every_call(kind, scenario)
