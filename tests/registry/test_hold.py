"""hold(): a name for as long as a block."""

from __future__ import annotations

import pytest
import trio
from support.inside import plain_holders
from support.owners import Holder, held_by
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import (
    AlreadyRegistered,
    Registry,
    current_owner,
)


async def test_hold_ties_a_name_to_a_block(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    with registry.hold("name", 3):
        assert registry.values("name", current_owner()) == [3]
    assert registry.count() == 0


async def test_hold_gives_the_name_back_when_the_block_raises(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with pytest.raises(ZeroDivisionError), registry.hold("name", 3):
        raise ZeroDivisionError
    assert registry.count() == 0


async def test_two_holds_of_one_key_leave_nothing_with_their_owner(autojump_clock: MockClock) -> None:
    names: Registry[str, int] = Registry("names", keys="duplicate")
    with names.hold("name", 1), names.hold("name", 2):
        assert names.values("name", current_owner()) == [1, 2]
    assert current_owner()._leases() == []


async def test_leaving_a_hold_whose_name_was_given_back_before_is_no_error(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with registry.hold("name", 1):
        assert registry.unregister("name") == 1
        assert registry.count() == 0
    assert registry.count() == 0


async def test_hold_leaves_a_later_registration_of_the_same_name_alone(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with registry.hold("name", 1):
        registry.unregister("name")
        registry.register("name", 2)
    assert registry.values("name", current_owner()) == [2]
    registry.unregister("name")


async def test_hold_leaves_the_later_registration_of_another_alone(autojump_clock: MockClock) -> None:
    registry: Registry[str, int] = Registry("names")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Holder)
        with registry.hold("name", 1):
            registry.unregister("name")
            registry.register("name", 2, owner=ref)
        assert held_by(registry, "name") == [ref]


async def test_hold_gives_back_only_its_own_of_several_entries(autojump_clock: MockClock) -> None:
    registry: Registry[str, int] = Registry("topics", keys="duplicate", partitions=2)
    registry.register("topic", 1)
    with registry.hold("topic", 2), registry.hold("topic", 3):
        assert registry.values("topic", current_owner()) == [1, 2, 3]
    assert registry.values("topic", current_owner()) == [1]
    assert registry.unregister("topic") == 1
    assert plain_holders() == 0


async def test_hold_of_a_taken_name_does_not_enter_the_block(autojump_clock: MockClock) -> None:
    registry: Registry[str, int] = Registry("names")
    registry.register("name", 1)
    with pytest.raises(AlreadyRegistered), registry.hold("name", 2):
        raise AssertionError("entered")
    assert registry.values("name", current_owner()) == [1]
    registry.unregister("name")


async def test_leaving_a_hold_whose_owner_has_ended_is_no_error(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Holder, restart="temporary")
        with registry.hold("name", 1, owner=ref):
            ref.kill()
            await ref.wait()
            assert registry.count() == 0
        assert registry.count() == 0


async def test_a_hold_object_is_entered_once(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    held = registry.hold("name", 1)
    with held:
        with pytest.raises(RuntimeError, match="already entered"):
            held.__enter__()
        assert registry.count() == 1
    assert registry.count() == 0


async def test_a_hold_that_failed_to_enter_can_be_tried_again(autojump_clock: MockClock) -> None:
    registry: Registry[str, int] = Registry("names")
    registry.register("name", 1)
    held = registry.hold("name", 2)
    with pytest.raises(AlreadyRegistered):
        held.__enter__()
    registry.unregister("name")
    with held:
        assert registry.values("name", current_owner()) == [2]
    assert registry.count() == 0


async def test_a_hold_is_not_left_in_another_thread() -> None:
    registry: Registry[str, None] = Registry("names")
    hold = registry.hold("name")
    hold.__enter__()
    with pytest.raises(RuntimeError, match="another thread"):
        await trio.to_thread.run_sync(hold.__exit__, None, None, None)
    assert registry.count() == 1
    hold.__exit__(None, None, None)
    assert registry.count() == 0
