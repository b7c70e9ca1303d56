"""dispatch() and dispatch_parallel(): a function over the entries of a key, one partition at a time."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pytest
import trio
from support.errors import a_cancelled_of_elsewhere, leaves
from support.owners import staged
from support.registry_kinds import is_unique
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import Entry, Owner, Registry, current_owner

# dispatch()


async def test_dispatch_calls_once_for_each_partition_that_has_entries(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    calls: list[list[Entry[int]]] = []
    async with staged() as stage:
        owners = [await stage.actor() for _ in range(8)]
        for number, owner in enumerate(owners):
            is_taken = is_unique(registry) and number > 0
            registry.register(f"other {number}" if is_taken else "key", number, owner=owner)
        expected = registry.lookup("key")
        assert registry.dispatch("key", calls.append) == len(expected)
        assert [entry for entries in calls for entry in entries] == expected
        assert all(calls)
        key_tables = registry.tables()[: registry.partitions]
        assert len(calls) == sum(any(row[0] == "key" for row in table.rows) for table in key_tables)


async def test_dispatch_never_calls_with_no_entries(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    assert registry.dispatch("key", lambda entries: pytest.fail("called")) == 0
    assert await registry.dispatch_parallel("key", lambda entries: pytest.fail("called")) == 0


async def test_an_error_in_dispatch_goes_to_the_caller_and_ends_the_dispatch(
    autojump_clock: MockClock,
) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    calls = 0

    def fail(entries: list[Entry[int]]) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("in a dispatch")

    async with staged() as stage:
        for number in range(8):
            topics.register("key", number, owner=await stage.actor())
        with pytest.raises(ValueError, match="in a dispatch"):
            topics.dispatch("key", fail)
        assert calls == 1


async def test_an_entry_that_a_dispatch_unregisters_in_a_later_partition_is_not_dispatched_to(
    autojump_clock: MockClock,
) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    seen: list[Owner] = []

    def fn(entries: list[Entry[int]]) -> None:
        seen.extend(owner for owner, _ in entries)
        for owner in owners:
            topics.unregister("key", owner=owner)

    async with staged() as stage:
        owners = [await stage.actor() for _ in range(8)]
        for owner in owners:
            topics.register("key", 1, owner=owner)
        assert topics.dispatch("key", fn) == 2
        assert len(seen) == 2


async def test_a_dispatch_may_register_more_of_the_same_key(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    def fn(entries: list[Entry[int]]) -> None:
        for _, value in entries:
            topics.register("key", value + 1)

    topics.register("key", 1)
    assert topics.dispatch("key", fn) == 1
    assert topics.values("key", current_owner()) == [1, 2]


async def test_a_local_pubsub(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    inboxes: dict[Owner, list[str]] = {}
    async with staged() as stage:
        subscribers = [await stage.task() for _ in range(4)]
        for subscriber in subscribers:
            inboxes[subscriber] = []
            await stage.run(subscriber, lambda: topics.register("weather", 1))

        def publish(text: str) -> int:
            def deliver(entries: list[Entry[int]]) -> None:
                for owner, _ in entries:
                    inboxes[owner].append(text)

            return topics.dispatch("weather", deliver)

        assert publish("rain") == 4
        await stage.end(subscribers[0], "crashes")
        assert publish("sun") == 3
        await wait_all_tasks_blocked()
        assert list(inboxes.values()) == [["rain"], *[["rain", "sun"]] * 3]


# dispatch_parallel()


async def test_dispatch_parallel_runs_a_task_for_each_partition_side_by_side(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    seen: list[int] = []

    async def fn(entries: list[Entry[int]]) -> None:
        await trio.sleep(10)
        seen.extend(entry.value for entry in entries)

    async with staged() as stage:
        for number in range(8):
            topics.register("key", number, owner=await stage.actor())
        began = trio.current_time()
        assert await topics.dispatch_parallel("key", fn) == 8
        assert trio.current_time() - began == pytest.approx(10)
        assert sorted(seen) == list(range(8))


async def test_dispatch_parallel_is_a_checkpoint_that_honours_cancellation(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def fn(entries: list[Entry[int]]) -> None:
        called.append(entries)

    called: list[object] = []
    with assert_checkpoints():
        await registry.dispatch_parallel("key", fn)
    registry.register("key", 1)
    with assert_checkpoints():
        await registry.dispatch_parallel("key", fn)
    assert len(called) == 1
    with trio.CancelScope() as scope:
        scope.cancel()
        await registry.dispatch_parallel("key", fn)
    assert scope.cancelled_caught
    assert len(called) == 1


async def test_errors_in_dispatch_parallel_come_as_a_group(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=2)

    async def fn(entries: list[Entry[int]]) -> None:
        raise ValueError(f"with {len(entries)} entries")

    async with staged() as stage:
        for number in range(4):
            topics.register("key", number, owner=await stage.actor())
        with pytest.raises(ExceptionGroup) as caught:
            await topics.dispatch_parallel("key", fn)
        assert {str(error) for error in leaves(caught.value)} == {"with 2 entries"}


async def test_dispatch_parallel_shows_no_owner_that_has_ended_before_its_task_runs(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    seen: list[Owner] = []

    async def fn(entries: list[Entry[int]]) -> None:
        assert all(owner.is_alive for owner, _ in entries)
        seen.extend(owner for owner, _ in entries)

    async def subscriber(steps: int) -> None:
        topics.register("key", steps)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()

    stays = topics.register("key", 0)
    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(subscriber, number % 8)
        for _ in range(8):
            nursery.start_soon(topics.dispatch_parallel, "key", fn)
            await trio.lowlevel.checkpoint()
    assert seen.count(stays) == 8
    assert topics.lookup("key") == [(stays, 0)]


OLD_CANCELLED = a_cancelled_of_elsewhere()


async def test_a_function_of_dispatch_parallel_that_raises_the_cancellation_of_another_scope_has_failed(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def fn(entries: list[Entry[int]]) -> None:
        await trio.lowlevel.checkpoint()
        raise OLD_CANCELLED

    topics.register("key", 0)
    with pytest.raises(ExceptionGroup) as caught:
        await topics.dispatch_parallel("key", fn)
    (error,) = leaves(caught.value)
    assert isinstance(error, RuntimeError)
    assert error.__cause__ is OLD_CANCELLED
