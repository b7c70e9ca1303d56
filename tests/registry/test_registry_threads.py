"""A registry read from other threads while its run writes, and written by one run at a time.

No virtual time in here: it would jump to the next deadline while a thread works.
"""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import trio
from support.inside import exact_totals
from support.owners import SORTS, Stage, held_by, staged
from support.side_by_side import reading
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ANY, Owner, Registered, Registry, Unregistered, Var, current_owner
from trioreg._registry import changes as changes_module
from trioreg._registry import query
from trioreg._registry.query import ROWS_PER_TURN


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# Reading from any thread


async def test_names_come_and_go_while_a_thread_reads_in_every_way(
    registry: Registry[Any, Any], restless: None
) -> None:
    is_unique = bool(registry._names.unique)

    def read() -> None:
        assert held_by(registry, "stays") == [stays]
        assert len(registry.lookup("comes and goes")) <= (1 if is_unique else 3)
        for key in ("comes and goes", "never there"):
            if is_unique:
                registry.whereis(key)
                registry.via(key).whereis()
            registry.match(key, int)
            registry.count_match(key, ANY)
            registry.dispatch(key, lambda entries: entries[0].owner)
            registry.values(key, owner)
        assert "stays" not in registry.keys(owner)
        assert "stays" in registry.keys(stays)
        assert registry.values("stays", stays) == [0]
        assert ("stays", stays, 0) in registry.select_nowait()
        assert registry.select_nowait("stays", into=1) == [1]
        assert ("stays", stays, 0) in registry.select_nowait(owner=stays)
        registry.select_nowait(Var("key"), owner, int, where=lambda key: key != "stays", into=Var("key"))
        assert registry.count() >= 1
        assert any("stays" in row for table in registry.tables() for row in table.rows)
        assert "'stays'" in registry.dump()
        assert registry.meta("fact", 0) >= 0
        assert "tested" in repr(registry)

    async with staged() as stage:
        stays, owner = await stage.actor(), await stage.task()
        registry.register("stays", 0, owner=stays)
        async with reading(read) as rounds:
            for fact in rounds:
                for number in range(1 if is_unique else 3):
                    registry.register("comes and goes", number, owner=owner)
                    registry.register(("other", number), number, owner=owner)
                if is_unique:
                    registry.update_value("comes and goes", lambda value: value + 1, owner=owner)
                    registry.transfer("comes and goes", stays, owner=owner)
                    registry.transfer("comes and goes", owner, owner=stays)
                else:
                    registry.unregister_match("comes and goes", 1, owner=owner)
                registry.unregister("comes and goes", owner=owner)
                for number in range(3):
                    registry.unregister(("other", number), owner=owner)
                registry.put_meta("fact", fact)
                await trio.lowlevel.checkpoint()
                registry.delete_meta("fact")
        assert registry.count() == 1


async def test_the_entries_of_an_owner_are_read_in_a_thread_while_they_go_one_by_one(restless: None) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=2)

    def read() -> None:
        for _ in range(10):
            values = topics.values("key", owner)
            assert values == sorted(set(values))
            selected: list[Any] = topics.select_nowait(owner=owner, value=Var("x"), into=Var("x"))
            assert selected == [-1, *sorted(set(selected[1:]))]

    async with staged() as stage:
        owner = await stage.actor()
        topics.register("stays", -1, owner=owner)
        async with reading(read) as rounds:
            for _ in rounds:
                for value in range(100):
                    topics.register("key", value, owner=owner)
                await trio.lowlevel.checkpoint()
                topics.unregister("key", owner=owner)
                await trio.lowlevel.checkpoint()


async def test_totals_are_read_in_a_thread_while_they_change(restless: None) -> None:
    counters: Registry[str, int] = Registry("counters", keys="duplicate", partitions=2, totals=True)

    def read() -> None:
        assert counters.total("key") >= 5
        counters.total("other")

    async with staged() as stage:
        counters.register("key", 5, owner=await stage.actor())
        counters.register("key", 0)
        async with reading(read, reads=3_000) as rounds:
            for _ in rounds:
                counters.add("key", 1)
                counters.register("other", 1)
                counters.unregister("other")
                await trio.lowlevel.checkpoint()


async def test_no_thread_finds_an_owner_whose_end_has_been_told(registry: Registry[Any, Any], restless: None) -> None:
    """A thread runs beside the very step in which an owner ends, so it may see the last of that. But once anything in
    the run could know of the end, no look that begins afterwards shows the owner."""
    ended: list[Owner] = []

    def read() -> None:
        known = set(ended)
        assert known
        shown = set(held_by(registry, "key"))
        shown.update(owner for _, owner in rows(registry))
        shown.update(owner for _, owner, _ in registry.select_nowait())
        assert not shown & known
        assert all(registry.keys(owner) == [] for owner in known)

    async def start_and_end(number: int) -> None:
        owner = await stage.start(SORTS[number % 2])
        registry.register("key", number, owner=owner)
        registry.register(("other", number), number, owner=owner)
        await stage.end(owner)
        ended.append(owner)
        del ended[:-5]

    async with staged() as stage:
        await start_and_end(0)
        async with reading(read, reads=300) as rounds:
            for number in rounds:
                await start_and_end(number)
    assert registry.count() == 0


async def test_a_restart_and_a_transfer_are_never_seen_without_a_holder_by_any_thread(
    names: Registry[str, int], restless: None
) -> None:
    def read() -> None:
        assert len(names.lookup("name")) == 1
        assert names.whereis("name") is not None

    async with staged() as stage:
        owners = [await stage.start(sort) for sort in SORTS]
        names.register("name", 1, owner=owners[0])
        async with reading(read, reads=3_000) as rounds:
            for _ in rounds:
                names.transfer("name", owners[1], owner=owners[0])
                owners.reverse()
                await trio.lowlevel.checkpoint()


async def test_a_selection_in_another_run_is_safe(registry: Registry[Any, Any], restless: None) -> None:
    async def select() -> None:
        found = await registry.select()
        assert ("stays", stays, 0) in found
        assert await registry.count_select("stays") == 1

    async with staged() as stage:
        stays, owner = await stage.actor(), await stage.actor()
        registry.register("stays", 0, owner=stays)
        for number in range(600):
            registry.register(number, number, owner=stays)
        async with reading(lambda: trio.run(select), reads=10) as rounds:
            for _ in rounds:
                registry.register("comes and goes", 1, owner=owner)
                assert await registry.count_select("comes and goes") == 1
                registry.unregister("comes and goes", owner=owner)
    assert registry._names.selections == []


class Writer:
    """It changes a value in the run of a registry, for a thread that waits until that is done."""

    def __init__(self, names: Registry[Any, Any], key: object, owner: Owner, *, at_most: int) -> None:
        self.names = names
        self.key = key
        self.owner = owner
        self.at_most = at_most
        self.written = 0
        self._token = trio.lowlevel.current_trio_token()

    def write(self) -> None:
        if self.written == self.at_most:
            return
        self.written += 1
        done = threading.Event()

        def update() -> None:
            self.names.update_value(self.key, lambda value: value + 1, owner=self.owner)
            done.set()

        self._token.run_sync_soon(update)
        assert done.wait(10)


async def test_a_selection_in_another_run_ends_while_a_writer_keeps_up_with_it(
    names: Registry[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each change that the selection takes in, the writer makes the next one."""

    class Unapplied(deque[Any]):
        def popleft(self) -> Any:
            taken = super().popleft()
            writer.write()
            return taken

    class EndlessChanges(changes_module.Changes[Any, Any]):
        def __init__(self) -> None:
            super().__init__()
            self.unapplied = Unapplied()

    def write_first(row: object) -> bool:
        if writer.written == 0:
            writer.write()
        return True

    async def select() -> None:
        selected.extend(await names.select(where=write_first))

    selected: list[Any] = []
    owner = names.register(0, 0)
    writer = Writer(names, 0, owner, at_most=100)
    monkeypatch.setattr(changes_module, "Changes", EndlessChanges)
    await trio.to_thread.run_sync(trio.run, select)
    assert writer.written == 2  # one for the question, and one for the change that the selection took in
    assert selected == [(0, owner, 1)]


async def test_a_selection_in_another_run_asks_again_about_a_change_that_came_while_it_asked(
    names: Registry[Any, Any],
) -> None:
    asked: list[int] = []

    def change(row: tuple[object, object, int]) -> bool:
        if row[0] == 0:
            asked.append(row[2])
            writer.write()
        return True

    async def select() -> None:
        selected.extend(await names.select(where=change))

    selected: list[Any] = []
    owner = names.register(0, 0)
    for number in range(1, 3 * ROWS_PER_TURN):
        names.register(number, 0)
    writer = Writer(names, 0, owner, at_most=3)
    await trio.to_thread.run_sync(trio.run, select)
    assert asked == [0, 1, 2, 3]
    assert [row for row in selected if row[0] == 0] == [(0, owner, 3)]
    assert len(selected) == 3 * ROWS_PER_TURN


async def test_a_selection_in_another_run_lets_its_tasks_run_even_if_much_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each question makes two changes, so that there is always more to ask about."""
    names: Registry[int, int] = Registry("names")
    turn, turns = 10, 12
    asked_in_a_step: list[int] = [0]

    class Steps(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            asked_in_a_step.append(0)

    def change_twice(row: tuple[object, object, int]) -> bool:
        asked_in_a_step[-1] += 1
        if row[0] == 0:
            writer.write()
            writer.write()
        return True

    async def select() -> None:
        selected.extend(await names.select(where=change_twice))

    selected: list[Any] = []
    owner = names.register(0, 0)
    for number in range(1, turn * turns):
        names.register(number, 0)
    writer = Writer(names, 0, owner, at_most=3_000)
    monkeypatch.setattr(query, "ROWS_PER_TURN", turn)
    await trio.to_thread.run_sync(partial(trio.run, select, instruments=[Steps()]))
    assert max(asked_in_a_step) <= 2 * turn
    assert writer.written < 1_000
    assert sorted(key for key, _, _ in selected) == list(range(turn * turns))


async def test_a_thread_has_no_names_of_its_own(registry: Registry[str, int]) -> None:
    def in_thread() -> None:
        with pytest.raises(RuntimeError):
            registry.keys(current_owner())
        with pytest.raises(RuntimeError):
            registry.values("key", current_owner())

    await trio.to_thread.run_sync(in_thread)


# Writing from elsewhere


Write = Callable[[Registry[Any, Any], Any], object]

WRITES: list[tuple[str, Write]] = [
    ("register", lambda r, o: r.register("new", 1, owner=o)),
    ("unregister", lambda r, o: r.unregister("key", owner=o)),
    ("unregister_match", lambda r, o: r.unregister_match("key", ANY, owner=o)),
    ("hold", lambda r, o: r.hold("new", 1, owner=o).__enter__()),
    ("add", lambda r, o: r.add("key", 1, owner=o)),
    ("update_value", lambda r, o: r.update_value("key", str, owner=o)),
    ("take", lambda r, o: r.take("key", 1, owner=o)),
    ("transfer", lambda r, o: r.transfer("key", held_by(r, "key")[0], owner=o)),
]


@contextmanager
def unchanged(registry: Registry[Any, Any]) -> Generator[None]:
    before = rows(registry), registry.select_nowait(), exact_totals(registry)
    with registry.watch() as events:
        yield
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()
    assert (rows(registry), registry.select_nowait(), exact_totals(registry)) == before


async def started(stage: Stage, registry: Registry[Any, Any]) -> list[Owner]:
    """Owners of both sorts. The first has the key."""
    owners = [await stage.start(sort) for sort in SORTS]
    registry.register("key", 1, owner=owners[0])
    return owners


@pytest.mark.parametrize("write", [write for _, write in WRITES], ids=[name for name, _ in WRITES])
async def test_a_write_from_a_thread_is_refused_and_changes_nothing(write: Write) -> None:
    names: Registry[Any, Any] = Registry("names", partitions=2, totals=True)

    def in_thread() -> None:
        for given in (*owners, None):
            with pytest.raises(RuntimeError, match="can only be written from inside the Trio run that hosts the owner"):
                write(names, given)

    async with staged() as stage:
        owners = await started(stage, names)
        with unchanged(names):
            await trio.to_thread.run_sync(in_thread)


async def test_a_write_from_a_thread_without_a_run_says_how_to_get_there(names: Registry[Any, Any]) -> None:
    def in_thread() -> None:
        with pytest.raises(RuntimeError, match=r"and this thread is in none: use trio\.from_thread to get there"):
            names.register("key", 1, owner=owner)

    async with staged() as stage:
        owner = await stage.actor()
        await trio.to_thread.run_sync(in_thread)


@pytest.mark.parametrize("write", [write for _, write in WRITES], ids=[name for name, _ in WRITES])
async def test_a_write_from_another_run_is_refused_and_changes_nothing(write: Write) -> None:
    names: Registry[Any, Any] = Registry("names", partitions=2, totals=True)

    async def main() -> None:
        for owner in owners:
            with pytest.raises(RuntimeError, match="lives in another one"):
                write(names, owner)
        async with staged() as stage:
            for local in (None, await stage.actor(), await stage.task()):
                with pytest.raises(RuntimeError, match="registry 'names' is in use by another Trio run"):
                    write(names, local)

    async with staged() as stage:
        owners = await started(stage, names)
        with unchanged(names):
            await trio.to_thread.run_sync(trio.run, main)


async def test_waiting_in_another_run_is_refused_while_this_one_holds_names(names: Registry[Any, Any]) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            await names.acquire("key", 2)
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            await names.wait_for("never there")
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            names.watch()

    names.register("key", 1)
    before = rows(names)
    await trio.to_thread.run_sync(trio.run, main)
    assert rows(names) == before


async def test_a_named_start_in_another_run_is_refused_while_this_one_holds_names(names: Registry[Any, Any]) -> None:
    async def main() -> None:
        async with staged() as stage:
            from support.owners import Holder

            with pytest.raises(RuntimeError, match="in use by another Trio run"):
                await stage.supervisor.start_child(Holder, name=names.via("new"))
            assert stage.supervisor is not None

    names.register("key", 1)
    await trio.to_thread.run_sync(trio.run, main)
    assert names.keys(current_owner()) == ["key"]
    assert names.count() == 1


@pytest.mark.parametrize("waits", ["wait_for", "watch", "acquire"])
async def test_a_run_that_only_waits_keeps_others_from_writing(names: Registry[Any, Any], waits: str) -> None:
    async def wait() -> None:
        if waits == "wait_for":
            await names.wait_for("key")
        elif waits == "acquire":
            async with staged() as stage:
                with names.hold("key", 1, owner=await stage.actor()):
                    await names.acquire("key", 2)
        else:
            with names.watch() as events:
                await events.receive()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            names.register("new", 1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await trio.to_thread.run_sync(trio.run, main)
        nursery.cancel_scope.cancel()
    assert names.lookup("new") == []


async def test_locks_are_used_by_one_run_at_a_time(names: Registry[Any, Any]) -> None:
    async def main() -> None:
        for key in ("key", "another"):
            # If it waited instead, nothing would wake it: virtual time is up at once.
            with (
                trio.fail_after(1),
                pytest.raises(RuntimeError, match="registry 'names' is in use by another Trio run"),
            ):
                async with names.lock(key):
                    raise AssertionError("entered")

    async with names.lock("key"):
        await trio.to_thread.run_sync(partial(trio.run, main, clock=MockClock(autojump_threshold=0)))
    assert len(names._locks) == 0


def test_runs_may_follow_each_other(registry: Registry[Any, Any]) -> None:
    async def main() -> None:
        async with staged() as stage:
            events: list[object] = []
            with registry.watch() as watched:
                await started(stage, registry)
                registry.register("mine", 1)
                async with registry.lock("key"):
                    assert (await registry.wait_for("mine")) is not None
                events.append(watched.receive_nowait())
            assert len(events) == 1
            assert registry.count() == 2
            if registry._names.unique:
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        owner = await stage.actor()
                        nursery.start_soon(lambda: registry.acquire("mine", 1, owner=owner))
                        await wait_all_tasks_blocked()
                        scope.cancel()

    for _ in range(3):
        trio.run(main)
        assert registry.count() == 0
        assert rows(registry) == []


async def test_a_registry_belongs_to_a_run_until_that_run_ends_even_without_names(
    registry: Registry[Any, Any],
) -> None:
    """Whether it is idle can't be asked without a lock around every write: the run may be about to take a name."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="registry 'tested' is in use by another Trio run"):
            registry.register("key", 1)

    registry.register("key", 1)
    registry.unregister("key")
    await trio.to_thread.run_sync(trio.run, main)
    registry.register("key", 1)


def test_of_two_runs_that_come_at_once_one_has_the_registry(restless: None) -> None:
    def race() -> list[str]:
        names: Registry[str, int] = Registry("names", keys="duplicate", partitions=8)
        told: list[str] = []
        together = threading.Barrier(2)

        async def main() -> None:
            together.wait()
            try:
                names.register("key", 1)
                told.append("has it")
            except RuntimeError:
                told.append("refused")
            together.wait()  # neither run ends before the other has asked

        threads = [threading.Thread(target=trio.run, args=(main,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(told)

    assert [race() for _ in range(50)] == [["has it", "refused"]] * 50


@pytest.mark.unwatched("actors of a run that breaks down have no end")
def test_a_run_that_broke_down_while_its_tasks_waited_blocks_no_other_run() -> None:
    names: Registry[str, int] = Registry("names")

    async def lock() -> None:
        async with names.lock("key"):
            await trio.sleep_forever()

    async def watch() -> None:
        with names.watch("key") as events:
            await events.receive()

    async def broken() -> None:
        names.register("name", 1)
        async with staged() as stage, trio.open_nursery() as nursery:
            owner = await stage.actor()
            nursery.start_soon(names.wait_for, "key")
            nursery.start_soon(lambda: names.acquire("name", 2, owner=owner))
            nursery.start_soon(watch)
            nursery.start_soon(lock)
            nursery.start_soon(lock)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

            def abort(_: object) -> trio.lowlevel.Abort:
                raise KeyError("a bug in a user's abort function")

            await trio.lowlevel.wait_task_rescheduled(abort)

    async def main() -> None:
        assert names.count() == 0
        names.register("name", 3)
        names.unregister("name")
        names.register("key", 3)
        assert names.keys(current_owner()) == ["key"]
        async with names.lock("key"):
            assert len(names._locks) == 1
        gc.collect()  # the tasks that were left are thrown away

    with pytest.raises(trio.TrioInternalError):
        trio.run(broken)
    trio.run(main)
    assert names.count() == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_listener_is_told_of_the_names_that_are_free_because_trio_has_failed() -> None:
    told: list[object] = []

    async def broken() -> None:
        names.register("key", 1)

        def abort(_: object) -> trio.lowlevel.Abort:
            raise KeyError("a bug in a user's abort function")

        with trio.CancelScope() as scope:
            scope.cancel()
            await trio.lowlevel.wait_task_rescheduled(abort)

    names: Registry[str, int] = Registry("names", listeners=[lambda event: told.append(type(event))])
    with pytest.raises(trio.TrioInternalError):
        trio.run(broken)
    assert told == [Registered, Unregistered]
    gc.collect()  # here, where it is allowed: Trio's own coroutines complain


def test_nothing_keeps_the_tasks_of_a_run_that_has_ended() -> None:
    tasks: list[weakref.ref[object]] = []

    async def main() -> None:
        names: Registry[str, int] = Registry("names")
        names.register("key", 1)
        names.unregister("key")
        tasks.append(weakref.ref(trio.lowlevel.current_task()))

    trio.run(main)
    gc.collect()
    assert tasks[0]() is None


def test_a_name_of_a_run_that_broke_off_is_free_for_the_next_run(registry: Registry[Any, Any]) -> None:
    async def broken() -> None:
        registry.register("key", 1)
        async with staged() as stage:
            await started(stage, registry) if not registry._names.unique else None
            raise KeyError("broken")

    async def main() -> None:
        assert registry.count() == 0
        registry.register("key", 2)

    with pytest.raises((KeyError, ExceptionGroup)):
        trio.run(broken)
    trio.run(main)
    assert registry.count() == 0
