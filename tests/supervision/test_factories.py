"""What can be a child: an Actor class of any kind, and any callable that gives an awaitable."""

from __future__ import annotations

import functools
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
import trio
from support.supervisors import supervised, supervising
from trio.testing import MockClock

from trioreg import Actor, Backoff, ChildSpec, DynamicSupervisor, Partitions, Registry, open_partition_supervisor


async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


def logged(function: Callable[[int], Coroutine[Any, Any, int]]) -> Callable[[int], Coroutine[Any, Any, int]]:
    @functools.wraps(function)
    def wrapper(number: int) -> Coroutine[Any, Any, int]:
        return function(number)

    return wrapper


class Doubler:
    async def __call__(self, number: int) -> int:
        return await double(number)


class Doubling:
    """An awaitable class."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __await__(self) -> Generator[Any, Any, int]:
        return double(self.number).__await__()


@types.coroutine
def old_coroutine(number: int) -> Generator[Any, Any, int]:
    return (yield from double(number).__await__())


FACTORIES: list[Callable[[int], Awaitable[int]]] = [
    double,
    lambda number: double(number),
    logged(double),
    functools.partial(logged(double)),
    Doubler(),
    Doubling,
    Doubler().__call__,
    old_coroutine,
]


@pytest.mark.parametrize("factory", FACTORIES)
async def test_any_callable_that_gives_an_awaitable_can_be_a_child(
    factory: Callable[[int], Awaitable[int]], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(factory, 21)
        assert (await ref.wait()).value == 42


@pytest.mark.parametrize("factory", [lambda: 5, print, functools.partial(sorted, ())])
async def test_a_sync_function_as_a_child_does_not_start_and_is_named(factory: Any, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match="must be an Actor class or an async function, but it returned"):
            await supervisor.start_child(factory)
        assert supervisor.which_children() == []


class Counter(Actor):
    def __init__(self, first: int) -> None:
        self.value = first

    def read(self) -> int:
        return self.value


async def test_a_function_that_gives_an_actor_is_refused_with_what_to_write_instead(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=r"pass Counter and its arguments, or functools\.partial\("):
            await supervisor.start_child(lambda: Counter(5))


names: Registry[str, None] = Registry("names")


async def test_start_or_get_takes_a_whole_spec_and_a_backoff(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        spec = ChildSpec(Counter, (5,), name=names.via("a"), backoff=Backoff(initial=7))
        ref = await supervisor.start_or_get(spec)
        assert await supervisor.start_or_get(spec) is ref
        other = await supervisor.start_or_get(Counter, 6, name=names.via("b"), backoff=Backoff(initial=8))
        third = await supervisor.start_child(Counter, 7, backoff=Backoff(initial=9))
        assert [child.spec.backoff for child in supervisor.which_children()] == [
            Backoff(initial=7),
            Backoff(initial=8),
            Backoff(initial=9),
        ]
        began = trio.current_time()
        other.kill()
        assert await names.via("b", wait=True).call(Counter.read) == 6
        assert trio.current_time() - began == 8
        assert await third.call(Counter.read) == 7


async def test_partitions_take_a_whole_spec_and_a_backoff(autojump_clock: MockClock) -> None:
    rooms: Partitions[DynamicSupervisor] = Partitions("rooms", 1)
    with trio.CancelScope() as scope:
        async with open_partition_supervisor(rooms, DynamicSupervisor):
            spec = ChildSpec(Counter, (5,), name=names.via("a"))
            assert await rooms.start_or_get(0, spec) is await rooms.start_or_get(0, spec)
            await rooms.start_or_get(0, Counter, 6, name=names.via("b"), backoff=Backoff(initial=8))
            await rooms.start_child(0, Counter, 6, backoff=Backoff(initial=9))
            ref = rooms.whereis(0)
            assert ref is not None
            children = await ref.call(DynamicSupervisor.which_children)
            assert [child.spec.backoff for child in children] == [None, Backoff(initial=8), Backoff(initial=9)]
            scope.cancel()


async def test_what_is_given_beside_a_whole_spec_is_refused_and_so_is_a_spec_without_a_name(
    autojump_clock: MockClock,
) -> None:
    unnamed = ChildSpec(Counter, (5,))
    start: Any
    async with supervising() as supervisor, supervised() as dynamic:
        with pytest.raises(TypeError, match=r"^name must come from Registry\.via\(\), not None"):
            await dynamic.start_or_get(unnamed)
        for start in (dynamic.start_or_get, dynamic.start_child, supervisor.start_child):
            with pytest.raises(TypeError, match=r"^backoff must be in the ChildSpec, not beside it: Backoff\("):
                await start(unnamed, backoff=Backoff())
        with pytest.raises(TypeError, match=r"^name must be in the ChildSpec, not beside it: <via names 'b'>"):
            start = dynamic.start_or_get
            await start(unnamed, name=names.via("b"))
