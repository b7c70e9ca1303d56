"""A name that a ``__del__`` gives back while the garbage collector runs: what waits for it is woken after that."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import trio
from support.finalizers import Cyclic
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, Feed, NotRegistered, Registered, Registry, Unregistered
from trioreg._registry import names as names_module
from trioreg._registry import registration
from trioreg._registry.changes import Changes
from trioreg._registry.entry import new_entry

pytestmark = pytest.mark.usefixtures("no_collection")


def runnable() -> int:
    return trio.lowlevel.current_statistics().tasks_runnable


async def test_a_name_that_a_finalizer_gives_back_wakes_the_next_task_after_the_collection(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    task = names.register("leader")
    got: list[object] = []

    async def wait() -> None:
        got.append(await names.acquire("leader"))
        await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        Cyclic(lambda: names.unregister("leader", owner=task))
        before = runnable()
        gc.collect()
        assert runnable() == before
        assert names.whereis("leader") is not task
        await wait_all_tasks_blocked()
        assert got == [names.whereis("leader")]
    assert names.count() == 0


async def test_a_task_that_is_cancelled_before_it_is_woken_for_a_name_has_the_name_as_long_as_it_lives(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    task = names.register("leader")
    got: list[object] = []
    scope = trio.CancelScope()

    async def wait() -> None:
        with scope:
            got.append(await names.acquire("leader"))
            await trio.sleep(1)
        got.append(names.whereis("leader"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        Cyclic(lambda: names.unregister("leader", owner=task))
        gc.collect()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert len(got) == 2
        assert got[0] is got[1] is not None
    assert names.count() == 0


async def test_an_event_of_a_finalizer_is_delivered_after_the_collection(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    task = names.register("leader")
    got: list[object] = []

    async def follow() -> None:
        with names.watch() as events:
            got.append(await events.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        Cyclic(lambda: names.unregister("leader", owner=task))
        before = runnable()
        gc.collect()
        assert runnable() == before
        await wait_all_tasks_blocked()
        assert got == [Unregistered("names", "leader", task, None, None)]


@pytest.mark.parametrize("by_actor", [False, True])
async def test_a_finalizer_that_follows_the_registry_in_the_middle_of_a_registration_is_told_of_it(
    by_actor: bool,
) -> None:
    thresholds = gc.get_threshold()
    followed = 0
    async with supervised() as supervisor:
        for objects in range(18, 48):
            names: Registry[str, None] = Registry("names")
            watches: list[Watch] = []
            blocks = ExitStack()
            Cyclic(partial(follow, names, watches, blocks))
            gc.set_threshold(objects, 1, 1)
            gc.enable()
            try:
                if by_actor:
                    await supervisor.start_child(Actor, name=names.via("bond"))
                else:
                    names.register("bond")
            finally:
                gc.disable()
                gc.set_threshold(*thresholds)
            with blocks:
                followed += len(watches)
                assert [feed.receive_nowait().key for feed in watches] == ["bond"] * len(watches)
            gc.collect()  # it begins to count again
    assert followed


Watch = Feed[Registered[str, None] | Unregistered[str, None]]


def follow(names: Registry[str, None], watches: list[Watch], blocks: ExitStack) -> None:
    """Watch a name that is not registered yet."""
    if trio.lowlevel.in_trio_task() and names.whereis("bond") is None:
        watches.append(blocks.enter_context(names.watch("bond")))


@pytest.mark.parametrize("by_actor", [False, True])
async def test_an_entry_whose_making_has_the_registry_followed_is_told_of(
    by_actor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the collector ran just there: the test above finds the moment, but not on every Python."""
    names: Registry[str, None] = Registry("names")
    watches: list[Watch] = []
    blocks = ExitStack()

    def made(cls: Any, parts: Any) -> Any:
        monkeypatch.undo()
        follow(names, watches, blocks)
        return new_entry(cls, parts)

    async with supervised() as supervisor:
        monkeypatch.setattr(names_module if by_actor else registration, "new_entry", made)
        if by_actor:
            await supervisor.start_child(Actor, name=names.via("bond"))
        else:
            names.register("bond")
        with blocks:
            (feed,) = watches
            assert feed.receive_nowait().key == "bond"


async def test_a_cast_to_all_by_a_finalizer_is_sent_after_the_collection(autojump_clock: MockClock) -> None:
    class Clerk(Actor):
        def note(self, text: str) -> None:
            noted.append(text)

    noted: list[str] = []
    counts: list[int] = []
    names: Registry[str, int] = Registry("names", keys="duplicate")
    async with supervised() as supervisor:
        clerks = [await supervisor.start_child(Clerk) for _ in range(2)]
        for clerk in clerks:
            names.register("clerks", 1, owner=clerk)
        await wait_all_tasks_blocked()
        Cyclic(lambda: counts.append(names.cast_all("clerks", Clerk.note, "collected")))
        before = runnable()
        gc.collect()
        assert runnable() == before
        assert counts == [2]
        assert [clerk.statistics().queued for clerk in clerks] == [0, 0]
        await wait_all_tasks_blocked()
        assert noted == ["collected", "collected"]


# In the middle of a change of a value


def once_as_an_entry_is_made(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """As if the collector ran just where the new entry is made."""

    def made(cls: Any, parts: Any) -> Any:
        monkeypatch.undo()
        action()
        return new_entry(cls, parts)

    monkeypatch.setattr(names_module, "new_entry", made)


async def test_a_value_that_is_updated_as_a_finalizer_gives_its_name_back_is_of_no_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: Registry[str, int] = Registry("names")
    me = names.register("counter", 1)
    once_as_an_entry_is_made(monkeypatch, lambda: names.unregister("counter", owner=me))
    with pytest.raises(NotRegistered):
        names.update_value("counter", lambda value: value + 1)
    assert names.count() == 0


async def test_a_name_that_is_taken_again_as_a_finalizer_gives_it_back_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: Registry[str, int] = Registry("names")
    me = names.register("user", 1)
    once_as_an_entry_is_made(monkeypatch, lambda: names.unregister("user", owner=me))
    assert names.take("user", 2) is None
    assert names.lookup("user") == [(me, 2)]
    assert names.keys(me) == ["user"]


@pytest.mark.parametrize("keys", ["unique", "duplicate"])
async def test_an_amount_that_is_added_as_a_finalizer_gives_the_key_back_is_of_no_key(
    keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: Registry[str, int] = Registry("names", keys=keys, totals=True)
    me = names.register("bytes", 1)
    once_as_an_entry_is_made(monkeypatch, lambda: names.unregister("bytes", owner=me))
    with pytest.raises(NotRegistered):
        names.add("bytes", 1)
    assert names.count() == names.total("bytes") == 0


async def test_an_amount_that_a_finalizer_adds_in_between_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    names: Registry[str, int] = Registry("names", totals=True)
    me = names.register("bytes", 1)
    once_as_an_entry_is_made(monkeypatch, lambda: names.add("bytes", 10, owner=me))
    assert names.add("bytes", 100) == 111
    assert names.total("bytes") == 111


async def test_a_name_that_a_finalizer_gives_back_while_a_selection_notes_its_new_value_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names")
    me = names.register("counter", 1)
    record = Changes[str, int].record

    def recorded(*args: Any) -> None:
        monkeypatch.undo()
        record(*args)
        names.unregister("counter", owner=me)

    for number in range(5000):
        names.register(f"other {number}", 0)
    found: list[object] = []

    async def select() -> None:
        found.extend(await names.select())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(select)
        while not names._names.selections:
            await trio.lowlevel.checkpoint()
        monkeypatch.setattr(Changes, "record", recorded)
        with pytest.raises(NotRegistered):
            names.update_value("counter", lambda value: value + 1)
        assert names.lookup("counter") == []
    assert len(found) == 5000
