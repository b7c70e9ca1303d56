"""Lives on demand in rare states: they owe answers, or end, while another key waits for their room."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.inside import cell_of
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, Reply, open_on_demand
from trioreg._actors import post
from trioreg._actors.passing_cell import PassingCell
from trioreg._supervision.on_demand_room import Room


class Later(Cart):
    """It answers when it is told to."""

    replies: tuple[Reply[str], ...] = ()

    def later(self) -> Reply[str]:
        reply = Reply[str]()
        self.replies = (*self.replies, reply)
        return reply

    def answer(self) -> None:
        self.replies[0].send("late")
        self.replies = self.replies[1:]


async def test_an_actor_that_is_cancelled_while_it_owes_an_answer_makes_room(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail(_: object) -> None:
        raise AssertionError("it ends anyhow")

    shop = Shop()
    carts: Any = shop.carts(Later, max_running=1)

    async def ask() -> None:
        with pytest.raises(ActorExited):
            await carts.via("a").call(Later.later)

    async def note() -> None:
        assert await carts.via("b").call(Later.note, 1) == 1

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.start_soon(note)
        await wait_all_tasks_blocked()
        assert not shop.handled
        monkeypatch.setattr(PassingCell, "ask_round", fail)
        carts.whereis("a").cancel()
    assert shop.handled == {"b": [1]}


async def test_an_actor_whose_answers_are_watched_already_is_not_watched_twice(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Later, max_running=1)
    answers: list[str] = []

    async def ask() -> None:
        answers.append(await carts.via("a").call(Later.later))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.start_soon(carts.via("b").call, Later.note, 1)
        await wait_all_tasks_blocked()
        cell = carts.whereis("a")._cell
        assert isinstance(cell, PassingCell)
        owed = cell.deferred
        cell.watch_answers()
        assert cell.deferred is owed
        assert not shop.handled
        await carts.whereis("a").call(Later.answer)
    assert answers == ["late"]
    assert shop.handled == {"b": [1]}


async def test_a_call_that_an_actor_defers_after_its_first_watched_answer_is_refused_when_it_ends(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    carts: Any = shop.carts(Later, max_running=1)
    answers: list[tuple[object, type | None]] = []

    def note(value: object, error: BaseException | None) -> None:
        answers.append((value, None if error is None else type(error)))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        for _ in range(2):
            post(carts.via("a"), note, Later.later)
        await wait_all_tasks_blocked()
        nursery.start_soon(carts.via("b").call, Later.note, 1)
        await wait_all_tasks_blocked()
        ref = carts.whereis("a")
        ref.cast_nowait(Later.answer)
        post(ref, note, Later.later)
        ref.cast_nowait(Later.answer)
        await wait_all_tasks_blocked()
        assert answers == [("late", None)] * 2
        ref.cancel()
    assert answers[2:] == [(None, ActorExited)]


async def test_a_call_that_waits_for_room_in_an_actor_that_stops_with_all_others_is_refused(
    autojump_clock: MockClock,
) -> None:
    class Small(Cart):
        mailbox_size = 1

    shop = Shop()
    carts: Any = shop.carts(Small)
    refused: list[object] = []

    async def ask() -> None:
        with pytest.raises(ActorExited) as caught:
            await carts.via("a").call(Small.note, "third")
        refused.append(caught.value.was_sent)

    async with trio.open_nursery() as nursery, open_on_demand(carts) as supervisor:
        carts.via("a").cast_nowait(Small.note_slowly, "first", 2)
        await wait_all_tasks_blocked()
        carts.via("a").cast_nowait(Small.note, "second")
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        supervisor.stop()
    assert refused == [False]
    assert shop.handled == {"a": ["first", "second"]}


async def test_a_life_waits_for_the_one_before_it_until_that_has_ended(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stop_takes = 1
    carts = shop.carts()
    async with open_on_demand(carts):
        await carts.via("a").call(Cart.finish)
        carts.via("a").cast_nowait(Cart.note, 1)
        ref = carts.whereis("a")
        assert ref is not None
        cell = cell_of(ref)
        assert cell.waits
        await trio.sleep(2)
        assert cell is cell_of(shop.refs["a"])
        assert not cell.waits


async def test_the_shutdown_does_not_wait_for_a_life_whose_last_step_has_failed(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    failed: list[PassingCell] = []
    move = Room.move

    def fail_once(room: Room, cell: PassingCell, place: Any) -> None:
        if place is None and not failed:
            failed.append(cell)
            raise MemoryError
        move(room, cell, place)

    shop = Shop()
    carts = shop.carts()
    with trio.fail_after(100), pytest.RaisesGroup(MemoryError):
        async with open_on_demand(carts):
            carts.via("a").cast_nowait(Cart.note_slowly, "work")
            await wait_all_tasks_blocked()
            monkeypatch.setattr(Room, "move", fail_once)
    assert len(failed) == 1
    assert shop.handled == {"a": ["work"]}
