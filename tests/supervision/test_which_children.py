"""which_children() and count_children()."""

from __future__ import annotations

import trio
from support.children import ref_of, states, worker
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ChildSpec,
    Supervisor,
)


async def test_which_children_shows_all_in_start_order(autojump_clock: MockClock) -> None:
    specs = [
        worker([], "a"),
        ChildSpec(Supervisor, id="nested"),
        worker([], "b", restart="transient"),
    ]
    async with supervising(specs) as supervisor:
        await ref_of(supervisor, "b").stop()
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
        shown = supervisor.which_children()
        assert [child.id for child in shown] == ["a", "nested", "b"]
        assert [child.state for child in shown] == ["running", "running", "ended"]
        assert [child.restarts for child in shown] == [1, 0, 0]
        assert [child.is_supervisor for child in shown] == [False, True, False]
        assert [child.spec for child in shown] == specs
        assert [child.ref is not None for child in shown] == [True, True, False]


async def test_a_child_that_starts_is_shown_as_starting(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start_child, worker([], "a", start=2))
        await trio.sleep(1)
        assert states(supervisor) == ["starting"]
        await trio.sleep(2)
        assert states(supervisor) == ["running"]


async def test_count_children_tells_specs_active_supervisors_and_workers(autojump_clock: MockClock) -> None:
    specs = [worker([], "a"), ChildSpec(Supervisor, id="nested"), worker([], "b", restart="transient")]
    async with supervising(specs) as supervisor:
        await ref_of(supervisor, "b").stop()
        counts = supervisor.count_children()
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (3, 2, 1, 2)
