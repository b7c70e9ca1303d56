"""Workers that wait for a worker of their own pool: refused at once if none of them could ever be free."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.inside import cell_of
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    CallCycle,
    NotRunning,
    Pool,
    current_owner,
    open_pool,
    open_supervisor,
    raises,
)
from trioreg._pool.strategy import jump
from trioreg._supervision import number_of


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


NO_POOLS: list[Pool[Any]] = []


class Asker(Actor):
    """A worker whose work needs another worker of its pool, or of another one."""

    def __init__(self, pools: list[Pool[Any]]) -> None:
        self.pools = pools

    async def ask(self, seconds: float = 0) -> str:
        """Ask the pool for a worker, and say what came of it."""
        await trio.sleep(seconds)
        try:
            return await self.pools[0].call(Asker.answer)
        except CallCycle:
            return "refused"

    @raises(CallCycle)
    async def ask_plainly(self, of: int = 0) -> str:
        return await self.pools[of].call(Asker.answer)

    @raises(CallCycle)
    async def claim(self) -> str:
        async with self.pools[0].claim():
            return "claimed"

    @raises(CallCycle)
    async def cast(self) -> None:
        await self.pools[0].cast(Asker.answer)

    @raises(CallCycle)
    async def ask_through(self, other: ActorRef[Asker]) -> str:
        return await other.call(Asker.ask_plainly)

    @raises(CallCycle)
    async def ask_through_later(self, other: ActorRef[Asker], seconds: float) -> str:
        await trio.sleep(seconds)
        return await other.call(Asker.answer)

    async def ask_from_behind(self) -> None:
        self.start_soon(self.ask)

    async def rest(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def crash(self, seconds: float) -> None:
        await trio.sleep(seconds)
        raise Bang("work")

    async def resize(self, size: int, seconds: float) -> str:
        await trio.sleep(seconds)
        try:
            await self.pools[0].resize(size)
        except CallCycle:
            return "refused"
        return "done"

    def answer(self) -> str:
        return "answered"


async def gather(pool: Pool[Asker], method: Any, count: int, *args: Any) -> list[Any]:
    """Call a method that often at once. What came of each, in any order."""
    got: list[Any] = []

    async def call() -> None:
        try:
            got.append(await pool.call(method, *args))
        except CallCycle as cycle:
            got.append(cycle)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(call)
    return got


@pytest.mark.parametrize("method", [Asker.ask_plainly, Asker.claim, Asker.cast])
async def test_the_only_worker_that_asks_its_own_pool_is_refused_at_once(
    method: Any, autojump_clock: MockClock
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=1) as pool:
        pools.append(pool)
        (worker,) = pool.workers()
        with pytest.raises(CallCycle) as caught:
            await pool.call(method)
        assert (caught.value.path, trio.current_time()) == ((worker, worker), 0)
        assert await pool.call(Asker.answer) == "answered"
        assert (pool.statistics().waiting, pool.statistics().idle) == (0, 1)


@pytest.mark.parametrize("size", [2, 3, 8])
async def test_the_last_of_all_workers_that_asks_its_own_pool_is_refused_and_the_others_go_on(
    size: int, autojump_clock: MockClock
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=size) as pool:
        pools.append(pool)
        got = await gather(pool, Asker.ask, size)
        assert sorted(got) == ["answered"] * (size - 1) + ["refused"]
        assert (pool.statistics().waiting, pool.statistics().idle) == (0, size)


async def test_the_error_names_the_path_and_the_pool(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2, name="askers") as pool:
        pools.append(pool)
        got = await gather(pool, Asker.ask_plainly, 2)
        (cycle,) = [each for each in got if isinstance(each, CallCycle)]
        assert len(cycle.path) == 3
        assert {*cycle.path} == {*pool.workers()}
        assert cycle.path[0] is cycle.path[2]
        assert "'askers'" in cycle.__notes__[0]


async def test_a_worker_that_asks_its_own_pool_waits_while_another_one_is_at_work(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=3) as pool:
        pools.append(pool)
        await pool.cast(Asker.rest, 5)
        assert await gather(pool, Asker.ask, 2) == ["answered", "answered"]
        assert trio.current_time() == 5


async def test_a_worker_that_asks_its_own_pool_waits_for_one_that_is_restarted(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2) as pool:
        pools.append(pool)
        await pool.cast(Asker.crash, 5)
        assert await pool.call(Asker.ask) == "answered"
        assert trio.current_time() == 5


async def test_workers_of_two_pools_that_all_wait_for_the_other_pool_are_refused(autojump_clock: MockClock) -> None:
    first: list[Pool[Any]] = []
    second: list[Pool[Any]] = []
    async with open_pool(Asker, first, size=2) as left, open_pool(Asker, second, size=2) as right:
        first.append(right)
        second.append(left)
        got: list[Any] = []

        async def ask(pool: Pool[Asker]) -> None:
            got.append(await pool.call(Asker.ask, 1))

        async with trio.open_nursery() as nursery:
            for pool in (left, right, left, right):
                nursery.start_soon(ask, pool)
        assert trio.current_time() == 1
        assert sorted(got) == ["answered"] * 3 + ["refused"]


async def test_a_wait_for_an_actor_that_waits_for_the_pool_closes_the_cycle_too(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        pools.append(pool)
        outside = await supervisor.start_child(Asker, pools)
        with pytest.raises(CallCycle) as caught:
            await pool.call(Asker.ask_through, outside)
        (worker,) = pool.workers()
        assert {*caught.value.path} == {worker, outside}


async def test_a_call_to_an_actor_that_waits_for_the_pool_already_closes_the_cycle_too(
    autojump_clock: MockClock,
) -> None:
    class Patient(Asker):
        @raises(CallCycle)
        async def call_back(self, other: ActorRef[Asker]) -> str:
            await trio.sleep(2)
            return await other.call(Asker.answer)

    pools: list[Pool[Any]] = []
    async with open_pool(Patient, pools, size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        pools.append(pool)
        outside = await supervisor.start_child(Asker, pools)
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(CallCycle):
                    await pool.call(Patient.call_back, outside)

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            assert await outside.call(Asker.ask_plainly) == "answered"  # it waits first, and the worker is refused
        assert trio.current_time() == 2


async def test_an_actor_may_wait_for_one_that_waits_for_a_pool_while_another_worker_waits_for_an_actor_at_work(
    autojump_clock: MockClock,
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2) as pool, open_supervisor(at_end="stop") as supervisor:
        pools.append(pool)
        at_work, asks, needs = [await supervisor.start_child(Asker, pools) for _ in range(3)]
        at_work.cast_nowait(Asker.rest, 3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.call, Asker.ask_through_later, at_work, 0)  # this worker is free at 3 seconds
            nursery.start_soon(pool.call, Asker.ask_through_later, needs, 1)  # this one needs `needs`
            await wait_all_tasks_blocked()
            nursery.start_soon(asks.call, Asker.ask_plainly)
            assert await needs.call(Asker.ask_through_later, asks, 2) == "answered"
        assert trio.current_time() == 3


async def test_a_background_task_of_a_worker_may_wait_for_its_own_pool(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=1) as pool:
        pools.append(pool)
        await pool.call(Asker.ask_from_behind)
        await wait_all_tasks_blocked()
        assert (pool.statistics().waiting, pool.statistics().idle) == (0, 1)


async def test_a_worker_that_waits_for_its_pool_is_refused_when_the_only_other_one_leaves(
    autojump_clock: MockClock,
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2) as pool:
        pools.append(pool)
        async with trio.open_nursery() as nursery:
            got: list[str] = []

            async def ask() -> None:
                got.append(await pool.call(Asker.ask))

            async with pool.claim():
                await pool.cast(Asker.rest, 10)  # the last one, so that it leaves
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 1
            await pool.resize(1)
        assert got == ["refused"]


async def test_a_worker_whose_start_needs_a_free_worker_is_refused_if_there_is_none(autojump_clock: MockClock) -> None:
    class Early(Asker):
        async def on_start(self) -> None:
            if self.pools:
                told.append(await self.ask())

    told: list[str] = []
    pools: list[Pool[Any]] = []
    async with open_pool(Early, pools, size=1) as pool:
        pools.append(pool)
        pool.workers()[0].kill()
        await wait_all_tasks_blocked()
        assert told == ["refused"]
        assert await pool.call(Asker.answer) == "answered"


async def test_a_stream_that_a_worker_opens_over_its_own_pool_fails_if_there_is_no_other_worker(
    autojump_clock: MockClock,
) -> None:
    class Mapper(Asker):
        async def map(self) -> list[int]:
            async with self.pools[0].map(Mapper.each, [1, 2]) as results:
                return [result async for result in results]

        def each(self, item: int) -> int:
            return item

    pools: list[Pool[Any]] = []
    async with open_pool(Mapper, pools, size=2) as pool:
        pools.append(pool)
        assert await pool.call(Mapper.map) == [1, 2]
    async with open_pool(Mapper, pools, size=1, max_restarts=1) as pool:
        pools[0] = pool
        with pytest.raises(ActorExited) as caught:
            await pool.call(Mapper.map)
        assert caught.value.__cause__ is not None
        assert {type(error) for error in leaves(caught.value.__cause__)} == {CallCycle}
        await wait_all_tasks_blocked()


async def test_a_worker_that_is_to_leave_may_not_wait_for_its_turn_to_change_the_size(
    autojump_clock: MockClock,
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2) as pool, trio.open_nursery() as nursery:
        pools.append(pool)
        got: list[tuple[str, float]] = []

        async def ask(seconds: float) -> None:
            result = await pool.call(Asker.resize, 1, seconds)
            got.append((result, trio.current_time()))

        nursery.start_soon(ask, 1)  # the first worker, which stays
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, 2)
        await trio.sleep(3)
        assert got == [("refused", 2), ("done", 2)]


async def test_a_worker_that_is_to_leave_may_not_wait_for_the_worker_that_waits_for_that(
    autojump_clock: MockClock,
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2) as pool, trio.open_nursery() as nursery:
        pools.append(pool)
        first, last = pool.workers()
        got: list[str] = []

        async def ask() -> None:
            with pytest.raises(CallCycle):
                await last.call(Asker.ask_through_later, first, 2)
            got.append("refused")

        nursery.start_soon(ask)
        async with pool.claim() as worker:
            assert worker is first
            async with pool.claim():  # the last one is not idle: it leaves when it is done
                nursery.start_soon(first.call, Asker.resize, 1, 1)
                await trio.sleep(3)
                assert got == ["refused"]


async def test_a_worker_that_is_leaving_may_not_wait_for_its_own_place(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Asker, pools, size=2) as pool, trio.open_nursery() as nursery:
        pools.append(pool)
        got: list[str] = []

        async def ask() -> None:
            got.append(await pool.call(Asker.resize, 2, 2))

        async with pool.claim():
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await pool.resize(1)
        await trio.sleep(2)
        assert (got, len(pool)) == (["refused"], 1)


@pytest.mark.parametrize("end", ["is cancelled", "is refused"])
async def test_a_worker_may_wait_for_an_actor_whose_wait_for_the_pool_ends_in_this_step(
    end: str, autojump_clock: MockClock
) -> None:
    """The actor goes on when it has its turn: it does not wait for the worker any more."""

    class Patient(Actor):
        async def wait_for(self, pool: Pool[Any]) -> None:
            with scope:
                await pool.call(Asker.answer)

        @raises(NotRunning)
        async def wait_for_the_end_of(self, pool: Pool[Any]) -> None:
            await pool.call(Asker.answer)

        def answer(self) -> str:
            return "answered"

    class Busy(Asker):
        async def end_and_ask(self, function: Callable[[], object], patient: ActorRef[Patient]) -> None:
            await trio.sleep(1)
            function()
            got.append(await patient.call(Patient.answer))

    got: list[str] = []
    scope = trio.CancelScope()
    async with open_pool(Busy, NO_POOLS, size=1) as pool, open_supervisor() as supervisor:
        patient = await supervisor.start_child(Patient)
        engine = pool._engine
        assert engine is not None
        function = engine.desk.close if end == "is refused" else scope.cancel
        await pool.cast(Busy.end_and_ask, function, patient)
        if end == "is refused":
            with pytest.raises(NotRunning):
                await patient.call(Patient.wait_for_the_end_of, pool)
        else:
            await patient.call(Patient.wait_for, pool)
        await wait_all_tasks_blocked()
        assert got == ["answered"]
        supervisor.stop()


# A task with claims


async def use(pool: Pool[Any], how: str, **options: Any) -> None:
    if how == "claim":
        async with pool.claim(**options):
            pass
    elif how == "call":
        await pool.call(Asker.answer, **options)
    else:
        await pool.cast(Asker.answer, **options)


@pytest.mark.parametrize("how", ["claim", "call", "cast"])
@pytest.mark.parametrize("size", [1, 3])
async def test_a_task_that_has_claimed_all_workers_and_needs_one_more_is_refused_at_once(
    how: str, size: int, autojump_clock: MockClock
) -> None:
    async with open_pool(Asker, NO_POOLS, size=size, name="askers") as pool:
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(pool.claim()) for _ in range(size)]
            with trio.fail_after(1), pytest.raises(CallCycle) as caught:
                await use(pool, how)
            assert caught.value.path == (current_owner(), workers[0], current_owner())
            assert str(caught.value).startswith("this would wait for itself: the task <task ")
            assert "has claimed" in caught.value.__notes__[0]
            assert "'askers'" in caught.value.__notes__[0]
            assert await workers[0].call(Asker.answer) == "answered"
        await use(pool, how)
        await trio.sleep(1)
        assert (pool.statistics().waiting, pool.statistics().idle) == (0, size)


@pytest.mark.parametrize("how", ["claim", "call", "cast"])
async def test_an_actor_that_has_claimed_all_workers_and_needs_one_more_is_refused_at_once(
    how: str, autojump_clock: MockClock
) -> None:
    class Greedy(Actor):
        @raises(CallCycle)
        async def take_two(self, pool: Pool[Any]) -> None:
            async with pool.claim():
                await use(pool, how)

    async with open_pool(Asker, NO_POOLS, size=1) as pool, open_supervisor() as supervisor:
        greedy = await supervisor.start_child(Greedy)
        with trio.fail_after(1), pytest.raises(CallCycle) as caught:
            await greedy.call(Greedy.take_two, pool)
        assert caught.value.path[::2] == (greedy, greedy)
        assert pool.statistics().idle == 1
        supervisor.stop()


async def test_a_task_that_has_claimed_the_worker_of_its_key_is_refused(autojump_clock: MockClock) -> None:
    async with open_pool(Asker, NO_POOLS, size=5, strategy="by_key") as pool, pool.claim(key="a"):
        with trio.fail_after(1), pytest.raises(CallCycle):
            await use(pool, "call", key="a")


async def test_a_task_that_has_claimed_the_worker_that_is_to_leave_is_refused_and_nothing_has_changed(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Asker, NO_POOLS, size=3, name="askers") as pool:
        async with pool.claim(), pool.claim() as second:
            with trio.fail_after(1), pytest.raises(CallCycle) as caught:
                await pool.resize(1)
            assert caught.value.path == (current_owner(), second, current_owner())
            assert "'askers'" in caught.value.__notes__[0]
            assert (len(pool), pool.statistics().idle) == (3, 1)
            await pool.resize(2)
        await pool.resize(1)


async def test_a_task_that_has_claimed_a_worker_that_is_leaving_may_not_wait_for_its_place(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Asker, NO_POOLS, size=2) as pool, pool.claim(), pool.claim():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.resize, 1)
            await wait_all_tasks_blocked()
            with trio.fail_after(1), pytest.raises(CallCycle):
                await pool.resize(2)  # its turn would never come
            nursery.cancel_scope.cancel()
        with trio.fail_after(1), pytest.raises(CallCycle):
            await pool.resize(2)
        assert len(pool) == 1


@pytest.mark.parametrize("end", ["is given back", "is killed", "has crashed", "is joined by a new one"])
async def test_a_task_with_claims_waits_for_a_worker_that_can_become_free(end: str, autojump_clock: MockClock) -> None:
    async with open_pool(Asker, NO_POOLS, size=2) as pool, trio.open_nursery() as nursery:
        leave = trio.Event()

        async def claim() -> None:
            async with pool.claim():
                await leave.wait()

        nursery.start_soon(claim)
        await wait_all_tasks_blocked()
        async with pool.claim() as mine:
            nursery.start_soon(partial(use, pool, "call"))
            await wait_all_tasks_blocked()
            if end == "has crashed":
                mine.cast_nowait(Asker.crash, 0)
            elif end == "is killed":
                mine.kill()
            elif end == "is joined by a new one":
                nursery.start_soon(pool.resize, 3)
            else:
                leave.set()
            await use(pool, "call")
        leave.set()


class Late(Asker):
    """A worker that takes a while to start, and may fail then."""

    fails = False

    async def on_start(self) -> None:
        if self.pools:
            await trio.sleep(1)
            if self.fails:
                raise Bang("start")


@pytest.mark.parametrize("how", ["claim", "call", "cast"])
async def test_a_task_that_has_claimed_all_workers_gets_one_that_is_being_started(
    how: str, autojump_clock: MockClock
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Late, pools, size=1) as pool, trio.open_nursery() as nursery:
        pools.append(pool)
        async with pool.claim() as mine:
            nursery.start_soon(pool.resize, 3)
            await wait_all_tasks_blocked()
            await use(pool, how)
            assert mine.is_alive
        assert pool.statistics().waiting == 0


async def test_a_task_that_has_claimed_all_workers_is_refused_when_no_other_one_starts(
    autojump_clock: MockClock,
) -> None:
    class Failing(Late):
        fails = True

    pools: list[Pool[Any]] = []
    async with open_pool(Failing, pools, size=1) as pool, pool.claim():
        pools.append(pool)

        async def resize() -> None:
            with pytest.raises(Bang):
                await pool.resize(2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(resize)
            await wait_all_tasks_blocked()
            start = trio.current_time()
            with trio.fail_after(3), pytest.raises(CallCycle):
                await use(pool, "call")
            assert trio.current_time() == start + 1
            with pytest.raises(CallCycle):
                await use(pool, "call")
        assert pool.statistics().waiting == 0


async def test_a_task_that_has_claimed_the_worker_of_its_key_looks_again_when_there_are_more(
    autojump_clock: MockClock,
) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Late, pools, size=1, strategy="by_key") as pool, trio.open_nursery() as nursery:
        pools.append(pool)
        moves = {jump(number_of(key), 2) != 0: key for key in "abcdefgh"}
        for is_moved in (True, False):
            async with pool.claim(key=moves[is_moved]):
                nursery.start_soon(pool.resize, 2)
                await wait_all_tasks_blocked()
                with trio.fail_after(2), nullcontext() if is_moved else pytest.raises(CallCycle):
                    await use(pool, "call", key=moves[is_moved])
            await pool.resize(1)
        assert pool.statistics().waiting == 0


async def test_tasks_that_have_claimed_all_workers_together_wait_for_each_other(autojump_clock: MockClock) -> None:
    got: list[str] = []

    async def take_two(pool: Pool[Any], patience: float) -> None:
        async with pool.claim():
            await wait_all_tasks_blocked()
            with trio.move_on_after(patience):
                async with pool.claim():
                    got.append("two")
                    return
            got.append("one")

    async with open_pool(Asker, NO_POOLS, size=2) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(take_two, pool, 1)
        nursery.start_soon(take_two, pool, 2)
    assert got == ["one", "two"]


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin"])
async def test_a_task_that_waits_is_refused_when_the_only_other_worker_leaves(
    strategy: Any, autojump_clock: MockClock
) -> None:
    async with open_pool(Asker, NO_POOLS, size=2, strategy=strategy) as pool, trio.open_nursery() as nursery:
        leave = trio.Event()

        async def claim(*, task_status: trio.TaskStatus[ActorRef[Any]]) -> None:
            async with pool.claim() as worker:
                task_status.started(worker)
                await leave.wait()

        async def take_two() -> None:
            async with pool.claim() as mine:
                assert pool.registry.keys(mine) == [0]
                with trio.fail_after(2), pytest.raises(CallCycle):
                    await use(pool, "call")

        async with pool.claim() as first:
            other = await nursery.start(claim)
            assert (pool.registry.keys(first), pool.registry.keys(other)) == ([0], [1])
        nursery.start_soon(take_two)
        await wait_all_tasks_blocked()
        assert pool.statistics().waiting == 1
        nursery.start_soon(pool.resize, 1)
        await trio.sleep(1)
        assert (pool.statistics().waiting, pool.statistics().busy) == (0, 0)
        leave.set()


async def test_a_claim_that_is_over_does_not_count(autojump_clock: MockClock) -> None:
    async with open_pool(Asker, NO_POOLS, size=1) as pool, trio.open_nursery() as nursery:
        async with pool.claim() as worker:
            worker.cast_nowait(Asker.rest, 2)
        await use(pool, "call")  # it waits until the worker is done with the claim
        assert trio.current_time() == 2
        nursery.start_soon(pool.call, Asker.rest, 2)
        await wait_all_tasks_blocked()
        await use(pool, "call")
        assert trio.current_time() == 4


class Resizer(Actor):
    """An actor whose changes of the size can be cancelled."""

    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope

    async def resize(self, pool: Pool[Any], size: int) -> None:
        with self.scope:
            await pool.resize(size)

    def answer(self) -> str:
        return "answered"


class Canceller(Asker):
    """A worker that cancels the change of the size, and asks the actor in the same step."""

    async def cancel_and_ask(self, scope: trio.CancelScope, resizer: ActorRef[Resizer]) -> str:
        await trio.sleep(1)
        scope.cancel()
        return await resizer.call(Resizer.answer)


@pytest.mark.parametrize("place", [0, 1])
async def test_a_worker_may_wait_for_an_actor_whose_change_of_the_size_is_being_cancelled(
    place: int, autojump_clock: MockClock
) -> None:
    scope = trio.CancelScope()
    got: list[str] = []
    async with open_pool(Canceller, NO_POOLS, size=3) as pool, open_supervisor() as supervisor:
        resizer = await supervisor.start_child(Resizer, scope)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def work() -> None:
                async with pool.claim(), pool.claim() as second, pool.claim() as third:
                    worker = (second, third)[place]
                    got.append(await worker.call(Canceller.cancel_and_ask, scope, resizer))

            await wait_all_tasks_blocked()
            await resizer.call(Resizer.resize, pool, 1)
        assert got == ["answered"]
        supervisor.stop()


async def test_a_worker_may_wait_for_an_actor_whose_turn_to_change_the_size_is_being_cancelled(
    autojump_clock: MockClock,
) -> None:
    scope = trio.CancelScope()
    got: list[str] = []
    async with open_pool(Canceller, NO_POOLS, size=2) as pool, open_supervisor() as supervisor:
        first = await supervisor.start_child(Resizer, trio.CancelScope())
        second = await supervisor.start_child(Resizer, scope)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def work() -> None:
                async with pool.claim(), pool.claim() as worker:
                    got.append(await worker.call(Canceller.cancel_and_ask, scope, second))

            await wait_all_tasks_blocked()
            nursery.start_soon(first.call, Resizer.resize, pool, 1)
            await wait_all_tasks_blocked()
            await second.call(Resizer.resize, pool, 2)
        assert got == ["answered"]
        supervisor.stop()


async def test_a_worker_that_is_to_leave_may_not_wait_for_the_actor_that_another_one_has_just_woken(
    autojump_clock: MockClock,
) -> None:
    """The actor goes on to wait for this worker."""

    class Last(Asker):
        async def ask_as_the_other_leaves(self, resizer: ActorRef[Resizer]) -> str:
            await trio.sleep(1)
            places[1].gone.set()
            try:
                return await resizer.call(Resizer.answer)
            except CallCycle:
                return "refused"

    got: list[str] = []
    async with open_pool(Last, NO_POOLS, size=3) as pool, open_supervisor() as supervisor:
        assert pool._engine is not None
        places = list(pool._engine.desk.places)
        resizer = await supervisor.start_child(Resizer, trio.CancelScope())
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def work() -> None:
                async with pool.claim(), pool.claim(), pool.claim() as worker:
                    got.append(await worker.call(Last.ask_as_the_other_leaves, resizer))

            await wait_all_tasks_blocked()
            await resizer.call(Resizer.resize, pool, 1)
        assert got == ["refused"]
        supervisor.stop()


async def test_an_actor_that_has_given_up_its_wait_for_a_pool_waits_for_nothing(autojump_clock: MockClock) -> None:
    class Impatient(Asker):
        async def ask_for_a_second(self) -> None:
            with trio.move_on_after(1):
                await self.pools[0].call(Asker.answer)

    pools: list[Pool[Any]] = []
    async with open_pool(Asker, NO_POOLS, size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        pools.append(pool)
        impatient = await supervisor.start_child(Impatient, pools)
        async with pool.claim():
            await impatient.call(Impatient.ask_for_a_second)
        assert not cell_of(impatient).waits
