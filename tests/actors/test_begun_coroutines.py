"""Coroutines that a handler returns although they have begun, and that nobody will go on with.

To close such a coroutine would run the user's code in it, which may raise, in the middle of the runtime's own steps.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from contextlib import suppress
from typing import Any

import pytest
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, DynamicSupervisor


class _Stubborn:
    """What it holds is not closed without an error, as long as `is_stubborn`."""

    is_stubborn = True
    kept: Coroutine[Any, Any, None]

    @types.coroutine
    def wait(self) -> Generator[Any, Any, None]:
        yield

    async def rest(self) -> None:
        try:
            await self.wait()
        finally:
            if self.is_stubborn:
                raise ValueError("I do not like to be closed")


def begun(stubborn: _Stubborn) -> Coroutine[Any, Any, None]:
    """A coroutine that has begun. ``stubborn`` keeps it: the garbage collector would close it too."""
    stubborn.kept = stubborn.rest()
    stubborn.kept.send(None)
    return stubborn.kept


class Halved(Actor):
    """Its handler ends the actor, and returns the rest of its work."""

    def __init__(self, stubborn: _Stubborn) -> None:
        self.stubborn = stubborn

    def half(self) -> Coroutine[Any, Any, None]:
        self.ref.cancel()
        return begun(self.stubborn)


class HalvedSupervisor(DynamicSupervisor):
    def __init__(self, stubborn: _Stubborn) -> None:
        super().__init__()
        self.stubborn = stubborn

    def half(self) -> Coroutine[Any, Any, None]:
        self.ref.cancel()
        return begun(self.stubborn)


@pytest.mark.parametrize("is_idle", [False, True])
@pytest.mark.parametrize("way", ["call", "cast"])
@pytest.mark.parametrize("cls", [Halved, HalvedSupervisor])
async def test_a_coroutine_that_has_begun_is_not_closed_when_its_actor_ends(
    cls: Any, way: str, is_idle: bool, autojump_clock: MockClock
) -> None:
    stubborn = _Stubborn()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(cls, stubborn, restart="temporary")
        if is_idle:
            await wait_all_tasks_blocked()
        if way == "cast":
            await ref.cast(cls.half)
        else:
            with suppress(ActorExited):
                await ref.call(cls.half)
        exit = await ref.wait()
        assert (exit.reason, exit.error) == ("shutdown", None)
        stubborn.is_stubborn = False
