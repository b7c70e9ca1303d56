"""A start that is being cancelled, and calls the actor that has asked for it: a cycle only if that call is shielded."""

from __future__ import annotations

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, ActorRef, DynamicSupervisor


class Child(Actor):
    def __init__(self, boss: ActorRef[Boss], seconds: float, seen: list[str], is_shielded: bool) -> None:
        self.boss = boss
        self.seconds = seconds
        self.seen = seen
        self.is_shielded = is_shielded

    async def on_start(self) -> None:
        try:
            await trio.sleep(self.seconds)
        finally:
            try:
                with trio.CancelScope(shield=self.is_shielded):
                    await self.boss.call(Boss.hello)
            except BaseException as error:
                self.seen.append(type(error).__name__)
                raise


class Boss(Actor):
    def __init__(self, supervisor: DynamicSupervisor) -> None:
        self.supervisor = supervisor

    async def start(self, seconds: float, seen: list[str], is_shielded: bool = False) -> str:
        with trio.move_on_after(1):
            await self.supervisor.start_child(Child, self.ref, seconds, seen, is_shielded, restart="temporary")
        return "moved on"

    def hello(self) -> str:
        return "hello"


@pytest.mark.parametrize("seconds", [1, 10])
async def test_a_start_that_is_being_cancelled_is_cancelled_when_it_calls_its_starter(
    seconds: int, autojump_clock: MockClock
) -> None:
    seen: list[str] = []
    async with supervised() as supervisor:
        boss = await supervisor.start_child(Boss, supervisor)
        assert await boss.call(Boss.start, seconds, seen) == "moved on"
    assert seen == ["Cancelled"]


async def test_a_shielded_call_of_a_start_that_is_being_cancelled_to_its_starter_is_a_cycle(
    autojump_clock: MockClock,
) -> None:
    seen: list[str] = []
    async with supervised() as supervisor:
        boss = await supervisor.start_child(Boss, supervisor)
        assert await boss.call(Boss.start, 10, seen, True) == "moved on"
    assert seen == ["CallCycle"]
