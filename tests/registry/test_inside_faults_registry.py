"""Tests the inside: a failure at any call within a change leaves each name with a lease, and each lease with a name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call
from support.inside import is_candidate_waiting, is_followed
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, Owner, Registry

KINDS = [AtCall, WithRoom]

Change = Callable[[Registry[Any, Any], Owner, Owner], object]


def task_of(registry: Registry[Any, Any]) -> Owner:
    task = registry.whereis("mine")
    assert task is not None
    return task


def hold(registry: Registry[Any, Any], owner: Owner, to: Owner) -> None:
    with registry.hold("new", 1, owner=owner):
        pass


CHANGES: dict[str, Change] = {
    "register": lambda registry, owner, to: registry.register("new", 1, owner=owner),
    "register by a task": lambda registry, owner, to: registry.register("new", 1),
    "unregister": lambda registry, owner, to: registry.unregister("held", owner=owner),
    "unregister by a task": lambda registry, owner, to: registry.unregister("mine"),
    "unregister by value": lambda registry, owner, to: registry.unregister_match("held", 1, owner=owner),
    "transfer": lambda registry, owner, to: registry.transfer("held", to, owner=owner),
    "take": lambda registry, owner, to: registry.take("held", 5, owner=to),
    "take for a task": lambda registry, owner, to: registry.take("held", 5, owner=task_of(registry)),
    "take one that is free": lambda registry, owner, to: registry.take("new", 5, owner=to),
    "transfer to a task": lambda registry, owner, to: registry.transfer("held", task_of(registry), owner=owner),
    "update": lambda registry, owner, to: registry.update_value("held", lambda value: value + 1, owner=owner),
    "hold": hold,
}


def rows(registry: Registry[Any, Any]) -> list[tuple[Any, Owner, Any]]:
    return sorted(registry.select_nowait(), key=lambda row: str(row[::2]))


def assert_consistent(registry: Registry[Any, Any], *owners: Owner) -> None:
    """Each name has a lease, and each lease a name."""
    held = {owner: sorted(registry.keys(owner)) for owner in owners}
    found: dict[Owner, list[Any]] = {owner: [] for owner in owners}
    for key, owner, _ in rows(registry):
        found[owner].append(key)
    assert held == {owner: sorted(keys) for owner, keys in found.items()}
    assert registry.count() == sum(map(len, held.values()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [1, 2])
@pytest.mark.parametrize(
    ("change", "keys"),
    [
        (change, keys)
        for change in CHANGES
        for keys in ("unique", "duplicate")
        if keys == "unique" or change.split()[0] not in ("transfer", "take", "update")
    ],
)
@pytest.mark.parametrize("watched", [False, True])
def test_a_change_that_fails_on_its_way_leaves_each_name_with_its_lease(
    change: str, keys: Any, names: int, watched: bool, kind: Any
) -> None:
    async def scenario(fault: Fault) -> None:
        registry: Registry[Any, Any] = Registry("names", keys=keys)
        other: Registry[Any, Any] = Registry("other")
        watch = registry.watch() if watched else None
        events: Any = None if watch is None else watch.__enter__()
        async with supervised() as supervisor:
            owner: Owner = await supervisor.start_child(Actor)
            to: Owner = await supervisor.start_child(Actor)
            registry.register("held", 1, owner=owner)
            if names == 2:
                other.register("more", 1, owner=owner)
                registry.register("more", 1, owner=owner)
            task = registry.register("mine", 1)
            before = rows(registry)
            done = fault(lambda: CHANGES[change](registry, owner, to))
            assert_consistent(registry, owner, to, task)
            if not done and not watched and change != "hold":
                assert rows(registry) == before
        registry.unregister("mine")
        registry.unregister("new")
        registry.unregister("held")
        assert registry.count() == 0
        if watch is not None:
            happened = [type(event).__name__ for event in iter_events(events)]
            if kind is WithRoom:
                assert happened.count("Registered") == happened.count("Unregistered")
            watch.__exit__(None, None, None)
        assert not is_followed(registry)

    fails_at_every_call(kind, scenario)


def iter_events(events: Any) -> Any:
    while True:
        try:
            yield events.receive_nowait()
        except trio.WouldBlock:
            return


@pytest.mark.parametrize("kind", KINDS)
def test_giving_a_name_back_wakes_the_next_that_waits_for_it_whatever_fails(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        registry: Registry[Any, Any] = Registry("names")
        got: list[str] = []

        async def wait() -> None:
            try:
                await registry.acquire("leader")
            except MemoryError:  # it is this task's registration that has failed
                await registry.acquire("leader")
            got.append("leader")
            registry.unregister("leader")

        registry.register("leader")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            if not fault(lambda: registry.unregister("leader")):
                registry.unregister("leader")
        assert got == ["leader"]
        assert registry.count() == 0
        assert kind is AtCall or not is_candidate_waiting(registry)  # an empty queue may stay

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("watched", [False, True])
def test_a_name_that_comes_wakes_each_task_that_waits_for_it_whatever_fails(watched: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        registry: Registry[Any, Any] = Registry("names")
        got: list[int] = []

        async def wait(number: int) -> None:
            await registry.wait_for("leader")
            got.append(number)

        with registry.watch() if watched else nullcontext():
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(wait, number)
                await wait_all_tasks_blocked()
                if not fault(lambda: registry.register("leader")):
                    registry.unregister("leader")
                    registry.register("leader")
        assert sorted(got) == [0, 1, 2]
        registry.unregister("leader")
        assert kind is AtCall or not is_followed(registry)  # an empty group may stay

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wait", ["acquire", "wait_for"])
def test_a_wait_for_a_name_that_fails_as_it_begins_is_not_woken_later(wait: str, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        registry: Registry[Any, Any] = Registry("names")
        if wait == "acquire":
            registry.register("leader")
        ended: list[bool] = []

        async def begin() -> None:
            operation = registry.acquire("leader") if wait == "acquire" else registry.wait_for("leader")
            # The steps of the wait, one by one, as Trio makes them: each of them fails in its turn.
            try:
                await Stepped(operation, fault)
            except (MemoryError, RecursionError):
                ended.append(False)
                await trio.sleep(5)
                return
            ended.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await wait_all_tasks_blocked()
            if wait == "acquire":
                registry.unregister("leader")
            else:
                registry.register("leader")
            await trio.sleep(1)
            assert ended
        assert not is_candidate_waiting(registry)
        assert not is_followed(registry)

    fails_at_every_call(kind, scenario)
