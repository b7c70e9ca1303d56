"""lock(): first come, first served, and free when its holder ends."""

from __future__ import annotations

import pytest
import trio
from support.faults import fail_once
from support.keys import Keys
from support.owners import ENDS, End, Holder
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Registry,
    current_owner,
)
from trioreg._registry.key_lock import KeyLocks


async def test_a_lock_lets_one_task_in_at_a_time_first_come_first_served(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    log: list[str] = []

    async def user(name: str) -> None:
        async with registry.lock("key"):
            log.append(f"{name} in")
            await trio.sleep(1)
            log.append(f"{name} out")

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(user, name)
            await wait_all_tasks_blocked()
    assert log == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_the_keys_of_locks_are_a_namespace_of_their_own(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with registry.lock("key"):
        registry.register("key", 1)
        assert registry.count() == 1
        async with registry.lock("other"):
            pass
    assert registry.keys(current_owner()) == ["key"]


@pytest.mark.parametrize("how", ENDS)
async def test_a_lock_is_free_when_its_holder_has_ended(
    registry: Registry[str, int], how: End, keys: Keys, autojump_clock: MockClock
) -> None:
    entered = trio.Event()

    class Locker(Holder):
        async def lock(self) -> None:
            async with registry.lock(keys("key")):
                entered.set()
                await trio.sleep(1)
                if how == "crashes":
                    raise RuntimeError("in the lock")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Locker, restart="temporary")
        ref.cast_nowait(Locker.lock)
        await entered.wait()
        if how == "is cancelled":
            ref.cancel()
        elif how == "is killed":
            ref.kill()
        async with registry.lock(keys("key")):
            pass
        assert keys.kept() == []


async def test_a_waiter_of_a_lock_that_is_cancelled_is_skipped(
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    scope = trio.CancelScope()

    async def user(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with registry.lock(keys("key")):
                log.append(name)

    async with trio.open_nursery() as nursery, registry.lock(keys("key")):
        nursery.start_soon(user, "cancelled", scope)
        await wait_all_tasks_blocked()
        nursery.start_soon(user, "next", trio.CancelScope())
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert log == []
    assert log == ["next"]
    assert keys.kept() == []


async def test_a_waiter_of_a_lock_whose_actor_is_killed_is_skipped(
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    log: list[str] = []

    class Locker(Holder):
        async def lock(self, name: str) -> None:
            async with registry.lock(keys("key")):
                log.append(name)

    async with supervised() as supervisor:
        doomed = await supervisor.start_child(Locker, restart="temporary")
        other = await supervisor.start_child(Locker, restart="temporary")
        async with registry.lock(keys("key")):
            doomed.cast_nowait(Locker.lock, "doomed")
            await wait_all_tasks_blocked()
            other.cast_nowait(Locker.lock, "other")
            await wait_all_tasks_blocked()
            doomed.kill()
            await doomed.wait()
        await wait_all_tasks_blocked()
        assert log == ["other"]
        assert keys.kept() == []


async def test_a_task_that_has_a_lock_cannot_wait_for_it(
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    async with registry.lock(keys("key")):
        with pytest.raises(RuntimeError, match=r"^this task has lock\(.*\) already: it would wait for itself$"):
            async with registry.lock(keys("key")):
                raise AssertionError("entered")
        with pytest.raises(RuntimeError):
            async with registry.lock(keys("key")):
                raise AssertionError("entered")
    async with registry.lock(keys("key")):
        pass
    assert keys.kept() == []


async def test_a_lock_object_is_entered_once(
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    lock = registry.lock(keys("key"))
    async with lock:
        with pytest.raises(RuntimeError, match=r"this lock\('key'\) is already entered: make another one"):
            await lock.__aenter__()
    async with lock:
        pass
    del lock
    assert keys.kept() == []


async def test_entering_a_lock_is_a_checkpoint_that_honours_cancellation(
    registry: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    with trio.testing.assert_checkpoints():
        async with registry.lock(keys("key")):
            pass
    with trio.CancelScope() as scope:
        scope.cancel()
        async with registry.lock(keys("key")):
            raise AssertionError("entered")
    await trio.lowlevel.checkpoint()  # Trio keeps the cancellation, and its traceback, until the next step
    assert keys.kept() == []


def test_a_lock_of_a_run_that_broke_down_is_not_that_of_the_next_run() -> None:
    locks = KeyLocks(lambda _: None)

    async def lend() -> trio.Lock:
        return locks.lend("key")

    before, now = trio.run(lend), trio.run(lend)
    locks.take_back("key", before)  # its task is thrown away only now
    assert len(locks) == 1
    locks.take_back("key", now)
    assert len(locks) == 0


async def test_a_lock_that_fails_when_it_is_left_is_not_kept(
    registry: Registry[str, int], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    with monkeypatch.context() as patch:
        fail_once(patch, trio.Lock, "release")
        with pytest.raises(MemoryError):
            async with registry.lock("key"):
                pass
    with trio.fail_after(1):
        async with registry.lock("key"):
            pass
