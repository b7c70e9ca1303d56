"""PartitionSupervisor: children by key, found without a wait, in their current life."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.errors import Bang, gives_up
from support.inside import table_of
from support.partitions import Counter, child_of, running
from support.watcher import watching
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    AlreadyRegistered,
    Backoff,
    CallCycle,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    NotRegistered,
    Partitions,
    PartitionSupervisor,
    Registry,
    current,
    open_partition_supervisor,
    open_supervisor,
    receive,
)

# Children by key


async def test_one_child_for_each_partition_is_started_in_order_under_its_number() -> None:
    log: list[int] = []

    class Slow(Actor):
        def __init__(self, number: int) -> None:
            self.number = number

        async def on_start(self) -> None:
            await trio.lowlevel.checkpoint()
            log.append(self.number)

        async def on_stop(self, exit: Exit) -> None:
            log.append(-self.number)

    async with open_partition_supervisor(3, Slow, with_arguments=lambda number: (number + 1,)) as supervisor:
        assert log == [1, 2, 3]
        assert [child.id for child in supervisor.which_children()] == [0, 1, 2]
        assert [supervisor.partitions.whereis(number) for number in range(3)] == [
            child.ref for child in supervisor.which_children()
        ]
        counts = supervisor.count_children()
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (3, 3, 0, 3)
        assert len(supervisor.partitions) == 3
        supervisor.stop()
    assert log == [1, 2, 3, -3, -2, -1]
    assert running(supervisor.partitions) == 0


async def test_every_way_to_reach_an_actor_works_by_key(autojump_clock: MockClock) -> None:
    async with open_partition_supervisor(4, Counter, 100) as counters:
        bond = counters.via("James Bond")
        assert await bond.call(Counter.increment, 1) == 101
        await bond.cast(Counter.increment, 1)
        bond.cast_nowait(Counter.increment, 1)
        await bond.send(10)
        bond.send_nowait(10)
        assert await bond.call(Counter.wait_and_increment, 1) == 124
        assert await counters.via("James Bond", wait=True).call(Counter.increment, 1) == 125
        child = counters.partitions.whereis("James Bond")
        assert child is not None
        assert (await bond.stop()).reason == "normal"
        assert counters.partitions.whereis("James Bond") is not child
        assert await bond.call(Counter.increment, 1) == 101
        bond.cancel()
        assert (await bond.wait()).reason == "shutdown"
        counters.stop()


async def test_the_same_key_is_always_the_same_child_and_others_have_their_own_state() -> None:
    async with open_partition_supervisor(2, Counter) as counters:
        assert await counters.via(0).call(Counter.increment, 1) == 1
        assert await counters.via(1).call(Counter.increment, 1) == 1
        assert await counters.via(True).call(Counter.increment, 1) == 2
        assert await counters.via(-3.0).call(Counter.increment, 1) == 3
        assert await counters.via(0).call(Counter.increment, 1) == 2
        counters.stop()


async def test_one_partition_has_every_key() -> None:
    async with open_partition_supervisor(1, Counter) as counters:
        only = child_of(counters, 0)
        found = [counters.partitions.whereis(key) for key in ("James Bond", 7, -7, None, object())]
        assert found == [only] * 5
        counters.stop()


async def test_a_function_actor_can_be_a_partition() -> None:
    got: list[object] = []

    async def collect(label: str) -> None:
        while True:
            got.append((label, await receive()))

    async with open_partition_supervisor(
        2, collect, with_arguments=lambda number: (f"number {number}",), name="collectors"
    ) as supervisor:
        await supervisor.via(0).send("a")
        await supervisor.via(3).send("b")
        await wait_all_tasks_blocked()
        assert got == [("number 0", "a"), ("number 1", "b")]
        await supervisor.via(0).stop()  # it has returned, and is not restarted
        with pytest.raises(NotRegistered, match="4 is not registered in 'collectors'"):
            await supervisor.via(4).send("c")
        supervisor.stop()


async def test_a_call_by_key_is_a_checkpoint_also_where_it_waits() -> None:
    async with open_partition_supervisor(2, Counter) as counters:
        for wait in (False, True):
            address = counters.via("James Bond", wait=wait)
            with assert_checkpoints():
                await address.call(Counter.increment, 1)
            with assert_checkpoints():
                await address.cast(Counter.increment, 1)
            with assert_checkpoints():
                await address.send(1)
        counters.stop()


async def test_an_actor_that_calls_itself_by_key_gets_a_call_cycle() -> None:
    counters: Partitions[Selfish] = Partitions("selfish", 2)

    class Selfish(Actor):
        async def ask(self, wait: bool) -> None:
            with pytest.raises(CallCycle):
                await counters.via("me", wait=wait).call(Selfish.ask, wait)

    async with open_partition_supervisor(counters, Selfish) as supervisor:
        await counters.via("me").call(Selfish.ask, False)
        await counters.via("me").call(Selfish.ask, True)
        supervisor.stop()


# Restarts


async def test_a_partition_is_never_seen_empty_while_its_child_restarts() -> None:
    async with open_partition_supervisor(2, Counter) as counters:
        with watching(table_of(counters.partitions)) as watcher:
            first = child_of(counters, 1)
            await counters.via(1).cast(Counter.bang)
            exit = await first.wait()
            assert exit.reason == "crashed"
            assert await counters.via(1).call(Counter.increment, 1) == 1
            second = child_of(counters, 1)
        assert watcher.shown[1] == [first, second]
        counters.stop()


async def test_a_restarted_child_has_its_partition_before_its_init_runs() -> None:
    seen: list[bool] = []
    partitions: Partitions[Looks] = Partitions("looks", 2)

    class Looks(Actor):
        def __init__(self, number: int) -> None:
            seen.append(partitions.whereis(number) is current())

    async with open_partition_supervisor(partitions, Looks, with_arguments=lambda number: (number,)) as supervisor:
        partitions.via(1).kill()
        await partitions.via(1).wait()
        await wait_all_tasks_blocked()
        supervisor.stop()
    assert seen == [True, True, True]


async def test_the_crash_of_a_partition_costs_no_other_its_state() -> None:
    async with open_partition_supervisor(3, Counter) as counters:
        for number in range(3):
            await counters.via(number).call(Counter.increment, 7)
        with pytest.raises(ActorExited) as caught:
            await counters.via(1).call(Counter.bang)
        assert isinstance(caught.value.__cause__, Bang)
        values = [await counters.via(number, wait=True).call(Counter.increment, 0) for number in range(3)]
        assert values == [7, 0, 7]
        assert [child.restarts for child in counters.which_children()] == [0, 1, 0]
        counters.stop()


async def test_a_caller_by_key_learns_of_a_kill_and_the_next_call_reaches_the_next_life(
    autojump_clock: MockClock,
) -> None:
    async with open_partition_supervisor(2, Counter) as counters, trio.open_nursery() as nursery:
        killed = child_of(counters, 1)

        async def call() -> None:
            with pytest.raises(ActorExited) as caught:
                await counters.via(1, wait=True).call(Counter.wait_and_increment, 10)
            assert caught.value.ref is killed

        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        counters.via(1).kill()
        with pytest.raises(ActorExited):  # it is still ending
            await counters.via(1).call(Counter.increment, 1)
        assert await counters.via(1, wait=True).call(Counter.increment, 1) == 1
        counters.stop()


async def test_a_waiting_address_waits_for_a_child_that_waits_for_its_restart(autojump_clock: MockClock) -> None:
    spec = ChildSpec(Counter, backoff=Backoff(initial=60, maximum=60, factor=1, jitter=0))
    async with open_partition_supervisor(2, spec, name="counters") as counters:
        counters.via(1).kill()
        await counters.via(1).wait()
        with pytest.raises(NotRegistered, match="1 is not registered in 'counters'"):
            await counters.via(1).call(Counter.increment, 1)
        assert counters.partitions.whereis(1) is None
        began = trio.current_time()
        assert await counters.via(1, wait=True).call(Counter.increment, 1) == 1
        assert trio.current_time() - began == 60
        assert counters.partitions.whereis(0) is not None
        counters.stop()


async def test_more_restarts_than_allowed_end_a_partition_supervisor_and_nothing_stays() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    with gives_up() as caught:
        async with open_partition_supervisor(counters, Counter, max_restarts=2) as supervisor:
            for number in (0, 1, 0):  # they are counted together
                ref = child_of(supervisor, number)
                await ref.cast(Counter.bang)
                await ref.wait()
            await trio.sleep_forever()
    assert caught.limit.supervisor == "counters"
    assert running(counters) == 0


async def test_a_partition_that_is_terminated_is_empty_until_it_is_restarted() -> None:
    async with open_partition_supervisor(2, Counter) as counters:
        await counters.terminate_child(1)
        assert counters.partitions.whereis(1) is None
        assert counters.which_children()[1].state == "ended"
        with pytest.raises(NotRegistered):
            counters.via(1).cast_nowait(Counter.increment, 1)
        ref = await counters.restart_child(1)
        assert counters.partitions.whereis(1) is ref
        with pytest.raises(ChildNotFound):
            await counters.terminate_child(2)
        counters.stop()


# Starting


async def test_a_partition_that_does_not_start_ends_the_partitions_before_it_and_nothing_stays() -> None:
    ended: list[int] = []

    class Picky(Actor):
        def __init__(self, number: int) -> None:
            if number == 2:
                raise Bang
            self.number = number

        async def on_stop(self, exit: Exit) -> None:
            ended.append(self.number)

    picky: Partitions[Picky] = Partitions("picky", 4)
    with pytest.RaisesGroup(Bang):
        async with open_partition_supervisor(picky, Picky, with_arguments=lambda number: (number,)):
            raise AssertionError("entered")
    assert ended == [1, 0]
    assert running(picky) == 0


async def test_a_second_supervisor_of_the_same_partitions_does_not_start_and_changes_nothing() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    async with open_partition_supervisor(counters, Counter) as first:
        before = [child.ref for child in first.which_children()]
        with pytest.RaisesGroup(AlreadyRegistered):
            async with open_partition_supervisor(counters, Counter):
                raise AssertionError("entered")
        assert [counters.whereis(0), counters.whereis(1)] == before
        assert first.count_children().active == 2
        first.stop()


def test_partitions_can_be_used_by_one_run_after_another() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)

    async def main() -> int:
        async with open_partition_supervisor(counters, Counter) as supervisor:
            value = await counters.via("James Bond").call(Counter.increment, 1)
            supervisor.stop()
        return value

    assert trio.run(main) == 1
    assert trio.run(main) == 1


async def test_entering_is_cancelled_anywhere_and_nothing_stays() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)

    async def operation() -> None:
        async with open_partition_supervisor(counters, Counter) as supervisor:
            supervisor.stop()

    async def attempt(cancelling: Cancelling[Any]) -> None:
        await cancelling.run(operation)
        assert running(counters) == 0

    assert await sweep(attempt) > 0


async def test_the_arguments_are_asked_for_once_for_each_partition_not_for_each_life() -> None:
    asked: list[int] = []

    def arguments(number: int) -> tuple[int]:
        asked.append(number)
        return (number * 100,)

    async with open_partition_supervisor(3, Counter, with_arguments=arguments) as counters:
        counters.via(2).kill()
        await counters.via(2).wait()
        assert await counters.via(2).call(Counter.increment, 1) == 201
        counters.stop()
    assert asked == [0, 1, 2]


async def test_a_spec_is_kept_in_full_for_each_partition() -> None:
    spec = ChildSpec(Counter, (5,), restart="temporary", shutdown=3)
    async with open_partition_supervisor(2, spec) as counters:
        for child in counters.which_children():
            assert (child.spec.args, child.spec.restart, child.spec.seconds) == ((5,), "temporary", 3)
        await counters.via(1).stop()
        assert counters.partitions.whereis(1) is None
        assert [child.id for child in counters.which_children()] == [0]
        counters.stop()


NAMES: Registry[str, None] = Registry("names")
COUNTERS: Partitions[Counter] = Partitions("counters", 1)


def listed(number: int) -> list[int]:
    return [number]


def numbered(number: int) -> tuple[int]:
    return (number,)


NAMED = ChildSpec(Counter, name=NAMES.via("x"))
SIGNIFICANT = ChildSpec(Counter, significant=True, restart="transient")
WRONG: list[tuple[type[Exception], str, tuple[object, ...], dict[str, object]]] = [
    (TypeError, "partitions must be an int, not True", (True, Counter), {}),
    (TypeError, "partitions must be an int, not '4'", ("4", Counter), {}),
    (TypeError, "partitions must be an int, not 4.0", (4.0, Counter), {}),
    (TypeError, "partitions must be an int, not None", (None, Counter), {}),
    (ValueError, "partitions must be at least 1, not 0", (0, Counter), {}),
    (ValueError, "partitions must be at least 1, not -1", (-1, Counter), {}),
    (TypeError, "name must be a str, not 7", (2, Counter), {"name": 7}),
    (TypeError, "name must be a str, not 7", (COUNTERS, Counter), {"name": 7}),
    (TypeError, "factory must be an Actor class or an async function", (2, int), {}),
    (TypeError, "with_arguments must be callable, not 3", (2, Counter), {"with_arguments": 3}),
    (TypeError, r"with_arguments must return a tuple .*, not \[0\]", (2, Counter), {"with_arguments": listed}),
    (TypeError, r"args must not be given where .*: \(1,\)", (2, Counter, 1), {"with_arguments": numbered}),
    (TypeError, r"args must be in the ChildSpec, not beside it: \(1,\)", (2, ChildSpec(Counter), 1), {}),
    (ValueError, "id must not be given: .*, not 'x'", (2, ChildSpec(Counter, id="x")), {}),
    (ValueError, "name must not be given: .*, not <via names 'x'>", (2, NAMED), {}),
    (ValueError, "significant must be False", (2, SIGNIFICANT), {}),
    (ValueError, "max_restarts must be a whole number of at least 0", (2, Counter), {"max_restarts": -1}),
    (ValueError, "max_seconds must be more than 0", (2, Counter), {"max_seconds": 0}),
]


@pytest.mark.parametrize(("error", "message", "args", "options"), WRONG)
def test_opening_a_partition_supervisor_says_which_argument_is_wrong(
    error: type[Exception], message: str, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        open_partition_supervisor(*args, **options)


async def test_a_child_beside_the_partitions_is_refused() -> None:
    async with open_partition_supervisor(2, DynamicSupervisor, name="rooms") as rooms:
        with pytest.raises(TypeError, match=r"^rooms: the children of a partition supervisor are its partitions; to"):
            await rooms.start_child(Counter)
        assert rooms.count_children().specs == 2
        rooms.stop()


# In a tree


async def test_a_key_is_reached_from_far_away_also_after_the_partition_supervisor_was_restarted() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    children = [ChildSpec(PartitionSupervisor, args=(counters, Counter, 7), id="counters")]
    async with open_supervisor(children) as supervisor:
        assert await counters.via("James Bond").call(Counter.increment, 1) == 8
        before = counters.whereis("James Bond")
        inner = supervisor.which_children()[0]
        assert inner.ref is not None
        assert inner.is_supervisor
        inner.ref.kill()
        assert await counters.via("James Bond", wait=True).call(Counter.increment, 2) == 9
        assert await counters.via("James Bond").call(Counter.increment, 1) == 10
        assert counters.whereis("James Bond") is not before
        supervisor.stop()
    assert running(counters) == 0


async def test_a_partition_supervisor_that_gives_up_is_restarted_with_all_its_partitions() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    inner = partial(PartitionSupervisor[Counter], counters, Counter, max_restarts=0)
    async with open_supervisor([ChildSpec(inner, id="counters")]) as supervisor:
        bystander = counters.whereis(1)
        await counters.via(0).cast(Counter.bang)
        assert bystander is not None
        await bystander.wait()
        assert await counters.via(1, wait=True).call(Counter.increment, 1) == 1
        assert await counters.via(0, wait=True).call(Counter.increment, 1) == 1
        assert supervisor.which_children()[0].restarts == 1
        supervisor.stop()


async def test_a_waiting_address_waits_for_a_supervisor_that_has_not_begun_yet() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    got: list[int] = []

    async def call() -> None:
        got.append(await counters.via("James Bond", wait=True).call(Counter.increment, 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        async with open_partition_supervisor(counters, Counter) as supervisor:
            await wait_all_tasks_blocked()
            assert got == [1]
            supervisor.stop()
