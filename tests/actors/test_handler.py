"""What can be sent as a message: a method of the class is found, or refused with a reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.lowlevel import currently_ki_protected, enable_ki_protection
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, DynamicSupervisor


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
async def test_a_method_is_found_by_its_name_in_the_class_not_by_the_name_of_its_function(
    method: Callable[[Counter], int], answer: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Other)
        assert await ref.call(method) == answer


@pytest.mark.parametrize("method", [Counter.numbers, Counter.anumbers])
async def test_a_generator_method_is_refused(method: Callable[[Counter], object], autojump_clock: MockClock) -> None:
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


async def test_a_handler_is_open_to_ctrl_c_and_a_function_that_it_calls_may_be_protected(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Interruptible)
        assert not await ref.call(Interruptible.amarked)
        await wait_all_tasks_blocked()
        assert not await ref.call(Interruptible.marked)
        assert await ref.call(Interruptible.calls_one_that_is_marked)


async def test_a_method_replaced_in_its_class_is_replaced_for_calls(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Other)
        assert await ref.call(Counter.three) == 3
        monkeypatch.setattr(Counter, "three", Counter.one)
        assert await ref.call(Counter.three) == 2
        monkeypatch.undo()
        assert await ref.call(Counter.three) == 3


class Stranger(Actor):
    def echo(self, text: str) -> str:
        return text


NOT_METHODS: list[tuple[object, str]] = [
    (Stranger.echo, "is not a method of SecretAgent"),
    (len, "is not a method of SecretAgent"),
    ("echo", "is not a method of SecretAgent"),
    (None, "is not a method of SecretAgent"),
    (lambda: None, "is not a method of SecretAgent"),
    (SecretAgent("a plain object").read, "is bound to an instance: pass SecretAgent.read"),
    (Stranger().echo, "is not a method of SecretAgent"),
    (SecretAgent.on_start, "the runtime calls it"),
    (SecretAgent.on_message, "SecretAgent.on_message can't be sent as a message: use ref.send\\(message\\)"),
    (SecretAgent.stop, "SecretAgent.stop can't be sent as a message: use ref.stop\\(\\)"),
    (SecretAgent.start_soon, "is for the actor itself"),
    (SecretAgent.on_stop, "the runtime calls it"),
    (SecretAgent.on_idle, "the runtime calls it"),
    (SecretAgent.__init__, "Python calls it"),
]


@pytest.mark.parametrize(("method", "message"), NOT_METHODS)
async def test_an_object_that_is_no_method_of_the_actor_is_refused_and_the_actor_lives(
    method: Any, message: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        with pytest.raises(TypeError, match=message):
            await ref.call(method)
        with pytest.raises(TypeError, match=message):
            await ref.cast(method)
        with pytest.raises(TypeError, match=message):
            ref.cast_nowait(method)
        assert await ref.call(SecretAgent.read) == []


async def test_an_unhashable_object_as_a_method_is_refused_with_its_repr(autojump_clock: MockClock) -> None:
    not_a_method: Any = ["echo"]
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        with pytest.raises(TypeError, match=r"\['echo'\]"):
            await ref.call(not_a_method)
        assert ref.is_alive


async def test_a_call_of_a_supervisors_stop_is_refused_and_names_ref_stop(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(DynamicSupervisor)
        with pytest.raises(TypeError, match=r"^DynamicSupervisor.stop can't be sent as a message: use ref.stop\(\)"):
            await ref.call(DynamicSupervisor.stop)
