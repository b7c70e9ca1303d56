"""Faults that we plant in trioreg: the comparison with Elixir finds each within some thousand operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trioreg import Entry, Owner, PubSub, Registry

from .comparing import compare
from .program import Program
from .there import Elixir

Plant = Callable[[pytest.MonkeyPatch], None]


def update_value_gives_the_new_value_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    update_value = Registry[Any, Any].update_value

    def faulty(self: Registry[Any, Any], *args: Any, **options: Any) -> tuple[Any, Any]:
        new, _ = update_value(self, *args, **options)
        return new, new

    monkeypatch.setattr(Registry, "update_value", faulty)


def unregister_match_forgets_the_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    unregister_match = Registry[Any, Any].unregister_match

    def faulty(self: Registry[Any, Any], key: object, pattern: object, *, where: Any, owner: Owner | None) -> int:
        return unregister_match(self, key, pattern, owner=owner)

    monkeypatch.setattr(Registry, "unregister_match", faulty)


def select_of_an_owner_forgets_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    select_nowait: Any = Registry[Any, Any].select_nowait

    def faulty(self: Registry[Any, Any], key: object, owner: object, value: object, **options: Any) -> list[Any]:
        found: list[Any] = select_nowait(self, key, owner, value, **options)
        return found[1:] if isinstance(owner, Owner) else found

    monkeypatch.setattr(Registry, "select_nowait", faulty)


def a_parallel_dispatch_gives_three_entries_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch_parallel = Registry[Any, Any].dispatch_parallel

    async def faulty(self: Registry[Any, Any], key: object, async_fn: Callable[[list[Entry[Any]]], Any]) -> int:
        async def shorter(entries: list[Entry[Any]]) -> None:
            await async_fn(entries[:3])

        return await dispatch_parallel(self, key, shorter)

    monkeypatch.setattr(Registry, "dispatch_parallel", faulty)


def a_publisher_gets_its_own_message(monkeypatch: pytest.MonkeyPatch) -> None:
    publish_nowait: Any = PubSub[Any, Any].publish_nowait

    def faulty(self: PubSub[Any, Any], topic: object, message: object, *, where: Any = None, **options: Any) -> int:
        reached: int = publish_nowait(self, topic, message, where=where)
        return reached

    monkeypatch.setattr(PubSub, "publish_nowait", faulty)


def a_topic_keeps_one_subscription_that_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = PubSub[Any, Any].leave

    def faulty(self: PubSub[Any, Any], topic: object, *, owner: Owner | None = None) -> int:
        if sum(entry.owner == owner for entry in self.members(topic)) == 2:
            return 2
        return leave(self, topic, owner=owner)

    monkeypatch.setattr(PubSub, "leave", faulty)


@pytest.mark.parametrize(
    "plant",
    [
        update_value_gives_the_new_value_twice,
        unregister_match_forgets_the_condition,
        select_of_an_owner_forgets_a_key,
        a_parallel_dispatch_gives_three_entries_at_most,
        a_publisher_gets_its_own_message,
        a_topic_keeps_one_subscription_that_was_left,
    ],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_fault_is_found(elixir: Elixir, monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    plant(monkeypatch)
    programs = (Program.random(seed, 500) for seed in range(5000, 5020))
    assert any(compare(program, elixir) for program in programs)
