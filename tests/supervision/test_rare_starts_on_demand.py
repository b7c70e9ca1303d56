"""Starts of actors on demand that come rarely: ended before they have begun, refused, or undone half-way."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, AlreadyRegistered, Backoff, OnDemand, open_on_demand
from trioreg._supervision.on_demand_room import Room


async def crash(address: Any) -> None:
    with pytest.raises(ActorExited):
        await address.call(Cart.crash)


# A life that waits for the end of a backoff


async def test_after_a_life_as_long_as_the_longest_wait_the_waits_begin_anew(autojump_clock: MockClock) -> None:
    carts: Any = Shop().carts(backoff=Backoff(initial=1, maximum=10))
    address = carts.via("a")
    async with open_on_demand(carts):
        for _ in range(3):
            await crash(address)
        await address.call(Cart.note, 1)
        assert trio.current_time() == 1 + 2 + 4
        await trio.sleep(10)
        await crash(address)
        began = trio.current_time()
        await address.call(Cart.note, 2)
        assert trio.current_time() - began == 1


async def test_a_key_that_has_crashed_is_forgotten_at_the_next_crash_of_another_one_after_its_longest_wait(
    autojump_clock: MockClock,
) -> None:
    carts: Any = Shop().carts(backoff=Backoff(initial=1, maximum=10))
    async with open_on_demand(carts):
        for key, at, kept in (("a", 0, ["a"]), ("b", 11, ["a", "b"]), ("c", 12, ["b", "c"])):
            await trio.sleep_until(at)
            await crash(carts.via(key))
            await wait_all_tasks_blocked()
            assert list(carts._lives._crashes._by_key) == kept


@pytest.mark.parametrize("how", ["kill", "cancel"])
async def test_a_life_that_waits_for_a_backoff_can_be_ended_and_does_not_begin(
    how: str, autojump_clock: MockClock
) -> None:
    shop = Shop()
    carts: Any = shop.carts(backoff=Backoff(initial=10, maximum=10))
    address = carts.via("a")
    async with open_on_demand(carts) as supervisor:
        await crash(address)
        await wait_all_tasks_blocked()
        address.cast_nowait(Cart.note, 1)
        ref = carts.whereis("a")
        getattr(ref, how)()
        await ref.wait()
        assert (len(carts), carts.registry.count(), supervisor.which_children()) == (0, 0, [])
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0  # nothing is left that waits
    assert (shop.lives["a"], shop.handled["a"]) == (1, [])


async def test_at_the_end_a_life_that_waits_for_a_backoff_handles_its_messages_at_once(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    carts: Any = shop.carts(backoff=Backoff(initial=100, maximum=100))
    async with open_on_demand(carts):
        await crash(carts.via("a"))
        await wait_all_tasks_blocked()
        carts.via("a").cast_nowait(Cart.note, 1)
        await wait_all_tasks_blocked()
        assert shop.handled["a"] == []
    assert shop.handled["a"] == [1]
    assert trio.current_time() == 0


# A first message


class Talkative:
    """A key that is compared with all others, and that does something at its next comparison but so many."""

    todo: Any = None
    after = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        todo = Talkative.todo
        if todo is not None:
            Talkative.after -= 1
            if Talkative.after < 0:
                Talkative.todo = None
                todo()
        return isinstance(other, Talkative) and self.name == other.name

    def __repr__(self) -> str:
        return repr(self.name)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("after", range(8))
async def test_a_key_that_sends_to_its_own_actor_while_it_is_compared_has_one_actor_or_none(
    after: int, is_first: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    shop: Any = Shop()
    shop.stop_takes = 1
    carts = shop.carts()
    monkeypatch.setattr(Talkative, "after", after)
    monkeypatch.setattr(Talkative, "todo", None)
    async with open_on_demand(carts) as supervisor:
        await carts.via(Talkative("other")).call(Cart.note, 0)
        key = Talkative("a")
        address = carts.via(key)
        if not is_first:  # the life before it is on its way out
            await address.call(Cart.note, 0)
            address._resolve().cancel()
            await wait_all_tasks_blocked()
        monkeypatch.setattr(Talkative, "todo", lambda: address.cast_nowait(Cart.note, 1))
        refusal: Exception | None = None
        try:
            address.cast_nowait(Cart.note, 2)
        except (RuntimeError, AlreadyRegistered) as error:
            refusal = error
        if isinstance(refusal, RuntimeError):
            assert str(refusal) == "'a' of 'carts' was used by its own __eq__ or __hash__"
        expected = [1, 2] if refusal is None else [1] if carts.whereis(key) else []
        await trio.sleep(2)
        assert sorted(shop.handled[key]) == [0][is_first:] + expected
        assert len(supervisor.which_children()) == len(carts) == carts.registry.count() == 1 + bool(expected)
        assert await address.call(Cart.note, 3) == 3
    assert shop.lives[key] == 2 - is_first


async def test_a_start_that_fails_and_can_not_be_undone_at_first_leaves_nothing_and_takes_up_no_room(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    carts: Any = Shop().carts(max_running=1)
    async with open_on_demand(carts) as supervisor:
        move = Room.move
        failures = [MemoryError("undone"), MemoryError("started")]

        def move_or_fail(self: Room, cell: Any, place: Any) -> None:
            if place is None and failures:
                raise failures.pop()
            move(self, cell, place)

        def fail(*_: object) -> None:
            raise failures.pop()

        with monkeypatch.context() as patch:
            patch.setattr(Room, "move", move_or_fail)
            patch.setattr(supervisor._engine.starting.__class__, "launch", fail)
            with pytest.raises(MemoryError, match="undone"):
                carts.via("a").cast_nowait(Cart.note, 1)
        assert not failures
        assert (len(carts), carts.registry.count(), supervisor.which_children()) == (0, 0, [])
        assert await carts.via("b").call(Cart.note, 2) == 2


# Room


class Plain(Actor):
    async def answer(self, seconds: float) -> float:
        await trio.sleep(seconds)
        return seconds


class Asking(Cart):
    async def ask_twice(self, plain: ActorRef[Plain]) -> list[float]:
        answers: list[float] = []

        async def ask(seconds: float) -> None:
            answers.append(await plain.call(Plain.answer, seconds))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 1)
            nursery.start_soon(ask, 1)
        return answers


async def test_a_call_waits_for_the_room_of_an_actor_that_waits_for_another_one_twice(
    autojump_clock: MockClock,
) -> None:
    carts: Any = Shop().carts(Asking, max_running=1)
    async with open_on_demand(carts), supervised() as supervisor, trio.open_nursery() as nursery:
        plain = await supervisor.start_child(Plain)
        nursery.start_soon(carts.via("a").call, Asking.ask_twice, plain)
        await wait_all_tasks_blocked()
        caller = await supervisor.start_child(Caller, carts)
        assert await caller.call(Caller.ask, "b") == "b"
        assert trio.current_time() == 2


class Caller(Actor):
    def __init__(self, carts: OnDemand[str, Any]) -> None:
        self.carts = carts

    async def ask(self, key: str) -> object:
        return await self.carts.via(key).call(Cart.note, key)


# The end of a run


def test_a_run_that_is_over_takes_nothing_from_the_next_one_when_it_is_let_go_of_late() -> None:
    shop = Shop()
    carts: Any = shop.carts()
    engines: list[Any] = []

    async def main() -> None:
        shop.refs.clear()
        async with open_on_demand(carts) as supervisor:
            engines.append(supervisor._engine)
            await carts.via("a").call(Cart.note, 1)
            engines[0].forget_run()
            assert len(carts) == (len(engines) > 1)
            if len(engines) > 1:
                assert await carts.via("a").call(Cart.note, 2) == 2

    for _ in range(2):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert shop.lives["a"] == 2
