"""transfer(): a name handed over, with no moment without a holder and none with two."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from support.events import received
from support.owners import SORTS, Sort, held_by, staged
from support.watcher import rows
from trio.lowlevel import Task
from trio.testing import MockClock

from trioreg import (
    ActorExited,
    Event,
    NotRegistered,
    Owner,
    Registered,
    Registry,
    Unregistered,
    current_owner,
)


@pytest.mark.parametrize("sort", SORTS)
async def test_transfer_hands_the_name_over_with_its_value(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.start(sort)
        mine = names.register("name", 7)
        with names.watch() as events:
            names.transfer("name", heir)
            assert names.lookup("name") == [(heir, 7)]
            assert names.keys(current_owner()) == []
            assert names.keys(heir) == ["name"]
            assert received(events) == [
                Unregistered("names", "name", mine, 7, None),
                Registered("names", "name", heir, 7),
            ]
        await stage.end(heir, "crashes")
        assert names.count() == 0


class Looker(trio.abc.Instrument):
    """Looks at a name before and after each step of each task."""

    def __init__(self, names: Registry[str, int], key: str) -> None:
        self.shown: list[list[Owner]] = []
        self._names = names
        self._key = key

    def before_task_step(self, task: Task) -> None:
        self.shown.append(held_by(self._names, self._key))

    def after_task_step(self, task: Task) -> None:
        self.shown.append(held_by(self._names, self._key))


async def test_there_is_no_moment_without_a_holder_and_none_with_two_in_a_transfer(autojump_clock: MockClock) -> None:
    told: list[list[Owner]] = []

    def look(event: Event[str, int]) -> None:
        told.append(held_by(listened, event.key))

    names: Registry[str, int] = Registry("names", partitions=2, listeners=[look])
    listened = names
    async with staged() as stage:
        owners = [await stage.start(sort) for sort in SORTS * 3]
        names.register("name", 1, owner=owners[0])
        told.clear()
        looker = Looker(names, "name")
        trio.lowlevel.add_instrument(looker)
        for giver, taker in pairwise(owners):
            names.transfer("name", taker, owner=giver)
            await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(looker)
        assert {len(holders) for holders in looker.shown} == {1}
        assert {holders[0] for holders in looker.shown} == set(owners[1:])
        assert told == [[owner] for owner in owners[1:] for _ in range(2)]


async def test_a_name_goes_with_its_new_holder_and_not_with_the_old_one(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        giver, taker = await stage.task(), await stage.task()
        names.register("name", 1, owner=giver)
        await stage.run(giver, lambda: names.transfer("name", taker))
        await stage.end(giver)
        assert names.whereis("name") is taker
        await stage.end(taker)
        assert names.whereis("name") is None


async def test_only_the_holder_can_transfer_a_name(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        holder, other = await stage.actor(), await stage.task()
        names.register("name", 1, owner=holder)
        mine = names.register("mine", 2)
        before = rows(names)
        with pytest.raises(NotRegistered, match="is not registered as 'name' in 'names'") as caught:
            names.transfer("name", other)
        assert caught.value.owner == mine
        with pytest.raises(NotRegistered):
            names.transfer("name", holder, owner=other)
        with pytest.raises(NotRegistered):
            names.transfer("free", other)
        assert rows(names) == before


@pytest.mark.parametrize("sort", SORTS)
async def test_a_name_is_not_transferred_to_an_owner_that_has_ended(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ended = await stage.start(sort)
        await stage.end(ended)
        names.register("name", 1)
        before = rows(names)
        with names.watch() as events:
            with pytest.raises(ActorExited):
                names.transfer("name", ended)
            assert received(events) == []
        assert rows(names) == before


async def test_a_transfer_to_the_holder_itself_changes_nothing(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = names.register("name", 1)
    with names.watch() as events:
        names.transfer("name", owner)
        assert received(events) == []
    assert names.lookup("name") == [(owner, 1)]


async def test_the_end_of_a_hold_leaves_the_name_to_the_owner_it_was_transferred_to(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.actor()
        with names.hold("name", 1):
            names.transfer("name", heir)
        assert names.whereis("name") is heir
