"""`trioreg.debug` holds and changes an actor in rare cases, and looks at one in the middle of a step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import trio
from support.errors import leaves
from support.held import Cart, items
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, debug
from trioreg._actors import control
from trioreg._actors.at_work import own_frames
from trioreg._actors.cell import CALLERS_TURN, OWN_TURN


async def test_a_change_that_raises_system_exit_is_undone_and_ends_the_program(autojump_clock: MockClock) -> None:
    kept: list[Cart] = []
    refs: list[ActorRef[Cart]] = []

    def leave(cart: Cart) -> None:
        kept.append(cart)
        cart.items = ["changed"]
        raise SystemExit("enough")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, restart="temporary")
            refs.append(ref)
            await ref.call(Cart.add, "tea")
            await debug.replace_state(ref, leave)
    assert SystemExit in {type(error) for error in leaves(caught.value)}
    exit = refs[0].exit
    assert exit is not None
    assert isinstance(exit.error, SystemExit)
    assert kept[0].items == ["tea"]


async def test_a_request_that_can_not_wake_a_suspended_actor_asks_for_nothing(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await debug.suspend(ref)
        with monkeypatch.context() as patch:
            patch.setattr(control, "wake", fail)
            with pytest.raises(MemoryError):
                await debug.replace_state(ref, lambda cart: cart.items.append("lost"))
        ref.cast_nowait(Cart.add, "behind")
        await wait_all_tasks_blocked()
        assert items(ref) == []
        await debug.replace_state(ref, lambda cart: cart.items.append("changed"))
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert items(ref) == ["changed", "behind"]


async def test_an_actor_that_is_resumed_before_it_was_suspended_is_changed_all_the_same(
    autojump_clock: MockClock,
) -> None:
    over: list[str] = []

    async def suspend() -> None:
        await debug.suspend(ref)
        over.append("suspend")

    async def change() -> None:
        await debug.replace_state(ref, lambda cart: cart.items.append("changed"))
        over.append("change")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()
        nursery.start_soon(suspend)
        await wait_all_tasks_blocked()
        nursery.start_soon(change)
        await wait_all_tasks_blocked()
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert over == ["suspend"]
        await trio.sleep(2)
        assert over == ["suspend", "change"]
        assert await ref.call(Cart.add, "tea") == "tea"
        assert items(ref) == ["paid", "changed", "tea"]


async def test_an_actor_whose_handler_in_the_turn_of_its_caller_is_just_over_stands_where_it_waits(
    autojump_clock: MockClock,
) -> None:
    """As another thread may see it: the handler has left the stack already, and the cell does not say so yet."""
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        waits = [frame.f_code for frame, _ in own_frames(cell)]
        cell.runs_in = CALLERS_TURN
        try:
            assert [frame.f_code for frame, _ in own_frames(cell)] == waits
        finally:
            cell.runs_in = OWN_TURN
        assert waits


# Copies of an actor with slots


class Slotted(Actor):
    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept = ["slot"]

    def copied(self) -> Any:
        return copy.copy(self)


class Both(Slotted):
    """Slots of its base, and attributes of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.more = "attribute"


@pytest.mark.parametrize("cls", [Slotted, Both])
async def test_a_copy_of_an_actor_with_slots_is_a_plain_object_with_the_same_attributes(
    cls: type[Slotted], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(cls)
        other = await ref.call(cls.copied)
        assert type(other) is cls
        assert other.kept == ["slot"]
        assert getattr(other, "more", None) == (None if cls is Slotted else "attribute")
        with pytest.raises(RuntimeError, match="was not started by a supervisor"):
            _ = other.ref
