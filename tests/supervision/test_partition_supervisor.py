"""PartitionSupervisor: children by key, found without asking anybody, in their current life."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from support.cancellation import Cancelling, sweep
from support.errors import Bang
from support.watcher import watching
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
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
    RestartLimitExceeded,
    current,
    open_partition_supervisor,
    open_supervisor,
    receive,
)


class Counter(Actor):
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def increment(self, by: int) -> int:
        self.value += by
        return self.value

    async def wait_and_increment(self, seconds: float) -> int:
        await trio.sleep(seconds)
        return self.increment(1)

    def bang(self) -> None:
        raise Bang

    async def on_message(self, message: int) -> None:
        self.value += message


def child_of(supervisor: PartitionSupervisor[Any], number: int) -> ActorRef[Any]:
    ref = supervisor.which_children()[number].ref
    assert ref is not None
    return ref


def running(partitions: Partitions[Any]) -> int:
    """In how many partitions there is somebody."""
    return len(partitions._table)


# Which partition


@attrs.frozen
class OwnEquality:
    """A key of somebody else's library that is equal to an int."""

    number: int

    def __eq__(self, other: object) -> bool:
        return other == self.number

    def __hash__(self) -> int:
        return hash(self.number)


def as_other_types(number: int) -> list[object]:
    """The same dict key, as other types."""
    others: list[object] = [number, Fraction(number), Decimal(number), OwnEquality(number)]
    if number in (0, 1):
        others.append(bool(number))
    if abs(number) < 2**53:
        others += [float(number), complex(number)]
    return others


atoms = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.fractions(),
    st.decimals(allow_nan=False),
    st.complex_numbers(),
    st.text(max_size=2),
    st.binary(max_size=2),
)
keys = st.recursive(atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2))


@given(st.lists(keys, max_size=20), st.integers(1, 9))
def test_keys_that_are_one_key_of_a_dict_are_in_one_partition_and_each_is_in_one(keys: list[Any], count: int) -> None:
    partitions: Partitions[Counter] = Partitions("counters", count)
    found: dict[Any, int] = {}
    for key in keys:
        number = partitions.partition_of(key)
        assert number in range(count)
        assert found.setdefault(key, number) == number


@given(st.one_of(st.integers(-3, 3), st.integers()), st.integers(1, 9))
def test_a_number_is_in_one_partition_as_whatever_type_it_comes(number: int, count: int) -> None:
    partitions: Partitions[Counter] = Partitions("counters", count)
    assert len({partitions.partition_of(key) for key in as_other_types(number)}) == 1
    nested = {partitions.partition_of(("room", key)) for key in as_other_types(number)}
    assert len(nested) == 1


@given(st.one_of(st.integers(-9, 9), st.integers(1 - 2**32, 2**32 - 1)), st.integers(1, 9))
@example(-1, 4)
@example(-2, 4)
@example(1 - 2**32, 7)
def test_an_int_goes_round_the_partitions(number: int, count: int) -> None:
    assert Partitions[Counter]("counters", count).partition_of(number) == abs(number) % count


def test_nan_is_where_it_was() -> None:
    nan = float("nan")
    partitions: Partitions[Counter] = Partitions("counters", 7)
    assert partitions.partition_of(nan) == partitions.partition_of(nan)


@pytest.mark.parametrize("count", [2, 4, 5, 8])
def test_keys_by_identity_are_spread_wherever_they_lie_in_memory(count: int) -> None:
    class Key:
        __slots__ = ("a", "b", "c", "d")

    kept = [Key() for _ in range(400)]
    partitions: Partitions[Counter] = Partitions("counters", count)
    numbers = [partitions.partition_of(key) for key in kept]
    assert all(numbers.count(number) > 400 / count / 2 for number in range(count))


@pytest.mark.parametrize("method", ["partition_of", "whereis", "via"])
def test_a_key_that_is_not_hashable_is_named(method: str) -> None:
    with pytest.raises(TypeError, match=r"key must be hashable: \['James Bond'\]"):
        getattr(Partitions[Counter]("counters", 4), method)(["James Bond"])


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
        assert all(counters.partitions.whereis(key) is only for key in ("James Bond", 7, -7, None, object()))
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


# Addresses


def test_addresses_are_equal_if_they_are_of_one_key_of_the_same_partitions() -> None:
    counters: Partitions[Counter] = Partitions("counters", 1)
    others: Partitions[Counter] = Partitions("counters", 1)
    assert counters.via(1) == counters.via(1.0)
    assert hash(counters.via(1)) == hash(counters.via(1.0))
    assert counters.via(1) != counters.via(2)
    assert counters.via(1) != others.via(1)
    assert counters.via(1) != object()


async def test_what_is_printed_says_who_it_is() -> None:
    counters: Partitions[Counter] = Partitions("counters", 4)
    assert repr(counters) == "<Partitions 'counters', 0 of 4 running>"
    assert repr(counters.via("James Bond")) == "<via counters 'James Bond'>"
    assert repr(counters.via("James Bond", wait=True)) == "<via counters 'James Bond', waiting>"
    async with open_partition_supervisor(counters, Counter) as supervisor:
        assert repr(counters) == "<Partitions 'counters', 4 of 4 running>"
        numbers = [child.ref._number for child in supervisor.which_children() if child.ref is not None]
        assert supervisor.tree().splitlines() == [
            "counters",
            f"├── 0  <Counter #{numbers[0]}>",
            f"├── 1  <Counter #{numbers[1]}>",
            f"├── 2  <Counter #{numbers[2]}>",
            f"└── 3  <Counter #{numbers[3]}>",
        ]
        supervisor.stop()


async def test_nobody_else_can_have_the_address_of_a_key_as_a_name() -> None:
    async with open_partition_supervisor(2, DynamicSupervisor) as supervisor:
        name: Any = supervisor.via("James Bond")
        with pytest.raises(TypeError, match=r"name must come from Registry\.via\(\), not <via"):
            await supervisor.partitions.start_child("James Bond", Counter, name=name)
        with pytest.raises(TypeError, match=r"name must come from Registry\.via\(\), not <via"):
            await supervisor.partitions.start_or_get("James Bond", Counter, name=name)
        supervisor.stop()


# Restarts


async def test_a_partition_is_never_seen_empty_while_its_child_restarts() -> None:
    async with open_partition_supervisor(2, Counter) as counters:
        with watching(counters.partitions._names) as watcher:
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


async def test_a_caller_by_key_learns_of_a_kill_and_the_next_one_reaches_the_successor(
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


async def test_more_restarts_than_allowed_end_the_supervisor_and_nothing_stays() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    with pytest.RaisesGroup(Bang, Bang, Bang) as caught:
        async with open_partition_supervisor(counters, Counter, max_restarts=2) as supervisor:
            for number in (0, 1, 0):  # they are counted together
                ref = child_of(supervisor, number)
                await ref.cast(Counter.bang)
                await ref.wait()
            await trio.sleep_forever()
    assert isinstance(caught.value, RestartLimitExceeded)
    assert caught.value.message == "counters gave up: more than 2 restarts in 5 seconds"
    assert running(counters) == 0


async def test_a_partition_that_is_terminated_is_nowhere_until_it_is_restarted() -> None:
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


async def test_a_child_that_does_not_start_ends_those_before_it_and_nothing_stays() -> None:
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


async def test_a_second_supervisor_of_the_same_partitions_does_not_start_and_disturbs_nobody() -> None:
    counters: Partitions[Counter] = Partitions("counters", 2)
    async with open_partition_supervisor(counters, Counter) as first:
        before = [child.ref for child in first.which_children()]
        with pytest.RaisesGroup(AlreadyRegistered):
            async with open_partition_supervisor(counters, Counter):
                raise AssertionError("entered")
        assert [counters.whereis(0), counters.whereis(1)] == before
        assert first.count_children().active == 2
        first.stop()


def test_partitions_are_good_for_one_run_after_the_other() -> None:
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
            assert (child.spec.args, child.spec.restarts, child.spec.seconds) == ((5,), "temporary", 3)
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
def test_a_wrong_argument_is_named(
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


# Dynamic supervisors as partitions


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


async def test_many_who_ask_by_key_for_one_name_get_one_child(autojump_clock: MockClock) -> None:
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
    with pytest.RaisesGroup(pytest.RaisesExc(ActorExited), pytest.RaisesExc(Bang), match="gave up"):
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


async def test_a_dynamic_supervisor_that_starts_children_by_its_own_key_before_it_has_started_gets_a_call_cycle() -> (
    None
):
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
