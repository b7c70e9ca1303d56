"""Children that are rarely asked for like this: made-up ids in the way, and references of lives that are over."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.children import Failing, ref_of
from support.supervisors import supervising
from support.workers import Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Backoff, ChildNotFound, ChildSpec, Event, NotRunning, Registered, Registry, open_dynamic_supervisor
from trioreg._supervision import starting
from trioreg._supervision.children import Children


def fail(*_: object, **__: object) -> Any:
    raise MemoryError


async def test_an_id_that_is_made_up_passes_over_those_that_are_taken(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising() as supervisor:
        for id in (None, "Worker 2", None, "Worker 4", None):
            await supervisor.start_child(Worker, log, "a", id=id)
        ids = [child.id for child in supervisor.which_children()]
        assert ids == ["Worker", "Worker 2", "Worker 3", "Worker 4", "Worker 5"]


async def test_the_reference_of_a_life_that_could_not_begin_leads_to_no_child_even_if_that_is_undone_half_way(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    lives: list[Any] = []

    def note(event: Event[str, None]) -> None:
        if isinstance(event, Registered):
            lives.append(event.owner)

    names: Registry[str, None] = Registry("names", listeners=[note])
    async with supervising() as supervisor:
        first = await supervisor.start_child(Worker, log, "a", name=names.via("a"), id="a")
        await supervisor.terminate_child("a")
        with monkeypatch.context() as patch:
            patch.setattr(supervisor._engine._lifecycle.nursery, "start_soon", fail)
            patch.setattr(Children, "undo_life", fail)
            with pytest.raises(MemoryError):
                await supervisor.restart_child("a")
        assert lives[0] is first
        with pytest.raises(ChildNotFound):
            supervisor.which_child(lives[1])
        assert supervisor.which_child("a").state == "ended"
        again = await supervisor.restart_child("a")
        assert lives == [first, lives[1], again]
        assert supervisor.which_child(again).state == "running"


async def test_a_child_that_has_to_wait_once_more_is_still_found_when_its_first_wait_is_over(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    children = [
        ChildSpec(Failing, (log, "a"), id="a", name=names.via("a"), backoff=Backoff(initial=10, maximum=100)),
        ChildSpec(Failing, (log, "b"), id="b"),
    ]
    async with supervising(children, strategy="one_for_all") as supervisor:
        last = ref_of(supervisor, "a")
        last.cast_nowait(Failing.bang)
        await last.wait()
        assert supervisor.which_child(last).state == "restarting"
        names.register("a")  # so its next life can not begin
        b = ref_of(supervisor, "b")
        b.cast_nowait(Failing.bang)
        await trio.sleep(1)
        assert supervisor.which_child(last).restarts == 2
        assert supervisor.which_child(last).state == "restarting"
        names.unregister("a")
        await trio.sleep(100)
        assert supervisor.which_child("a").state == supervisor.which_child("b").state == "running"
        assert log == ["+a", "+b", "-a", "-b", "+a", "+b"]


class Slow(Worker):
    """It takes a second to start."""

    async def on_start(self) -> None:
        await trio.sleep(1)


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_start_that_could_not_be_waited_for_wakes_nobody_when_it_is_over(
    is_new: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervising() as supervisor:
        if not is_new:
            await supervisor.start_child(Slow, log, "a", id="a")
            await supervisor.terminate_child("a")
        began = trio.current_time()
        with monkeypatch.context() as patch:
            patch.setattr(starting, "sleep_with", fail)
            with pytest.raises(MemoryError):
                await (supervisor.start_child(Slow, log, "a", id="a") if is_new else supervisor.restart_child("a"))
        await trio.sleep(5)  # Trio says so if anything wakes it before
        assert trio.current_time() == began + 5


class SetOnce:
    """An event that can not be set the first time."""

    def __init__(self, event: trio.Event) -> None:
        self.event = event
        self.wait = event.wait
        self.has_failed = False

    def set(self) -> None:
        if not self.has_failed:
            self.has_failed = True
            raise MemoryError
        self.event.set()


async def test_a_task_that_waits_for_a_delayed_restart_is_told_of_the_end_even_if_that_fails_at_first(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    name = Registry[str, None]("names").via("a")
    ended: list[str] = []
    with pytest.RaisesGroup(MemoryError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery, open_dynamic_supervisor() as supervisor:
            backoff = Backoff(initial=10, maximum=100)
            last = await supervisor.start_child(Worker, log, "a", name=name, backoff=backoff)
            last.cast_nowait(Worker.bang)
            await last.wait()

            async def start_or_get() -> None:
                with pytest.raises(NotRunning):
                    await supervisor.start_or_get(Worker, log, "a", name=name)
                ended.append("refused")

            nursery.start_soon(start_or_get)
            await wait_all_tasks_blocked()
            delayed: Any = supervisor._engine.starting._delayed.for_name(name)
            delayed.over = SetOnce(delayed.over)
    assert ended == ["refused"]
