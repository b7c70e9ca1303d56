"""What an attack on the registry has found: each the smallest way to it."""

from __future__ import annotations

import logging
from typing import Literal, Optional, Union

import pytest
import trio
from support.owners import Crash, Holder
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ANY, Actor, Entry, Event, Exit, Is, Registered, Registry, Unregistered
from trioreg._registry.partition import DuplicatePartition


class Moody:
    """A key that can be told to change its hash, or to fail when it is compared."""

    def __init__(self) -> None:
        self.hash = 1
        self.fails = False

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if self.fails:
            raise ValueError("not today")
        return self is other


@pytest.mark.parametrize("kind", ["unique", "duplicate"])
async def test_a_listener_cannot_register_for_the_task_whose_end_it_is_told_of(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def haunt(event: Event[str, None]) -> None:
        if isinstance(event, Unregistered):
            registry.register("ghost")

    registry: Registry[str, None] = Registry("names", keys=kind, listeners=[haunt])  # type: ignore[arg-type]  # pyright: ignore

    async def holder() -> None:
        registry.register("name")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
    assert registry.lookup("ghost") == []
    assert registry.count() == 0
    assert "ActorExited" in caplog.text


async def test_what_a_listener_registers_as_an_actor_ends_is_gone_with_it() -> None:
    def haunt(event: Event[str, None]) -> None:
        if isinstance(event, Unregistered) and event.key == "name":
            registry.register("ghost")

    registry: Registry[str, None] = Registry("names", listeners=[haunt])
    async with supervised() as supervisor:
        for end in ("stop", "crash", "kill"):
            ref = await supervisor.start_child(Holder, restart="temporary", name=registry.via("name"))
            if end == "crash":
                ref.cast_nowait(Holder.crash)
            elif end == "kill":
                ref.kill()
            else:
                await ref.stop()
            await ref.wait()
            await wait_all_tasks_blocked()
            assert registry.count() == 0


@pytest.mark.parametrize("change", ["hash", "fails"])
async def test_a_wait_for_a_key_that_has_changed_its_mind_can_be_cancelled(change: str) -> None:
    registry: Registry[Moody, None] = Registry("names")
    keys = [Moody(), Moody()]
    async with trio.open_nursery() as nursery:
        for key in keys:
            nursery.start_soon(registry.wait_for, key)
            await wait_all_tasks_blocked()
        for key in keys:
            setattr(key, change, 2)
        nursery.cancel_scope.cancel()


async def test_a_watch_of_a_key_that_has_changed_its_mind_can_be_left() -> None:
    registry: Registry[Moody, None] = Registry("names")
    keys = [Moody(), Moody()]
    with registry.watch(keys[0]), registry.watch(keys[1]) as events:
        for key in keys:
            key.fails = True
    with pytest.raises(trio.ClosedResourceError):
        events.receive_nowait()


async def test_a_lock_on_a_key_that_has_changed_its_mind_can_be_left_and_given_up() -> None:
    registry: Registry[str, None] = Registry("names")
    keys = [Moody(), Moody()]
    async with registry.lock(keys[0]), registry.lock(keys[1]):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(registry.lock(keys[1]).__aenter__)
                await wait_all_tasks_blocked()
                for key in keys:
                    key.fails = True
                scope.cancel()
        assert scope.cancelled_caught


async def test_a_hold_is_not_left_in_another_thread() -> None:
    registry: Registry[str, None] = Registry("names")
    hold = registry.hold("name")
    hold.__enter__()
    with pytest.raises(RuntimeError, match="another thread"):
        await trio.to_thread.run_sync(hold.__exit__, None, None, None)
    assert registry.count() == 1
    hold.__exit__(None, None, None)
    assert registry.count() == 0


async def test_events_are_told_after_the_log_has_failed_once() -> None:
    def listen(event: Event[str, None]) -> None:
        raise Crash

    def refuse(record: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    registry: Registry[str, None] = Registry("names", listeners=[listen])
    logger = logging.getLogger("trioreg")
    logger.addFilter(refuse)
    try:
        with pytest.raises(ZeroDivisionError):
            registry.register("first")
    finally:
        logger.removeFilter(refuse)
    with registry.watch() as events:
        registry.register("second")
        assert isinstance(events.receive_nowait(), Registered)


async def test_a_total_is_an_exact_int_again_when_the_floats_have_gone() -> None:
    load: Registry[str, float] = Registry("load", keys="duplicate", totals=True)
    load.register("key", 2**53 + 1)
    with load.hold("key", 0.5):
        assert isinstance(load.total("key"), float)
    assert load.total("key") == 2**53 + 1
    assert isinstance(load.total("key"), int)


async def test_one_who_leaves_a_total_does_not_cost_a_look_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    load: Registry[str, int] = Registry("load", keys="duplicate", partitions=2, totals=True)
    load.register("key", 1)

    copied: list[str] = []

    def look(self: DuplicatePartition[str, int], key: str, at_most: int | None = None) -> list[Entry[int]]:
        copied.append(key)
        return list(self.table.get(key, {}).values())

    monkeypatch.setattr(DuplicatePartition, "entries", look)
    with load.hold("key", 2):
        assert load.total("key") == 3
    assert load.total("key") == 1
    assert copied == []


async def test_wait_for_and_add_look_at_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    load: Registry[str, int] = Registry("load", keys="duplicate", totals=True)
    for _ in range(10):
        load.register("key", 1)
    names = load._names
    assert len(names.entries_of(next(iter(load.lookup("key"))).owner, "key", at_most=1)) == 1
    copied: list[int] = []
    entries = DuplicatePartition[str, int].entries

    def look(self: DuplicatePartition[str, int], key: str, at_most: int | None = None) -> list[Entry[int]]:
        found = entries(self, key, at_most)
        copied.append(len(found))
        return found

    monkeypatch.setattr(DuplicatePartition, "entries", look)
    await load.wait_for("key")
    assert copied == [1]
    assert load.add("key", 4) == 5
    assert load.total("key") == 14


async def test_the_last_of_many_subscribers_does_not_keep_the_room_of_all() -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate")
    for number in range(20_000):
        topics.register("topic", number)

    def is_early(number: int) -> bool:
        return number < 19_999

    assert topics.unregister_match("topic", ANY, where=is_early) == 19_999
    (partition,) = topics._names.duplicate
    assert partition.table["topic"].__sizeof__() < 10_000
    assert [value for _, value in topics.lookup("topic")] == [19_999]


async def test_a_callable_listener_that_raises_not_registered_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    other: Registry[str, int] = Registry("other")

    def listen(event: Event[str, None]) -> None:
        other.update_value("count", lambda count: count + 1)

    registry: Registry[str, None] = Registry("names", listeners=[listen])
    registry.register("name")
    assert "NotRegistered" in caplog.text


@pytest.mark.parametrize("pattern", [Optional[int], Union[int, str]], ids=repr)  # noqa: UP007, UP045
async def test_a_union_of_typing_matches_as_the_one_with_a_bar_does(pattern: object) -> None:
    registry: Registry[str, object] = Registry("names", keys="duplicate")
    registry.register("key", 1)
    registry.register("key", 1.5)
    assert registry.count_match("key", pattern) == 1


@pytest.mark.parametrize("pattern", [list[int], Literal[1], (1, dict[str, int])], ids=repr)
async def test_a_type_that_cannot_be_asked_of_a_value_is_refused(pattern: object) -> None:
    registry: Registry[str, object] = Registry("names", keys="duplicate")
    with pytest.raises(TypeError, match="which has no instances"):
        registry.match("key", pattern)
    assert registry.count_match("key", Is(pattern)) == 0


async def test_a_waiting_address_finds_who_is_given_the_name_while_its_holder_still_ends(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Heir(Actor):
        def ping(self) -> str:
            return "heir"

    class Old(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            names.transfer("James Bond", heir)
            await trio.sleep(3)

    async with supervised() as supervisor:
        heir = await supervisor.start_child(Heir, restart="temporary")
        holder = await supervisor.start_child(Old, name=names.via("James Bond"), restart="temporary")
        holder.cancel()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert await names.via("James Bond", wait=True).call(Heir.ping) == "heir"
        assert trio.current_time() == began + 1
