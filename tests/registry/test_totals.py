"""total() and add(): the sum of the values of a key."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.keys import Keys
from support.owners import staged
from support.registry_kinds import DUPLICATE_KINDS, is_unique
from support.watcher import rows
from trio.testing import MockClock

from trioreg import (
    NotRegistered,
    Registry,
    current_owner,
)


async def test_a_total_is_the_sum_of_the_values_of_a_key(
    counters: Registry[str, int], keys: Keys, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        first, second = await stage.actor(), await stage.task()
        counters.register(keys("a"), 5, owner=first)
        counters.register(keys("b"), 7, owner=second)
        assert (counters.total("a"), counters.total("b"), counters.total("c")) == (5, 7, 0)
        assert counters.add(keys("a"), 10, owner=first) == 15
        assert counters.values("a", first) == [15]
        assert counters.total("a") == 15
        assert counters.add(keys("b"), -7, owner=second) == 0
        assert counters.total("b") == 0
        await stage.end(first, "crashes")
        assert counters.total("a") == 0
        counters.unregister(keys("b"), owner=second)
        assert keys.kept() == []


async def test_a_total_adds_up_the_values_of_all_owners(autojump_clock: MockClock) -> None:
    for keys, partitions in DUPLICATE_KINDS:
        counters: Registry[str, int] = Registry("counters", keys=keys, partitions=partitions, totals=True)
        async with staged() as stage:
            owners = [await stage.actor() for _ in range(5)]
            for number, owner in enumerate(owners):
                counters.register("requests", number, owner=owner)
                counters.register("requests", 100, owner=owner)
            assert counters.total("requests") == 510
            await stage.end(owners[4], "is killed")
            assert counters.total("requests") == 406
            counters.unregister_match("requests", 100, owner=owners[3])
            assert counters.total("requests") == 306


async def test_add_counts_on_the_oldest_entry_of_the_owner(autojump_clock: MockClock) -> None:
    for keys, partitions in DUPLICATE_KINDS:
        counters: Registry[str, int] = Registry("counters", keys=keys, partitions=partitions, totals=True)
        counters.register("key", 1)
        counters.register("key", 10)
        assert counters.add("key", 5) == 6
        assert counters.values("key", current_owner()) == [6, 10]
        counters.unregister("key")


async def test_totals_follow_update_value_and_transfer(autojump_clock: MockClock) -> None:
    counters: Registry[str, int] = Registry("counters", totals=True)
    async with staged() as stage:
        counters.register("key", 1)
        counters.update_value("key", lambda value: value + 41)
        assert counters.total("key") == 42
        heir = await stage.actor()
        counters.transfer("key", heir)
        assert counters.total("key") == 42
        assert counters.add("key", 1, owner=heir) == 43
        await stage.end(heir)
        assert counters.total("key") == 0


async def test_the_total_of_a_key_without_entries_is_exactly_zero(autojump_clock: MockClock) -> None:
    counters: Registry[str, float] = Registry("counters", keys="duplicate", totals=True)
    for value in (0.1, 0.2, 0.3):
        counters.register("key", value)
    counters.unregister("key")
    assert counters.total("key") == 0


async def test_add_needs_an_entry_of_the_owner(counters: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        other = await stage.actor()
        counters.register("key", 1, owner=other)
        with pytest.raises(NotRegistered, match="is not registered as 'key' in 'counters'"):
            counters.add("key", 1)
        assert counters.total("key") == 1


@pytest.mark.parametrize("value", [None, "1", [1], 1j, float("nan"), float("inf")], ids=repr)
async def test_a_value_that_cannot_be_added_up_is_refused_and_changes_nothing(
    counters: Registry[str, Any], value: Any, autojump_clock: MockClock
) -> None:
    counters.register("key", 1)
    before = rows(counters)
    operations: list[tuple[str, Callable[[], object]]] = [
        ("value", lambda: counters.register("other", value)),
        ("value", lambda: counters.hold("other", value).__enter__()),
        ("amount", lambda: counters.add("key", value)),
    ]
    if is_unique(counters):
        operations.append(("value", lambda: counters.update_value("key", lambda _: value)))
    for argument, operation in operations:
        with pytest.raises((TypeError, ValueError), match=f"{argument} must be a (finite )?number"):
            operation()
    assert rows(counters) == before
    assert counters.values("key", current_owner()) == [1]
    assert counters.total("key") == 1
    assert counters.total("other") == 0


async def test_a_count_that_overflows_is_refused_and_changes_nothing(
    counters: Registry[str, float], autojump_clock: MockClock
) -> None:
    counters.register("key", 1e308)
    before = rows(counters)
    for amount in (1e308, 10**400):
        with pytest.raises((ValueError, OverflowError)):
            counters.add("key", amount)
    assert rows(counters) == before
    assert counters.values("key", current_owner()) == [1e308]
    assert counters.total("key") == 1e308


async def test_a_total_is_exact_after_very_large_values_have_come_and_gone(
    counters: Registry[str, float], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        large = await stage.actor()
        counters.register("key", 1e17)
        if is_unique(counters):
            counters.update_value("key", lambda _: 1.0)
        else:
            counters.register("key", 1.0)
            counters.register("key", 10**400, owner=large)
            await stage.end(large)
            counters.unregister_match("key", 1e17)
        assert counters.total("key") == 1.0


async def test_a_total_is_an_exact_int_again_when_the_floats_have_gone() -> None:
    load: Registry[str, float] = Registry("load", keys="duplicate", totals=True)
    load.register("key", 2**53 + 1)
    with load.hold("key", 0.5):
        assert isinstance(load.total("key"), float)
    assert load.total("key") == 2**53 + 1
    assert isinstance(load.total("key"), int)


async def test_an_int_too_large_for_a_float_is_not_added_to_a_float(
    counters: Registry[str, float], autojump_clock: MockClock
) -> None:
    counters.register("key", 10**400)
    with pytest.raises(ValueError, match="the new value must be finite"):
        counters.add("key", 0.5)
    assert counters.values("key", current_owner()) == [10**400]
    assert counters.total("key") == 10**400


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_total_with_a_float_that_is_too_large_for_a_float_is_infinite(
    sign: int, autojump_clock: MockClock
) -> None:
    counters: Registry[str, float] = Registry("counters", keys="duplicate", totals=True)
    counters.register("key", sign * 10**400)
    counters.register("key", 0.5)
    assert counters.total("key") == sign * float("inf")
    counters.unregister_match("key", 0.5)
    assert counters.total("key") == sign * 10**400


@pytest.mark.parametrize("name", ["total", "add"])
async def test_totals_need_a_registry_made_with_totals(
    registry: Registry[str, int], name: str, autojump_clock: MockClock
) -> None:
    registry.register("key", 1)
    operation: Callable[[], object] = (
        (lambda: registry.total("key")) if name == "total" else (lambda: registry.add("key", 1))
    )
    message = rf"^{name}\(\) needs totals, and registry 'tested' was made without totals=True$"
    with pytest.raises(ValueError, match=message):
        operation()
