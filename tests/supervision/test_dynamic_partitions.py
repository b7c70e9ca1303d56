"""Dynamic supervisors as partitions: children that are started by key."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.errors import Bang
from support.partitions import Counter, child_of
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    CallCycle,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    NotRegistered,
    Partitions,
    Registry,
    RestartLimitExceeded,
    open_partition_supervisor,
)


class Agent(Actor):
    def __init__(self, codename: str, *, start: float = 0, fails: bool = False) -> None:
        self.codename = codename
        self.start_seconds = start
        if fails:
            raise Bang

    async def on_start(self) -> None:
        await trio.sleep(self.start_seconds)

    def echo(self, text: str) -> str:
        return f"{self.codename}: {text}"


async def test_children_are_started_by_key_in_the_dynamic_supervisor_of_that_key() -> None:
    agents: Registry[str, None] = Registry("agents")
    async with open_partition_supervisor(2, DynamicSupervisor) as supervisor:
        bond = await supervisor.partitions.start_child(1, Agent, "James Bond", name=agents.via("James Bond"))
        assert await agents.via("James Bond").call(Agent.echo, "hello") == "James Bond: hello"
        await supervisor.partitions.start_child(0, ChildSpec(Agent, ("Mr. White",)))
        lines = [line.split("<")[0].rstrip() for line in supervisor.tree().splitlines()]
        assert lines == ["partition supervisor", "├── 0", "│   └──", "└── 1", "    └── 'James Bond'"]
        supervisor.stop()
    assert bond.exit is not None
    assert bond.exit.reason == "shutdown"


async def test_a_child_may_start_another_one_while_their_supervisor_waits_for_it(autojump_clock: MockClock) -> None:
    class Rooms(DynamicSupervisor):
        async def have_started(self, key: int) -> str:
            return await opener.call(Opener.start, key)

    class Opener(Actor):
        async def start(self, key: int) -> str:
            bond: ActorRef[Agent] = await partitions.start_child(key, Agent, "James Bond")
            return await bond.call(Agent.echo, "hello")

    async with open_partition_supervisor(1, Rooms) as supervisor:
        partitions = supervisor.partitions
        opener: ActorRef[Opener] = await partitions.start_child(0, Opener)
        assert await partitions.via(0).call(Rooms.have_started, 0) == "James Bond: hello"
        supervisor.stop()


async def test_a_child_that_does_not_start_is_its_callers_error_only() -> None:
    async with open_partition_supervisor(2, DynamicSupervisor) as supervisor:
        other = await supervisor.partitions.start_child(1, Agent, "Mr. White")
        with pytest.raises(Bang):
            await supervisor.partitions.start_child(1, partial(Agent, "James Bond", fails=True))
        assert other.is_alive
        assert [child.restarts for child in supervisor.which_children()] == [0, 0]
        supervisor.stop()


async def test_children_of_one_partition_start_side_by_side(autojump_clock: MockClock) -> None:
    async with open_partition_supervisor(1, DynamicSupervisor) as supervisor:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(supervisor.partitions.start_child, number, partial(Agent, f"00{number}", start=1))
        assert trio.current_time() - began == 1
        supervisor.stop()


async def test_many_calls_by_key_for_one_name_get_one_child(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    got: list[ActorRef[Agent]] = []
    async with open_partition_supervisor(4, DynamicSupervisor) as supervisor:

        async def ask() -> None:
            factory = partial(Agent, "James Bond", start=1)
            got.append(await supervisor.partitions.start_or_get("James Bond", factory, name=agents.via("James Bond")))

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
        assert got == [agents.whereis("James Bond")] * 100
        supervisor.stop()


async def test_the_end_of_one_dynamic_supervisor_ends_its_own_children_only() -> None:
    async with open_partition_supervisor(2, partial(DynamicSupervisor, max_restarts=0)) as supervisor:
        mine = await supervisor.partitions.start_child(0, Counter)
        others = await supervisor.partitions.start_child(1, Counter)
        await mine.cast(Counter.bang)  # the dynamic supervisor of partition 0 gives up
        await mine.wait()
        await wait_all_tasks_blocked()
        assert [child.restarts for child in supervisor.which_children()] == [1, 0]
        assert others.is_alive
        assert (await supervisor.partitions.start_child(0, Counter)).is_alive
        supervisor.stop()


async def test_a_start_waits_for_a_dynamic_supervisor_that_is_being_restarted() -> None:
    async with open_partition_supervisor(1, DynamicSupervisor) as supervisor:
        first = child_of(supervisor, 0)
        first.kill()
        await first.wait()
        second = child_of(supervisor, 0)
        assert second.statistics().started_at is None
        assert (await supervisor.partitions.start_child("James Bond", Agent, "James Bond")).is_alive
        assert child_of(supervisor, 0) is second
        supervisor.stop()


async def test_a_start_in_a_partition_that_is_ending_or_empty_says_so(autojump_clock: MockClock) -> None:
    class Stubborn(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)

    async with open_partition_supervisor(1, DynamicSupervisor) as supervisor, trio.open_nursery() as nursery:
        await supervisor.partitions.start_child("a", Stubborn)
        nursery.start_soon(supervisor.terminate_child, 0)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited) as caught:
            await supervisor.partitions.start_child("a", Agent, "James Bond")
        assert caught.value.ref is child_of(supervisor, 0)
        await trio.sleep(2)
        with pytest.raises(NotRegistered, match="'a' is not registered in 'partition supervisor'"):
            await supervisor.partitions.start_child("a", Agent, "James Bond")
        supervisor.stop()


async def test_a_dynamic_supervisor_that_does_not_restart_fails_the_start_that_waits_for_it() -> None:
    fails = False

    class Picky(DynamicSupervisor):
        async def on_start(self) -> None:
            await trio.lowlevel.checkpoint()
            if fails:
                raise Bang
            await super().on_start()

    rooms: Partitions[DynamicSupervisor] = Partitions("rooms", 1)
    with pytest.RaisesGroup(RestartLimitExceeded, ActorExited, Bang, match="gave up"):
        async with open_partition_supervisor(rooms, Picky, max_restarts=1):
            ref = rooms.whereis("a")
            assert ref is not None
            fails = True
            ref.kill()
            await ref.wait()
            with pytest.raises(ActorExited) as caught:
                await rooms.start_child("a", Agent, "James Bond")
            assert isinstance(caught.value.__cause__, Bang)
            await trio.sleep_forever()


async def test_a_dynamic_supervisor_that_starts_a_child_by_its_own_key_in_its_on_start_gets_a_call_cycle() -> None:
    rooms: Partitions[DynamicSupervisor] = Partitions("rooms", 1)

    class Eager(DynamicSupervisor):
        async def on_start(self) -> None:
            await super().on_start()
            await rooms.start_child("a", Agent, "James Bond")

    with trio.fail_after(5), pytest.RaisesGroup(CallCycle):
        async with open_partition_supervisor(rooms, Eager):
            raise AssertionError("entered")


async def test_children_by_key_need_dynamic_supervisors() -> None:
    counters: Partitions[Any] = Partitions("counters", 2)
    async with open_partition_supervisor(counters, Counter) as supervisor:
        with pytest.raises(TypeError, match="the partitions of 'counters' must be dynamic supervisors"):
            await counters.start_child("James Bond", Agent, "James Bond")
        supervisor.stop()


async def test_a_start_by_key_from_another_threads_run_is_refused_and_changes_nothing() -> None:
    rooms: Partitions[DynamicSupervisor] = Partitions("rooms", 2)

    async def start() -> None:
        await rooms.start_child(1, Agent, "James Bond")

    async with open_partition_supervisor(rooms, DynamicSupervisor) as supervisor:
        with pytest.raises(RuntimeError, match="lives in the Trio run of another thread"):
            await trio.to_thread.run_sync(trio.run, start)
        assert "Agent" not in supervisor.tree()
        supervisor.stop()


async def test_a_start_by_key_is_a_checkpoint() -> None:
    agents: Registry[str, None] = Registry("agents")
    async with open_partition_supervisor(2, DynamicSupervisor) as supervisor:
        with assert_checkpoints():
            await supervisor.partitions.start_child(1, Agent, "James Bond", name=agents.via("James Bond"))
        with assert_checkpoints():
            await supervisor.partitions.start_or_get(1, Agent, "James Bond", name=agents.via("James Bond"))
        supervisor.stop()


async def test_a_start_by_key_that_is_cancelled_anywhere_leaves_nothing() -> None:
    agents: Registry[str, None] = Registry("agents")

    async with open_partition_supervisor(2, DynamicSupervisor) as supervisor:

        async def operation() -> ActorRef[Agent]:
            return await supervisor.partitions.start_child(1, Agent, "James Bond", name=agents.via("James Bond"))

        async def attempt(cancelling: Cancelling[ActorRef[Agent]]) -> None:
            if await cancelling.run(operation):
                assert cancelling.value is not None
                assert agents.whereis("James Bond") is cancelling.value
                await cancelling.value.stop()
                child_of(supervisor, 1).kill()
                await child_of(supervisor, 1).wait()
            assert agents.count() == 0

        assert await sweep(attempt) > 0
        supervisor.stop()
