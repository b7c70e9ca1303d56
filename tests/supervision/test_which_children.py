"""which_children(), which_child() and count_children()."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.children import bang, ref_of, states, worker
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, Backoff, ChildInfo, ChildNotFound, ChildSpec, Supervisor


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


async def test_which_child_shows_one_by_its_id_and_by_its_reference(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a"), worker([], "b", restart="transient")]) as supervisor:
        for number, id in enumerate("ab"):
            shown = supervisor.which_child(id)
            assert shown == supervisor.which_children()[number]
            assert supervisor.which_child(shown.ref) == shown


async def test_which_child_finds_an_ended_child_by_its_last_reference(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a", restart="transient")]) as supervisor:
        first = ref_of(supervisor, "a")
        await first.stop()
        shown = supervisor.which_child(first)
        assert (shown.id, shown.ref, shown.state) == ("a", None, "ended")
        await supervisor.restart_child(first)
        with pytest.raises(ChildNotFound):
            supervisor.which_child(first)
        supervisor.which_child(ref_of(supervisor, "a"))
        await supervisor.terminate_child("a")
        last = supervisor.which_child("a")
        supervisor.delete_child("a")
        for which in ("a", first, last.ref):
            with pytest.raises((ChildNotFound, TypeError)):
                supervisor.which_child(which)


async def test_which_child_finds_a_child_that_waits_for_its_restart(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a", backoff=Backoff(5))]) as supervisor:
        first = ref_of(supervisor, "a")
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert supervisor.which_child(first) == supervisor.which_child("a")
        assert supervisor.which_child("a").state == "restarting"


async def test_which_child_of_a_dynamic_supervisor_takes_a_reference(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Actor, restart="temporary")
        assert supervisor.which_child(ref) == ChildInfo(
            None, ref, "running", 0, False, ChildSpec(Actor, restart="temporary")
        )
        with pytest.raises(TypeError, match="child must be an ActorRef, not 'a'"):
            supervisor.which_child("a")
        await ref.stop()
        with pytest.raises(ChildNotFound):
            supervisor.which_child(ref)


async def test_which_child_does_not_look_at_the_other_children(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with supervising([ChildSpec(Actor, id=number, restart="transient") for number in range(10)]) as supervisor:
        ref = ref_of(supervisor, 7)
        await ref.stop()
        book = supervisor._engine.book

        class Counting(dict[Any, Any]):
            def values(self) -> Any:
                raise AssertionError("looked at all")

        monkeypatch.setattr(book, "by_id", Counting(book.by_id))
        assert supervisor.which_child(7) == supervisor.which_child(ref)
        monkeypatch.undo()


async def test_which_child_by_call(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(Supervisor, [worker([], "a")])
        assert (await ref.call(Supervisor.which_child, "a")).state == "running"
        with pytest.raises(ChildNotFound):
            await ref.call(Supervisor.which_child, "b")
