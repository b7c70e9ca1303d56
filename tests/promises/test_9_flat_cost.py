"""Promise 9, flat cost: an operation costs the same with few names and with very many. Counts are compared."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest
import trio
from support.costs import Cost, Key, cost_of
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ChildSpec,
    OnDemand,
    PubSub,
    Registry,
    Wildcard,
    current_owner,
    open_on_demand,
    open_pool,
)

NAMES = 20, 5_000
"""How many names there are."""

ACTORS = 20, 600
"""How many actors there are."""

CHILDREN = 20, 2_000
"""The same, for the start of a child: it needs so much memory that a list of 600 would not show."""

Operation: TypeAlias = Callable[[int], Awaitable[object]]


class Quick(Actor):
    def work(self) -> None:
        pass


class Listener(Actor):
    def hear(self, message: int) -> None:
        pass


class Keyed(Actor):
    def __init__(self, key: Key) -> None:
        self.key = key

    def work(self) -> None:
        pass


async def as_a_task(action: Callable[[], object]) -> None:
    """Do it in a task of its own, which ends at once."""

    async def task() -> None:
        action()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(task)


def with_names(names: Registry[Any, int], size: int) -> dict[str, Operation]:
    """The operations of a registry in which one task has ``size`` names."""
    for number in range(size):
        names.register(Key(number), number)
    me = current_owner()

    async def register(number: int) -> None:
        names.register(Key(-number - 1), 1)
        names.unregister(Key(-number - 1))

    async def look_up(_: int) -> None:
        assert names.whereis(Key(7)) == me
        assert len(names.lookup(Key(7))) == 1
        assert names.values(Key(7), me) == [7]

    async def count(_: int) -> None:
        assert names.count() == size

    async def update(_: int) -> None:
        names.update_value(Key(7), lambda value: value)

    async def dispatch(_: int) -> None:
        names.dispatch(Key(7), len)

    async def acquire(number: int) -> None:
        await names.acquire(Key(-number - 1), 1)
        names.unregister(Key(-number - 1))

    async def wait_for(_: int) -> None:
        await names.wait_for(Key(7))

    async def lock(_: int) -> None:
        async with names.lock(Key(7)):
            pass

    async def hold(number: int) -> None:
        with names.hold(Key(-number - 1), 1):
            pass

    async def end(number: int) -> None:
        await as_a_task(lambda: names.register(Key(-number - 1), 1))

    async def give_back(number: int) -> None:
        key = Key(-number - 1)

        def come_and_go() -> None:
            names.register(key, 1)
            names.unregister(key)

        await as_a_task(come_and_go)

    async def watch(_: int) -> None:
        with names.watch(Key(7)):
            pass

    return {
        operation.__name__: operation
        for operation in (
            register,
            look_up,
            count,
            update,
            dispatch,
            acquire,
            wait_for,
            lock,
            hold,
            end,
            give_back,
            watch,
        )
    }


def forget(names: Registry[Any, int]) -> None:
    for key in names.keys(current_owner()):
        names.unregister(key)


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize(
    "operation",
    [
        "register",
        "look_up",
        "count",
        "update",
        "dispatch",
        "acquire",
        "wait_for",
        "lock",
        "hold",
        "end",
        "give_back",
        "watch",
    ],
)
async def test_an_operation_of_a_registry_costs_the_same_whatever_the_number_of_names(
    operation: str, partitions: int, autojump_clock: MockClock
) -> None:
    costs: list[Cost] = []
    for size in NAMES:
        names: Registry[Key, int] = Registry("names", partitions=partitions)
        costs.append(await cost_of(with_names(names, size)[operation]))
        forget(names)
    assert costs[1].is_flat(costs[0]), costs


LINEAR: dict[str, Callable[[list[Key]], object]] = {
    "copy": list,
    "sort": sorted,
    "search": lambda keys: Key(-1) in keys,
}


@pytest.mark.parametrize("loop", LINEAR)
async def test_a_cost_that_grows_is_seen(loop: str, autojump_clock: MockClock) -> None:
    """A loop in C makes no calls; so looks at keys and bytes count, too."""

    async def cost(size: int) -> Cost:
        keys = [Key(number) for number in range(size)]

        async def operation(_: int) -> None:
            LINEAR[loop](keys)

        return await cost_of(operation)

    assert not (await cost(NAMES[1])).is_flat(await cost(NAMES[0]))


async def test_the_end_of_a_task_costs_as_much_as_the_names_it_held(autojump_clock: MockClock) -> None:
    """Ten times the names, at most some ten times the cost."""
    names: Registry[Key, int] = Registry("names", partitions=4)

    def ends_with(size: int) -> Operation:
        def register(number: int) -> None:
            for key in range(size):
                names.register(Key(number * size + key), 1)

        return lambda number: as_a_task(lambda: register(number))

    few, many = await cost_of(ends_with(10)), await cost_of(ends_with(100))
    assert many.calls <= 10.5 * few.calls
    assert many.looks <= 10.5 * few.looks
    assert names.count() == 0


@asynccontextmanager
async def children(size: int) -> AsyncGenerator[dict[str, Operation]]:
    """The operations of a dynamic supervisor that has ``size`` named children."""
    names: Registry[Key, None] = Registry("names")
    async with supervised() as supervisor:
        for number in range(size):
            await supervisor.start_child(Quick, name=names.via(Key(number)))

        async def start_and_stop(number: int) -> None:
            ref = await supervisor.start_child(Quick, name=names.via(Key(-number - 1)))
            await supervisor.terminate_child(ref)

        async def start_or_get(_: int) -> None:
            await supervisor.start_or_get(Quick, name=names.via(Key(7)))

        async def cast(_: int) -> None:
            names.via(Key(7)).cast_nowait(Quick.work)
            await wait_all_tasks_blocked()

        async def call(_: int) -> None:
            await names.via(Key(7)).call(Quick.work)

        yield {"start_and_stop": start_and_stop, "start_or_get": start_or_get, "cast": cast, "call": call}


@asynccontextmanager
async def fixed_children(size: int) -> AsyncGenerator[dict[str, Operation]]:
    async with supervising([ChildSpec(Quick, id=number) for number in range(size)], max_restarts=100) as supervisor:

        async def which_child(_: int) -> None:
            assert supervisor.which_child(7).id == 7

        async def restart(_: int) -> None:
            await supervisor.terminate_child(7)
            await supervisor.restart_child(7)

        yield {"which_child": which_child, "restart": restart}


@asynccontextmanager
async def on_demand(size: int) -> AsyncGenerator[dict[str, Operation]]:
    keyed: OnDemand[Key, Keyed] = OnDemand("keyed", Keyed)
    async with open_on_demand(keyed) as supervisor:
        for number in range(size):
            keyed.via(Key(number)).cast_nowait(Keyed.work)
        await wait_all_tasks_blocked()

        async def first_message(number: int) -> None:
            await keyed.via(Key(-number - 1)).call(Keyed.work)
            ref = keyed.whereis(Key(-number - 1))
            assert ref is not None
            await ref.stop()

        async def next_message(_: int) -> None:
            await keyed.via(Key(7)).call(Keyed.work)

        yield {"first_message": first_message, "next_message": next_message}
        supervisor.stop()


@asynccontextmanager
async def topics(size: int) -> AsyncGenerator[dict[str, Operation]]:
    """Many topics and many patterns, with one subscriber each."""
    pubsub: PubSub[str, int] = PubSub("topics")
    async with supervised() as supervisor:
        for number in range(size):
            ref = await supervisor.start_child(Listener)
            pubsub.join(f"topic.{number}", Listener.hear, owner=ref)
            pubsub.join(Wildcard(f"of.{number}.*"), Listener.hear, owner=ref)

        async def publish(_: int) -> None:
            assert pubsub.publish_nowait("nobody.is.here", 1) == 0

        async def subscribe(number: int) -> None:
            async with pubsub.subscribe(f"new.{number}"):
                pass

        yield {"publish": publish, "subscribe": subscribe}


@asynccontextmanager
async def pool(size: int) -> AsyncGenerator[dict[str, Operation]]:
    async with open_pool(Quick, size=size) as workers:

        async def claim(_: int) -> None:
            async with workers.claim():
                pass

        yield {"claim": claim}


@pytest.mark.parametrize(
    ("world", "operation"),
    [
        (children, "start_and_stop"),
        (children, "start_or_get"),
        (children, "cast"),
        (children, "call"),
        (fixed_children, "which_child"),
        (fixed_children, "restart"),
        (on_demand, "first_message"),
        (on_demand, "next_message"),
        (topics, "publish"),
        (topics, "subscribe"),
        (pool, "claim"),
    ],
    ids=lambda it: getattr(it, "__name__", it),
)
async def test_an_operation_costs_the_same_whatever_the_number_of_actors(
    world: Any, operation: str, autojump_clock: MockClock
) -> None:
    costs: list[Cost] = []
    for size in CHILDREN if operation == "start_and_stop" else ACTORS:
        async with world(size) as operations:
            costs.append(await cost_of(operations[operation]))
    assert costs[1].is_flat(costs[0]), costs
