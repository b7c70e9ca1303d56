"""Calls: what the caller gets, which override runs, and which arguments fit."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor


async def test_a_call_returns_the_value_of_a_sync_handler(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bond = await supervisor.start_child(SecretAgent, "James Bond")
        expected = 'James Bond says: "My name is Bond, James Bond."'
        assert await bond.call(SecretAgent.echo, "My name is Bond, James Bond.") == expected
        await idle(bond)
        assert await bond.call(SecretAgent.echo, "My name is Bond, James Bond.") == expected


async def test_a_call_returns_the_value_of_an_async_handler(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bond = await supervisor.start_child(SecretAgent)
        assert await bond.call(SecretAgent.aecho, "hi") == 'James Bond says: "hi"'


async def test_a_call_of_a_base_method_runs_the_override(autojump_clock: MockClock) -> None:
    class DoubleAgent(SecretAgent):
        def echo(self, text: str) -> str:
            return super().echo(text[::-1])

        async def aread(self) -> list[object]:
            return ["nothing"]

    async with supervised() as supervisor:
        ref = await supervisor.start_child(DoubleAgent, "006")
        for _ in range(2):
            assert await ref.call(SecretAgent.echo, "abc") == '006 says: "cba"'
            assert await ref.call(DoubleAgent.echo, "abc") == '006 says: "cba"'
            assert await ref.call(SecretAgent.aread) == ["nothing"]
            await idle(ref)


async def test_an_async_override_of_a_sync_method_is_awaited(autojump_clock: MockClock) -> None:
    class Base(Actor):
        def get(self) -> Any:
            return "sync"

    class Derived(Base):
        async def get(self) -> Any:
            await trio.lowlevel.checkpoint()
            return "async"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Derived)
        await idle(ref)
        result: object = await ref.call(Base.get)
        assert result == "async"


async def test_keyword_arguments_are_passed(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        for _ in range(2):
            await ref.call(SecretAgent.note, "a", twice=True)
            await ref.cast(SecretAgent.note, text="b")
            ref.cast_nowait(SecretAgent.note, "c", twice=False)
            await idle(ref)
        assert await ref.call(SecretAgent.read) == ["a", "a", "b", "c"] * 2


async def test_arguments_named_like_parameters_of_the_runtime_are_passed(autojump_clock: MockClock) -> None:
    class Odd(Actor):
        def get(self, method: int, ref: int, args: int, kwargs: int, cell: int) -> list[int]:
            return [method, ref, args, kwargs, cell]

    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Odd)
        for _ in range(2):
            assert await ref.call(Odd.get, method=1, ref=2, args=3, kwargs=4, cell=5) == [1, 2, 3, 4, 5]
            await idle(ref)


class Shapes(Actor):
    """Signatures of many kinds."""

    def none(self) -> None: ...
    def one(self, a: int) -> None: ...
    def default(self, a: int, b: int = 0) -> None: ...
    def star(self, a: int, *rest: int) -> None: ...
    def keyword(self, *, a: int) -> None: ...
    def mixed(self, a: int, /, b: int, *, c: int = 0, **others: int) -> None: ...
    async def asynchronous(self, a: int) -> None: ...


WRONG: list[tuple[Any, tuple[object, ...], dict[str, object]]] = [
    (Shapes.none, (1,), {}),
    (Shapes.none, (), {"a": 1}),
    (Shapes.one, (), {}),
    (Shapes.one, (1, 2), {}),
    (Shapes.one, (1,), {"a": 1}),
    (Shapes.one, (), {"b": 1}),
    (Shapes.default, (), {}),
    (Shapes.default, (1, 2, 3), {}),
    (Shapes.star, (), {}),
    (Shapes.keyword, (), {}),
    (Shapes.keyword, (1,), {}),
    (Shapes.mixed, (1,), {}),
    (Shapes.mixed, (), {"a": 1, "b": 2}),
    (Shapes.asynchronous, (), {}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), WRONG)
async def test_wrong_arguments_raise_type_error_in_the_caller_and_the_actor_lives(
    method: Any, args: tuple[object, ...], kwargs: dict[str, object], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Shapes)
        for _ in range(2):  # the actor is starting, and then idle
            with pytest.raises(TypeError, match=rf"{method.__qualname__}\(\)"):
                await ref.call(method, *args, **kwargs)
            with pytest.raises(TypeError, match=rf"{method.__qualname__}\(\)"):
                await ref.cast(method, *args, **kwargs)
            with pytest.raises(TypeError, match=rf"{method.__qualname__}\(\)"):
                ref.cast_nowait(method, *args, **kwargs)
            await idle(ref)
        assert ref.is_alive
        await ref.call(Shapes.none)


async def test_right_arguments_for_every_kind_of_signature_are_accepted(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Shapes)
        for _ in range(2):
            await ref.call(Shapes.none)
            await ref.call(Shapes.one, a=1)
            await ref.call(Shapes.default, 1, b=2)
            await ref.call(Shapes.star, 1, 2, 3, 4)
            await ref.call(Shapes.keyword, a=1)
            await ref.call(Shapes.mixed, 1, b=2, d=4)
            await ref.call(Shapes.asynchronous, 1)
            await idle(ref)
        assert ref.statistics().handled == 14
