"""Tests the inside: a plain registration goes a short way, and does what any other registration does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
import trio
from support.inside import plain_holders
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, Owner, Registry, current_owner

pytestmark = pytest.mark.usefixtures("autojump_clock")


class Holder(Actor):
    def run(self, function: Callable[[], object]) -> object:
        return function()


class Odd:
    """A key that is equal to the others of its kind, and may refuse to be compared."""

    refuses = False

    def __eq__(self, other: object) -> bool:
        if Odd.refuses:
            raise ValueError("no")
        return isinstance(other, Odd)

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "<odd>"


def outcome(function: Callable[[], object], owners: list[Owner]) -> object:
    try:
        result = function()
    except Exception as error:
        text = str(error)
        for number, owner in enumerate(owners):
            text = text.replace(repr(owner), f"owner {number}")
        return type(error), text
    return owners.index(result) if isinstance(result, Owner) else result


async def seen(seed: int, *, is_common: bool) -> list[object]:
    """What the steps that belong to a seed show. ``is_common``: every registration goes the common way."""
    random = Random(seed)
    names: Registry[Any, Any] = Registry("names")
    other: Registry[Any, Any] = Registry("other")
    if is_common:
        names._names.plain = other._names.plain = None
    log: list[object] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Holder)
        owners: list[Owner] = [current_owner(), ref]
        # 7 has the hash of the odd ones: they are compared with it.
        keys: list[Any] = ["".join(["a", "b"]), "ab", Odd(), Odd(), [], 7, 7, 7.0]
        for number in range(120):
            key = random.choice(keys)
            registry = random.choice([names, names, names, other])
            owner = random.choice([None, None, None, *owners])
            Odd.refuses = isinstance(key, Odd) and random.random() < 0.3
            step: partial[Any] = partial(registry.register, key, number, owner=owner)
            if random.random() < 0.5:
                step = partial(registry.unregister, key, owner=owner)
            by_actor = random.random() < 0.4
            done = await ref.call(Holder.run, partial(outcome, step, owners)) if by_actor else outcome(step, owners)
            Odd.refuses = False
            rows = [
                [(k.__class__.__name__, owners.index(e.owner), e.value) for k, e in r.items()] for r in (names, other)
            ]
            held = [[[k.__class__.__name__ for k in r.keys(o)] for o in owners] for r in (names, other)]
            log.append((done, rows, held, plain_holders()))
    for registry in (names, other):
        for key in registry.keys(owners[0]):
            registry.unregister(key)
    return [*log, plain_holders()]


@pytest.mark.parametrize("seed", range(40))
async def test_a_plain_registration_does_what_the_common_way_does(seed: int) -> None:
    assert await seen(seed, is_common=False) == await seen(seed, is_common=True)


async def test_what_follows_a_registry_later_is_told_of_each_change() -> None:
    names: Registry[str, None] = Registry("names")
    names.register("before")
    with names.watch() as events:
        names.unregister("before")
        names.register("after")
        assert [event.key for event in (events.receive_nowait(), events.receive_nowait())] == ["before", "after"]
    names.unregister("after")


async def test_a_name_that_another_task_waits_for_goes_to_that_task() -> None:
    names: Registry[str, None] = Registry("names")
    names.register("leader")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names.acquire, "leader")
        await wait_all_tasks_blocked()
        names.unregister("leader")
        holder = names.whereis("leader")
        assert holder is not None
        assert holder != current_owner()
