"""Tests the inside: the name of an actor that starts is taken as `Registry.register` takes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.supervisors import supervised

from trioreg import Actor, ActorRef, AlreadyRegistered, Registry


def by_register(registry: Registry[Any, Any], ref: ActorRef[Actor], key: object, value: object) -> None:
    registry.register(key, value, owner=ref)


def by_start(registry: Registry[Any, Any], ref: ActorRef[Actor], key: object, value: object) -> None:
    registry._names.claim(ref, key, value)


@pytest.mark.parametrize("take", [by_register, by_start])
@pytest.mark.parametrize("totals", [False, True])
async def test_both_ways_leave_the_same_in_the_tables(take: Callable[..., None], totals: bool) -> None:
    registry: Registry[Any, Any] = Registry("names", totals=totals)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Actor)
        take(registry, ref, "a", 7)
        assert [(entry.owner, entry.value) for entry in registry.lookup("a")] == [(ref, 7)]
        assert list(registry.keys(ref)) == ["a"]
        with pytest.raises(AlreadyRegistered):
            take(registry, ref, "a", 8)
        ref.kill()
        await ref.wait()
        assert registry.count() == 0


@pytest.mark.parametrize("take", [by_register, by_start])
async def test_both_ways_refuse_a_value_that_has_no_total(take: Callable[..., None]) -> None:
    registry: Registry[Any, Any] = Registry("names", totals=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Actor)
        with pytest.raises(TypeError, match="value"):
            take(registry, ref, "a", "seven")
        assert registry.count() == 0


@pytest.mark.parametrize("take", [by_register, by_start])
def test_both_ways_bind_the_registry_to_the_run(take: Callable[..., None]) -> None:
    registry: Registry[Any, Any] = Registry("names")

    async def main() -> None:
        async with supervised() as supervisor:
            take(registry, await supervisor.start_child(Actor), "a", None)
            assert registry._names.is_written_here()

    trio.run(main)
    trio.run(main)  # the first run is over: the next one may have it
