"""Registry operations, cancelled at each checkpoint and after each step of any task."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.inside import (
    assert_nothing_left,
    is_candidate_waiting,
    is_followed,
    is_selection_running,
    owner_of_this_task,
    rows_per_turn,
)
from support.registry_kinds import KINDS, kind_id
from support.spy import Spy
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ANY, Entry, Registered, Registry, Unregistered, Var, current_owner


@pytest.fixture
def names() -> Registry[str, Any]:
    return Registry("names")


def living() -> int:
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.parametrize("end", ["unregisters", "ends", "transfers"])
@pytest.mark.parametrize("is_actor", [False, True])
async def test_acquire_cancelled_at_any_step_holds_the_name_or_leaves_the_queue(
    is_actor: bool, end: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            holder, rival = [await supervisor.start_child(Spy, list[str](), restart="temporary") for _ in range(2)]
            candidate = await supervisor.start_child(Spy, list[str]()) if is_actor else owner_of_this_task()
            names.register("leader", 1, owner=holder)

            async def release() -> None:
                await trio.sleep(2)
                if end == "unregisters":
                    names.unregister("leader", owner=holder)
                elif end == "ends":
                    holder.kill()
                else:
                    names.transfer("leader", candidate, owner=holder)

            async def line_up() -> None:
                await trio.sleep(1)
                await names.acquire("leader", 3, owner=rival)

            nursery.start_soon(release)
            nursery.start_soon(line_up)
            completed = await cancelling.run(lambda: names.acquire("leader", 2, owner=candidate))
            assert not completed or names.whereis("leader") is candidate is cancelling.value
            await trio.sleep(3)
            if completed or end == "transfers":
                assert names.lookup("leader") == [(candidate, 1 if end == "transfers" else 2)]
                names.unregister("leader", owner=candidate)
            assert names.lookup("leader") == [(rival, 3)]
            assert not is_candidate_waiting(names)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_free", [False, True])
async def test_a_lock_whose_entering_is_cancelled_at_any_step_is_free_for_the_next_task(
    is_free: bool, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        inside: list[str] = []

        async def use(task: str, seconds: int) -> None:
            async with names.lock("door"):
                inside.append(task)
                assert len(inside) == 1
                await trio.sleep(seconds)
                inside.remove(task)

        async with trio.open_nursery() as nursery:
            if not is_free:
                nursery.start_soon(use, "first", 1)
                await wait_all_tasks_blocked()
                nursery.start_soon(use, "last", 1)
            lock = names.lock("door")
            entered = await cancelling.run(lock.__aenter__)
            if entered:
                inside.append("mine")
                await trio.sleep(1)
                inside.remove("mine")
                await lock.__aexit__(None, None, None)
        assert_nothing_left(names)

    await sweep_steps(attempt)


async def test_a_locked_block_cancelled_at_any_step_frees_the_lock(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async def use() -> None:
            async with names.lock("door"):
                await trio.lowlevel.checkpoint()

        await cancelling.run(use)
        assert_nothing_left(names)
        with trio.fail_after(1):
            await use()

    await sweep_steps(attempt)


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
async def test_wait_for_cancelled_at_any_step_leaves_nothing(kind: Any, autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, Any] = Registry("names", keys=kind[0], partitions=kind[1])
        async with trio.open_nursery() as nursery:

            async def come_and_go() -> None:
                with names.hold("James Bond"):
                    await trio.lowlevel.checkpoint()

            async def come_twice() -> None:
                await trio.sleep(1)
                await come_and_go()
                await trio.sleep(1)
                with names.hold("James Bond"):
                    await trio.sleep(1)

            nursery.start_soon(come_twice)
            completed = await cancelling.run(lambda: names.wait_for("James Bond"))
            assert not completed or [entry.owner for entry in names.lookup("James Bond")] == [cancelling.value]
            assert not is_followed(names)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("operation", ["select", "count_select"])
@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
async def test_a_selection_cancelled_at_any_step_leaves_nothing(
    kind: Any, operation: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    rows_per_turn(monkeypatch, 2)

    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[int, Any] = Registry("names", keys=kind[0], partitions=kind[1])
        async with trio.open_nursery() as nursery:

            async def change() -> None:
                for number in range(10):
                    names.unregister(number)
                    names.register(number + 20, "new", owner=mine)
                    await trio.lowlevel.checkpoint()

            mine = names.register(0, "old")
            for number in range(1, 12):
                names.register(number, "old")
            nursery.start_soon(change)
            if operation == "select":
                completed = await cancelling.run(lambda: names.select(int, ANY, Var("v"), into=Var("v")))
                assert not completed or {"old"} <= set(cancelling.value) <= {"old", "new"}
            else:
                completed = await cancelling.run(lambda: names.count_select(value="old"))
                assert not completed or 2 <= cancelling.value <= 12
            assert not is_selection_running(names)
            nursery.cancel_scope.cancel()
        for key in set(names.keys(current_owner())):
            names.unregister(key)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
async def test_dispatch_parallel_cancelled_at_any_step_leaves_no_task(kind: Any, autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, int] = Registry("names", keys=kind[0], partitions=kind[1])
        begun: list[int] = []
        ended: list[int] = []

        async def tell(entries: list[Entry[int]]) -> None:
            values = [entry.value for entry in entries]
            begun.extend(values)
            try:
                await trio.lowlevel.checkpoint()
                await trio.sleep(1)
            finally:
                ended.extend(values)

        async with supervised() as supervisor:
            count = 1 if kind[0] == "unique" else 5
            for number in range(count):
                names.register("topic", number, owner=await supervisor.start_child(Spy, list[str]()))
            await wait_all_tasks_blocked()
            tasks = living()
            completed = await cancelling.run(lambda: names.dispatch_parallel("topic", tell))
            assert living() == tasks
            assert not completed or (cancelling.value == count and sorted(begun) == list(range(count)))
            assert sorted(begun) == sorted(ended)
            assert len(set(begun)) == len(begun)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("key", ["James Bond", ANY])
async def test_a_watcher_cancelled_at_any_step_goes_on_without_missing_or_doubling_an_event(
    key: Any, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        seen: list[tuple[type, Any]] = []

        async with trio.open_nursery() as nursery:

            async def come_and_go() -> None:
                for number in range(3):
                    await trio.sleep(1)
                    names.register("James Bond", number)
                    names.unregister("James Bond")

            with names.watch(key) as events:

                async def follow() -> None:
                    async for event in events:
                        seen.append((type(event), event.value))
                        if len(seen) == 6:
                            return

                nursery.start_soon(come_and_go)
                if not await cancelling.run(follow):
                    await follow()
        assert seen == [(kind, number) for number in range(3) for kind in (Registered, Unregistered)]
        assert_nothing_left(names)

    await sweep_steps(attempt)


async def test_a_watching_block_cancelled_at_any_step_leaves_no_watcher(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async def use() -> None:
            with names.watch("James Bond") as events, names.hold("James Bond"):
                assert isinstance(await events.receive(), Registered)
                await trio.lowlevel.checkpoint()

        await cancelling.run(use)
        assert_nothing_left(names)

    await sweep_steps(attempt)
