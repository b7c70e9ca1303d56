"""Tests the inside: a failure at any call within the retirement of actors on demand, or in the line for room."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.errors import Bang, leaves
from support.faults import AtCall, Fault, fails_at_every_call, inside
from trio.testing import wait_all_tasks_blocked

from trioreg import ActorExited, NotRunning, open_on_demand
from trioreg._supervision.on_demand_lives import Lives
from trioreg._supervision.on_demand_room import Room

STEPS: dict[str, tuple[type, dict[str, Any]]] = {
    "line_up": (Room, {"max_running": 2}),
    "launch_next": (Room, {"max_running": 2}),
    "came_round": (Room, {"max_running": 2}),
    "_make_room": (Room, {"max_running": 2}),
    "retire_idle": (Lives, {"retire_after": 20}),
    "finish": (Lives, {"shutdown": 10}),
}
TIMES = {"came_round": 2, "retire_idle": 1, "finish": 1}
"""How many times each step is taken, if not more than that."""


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no memory
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("step", "nth"), [*((step, nth) for step in STEPS for nth in range(TIMES.get(step, 3)))])
def test_room_that_is_made_with_a_failure_leaves_no_caller_unanswered_and_no_life(step: str, nth: int) -> None:
    holder, options = STEPS[step]
    keys = "a" if step == "retire_idle" else "abcd"

    async def scenario(fault: Fault) -> None:
        shop = Shop()
        shop.stop_takes = 1
        carts = shop.carts(**options)
        over: list[str] = []
        begun: list[str] = []
        raised: list[BaseException] = []
        seen: list[object] = []

        def is_that(*args: object) -> bool:
            seen.append(args)
            return len(seen) == nth + 1

        async def note(key: str, seconds: float) -> None:
            begun.append(key)
            with suppress(ActorExited, NotRunning, MemoryError):
                await carts.via(key).call(Cart.note_slowly, key, seconds)
            over.append(key)

        async with trio.open_nursery() as nursery:
            try:
                with inside(holder, step, fault, of=is_that):
                    async with open_on_demand(carts) as supervisor:
                        for key in keys:
                            nursery.start_soon(note, key, 2 if key == "b" else 0)
                            await wait_all_tasks_blocked()
                        await trio.sleep(60)
                        assert sorted(over) == begun
                        with trio.fail_after(100):
                            await carts.via("e").call(Cart.note, "again")
                        await trio.sleep(20)  # it is cancelled if the supervisor has failed
                        assert len(carts) == carts.registry.count() == len(supervisor.which_children())
                        supervisor.stop()
                        await trio.sleep(60)
            except BaseExceptionGroup as group:
                raised = leaves(group)
            except (MemoryError, ActorExited, NotRunning) as error:
                raised = [error]
            await wait_all_tasks_blocked()
            assert sorted(over) == begun
        assert {type(error) for error in raised} <= {MemoryError, ActorExited, NotRunning, Bang}, raised
        assert (len(carts), carts.registry.count()) == (0, 0)

    fails_at_every_call(AtCall, scenario)
