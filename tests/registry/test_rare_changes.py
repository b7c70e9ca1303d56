"""Changes of a registry that fail half-way, and those that meet a key which raises: each is done, or nothing is."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import trio
from support.events import received
from support.faults import fail_once
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, Event, Feed, Registered, Registry, Unregistered, current_owner
from trioreg._registry import Removals, Selection, keys_of, watching
from trioreg._registry.acquire_queue import AcquireQueues
from trioreg._registry.names import Names
from trioreg._registry.totals import Totals
from trioreg._runtime import Run, current_run


class Touchy:
    """Keys of one hash, which raise when they are compared, once they are told to."""

    is_touchy = False

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        if self.is_touchy:
            raise ZeroDivisionError("compared")
        return isinstance(other, Touchy) and other.name == self.name

    def __repr__(self) -> str:
        return f"Touchy({self.name!r})"


@pytest.fixture
def touchy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Touchy, "is_touchy", False)


def fail(*_: object, **__: object) -> Any:
    raise MemoryError


@pytest.mark.parametrize("is_watched", [False, True])
def test_a_registry_whose_run_broke_down_can_be_used_in_the_next_one(is_watched: bool) -> None:
    names: Registry[str, None] = Registry("names")

    async def first() -> Run:
        names.register("a")
        return current_run()

    broken = trio.run(first)
    assert broken.is_over

    async def second() -> int:
        names.register("a")
        return names.count()

    if is_watched:
        names._names.watch()
    names._names._run = broken  # as if the end of that run had failed
    assert trio.run(second) == 1


def test_the_signature_of_meta_shows_that_the_default_may_be_missing() -> None:
    assert "default: 'object' = <missing>" in str(inspect.signature(Registry[str, int].meta))


async def test_a_second_entry_of_a_key_that_can_not_be_counted_leaves_the_first_one(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names", keys="duplicate", totals=True)
    for value in (1, 2):
        names.register("a", value)
    with monkeypatch.context() as patch:
        patch.setattr(Totals, "add", fail)
        with pytest.raises(MemoryError):
            names.register("a", 4)
    assert names.values("a", current_owner()) == [1, 2]
    assert names.total("a") == 3


@pytest.mark.parametrize("keys", ["unique", "duplicate"])
async def test_a_removal_that_can_not_be_counted_leaves_the_name(
    keys: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, int] = Registry("names", keys=keys, totals=True)
    names.register("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Totals, "subtract", fail)
        with pytest.raises(MemoryError):
            names.unregister("a")
    assert names.values("a", current_owner()) == [1]
    assert names.total("a") == 1
    names.unregister("a")
    assert (names.count(), names.total("a")) == (0, 0)


async def test_a_task_keeps_the_last_name_in_a_registry_if_its_removal_fails_and_all_in_others(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    registries = [Registry[str, int](name) for name in ("one", "two", "three")]
    for names in registries:
        names.register("a", 1)
    with registries[2].watch("a"), monkeypatch.context() as patch:
        fail_once(patch, Names, "_note_removal")
        with pytest.raises(MemoryError):
            registries[2].unregister("a")
    me = current_owner()
    assert [names.keys(me) for names in registries] == [["a"], ["a"], ["a"]]
    for names in registries:
        names.unregister("a")
    assert [names.count() for names in registries] == [0, 0, 0]


async def test_an_entry_is_removed_once(autojump_clock: MockClock) -> None:
    names: Registry[str, int] = Registry("names", keys="duplicate")
    owner = current_owner()
    for value in (1, 2, 3):
        names.register("a", value)
    numbers = [number for number, _ in names._names.entries_of(owner, "a")]
    assert names._names.delete(owner, "a", numbers[1])
    assert not names._names.delete(owner, "a", numbers[1])
    assert names.values("a", owner) == [1, 3]


async def test_a_task_that_waits_for_a_name_and_gets_it_by_a_transfer_is_woken_even_if_that_fails_at_first(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    names.register("leader")
    got: list[object] = []

    async def wait(task_status: trio.TaskStatus[object]) -> None:
        task_status.started(current_owner())
        got.append(await names.acquire("leader"))

    failed = fail_once(monkeypatch, AcquireQueues, "wake")
    async with trio.open_nursery() as nursery:
        waiting: Any = await nursery.start(wait)
        await wait_all_tasks_blocked()
        names.transfer("leader", waiting)
        assert names.whereis("leader") == waiting
        await wait_all_tasks_blocked()
        assert failed
        assert got == [waiting]


async def test_a_selection_does_not_show_a_name_whose_key_raises_when_its_owner_ends(
    touchy: None, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[Touchy, int] = Registry("names")
    names.register(Touchy("in front of them"), 0)

    async def hold(task_status: trio.TaskStatus[None]) -> None:
        names.register(Touchy("a"), 1)
        names.register(Touchy("b"), 2)
        task_status.started()
        await trio.sleep(1)
        monkeypatch.setattr(Touchy, "is_touchy", True)

    async with trio.open_nursery() as nursery:
        await nursery.start(hold)
        entries = [entry for partition in names._names.partitions for _, entry in partition.rows()]
        with Selection(names._names.selections) as changes:
            await trio.sleep(2)
            assert [changes.current(entry) for entry in entries] == [entries[0], None, None]
    assert names.count() == 1


async def test_the_next_in_line_has_the_name_even_if_a_listener_raises_system_exit_when_it_is_told(
    autojump_clock: MockClock,
) -> None:
    def leave(event: Event[str, None]) -> None:
        if isinstance(event, Registered) and event.owner != me:
            raise SystemExit("enough")

    names: Registry[str, None] = Registry("names", listeners=[leave])
    me = current_owner()
    names.register("leader")
    got: list[object] = []

    async def wait() -> None:
        got.append(await names.acquire("leader"))
        assert names.whereis("leader") == current_owner()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        with pytest.raises(SystemExit, match="enough"):
            names.unregister("leader")
    assert len(got) == 1


async def test_a_task_that_waits_for_a_key_which_raises_gets_that_error_at_the_next_registration(
    touchy: None, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[Touchy, None] = Registry("names")
    raised: list[str] = []

    async def wait() -> None:
        with pytest.raises(ZeroDivisionError) as error:
            await names.wait_for(Touchy("a"))
        raised.append(str(error.value))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(Touchy, "is_touchy", True)
        names.register(Touchy("b"))
    assert raised == ["compared"]


async def test_a_watch_that_can_not_begin_watches_nothing(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    with monkeypatch.context() as patch:
        patch.setattr(watching, "partial", fail)
        with pytest.raises(MemoryError), names.watch("a"):
            raise AssertionError("it must not begin")
    notifier = names._names.notifier
    assert notifier is not None
    assert not notifier._watchers
    assert not notifier._watchers_of_all


async def test_a_change_and_one_that_is_undone_are_counted_each(
    touchy: None, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """A count that is too large costs a second look at the table. One that is too small would miss a name."""
    names: Registry[str, int] = Registry("names")
    names.register("a", 1)
    removals: Removals[str, int] = Removals()
    with Selection(names._names.selections, removals):
        names.update_value("a", lambda value: value + 1)
        names.unregister("a")
        assert removals.count == 2
        names.register("a", 2)
        entry = names._names.entry("a")
        assert entry is not None
        names._names._undo_record("a", entry, entry)
        assert removals.count == 3


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_key_that_raises_counts_for_itself_where_the_entries_of_each_key_are_counted(
    partitions: int, touchy: None, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    topics: Registry[Touchy, int] = Registry("topics", keys="duplicate", partitions=partitions)
    for name in ("a", "a", "b"):
        topics.register(Touchy(name), 1)
    monkeypatch.setattr(Touchy, "is_touchy", True)
    assert sorted((key.name, count) for key, count in keys_of(topics._names)) == [("a", 2), ("b", 1)]


@pytest.mark.parametrize("is_quicker", [False, True])
async def test_a_waiter_gets_its_name_although_there_is_no_room_when_the_holder_ends(
    is_quicker: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail_once(*_: object) -> None:
        monkeypatch.undo()
        raise MemoryError

    def be_quicker(event: Event[str, str]) -> None:
        if is_quicker and isinstance(event, Unregistered) and event.owner is holder:
            names.register("leader", "quicker", owner=other)

    async def wait_in_line() -> None:
        await names.acquire("leader", "waiter")
        await trio.sleep_forever()

    names: Registry[str, str] = Registry("names", listeners=[be_quicker])
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        holder, other = [await supervisor.start_child(Actor, restart="temporary") for _ in range(2)]
        names.register("leader", "holder", owner=holder)
        nursery.start_soon(wait_in_line)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(AcquireQueues, "wake_next", fail_once)
        holder.kill()
        await wait_all_tasks_blocked()
        if is_quicker:
            assert [entry.value for entry in names.lookup("leader")] == ["quicker"]
            names.unregister("leader", owner=other)
            await wait_all_tasks_blocked()
        assert [entry.value for entry in names.lookup("leader")] == ["waiter"]
        nursery.cancel_scope.cancel()


async def test_an_event_that_could_not_be_told_for_want_of_memory_is_told_a_little_later(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail_once(*_: object) -> None:
        monkeypatch.undo()
        raise MemoryError

    names: Registry[str, None] = Registry("names")
    with names.watch() as events:
        monkeypatch.setattr(Feed, "_put", fail_once)
        names.register("a")
        await wait_all_tasks_blocked()
        names.register("b")
        assert [event.key for event in received(events)] == ["a", "b"]
