"""Tests the inside: a failure at any call of a step of `trioreg.debug` leaves an actor that goes on."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call
from support.held import Cart, items
from support.inside import ask_to_stop
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import debug
from trioreg._actors import ask_to_suspend, resume, wait_answer

KINDS = [AtCall, WithRoom]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_busy", [False, True])
def test_a_suspension_that_can_not_be_asked_for_is_not_asked_for(is_busy: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            cell = ref._cell
            assert cell is not None
            if is_busy:
                ref.cast_nowait(Cart.pay)
            await wait_all_tasks_blocked()
            asked: list[Any] = []
            if fault(lambda: asked.append(ask_to_suspend(cell))):
                await wait_answer(asked[0])
            await trio.sleep(2)
            assert debug.is_suspended(ref) is bool(asked)
            await debug.resume(ref)
            await ref.call(Cart.add, "tea")
            await debug.suspend(ref)
            await debug.resume(ref)
            assert items(ref) == [*["paid"] * is_busy, "tea"]

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("waits", [False, True])
def test_a_resume_that_fails_can_be_asked_for_again(waits: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Cart)
            cell = ref._cell
            assert cell is not None
            if waits:
                ref.cast_nowait(Cart.pay)
                await wait_all_tasks_blocked()
                nursery.start_soon(debug.suspend, ref)
                await wait_all_tasks_blocked()
            else:
                await debug.suspend(ref)
            if not fault(lambda: resume(cell)):
                resume(cell)
            await ref.call(Cart.add, "tea")
            assert not debug.is_suspended(ref)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_of_a_suspended_actor_that_fails_can_be_asked_for_again(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, restart="temporary")
            await debug.suspend(ref)
            ref.cast_nowait(Cart.add, "tea")
            if not fault(lambda: ask_to_stop(ref)):
                await wait_all_tasks_blocked()
                ask_to_stop(ref)
            assert (await ref.wait()).reason == "normal"

    fails_at_every_call(kind, scenario)
