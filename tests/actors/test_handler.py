"""What can be sent as a message: however a method came to be in its class, it is found, or refused with a reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.supervisors import supervised
from trio.lowlevel import currently_ki_protected, enable_ki_protection
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, raises


def doubled(function: Callable[..., int]) -> Callable[..., int]:
    def wrapper(self: Actor, *args: Any) -> int:
        return 2 * function(self, *args)

    return wrapper


class Counter(Actor):
    @doubled
    def one(self) -> int:
        return 1

    @doubled
    def two(self) -> int:
        return 2

    def three(self) -> int:
        return 3

    drei = three
    four: Callable[[Counter], int] = lambda self: 4

    def __five(self) -> int:
        return 5

    @classmethod
    def private(cls) -> Callable[[Counter], int]:
        return Counter.__five

    @raises(KeyError)
    @raises(ValueError, IndexError)
    def refuse(self, error: Exception) -> None:
        raise error

    def numbers(self) -> Iterator[int]:
        yield 1

    async def anumbers(self) -> AsyncIterator[int]:
        yield 1


class Other(Counter):
    def two(self) -> int:
        return 22


@pytest.mark.parametrize(
    ("method", "answer"),
    [(Counter.one, 2), (Counter.two, 22), (Counter.drei, 3), (Counter.four, 4), (Counter.private(), 5)],
    ids=["decorated", "overridden", "alias", "lambda", "private"],
)
async def test_a_method_whose_function_has_another_name_is_found_by_that_of_the_class(
    method: Callable[[Counter], int], answer: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Other)
        assert await ref.call(method) == answer


@pytest.mark.parametrize("error", [KeyError, ValueError, IndexError])
async def test_errors_that_are_declared_one_decorator_after_the_other_are_all_declared(
    error: type[Exception], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Counter, restart="temporary")
        with pytest.raises(error):
            await ref.call(Counter.refuse, error())
        with pytest.raises(ActorExited):
            await ref.call(Counter.refuse, OSError())
        await ref.wait()


@pytest.mark.parametrize("method", [Counter.numbers, Counter.anumbers])
async def test_a_generator_is_refused_since_it_would_run_in_the_caller(
    method: Callable[[Counter], object], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Counter)
        with pytest.raises(TypeError, match="generator"):
            await ref.call(method)
        with pytest.raises(TypeError, match="generator"):
            ref.cast_nowait(method)
        assert await ref.call(Counter.three) == 3


class Interruptible(Actor):
    @enable_ki_protection
    def marked(self) -> bool:
        return currently_ki_protected()

    @enable_ki_protection
    async def amarked(self) -> bool:
        return currently_ki_protected()

    def calls_one_that_is_marked(self) -> bool:
        return self.marked()


async def test_a_handler_is_open_to_ctrl_c_and_what_it_calls_may_be_protected(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Interruptible)
        assert not await ref.call(Interruptible.amarked)
        await wait_all_tasks_blocked()
        assert not await ref.call(Interruptible.marked)
        assert await ref.call(Interruptible.calls_one_that_is_marked)


async def test_a_method_that_is_replaced_where_it_is_defined_is_the_new_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Other)
        assert await ref.call(Counter.three) == 3
        monkeypatch.setattr(Counter, "three", Counter.one)
        assert await ref.call(Counter.three) == 2
        monkeypatch.undo()
        assert await ref.call(Counter.three) == 3
