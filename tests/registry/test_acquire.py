"""acquire(): a name as soon as it is free, first come, first served."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from support.events import received
from support.inside import owner_of_this_task
from support.keys import Keys
from support.owners import SORTS, End, Holder, Sort, held_by, staged
from support.watcher import rows, watching
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    ActorExited,
    ActorRef,
    Owner,
    Registered,
    Registry,
    Unregistered,
    current_owner,
)


class Patient(Holder):
    """An actor whose handlers wait for a name."""

    def __init__(self, names: Registry[Any, Any]) -> None:
        self.names = names

    async def acquire(self, key: str, value: object = None) -> Owner:
        return await self.names.acquire(key, value)

    async def acquire_in_background(self, key: str) -> None:
        self.start_soon(self.acquire, key)


# Whose turn it is


async def test_acquire_takes_a_free_name_with_one_checkpoint(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    with assert_checkpoints():
        owner = await names.acquire("leader", 5)
    assert names.lookup("leader") == [(owner, 5)]
    assert names.keys(current_owner()) == ["leader"]


async def test_acquire_is_first_come_first_served_and_each_release_wakes_one_candidate(
    names: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    log: list[str] = []

    async def candidate(name: str) -> None:
        await names.acquire(keys("leader"), 1)
        log.append(f"{name} leads")
        await trio.sleep(1)
        names.unregister(keys("leader"))
        log.append(f"{name} resigns")
        await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(candidate, name)
            await wait_all_tasks_blocked()
        await trio.sleep(0.5)
        for number, name in enumerate("abcd"):
            assert log == [line for done in "abcd"[:number] for line in (f"{done} leads", f"{done} resigns")] + [
                f"{name} leads"
            ]
            await trio.sleep(1)
    assert names.count() == 0
    assert keys.kept() == []


async def test_a_released_name_goes_to_the_next_in_line_and_is_never_seen_free(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        first, second, third = await stage.actor(), await stage.task(), await stage.actor()
        names.register("leader", 1, owner=first)
        for value, owner in ((2, second), (3, third)):
            nursery.start_soon(partial(names.acquire, "leader", value, owner=owner))
            await wait_all_tasks_blocked()
        with watching(names) as watcher:
            await stage.end(first, "crashes")
            assert names.lookup("leader") == [(second, 2)]
            await stage.end(second, "crashes")
            assert names.lookup("leader") == [(third, 3)]
            assert watcher.shown["leader"] == [first, second, third]


async def test_unregister_hands_over_in_the_same_step(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        standby = await stage.actor()
        names.register("leader", 1)
        nursery.start_soon(lambda: names.acquire("leader", 2, owner=standby))
        await wait_all_tasks_blocked()
        with names.watch() as events:
            (mine,) = held_by(names, "leader")
            assert names.unregister("leader") == 1
            assert names.whereis("leader") is standby
            with pytest.raises(Exception, match="already registered"):
                names.register("leader", 3)
            assert received(events) == [
                Unregistered("names", "leader", mine, 1),
                Registered("names", "leader", standby, 2),
            ]


async def test_the_end_of_a_hold_hands_over_too(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        standby = await stage.actor()
        with names.hold("leader", 1):
            nursery.start_soon(lambda: names.acquire("leader", 2, owner=standby))
            await wait_all_tasks_blocked()
        assert names.whereis("leader") is standby


async def test_the_holder_of_a_name_does_not_wait_for_itself(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("leader", 1)
    with pytest.raises(RuntimeError, match="holds 'leader' in 'names' already: it would wait for itself"):
        await names.acquire("leader", 2)
    assert names.values("leader", current_owner()) == [1]


async def test_a_restarted_child_keeps_its_name_although_another_waits_for_it(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        first = await stage.supervisor.start_child(Holder, name=names.via("leader", 1), restart="transient")
        standby = await stage.actor()
        nursery.start_soon(lambda: names.acquire("leader", 2, owner=standby))
        await wait_all_tasks_blocked()
        first.cast_nowait(Holder.crash)
        await first.wait()
        await wait_all_tasks_blocked()
        second = names.whereis("leader")
        assert second not in (first, standby, None)
        assert isinstance(second, ActorRef)
        # The candidate goes on waiting until the child ends for good.
        await second.stop()
        assert names.lookup("leader") == [(standby, 2)]


async def test_a_name_that_a_waiting_task_is_given_goes_with_the_task(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    """A task may have several owner objects, which are equal. The names go with the task, by any of them."""
    other: Registry[str, int] = Registry("other")
    owners: list[Owner] = []

    async def candidate() -> None:
        owners.append(owner_of_this_task())
        await names.acquire("leader", 2)
        await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        names.register("leader", 1)
        nursery.start_soon(candidate)
        await wait_all_tasks_blocked()
        other.register("given", 3, owner=owners[0])
        names.unregister("leader")
        assert names.lookup("leader") == [(owners[0], 2)]
        assert other.keys(owners[0]) == ["given"]
        assert names.keys(owners[0]) == ["leader"]
    assert names.count() == 0
    assert other.count() == 0


async def test_an_owner_that_is_handed_the_name_it_waits_for_waits_no_longer(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    got: list[Owner] = []

    async def candidate(owner: Owner) -> None:
        got.append(await names.acquire("leader", 2, owner=owner))

    async with staged() as stage, trio.open_nursery() as nursery:
        first, second = await stage.actor(), await stage.task()
        names.register("leader", 1)
        for owner in (first, second):
            nursery.start_soon(candidate, owner)
            await wait_all_tasks_blocked()
        names.transfer("leader", second)
        await wait_all_tasks_blocked()
        assert got == [second]
        assert names.lookup("leader") == [(second, 1)]  # with its value, as always
        names.unregister("leader", owner=second)
        assert names.lookup("leader") == [(first, 2)]


async def test_an_owner_that_is_handed_one_of_two_names_goes_on_waiting_for_the_other(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    got: list[str] = []

    async def candidate(key: str, owner: Owner) -> None:
        await names.acquire(key, 2, owner=owner)
        got.append(key)

    async with staged() as stage, trio.open_nursery() as nursery:
        owner = await stage.actor()
        for key in ("first", "second"):
            names.register(key, 1)
            nursery.start_soon(candidate, key, owner)
            await wait_all_tasks_blocked()
        names.transfer("second", owner)
        await wait_all_tasks_blocked()
        assert got == ["second"]
        names.unregister("first")
        await wait_all_tasks_blocked()
        assert got == ["second", "first"]


# Candidates that are cancelled
# Candidates that are cancelled


async def test_a_candidate_that_is_cancelled_is_out_of_the_queue(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        doomed, patient = await stage.actor(), await stage.actor()
        names.register("leader", 1)
        scope = trio.CancelScope()

        async def candidate() -> None:
            with scope:
                await names.acquire("leader", 2, owner=doomed)

        nursery.start_soon(candidate)
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: names.acquire("leader", 3, owner=patient))
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        names.unregister("leader")
        assert names.lookup("leader") == [(patient, 3)]
        assert names.keys(doomed) == []


async def test_a_cancelled_acquire_holds_nothing(
    names: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await names.acquire(keys("leader"), 1)
    assert scope.cancelled_caught
    assert names.count() == 0
    await trio.lowlevel.checkpoint()  # Trio keeps the cancellation, and its traceback, until the next step
    assert keys.kept() == []


async def test_the_last_candidate_that_is_cancelled_leaves_no_queue_behind(
    names: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    names.register(keys("leader"), 1)
    async with staged() as stage:
        other = await stage.actor()
        with trio.move_on_after(1):
            await names.acquire(keys("leader"), 2, owner=other)
    names.unregister(keys("leader"))
    assert names.count() == 0
    assert keys.kept() == []


async def test_an_owner_that_fails_to_acquire_leaves_no_place_in_the_queue(
    names: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    names.register(keys("leader"), 1)
    with trio.move_on_after(1):
        async with staged() as stage:
            await names.acquire(keys("leader"), 2, owner=await stage.actor())
    names.unregister(keys("leader"))
    assert names.count() == 0
    assert keys.kept() == []


# Candidates that end


@pytest.mark.parametrize("how", ["is cancelled", "is killed"])
async def test_an_actor_that_ends_while_it_waits_is_passed_over(
    names: Registry[str, int], how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        names.register("leader", 1)
        doomed = await stage.supervisor.start_child(Patient, names, restart="temporary")
        patient = await stage.supervisor.start_child(Patient, names, restart="temporary")
        doomed.cast_nowait(Patient.acquire, "leader")
        await wait_all_tasks_blocked()
        patient.cast_nowait(Patient.acquire_in_background, "leader")
        await wait_all_tasks_blocked()
        await stage.end(doomed, how)
        names.unregister("leader")
        assert names.whereis("leader") is patient
        await wait_all_tasks_blocked()
        assert patient.is_alive


async def test_acquiring_for_an_owner_that_ends_meanwhile_raises_when_it_ends(
    names: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    ended: list[object] = []

    async def candidate(owner: Owner) -> None:
        with pytest.raises(ActorExited) as caught:
            await names.acquire(keys("leader"), 2, owner=owner)
        ended.append(caught.value.ref)

    async with staged() as stage, trio.open_nursery() as nursery:
        names.register(keys("leader"), 1)
        for sort in SORTS:
            owner = await stage.start(sort)
            nursery.start_soon(candidate, owner)
            await wait_all_tasks_blocked()
            await stage.end(owner, "crashes")
            await wait_all_tasks_blocked()
            assert ended.pop() is owner
        names.unregister(keys("leader"))
        assert names.count() == 0
        assert keys.kept() == []


async def test_an_owner_that_ended_in_the_queue_is_passed_over_for_the_next(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def candidate(owner: Owner) -> None:
        with pytest.raises(ActorExited):
            await names.acquire("leader", 2, owner=owner)

    async with staged() as stage, trio.open_nursery() as nursery:
        holder, doomed, patient = await stage.actor(), await stage.actor(), await stage.actor()
        names.register("leader", 1, owner=holder)
        nursery.start_soon(candidate, doomed)
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: names.acquire("leader", 3, owner=patient))
        await wait_all_tasks_blocked()
        # Both end before the task of the candidate can run.
        doomed.kill()
        holder.kill()
        await doomed.wait()
        await holder.wait()
        assert names.lookup("leader") == [(patient, 3)]


@pytest.mark.parametrize("sort", SORTS)
async def test_an_owner_that_ends_as_the_holder_does_not_inherit_from_itself(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async def second_turn() -> None:
        with pytest.raises(ActorExited):
            await names.acquire("leader", 3, owner=owner)

    async with staged() as stage, trio.open_nursery() as nursery:
        owner = await stage.start(sort)
        names.register("other", 0, owner=owner)
        names.register("leader", 1)
        nursery.start_soon(partial(names.acquire, "leader", 2, owner=owner))
        await wait_all_tasks_blocked()
        nursery.start_soon(second_turn)
        await wait_all_tasks_blocked()
        names.transfer("leader", owner)
        await wait_all_tasks_blocked()
        await stage.end(owner)
        assert rows(names) == []


@pytest.mark.parametrize("sort", SORTS)
async def test_an_owner_that_ends_is_not_given_a_name_for_a_moment(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async def second_turn() -> None:
        with pytest.raises(ActorExited):
            await names.acquire("leader", 3, owner=owner)

    async with staged() as stage, trio.open_nursery() as nursery:
        owner = await stage.start(sort)
        names.register("other", 0, owner=owner)  # so that it gives back its names before its places in lines
        names.register("leader", 1)
        for turn in (partial(names.acquire, "leader", 2, owner=owner), second_turn):
            nursery.start_soon(turn)
            await wait_all_tasks_blocked()
        names.transfer("leader", owner)
        await wait_all_tasks_blocked()
        with names.watch("leader") as events:
            await stage.end(owner)
            assert [type(event) for event in received(events)] == [Unregistered]
