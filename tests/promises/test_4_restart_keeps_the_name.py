"""Promise 4, a restart keeps the name: a restarted child has it before its ``__init__`` runs."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import trio
from support.cancellation import settle
from support.errors import Bang, leaves
from support.promises import (
    ACTOR_ENDS,
    Agent,
    End,
    StopsSlowly,
    assert_empty,
    stop,
    went_on,
)
from support.supervisors import supervised, supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    ChildSpec,
    Owner,
    Partitions,
    Pool,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_partition_supervisor,
    open_pool,
)


async def test_a_restarted_child_has_its_name_before_its_init_runs(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    lives: list[tuple[object, object]] = []

    class Bond(Agent):
        def __init__(self) -> None:
            lives.append((names.whereis("James Bond"), trioreg.current()))

    async with supervised() as supervisor:
        first = await supervisor.start_child(Bond, name=names.via("James Bond"))
        first.kill()
        await wait_all_tasks_blocked()
    assert len(lives) == 2
    assert lives[0] == (first, first)
    assert lives[1][0] is lives[1][1]
    assert lives[1][0] is not first


@pytest.mark.parametrize("end", [end for end in ACTOR_ENDS if end is not stop], ids=lambda end: end.__name__.strip("_"))
@pytest.mark.parametrize("cls", [Agent, StopsSlowly])
async def test_the_name_is_never_free_during_a_restart(
    names: Registry[str, None], end: End, cls: type[Agent], autojump_clock: MockClock
) -> None:
    with watching(names) as watcher:
        async with supervised() as supervisor:
            ref: Any = await supervisor.start_child(cls, name=names.via("James Bond"))
            for _ in range(3):
                await end(ref)
                await ref.wait()
                before, ref = ref, names.whereis("James Bond")
                assert ref is not None
                assert ref is not before
                assert await names.via("James Bond").call(Agent.ping) == "pong"
    history = watcher.shown["James Bond"]
    assert None not in history[:-1]
    assert len(history) == 5  # four lives, and free at last


async def test_a_task_that_waits_for_the_name_does_not_get_it_in_a_restart(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        first = await supervisor.start_child(Agent, name=names.via("James Bond"))
        nursery.start_soon(names.acquire, "James Bond", None)
        await wait_all_tasks_blocked()
        first.kill()
        await wait_all_tasks_blocked()
        second = names.whereis("James Bond")
        assert isinstance(second, ActorRef)
        assert second is not first
        nursery.cancel_scope.cancel()


async def test_a_function_actor_keeps_its_name_too(names: Registry[str, None], autojump_clock: MockClock) -> None:
    async def worker() -> None:
        assert names.whereis("worker") is trioreg.current()
        await trioreg.receive()
        raise Bang

    with watching(names) as watcher:
        async with supervised() as supervisor:
            first = await supervisor.start_child(worker, name=names.via("worker"))
            await first.send("crash")
            await wait_all_tasks_blocked()
            second = names.whereis("worker")
            assert second is not None
            assert second is not first
    assert watcher.shown["worker"] == [first, second, None]


async def test_only_the_name_of_the_child_is_kept(
    names: Registry[str, None], registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with watching(names, registry):
        async with supervised() as supervisor:
            first = await supervisor.start_child(Agent, name=names.via("James Bond"))
            registry.register("of the first life", 1, owner=first)
            names.register("007", owner=first)
            first.kill()
            await first.wait()
            assert_empty(registry)
            assert names.whereis("007") is None
            assert names.whereis("James Bond") is not None


async def test_a_name_that_was_given_away_is_not_taken_back_by_a_restart(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    caught: list[BaseException] = []
    mine: Owner | None = None
    try:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            ref = await supervisor.start_child(Agent, name=names.via("James Bond"))
            names.unregister("James Bond", owner=ref)
            mine = names.register("James Bond")
            ref.kill()
            await went_on()
    except* AlreadyRegistered as group:
        caught = leaves(group)
    except* (ActorExited, RestartLimitExceeded):
        pass  # the kill, which caused the first restart; and that the supervisor gave up
    assert len(caught) == 1
    assert names.whereis("James Bond") is mine
    names.unregister("James Bond")
    assert_empty(names)


async def test_a_restart_whose_name_is_taken_does_not_hold_the_loop(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    """With any limit of restarts, and even if another owner has the name for long."""

    class HoldsTheLoop(BaseException):
        pass

    class Counter(logging.Handler):
        seen = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.seen += 1
            if self.seen > 1000:
                raise HoldsTheLoop

    counter = Counter()
    logger = logging.getLogger("trioreg")
    logger.addHandler(counter)
    try:
        async with supervised(max_restarts=math.inf) as supervisor:
            ref = await supervisor.start_child(Agent, name=names.via("James Bond"))
            names.unregister("James Bond", owner=ref)
            names.register("James Bond")
            ref.kill()
            await settle()
    except* AlreadyRegistered:
        pass
    finally:
        logger.removeHandler(counter)
        names.unregister("James Bond")
    assert 0 < counter.seen <= 1000


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_in_a_restart_of_several_each_has_its_name_before_its_init_runs(
    names: Registry[str, None], strategy: Any, autojump_clock: MockClock
) -> None:
    """The names are free in between: the children end in order, and then they start in order."""
    lives: list[str] = []

    class Child(Agent):
        def __init__(self, name: str) -> None:
            assert names.whereis(name) is trioreg.current()
            lives.append(name)

    children = [ChildSpec(Child, (name,), name=names.via(name)) for name in ("first", "second", "third")]
    async with supervising(children, strategy=strategy):
        names.via("second").cast_nowait(Agent.bang)
        await wait_all_tasks_blocked()
        assert lives == ["first", "second", "third"] * 2 if strategy == "one_for_all" else lives[3:] == lives[1:3]
        assert all(isinstance(names.whereis(name), ActorRef) for name in lives)


async def test_a_supervisor_keeps_its_name_and_gives_its_children_theirs_again(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    inner = ChildSpec(Supervisor, ([ChildSpec(Agent, name=names.via("inner"))],), name=names.via("supervisor"))
    async with supervising([inner]):
        before = names.whereis("supervisor"), names.whereis("inner")
        assert isinstance(before[0], ActorRef)
        with watching(names) as watcher:
            before[0].kill()
            await wait_all_tasks_blocked()
        assert None not in watcher.shown["supervisor"]
        assert await names.via("inner").call(Agent.ping) == "pong"
        assert names.whereis("supervisor") is not before[0]
        assert names.whereis("inner") is not before[1]


async def test_a_child_of_a_partition_has_its_key_again_before_its_init_runs(autojump_clock: MockClock) -> None:
    partitions: Partitions[Partition] = Partitions("partitions", 2)
    lives: list[bool] = []

    class Partition(Agent):
        def __init__(self) -> None:
            lives.append(partitions.whereis("key") is trioreg.current())

    async with open_partition_supervisor(partitions, Partition, at_end="stop"):
        ref = partitions.whereis("key")
        assert ref is not None
        ref.kill()
        await wait_all_tasks_blocked()
        assert await partitions.via("key").call(Agent.ping) == "pong"
    assert len(lives) == 3
    assert sum(lives) == 2


async def test_a_worker_that_is_restarted_has_its_number_before_its_init_runs(autojump_clock: MockClock) -> None:
    lives: list[int] = []

    class Worker(Agent):
        def __init__(self) -> None:
            lives.extend(number for number, entry in pool.registry.items() if entry.owner is trioreg.current())

    pool: Pool[Worker] = Pool("pool", Worker, size=2)
    async with open_pool(pool):
        pool.workers()[1].kill()
        await wait_all_tasks_blocked()
        assert lives == [0, 1, 1]
