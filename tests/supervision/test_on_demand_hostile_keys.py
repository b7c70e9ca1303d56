"""Actors on demand whose keys raise when they are compared or shown."""

from __future__ import annotations

import pytest
import trio
from support.errors import Bang, leaves
from trio.testing import MockClock

from trioreg import (
    Actor,
    ActorExited,
    Address,
    Backoff,
    CallCycle,
    CrashedTooOften,
    Exit,
    OnDemand,
    RestartLimit,
    RestartLimitExceeded,
    open_on_demand,
)


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


class Unshown:
    """A key whose `repr` raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Fragile(Actor):
    def __init__(self, key: Unshown) -> None:
        self.key = key

    def ok(self) -> str:
        return "ok"

    def crash(self) -> None:
        raise Bang

    async def call_itself(self) -> str:
        with pytest.raises(CallCycle, match="this would wait for itself"):
            await fragile.via(self.key).call(Fragile.ok)
        return "refused"


fragile: OnDemand[Unshown, Fragile] = OnDemand("fragile", Fragile)


async def crash(address: Address[Fragile]) -> ActorExited:
    with pytest.raises(ActorExited) as caught:
        await address.call(Fragile.crash)
    return caught.value


async def test_a_key_whose_repr_raises_may_crash_once_too_often_and_its_supervisor_gives_up() -> None:
    once = RestartLimit(1, 60, "escalate")
    actors: OnDemand[Unshown, Fragile] = OnDemand("actors", Fragile, limit=once)
    with pytest.raises(ExceptionGroup) as caught:
        async with open_on_demand(actors):
            address = actors.via(Unshown())
            for _ in range(2):
                await crash(address)
            await trio.sleep_forever()
    errors = list(leaves(caught.value))
    assert {type(error) for error in errors} == {RestartLimitExceeded, Bang}
    assert "child <Unshown, whose repr raises RuntimeError> had more than 1 restart" in str(errors[0])


async def test_a_key_whose_repr_raises_may_be_refused_and_the_refusal_is_shown(autojump_clock: MockClock) -> None:
    actors: OnDemand[Unshown, Fragile] = OnDemand("actors", Fragile, limit=RestartLimit(1, 60))
    async with open_on_demand(actors):
        address = actors.via(Unshown())
        for _ in range(2):
            await crash(address)
        with pytest.raises(CrashedTooOften) as caught:
            address.cast_nowait(Fragile.ok)
    assert "<Unshown, whose repr raises RuntimeError> of 'actors' has crashed too often" in str(caught.value)


async def test_the_start_of_a_key_whose_repr_raises_waits_for_its_backoff(autojump_clock: MockClock) -> None:
    actors: OnDemand[Unshown, Fragile] = OnDemand("actors", Fragile, backoff=Backoff(initial=5, maximum=5))
    async with open_on_demand(actors):
        address = actors.via(Unshown())
        await crash(address)
        assert await address.call(Fragile.ok) == "ok"


async def test_a_call_of_an_actor_to_its_own_key_is_refused_though_the_repr_of_the_key_raises() -> None:
    async with open_on_demand(fragile):
        assert await fragile.via(Unshown()).call(Fragile.call_itself) == "refused"
