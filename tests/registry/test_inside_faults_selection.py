"""Tests the inside: a change that fails on its way is seen as it is by a selection that is under way, and by a cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call
from support.inside import rows_per_turn
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, Owner, Registry

KINDS = [AtCall, WithRoom]

CHANGES: dict[str, Callable[[Registry[Any, Any], Owner, Owner], object]] = {
    "update": lambda registry, owner, to: registry.update_value("first", lambda value: value + 1, owner=owner),
    "update the last": lambda registry, owner, to: registry.update_value("last", lambda value: value + 1, owner=owner),
    "transfer": lambda registry, owner, to: registry.transfer("first", to, owner=owner),
    "take": lambda registry, owner, to: registry.take("first", 5, owner=to),
    "unregister": lambda registry, owner, to: registry.unregister("first", owner=owner),
    "unregister the last": lambda registry, owner, to: registry.unregister("last", owner=owner),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_selection_sees_what_is_there_after_a_change_that_has_failed(
    change: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_per_turn(monkeypatch, 1)

    async def scenario(fault: Fault) -> None:
        registry: Registry[Any, Any] = Registry("names")
        found: list[list[Any]] = []
        async with supervised() as supervisor:
            owner: Owner = await supervisor.start_child(Actor)
            to: Owner = await supervisor.start_child(Actor)
            for key in ("first", "middle", "last"):
                registry.register(key, 1, owner=owner)

            async def select() -> None:
                found.append(await registry.select())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(select)
                nursery.start_soon(select)
                for _ in range(3):  # both are under way, and are not at the end
                    await trio.lowlevel.checkpoint()
                assert len(registry._names.selections) == 2
                fault(lambda: CHANGES[change](registry, owner, to))
            there = sorted(registry.select_nowait(), key=str)
            assert [sorted(rows, key=str) for rows in found] == [there, there]

    fails_at_every_call(kind, scenario)


class Member(Actor):
    def __init__(self) -> None:
        self.got: list[str] = []

    def note(self, line: str) -> None:
        self.got.append(line)

    def content(self) -> list[str]:
        return self.got


@pytest.mark.parametrize("kind", KINDS)
def test_a_watch_gives_each_event_although_receiving_has_failed(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        registry: Registry[str, int] = Registry("names")
        got: list[str] = []
        with registry.watch(initial=True) as events:
            async with trio.open_nursery() as nursery:

                async def receive() -> None:
                    try:
                        got.append((await Stepped(events.receive(), fault)).key)
                    except MemoryError:
                        await trio.sleep(5)

                nursery.start_soon(receive)
                await wait_all_tasks_blocked()
                registry.register("a", 1)
                registry.register("b", 1)
                await trio.sleep(1)
            got += [(await events.receive()).key for _ in range(2 - len(got))]
        assert got == ["a", "b"]
        registry.unregister("a")
        registry.unregister("b")

    fails_at_every_call(kind, scenario)
