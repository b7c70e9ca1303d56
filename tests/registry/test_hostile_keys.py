"""Keys whose `__hash__`, `__eq__` or `__repr__` does what no key should: it raises, or changes the registry."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar

import pytest
import trio
from support.owners import SORTS, Sort, staged
from support.registry_kinds import KINDS, KeysKind, kind_id
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Registry, Unregistered, current_owner

# Keys that change the registry while they are compared: as if another thread did it then


class Busybody:
    """A key with the hash of all its kind. Something happens whenever two of them are compared."""

    meddling: ClassVar[list[Callable[[], object]]] = []

    def __init__(self, name: int) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        meddling, Busybody.meddling = Busybody.meddling, []
        for meddle in meddling:
            meddle()
        Busybody.meddling = meddling
        return isinstance(other, Busybody) and other.name == self.name

    def __repr__(self) -> str:
        return f"Busybody({self.name})"


READS: list[tuple[str, Callable[[Registry[Any, Any]], object]]] = [
    ("select_nowait", lambda registry: registry.select_nowait()),
    ("tables", lambda registry: registry.tables()),
    ("dump", lambda registry: registry.dump()),
    ("keys", lambda registry: registry.keys(current_owner())),
    ("items", lambda registry: registry.items()),
]


@pytest.mark.parametrize("read", [read for _, read in READS], ids=[name for name, _ in READS])
async def test_a_read_does_not_fail_if_the_registry_changes_while_its_keys_are_compared(
    registry: Registry[Any, int], read: Callable[[Registry[Any, Any]], object], autojump_clock: MockClock
) -> None:
    # Of a dict with many gaps Python makes a copy by putting in one key after the other.
    kept = [Busybody(number) for number in range(40)]
    for key in kept:
        registry.register(key, 0)
    for key in kept[:30]:
        registry.unregister(key)
    new = iter(range(1_000))
    Busybody.meddling = [lambda: registry.register(f"new {next(new)}", 0)]
    try:
        read(registry)
    finally:
        Busybody.meddling = []
    assert {key.name for key, _, _ in registry.select_nowait() if isinstance(key, Busybody)} == set(range(30, 40))


# Keys that raise, when their owner ends


class Panic(BaseException):
    """No `Exception`: as `SystemExit` and `KeyboardInterrupt`."""


class Spiteful:
    """A key that can be told to raise when it is hashed or compared. All have the same hash.

    Attributes:
        spite: What all of them raise.
        after: How many comparisons go well before.
    """

    spite: ClassVar[dict[str, BaseException]] = {}
    after: ClassVar[int] = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        if "hash" in Spiteful.spite:
            raise Spiteful.spite["hash"]
        return 7

    def __eq__(self, other: object) -> bool:
        Spiteful.after -= "eq" in Spiteful.spite
        if Spiteful.after < 0:
            Spiteful.after = 0
            raise Spiteful.spite["eq"]
        return isinstance(other, Spiteful) and other.name == self.name


@pytest.fixture(params=[ValueError, SystemExit, Panic])
def spite(request: pytest.FixtureRequest) -> Any:
    yield request.param("not today")
    Spiteful.spite = {}


@pytest.mark.parametrize("totals", [False, True], ids=["plain", "totals"])
@pytest.mark.parametrize("kind", KINDS, ids=[*map(kind_id, KINDS)])
@pytest.mark.parametrize("which", ["hash", "eq"])
@pytest.mark.parametrize("names", [1, 3])
@pytest.mark.parametrize("sort", SORTS)
async def test_the_names_of_an_owner_go_whatever_their_keys_raise(
    kind: tuple[KeysKind, int],
    totals: bool,
    which: str,
    names: int,
    sort: Sort,
    spite: BaseException,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry: Registry[Any, int] = Registry("tested", keys=kind[0], partitions=kind[1], totals=totals)
    others: Registry[str, int] = Registry("others")
    async with staged() as stage:
        ends, stays, later = [await stage.start(sort) for _ in range(3)]
        registry.register(Spiteful("before"), 1, owner=stays)
        for number in range(names):
            registry.register(Spiteful(f"mine {number}"), 1, owner=ends)
        registry.register("plain", 1, owner=stays)
        registry.register("later", 1, owner=later)
        others.register("ends", 1, owner=ends)
        others.register("later", 1, owner=later)
        with registry.watch() as events:
            Spiteful.spite = {which: spite}
            await stage.end(ends)
            Spiteful.spite = {}
            gone = [events.receive_nowait().key.name for _ in range(names)]
        assert sorted(gone) == [f"mine {number}" for number in range(names)]
        assert registry.count() == len(registry.select_nowait()) == 3
        assert {owner for _, owner in rows(registry)} == {stays, later}
        assert others.whereis("ends") is None
        if totals:
            assert registry.total("plain") == registry.total(Spiteful("before")) == 1
            assert registry.total(Spiteful("mine 0")) == 0
        # The names of the other owners still go with them.
        await stage.end(later)
        assert registry.lookup("later") == others.lookup("later") == []
        await stage.end(stays)
        assert rows(registry) == []
        assert registry.count() == 0
    said = [record for record in caplog.records if record.name.startswith("trioreg.")]
    if not isinstance(spite, Exception) and which == "hash":
        assert any(record.exc_info is not None and record.exc_info[1] is spite for record in said)


@pytest.mark.parametrize("keys", ["unique", "duplicate"])
async def test_an_entry_whose_key_can_no_longer_be_kept_is_reported(
    keys: Any, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    registry: Registry[Any, int] = Registry("tested", keys=keys)
    async with staged() as stage:
        ends, stays = await stage.task(), await stage.task()
        registry.register(Spiteful("a"), 1, owner=ends)
        registry.register("plain", 1, owner=stays)
        registry.register(Spiteful("b"), 1, owner=stays)
        Spiteful.spite = {"hash": ValueError("never again")}
        try:
            with registry.watch() as events:
                await stage.end(ends)
                assert events.receive_nowait().key.name == "a"
                assert events.receive_nowait().key.name == "b"
            assert [key for key, _ in registry.items()] == ["plain"]
            assert registry.count() == 1
            await stage.end(stays)
        finally:
            Spiteful.spite = {}
        assert rows(registry) == []
    assert "'tested': the entry of <" in caplog.text


class Forgetful:
    """A key that cannot be hashed a number of times. All have the same hash."""

    failures: ClassVar[int] = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        if Forgetful.failures:
            Forgetful.failures -= 1
            raise ValueError("not now")
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Forgetful) and other.name == self.name


async def test_each_task_that_waits_for_a_name_gets_it_although_a_key_raised_at_the_end_of_its_owner(
    autojump_clock: MockClock,
) -> None:
    registry: Registry[Any, None] = Registry("tested")
    async with staged() as stage, trio.open_nursery() as nursery:
        holder, first, second = await stage.task(), await stage.actor(), await stage.actor()
        for name, waiter in ("a", first), ("b", second):
            registry.register(Forgetful(name), owner=holder)
            nursery.start_soon(partial(registry.acquire, Forgetful(name), owner=waiter))
        await wait_all_tasks_blocked()
        Forgetful.failures = 1
        await stage.end(holder)
        assert Forgetful.failures == 0
        assert registry.whereis(Forgetful("a")) is first
        assert registry.whereis(Forgetful("b")) is second


async def test_the_event_of_a_name_whose_key_raises_has_the_exit_of_its_owner(autojump_clock: MockClock) -> None:
    registry: Registry[Any, None] = Registry("tested")
    async with staged() as stage:
        holder = await stage.actor()
        registry.register(Forgetful("a"), owner=holder)
        with registry.watch() as events:
            Forgetful.failures = 1
            await stage.end(holder)
            event = events.receive_nowait()
        assert Forgetful.failures == 0
        assert isinstance(event, Unregistered)
        assert event.exit is not None


async def test_a_key_that_raises_once_when_it_is_put_back_is_not_lost(autojump_clock: MockClock) -> None:
    registry: Registry[Any, None] = Registry("tested")
    async with staged() as stage:
        holder, other = await stage.actor(), await stage.actor()
        registry.register(Forgetful("a"), owner=holder)
        registry.register(Forgetful("b"), owner=other)
        Forgetful.failures = 2  # "a" raises, and then "b" when it is put back
        await stage.end(holder)
        assert Forgetful.failures == 0
        assert registry.whereis(Forgetful("b")) is other


class Turncoat:
    """A key that can become equal to another one after it was registered."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Turncoat) and other.number == self.number


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("is_watched", [False, True])
async def test_a_key_that_has_become_equal_to_another_one_takes_no_name_from_its_owner(
    partitions: int, is_watched: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    registry: Registry[Any, int] = Registry("tested", partitions=partitions)
    async with staged() as stage:
        changes, stays = await stage.task(), await stage.task()
        key = Turncoat(1)
        registry.register(key, 1, owner=changes)
        registry.register(Turncoat(2), 2, owner=stays)
        key.number = 2
        with registry.watch() if is_watched else nullcontext():
            with pytest.raises(KeyError):
                registry.unregister(key, owner=changes)
            assert registry.lookup(Turncoat(2)) == [(stays, 2)]
            await stage.end(changes)
        assert registry.lookup(Turncoat(2)) == [(stays, 2)]
        assert registry.count() == 1
    assert registry.count() == 0


# Keys that raise while something else happens
# Keys that raise while something else happens


async def test_a_key_that_raises_when_a_name_is_given_to_the_next_waiter_stops_no_other_task(
    spite: BaseException, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    registry: Registry[Any, None] = Registry("tested")
    registry_of_others: Registry[str, None] = Registry("others")
    got: list[object] = []

    async def acquire() -> None:
        try:
            await registry.acquire(Spiteful("name"))
        except BaseException as error:
            if isinstance(error, trio.Cancelled):
                raise
            got.append(error)
        else:
            got.append(None)

    async with staged() as stage:
        holder = await stage.task()
        registry.register(Spiteful("another"), owner=holder)
        registry.register(Spiteful("name"), owner=holder)
        registry_of_others.register("name", owner=holder)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(acquire)
            await wait_all_tasks_blocked()
            Spiteful.spite = {"eq": spite}
            await stage.end(holder)
            Spiteful.spite = {}
            await wait_all_tasks_blocked()
            assert len(got) == 1
            nursery.cancel_scope.cancel()
    assert registry.count() == registry_of_others.count() == 0


async def test_a_watcher_and_a_waiter_of_a_key_that_raises_leave_nothing_behind(
    spite: BaseException, autojump_clock: MockClock
) -> None:
    registry: Registry[Any, None] = Registry("tested")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.wait_for, Spiteful("a"))
        nursery.start_soon(registry.wait_for, Spiteful("b"))
        await wait_all_tasks_blocked()
        with registry.watch(Spiteful("c")), registry.watch(Spiteful("d")):
            Spiteful.spite = {"eq": spite}
        nursery.cancel_scope.cancel()
    Spiteful.spite = {}
    registry.register(Spiteful("a"))
    assert registry.count() == 1


async def test_a_lock_of_a_key_that_raises_is_left_all_the_same(
    spite: BaseException, autojump_clock: MockClock
) -> None:
    registry: Registry[Any, None] = Registry("tested")
    async with registry.lock(Spiteful("a")), registry.lock(Spiteful("b")):
        Spiteful.spite = {"eq": spite}
    Spiteful.spite = {}
    with trio.fail_after(1):
        async with registry.lock(Spiteful("c")):
            pass


@pytest.mark.parametrize("after", range(8))
async def test_a_total_is_right_whenever_a_key_raises(
    after: int, spite: BaseException, autojump_clock: MockClock
) -> None:
    registry: Registry[Any, int] = Registry("tested", keys="duplicate", totals=True)
    registry.register(Spiteful("a"), 1)
    registry.register(Spiteful("b"), 2)
    Spiteful.spite, Spiteful.after = {"eq": spite}, after
    is_registered = True
    try:
        registry.register(Spiteful("b"), 4)
    except BaseException as error:
        is_registered = error is not spite
    Spiteful.spite, Spiteful.after = {}, 0
    assert registry.values(Spiteful("b"), current_owner()) == ([2, 4] if is_registered else [2])
    assert registry.total(Spiteful("b")) == (6 if is_registered else 2)
    assert registry.total(Spiteful("a")) == 1
    registry.register(Spiteful("a"), 10)
    assert registry.total(Spiteful("a")) == 11


# The repr


async def test_a_dump_shows_objects_whose_repr_raises(autojump_clock: MockClock) -> None:
    class Silent:
        def __repr__(self) -> str:
            raise ValueError("no comment")

    registry: Registry[Any, Any] = Registry("tested")
    registry.register(Silent(), Silent())
    assert registry.dump().count("<Silent instance at ") == 3
