"""wait_for(): the next holder of a name."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.keys import Keys
from support.owners import Holder, staged
from trio.lowlevel import currently_ki_protected
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    ActorRef,
    Owner,
    Registry,
)


async def test_wait_for_gives_the_present_holder_at_once_with_one_checkpoint(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = registry.register("a", 1)
    with assert_checkpoints():
        assert await registry.wait_for("a") is owner


async def test_wait_for_waits_for_the_next_holder(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    found: list[Owner] = []

    async def waiter() -> None:
        found.append(await registry.wait_for("a"))

    async with staged() as stage, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(waiter)
        await wait_all_tasks_blocked()
        registry.register("b", 0)
        await wait_all_tasks_blocked()
        assert found == []
        owner = await stage.actor()
        registry.register("a", 1, owner=owner)
        await wait_all_tasks_blocked()
        assert found == [owner] * 3


async def test_wait_for_never_gives_a_holder_that_has_gone_by_then(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    found: list[Owner] = []

    async def waiter() -> None:
        found.append(await registry.wait_for("a"))

    async with staged() as stage, trio.open_nursery() as nursery:
        nursery.start_soon(waiter)
        await wait_all_tasks_blocked()
        # The entry comes and goes before the waiter, which it wakes, can run.
        registry.register("a", 1)
        registry.unregister("a")
        await wait_all_tasks_blocked()
        assert found == []
        second = await stage.task()
        registry.register("a", 1, owner=second)
        await wait_all_tasks_blocked()
        assert found == [second]


async def test_wait_for_finds_each_of_several_lives(names: Registry[str, None], autojump_clock: MockClock) -> None:
    lives: list[Owner] = []

    async def follow() -> None:
        while len(lives) < 4:
            owner = await names.wait_for("bond")
            lives.append(owner)
            assert isinstance(owner, ActorRef)
            await owner.wait()

    async with staged() as stage, trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        first = await stage.supervisor.start_child(Holder, name=names.via("bond"), restart="permanent")
        for _ in range(3):
            await wait_all_tasks_blocked()
            ref = names.whereis("bond")
            assert isinstance(ref, ActorRef)
            ref.kill()
            await ref.wait()
        await wait_all_tasks_blocked()
        last = names.whereis("bond")
        assert lives[0] is first
        assert lives[3] is last
        assert len(set(lives)) == 4
        nursery.cancel_scope.cancel()


async def test_a_waiter_that_is_cancelled_is_forgotten(
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.wait_for, keys("a"))
        nursery.start_soon(registry.wait_for, keys("a"))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert keys.kept() == []
    registry.register("a", 1)


# All operations that wait


class Probe:
    """A key that notes each time that its hash is asked for whether Ctrl-C is held back."""

    def __init__(self) -> None:
        self.is_protected: list[bool] = []

    def __hash__(self) -> int:
        self.is_protected.append(currently_ki_protected())
        return 1


@pytest.mark.parametrize("operation", ["wait_for", "acquire", "watch", "lock"])
async def test_ctrl_c_does_not_come_between_two_halves_of_a_change(
    names: Registry[Any, int], operation: str, autojump_clock: MockClock
) -> None:
    async def wait() -> None:
        assert not currently_ki_protected()
        if operation == "wait_for":
            await names.wait_for(probe)
        elif operation == "acquire":
            await names.acquire(probe, 2)
        elif operation == "watch":
            with names.watch(probe):
                await trio.sleep_forever()
        else:
            async with names.lock(probe):
                await trio.sleep_forever()

    probe = Probe()
    async with trio.open_nursery() as nursery:
        if operation == "acquire":
            names.register(probe, 1)
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        # The hash was asked for last when the registry stored the key.
        assert probe.is_protected[-1]
        nursery.cancel_scope.cancel()
