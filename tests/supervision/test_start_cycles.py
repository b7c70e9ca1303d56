"""A start that waits for a name which a later child gets: it would wait for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.children import ref_of, restarts
from support.supervisors import supervising
from trio.testing import MockClock

from trioreg import Actor, CallCycle, ChildSpec, Registry, Supervisor, open_supervisor


class Waits(Actor):
    """It waits for something in its start."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self.wait = wait

    async def on_start(self) -> None:
        await self.wait()

    def ping(self) -> str:
        return "pong"


class Target(Actor):
    def ping(self) -> str:
        return "pong"


def waits(names: Registry[str, None]) -> list[Callable[[], Any]]:
    via = names.via("later", wait=True)
    return [
        lambda: via.call(Target.ping),
        lambda: via.cast(Target.ping),
        lambda: via.send("x"),
        lambda: names.wait_for("later"),
    ]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("depth", [0, 1, 3])
async def test_a_start_that_waits_for_the_name_of_a_later_child_gets_call_cycle(
    number: int, depth: int, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    first = ChildSpec(Waits, (waits(names)[number],), id="first")
    for _ in range(depth):
        first = ChildSpec(Supervisor, ([first],), id="above")
    with pytest.RaisesGroup(CallCycle) as caught:
        async with open_supervisor([first, ChildSpec(Target, name=names.via("later"))]):
            raise AssertionError("entered")
    (error,) = caught.value.exceptions
    assert "'later' is the name of a child that starts when first has started" in getattr(error, "__notes__", [])


async def test_a_start_may_wait_for_a_name_that_an_earlier_child_or_another_task_gets(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    early = names.via("early", wait=True)
    other = names.via("other", wait=True)

    async def both() -> None:
        await early.call(Target.ping)
        await other.call(Target.ping)

    async with trio.open_nursery() as nursery:

        async def enter() -> None:
            async with open_supervisor([ChildSpec(Target, name=names.via("early")), ChildSpec(Waits, (both,))]) as top:
                top.stop()

        nursery.start_soon(enter)
        await trio.sleep(1)
        async with supervising([ChildSpec(Target, name=names.via("other"))]):
            await trio.sleep(1)


@pytest.mark.parametrize("start_takes", [0, 1])
async def test_a_background_task_may_wait_for_the_name_of_a_later_child(
    start_takes: float, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    answers: list[str] = []

    class Starts(Actor):
        async def on_start(self) -> None:
            self.start_soon(self.ask)
            if start_takes:
                await trio.sleep(start_takes)

        async def ask(self) -> None:
            answers.append(await names.via("later", wait=True).call(Target.ping))

    async with supervising([ChildSpec(Starts), ChildSpec(Target, name=names.via("later"))]):
        await trio.sleep(1)
        assert answers == ["pong"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_in_a_restart_of_several_the_same_wait_is_a_call_cycle(strategy: Any, autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    waits: list[Any] = []
    errors: list[CallCycle] = []

    async def wait() -> None:
        if waits:
            try:
                await names.via("later", wait=True).call(Target.ping)
            except CallCycle as error:
                errors.append(error)

    children = [ChildSpec(Waits, (wait,), id="a"), ChildSpec(Target, name=names.via("later"))]
    async with supervising(children, strategy=strategy) as supervisor:
        waits.append(True)
        ref_of(supervisor, "a").kill()
        await trio.sleep(1)
        assert restarts(supervisor) == {"a": 1, "later": 1}
        assert len(errors) == 1
