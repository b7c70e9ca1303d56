"""max_children: how many children a dynamic supervisor may have."""

from __future__ import annotations

import pytest
import trio
from support.children import FailsToStart, states, worker
from support.errors import Bang
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Backoff,
    MaxChildren,
    Registry,
    open_dynamic_supervisor,
)


async def test_a_start_beyond_max_children_is_refused_and_leaves_nothing(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_children=2, name="pool") as supervisor:
            for label in "ab":
                await supervisor.start_child(worker(log, label))
            with pytest.raises(MaxChildren, match="pool can't have more children: max_children is 2") as caught:
                await supervisor.start_child(worker(log, "c", name=names.via("c")))
            assert (caught.value.supervisor, caught.value.max_children) == ("pool", 2)
            assert log == ["+a", "+b"]
            assert names.count() == 0
            assert supervisor.count_children().specs == 2
            scope.cancel()


async def test_children_that_start_or_wait_for_their_restart_count_for_max_children(
    autojump_clock: MockClock,
) -> None:
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_children=2) as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(worker([], "a", backoff=Backoff(initial=50)))
            ref.kill()
            nursery.start_soon(supervisor.start_child, worker([], "b", start=50))
            await wait_all_tasks_blocked()
            assert states(supervisor) == ["restarting", "starting"]
            with pytest.raises(MaxChildren):
                await supervisor.start_child(worker([], "c"))
            scope.cancel()


@pytest.mark.parametrize("how", ["ends", "is terminated", "does not start"])
async def test_there_is_room_for_another_child_when_a_child(how: str, autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_children=1) as supervisor:
            if how == "does not start":
                with pytest.raises(Bang):
                    await supervisor.start_child(FailsToStart)
            else:
                ref = await supervisor.start_child(worker([], "a", restart="transient"))
                await (supervisor.terminate_child(ref) if how == "is terminated" else ref.stop())
            assert (await supervisor.start_child(worker([], "b"))).is_alive
            scope.cancel()
