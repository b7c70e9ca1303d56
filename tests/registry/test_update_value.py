"""update_value(): a new value from the old one, by the owner of a unique key."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pytest
import trio
from support.owners import staged
from support.watcher import rows
from trio.testing import MockClock

from trioreg import Entry, NotRegistered, Registry, current_owner


async def test_update_value_gives_the_new_and_the_old_value(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = names.register("key", 1)
    assert names.update_value("key", lambda value: value + 1) == (2, 1)
    assert names.lookup("key") == [Entry(owner, 2)]
    assert names.keys(current_owner()) == ["key"]


async def test_update_value_by_another_than_the_owner_is_refused(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.actor()
        names.register("key", 1, owner=owner)
        with pytest.raises(NotRegistered, match=r"<task .*> is not registered as 'key' in 'names'"):
            names.update_value("key", lambda value: pytest.fail("called"))
        assert names.lookup("key") == [(owner, 1)]
        assert names.update_value("key", lambda value: value + 1, owner=owner) == (2, 1)


async def test_update_value_of_a_free_name_is_refused(names: Registry[str, int], autojump_clock: MockClock) -> None:
    with pytest.raises(NotRegistered):
        names.update_value("key", lambda value: pytest.fail("called"))
    assert names.count() == 0


async def test_update_value_by_a_function_that_raises_changes_nothing(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("key", 0)
    with pytest.raises(ZeroDivisionError):
        names.update_value("key", lambda value: 1 // value)
    assert names.values("key", current_owner()) == [0]


async def test_update_value_by_a_function_that_unregisters_meanwhile_leaves_no_entry(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    def update(value: int) -> int:
        names.unregister("key")
        return value + 1

    names.register("key", 1)
    with pytest.raises(NotRegistered):
        names.update_value("key", update)
    assert rows(names) == []
    assert names.keys(current_owner()) == []


async def test_update_value_does_not_touch_a_later_registration_of_the_same_key(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    def update(value: int) -> int:
        names.unregister("key")
        names.register("key", 10)
        return value + 1

    names.register("key", 1)
    with pytest.raises(NotRegistered):
        names.update_value("key", update)
    assert names.values("key", current_owner()) == [10]


async def test_update_value_by_a_function_that_hands_the_name_over_does_not_touch_the_new_holders_value(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.actor()

        def update(value: int) -> int:
            names.transfer("key", heir)
            return value + 1

        names.register("key", 1)
        with pytest.raises(NotRegistered):
            names.update_value("key", update)
        assert names.lookup("key") == [(heir, 1)]


async def test_an_outer_update_replaces_the_value_of_an_update_within_it(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    def update(value: int) -> int:
        assert names.update_value("key", lambda value: value + 10) == (11, 1)
        return value + 1

    names.register("key", 1)
    assert names.update_value("key", update) == (2, 11)
    assert names.values("key", current_owner()) == [2]


async def test_update_value_is_no_event(names: Registry[str, int], autojump_clock: MockClock) -> None:
    names.register("key", 1)
    with names.watch() as events:
        names.update_value("key", lambda value: value + 1)
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()
