"""Actors on demand whose keys raise when they are compared."""

from __future__ import annotations

import pytest
from support.errors import leaves
from trio.testing import MockClock

from trioreg import Actor, Exit, OnDemand, open_on_demand


class Panic(BaseException):
    pass


class Spiteful:
    """A key that is compared with all others, and that raises an error as soon as it has one."""

    error: BaseException | None = None

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        if Spiteful.error is not None:
            raise Spiteful.error
        return isinstance(other, Spiteful) and self.number == other.number


class Greeter(Actor):
    def __init__(self, key: Spiteful, ends: list[str]) -> None:
        self.ends = ends

    def greet(self) -> str:
        return "hello"

    async def on_stop(self, exit: Exit) -> None:
        self.ends.append(exit.reason)


async def test_a_key_that_raises_a_base_exception_when_its_actor_ends_ends_the_supervisor_in_order(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Panic()
    ends: list[str] = []
    greeters: OnDemand[Spiteful, Greeter] = OnDemand("greeters", Greeter, ends)
    keys = [Spiteful(number) for number in range(4)]
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_on_demand(greeters):
            refs = [greeters.whereis(key) for key in keys if await greeters.via(key).call(Greeter.greet)]
            monkeypatch.setattr(Spiteful, "error", error)
            last = refs[-1]
            assert last is not None
            last.kill()
            await last.wait()
    assert set(leaves(caught.value)) == {error}
    assert ends == ["normal"] * 3
    monkeypatch.undo()
    assert len(greeters) == greeters.registry.count() == 0
    async with open_on_demand(greeters):
        assert await greeters.via(keys[-1]).call(Greeter.greet) == "hello"
