"""Everything in a registry: `items()`, `len(registry)` and `key in registry`."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from trioreg import Entry, Registry


async def test_items_are_all_entries_with_their_keys(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    assert registry.items() == []
    owner = registry.register("a", 1)
    registry.register("b", 2)
    assert sorted(registry.items()) == [("a", Entry(owner, 1)), ("b", Entry(owner, 2))]
    registry.unregister("a")
    assert registry.items() == [("b", Entry(owner, 2))]


async def test_items_has_each_entry_of_a_duplicate_key(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    owner = topics.register("topic", 1)
    topics.register("topic", 2)
    assert topics.items() == [("topic", Entry(owner, 1)), ("topic", Entry(owner, 2))]


async def test_items_is_a_copy(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.register("a", 1)
    for key, _ in registry.items():
        registry.unregister(key)
        registry.register("b", 2)
    assert [key for key, _ in registry.items()] == ["b"]


async def test_the_length_of_a_registry_is_the_number_of_its_entries(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    assert len(registry) == 0
    assert not registry
    registry.register("a", 1)
    registry.register("b", 1)
    assert len(registry) == registry.count() == 2
    assert registry


async def test_a_key_is_in_a_registry_while_it_has_an_entry(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    registry.register(1, 1)
    assert 1 in registry
    assert True in registry
    assert 2 not in registry
    registry.unregister(1)
    assert 1 not in registry


def test_in_needs_a_hashable_key(registry: Registry[Any, int]) -> None:
    with pytest.raises(TypeError, match=r"key must be hashable: \[\]"):
        registry.__contains__([])
