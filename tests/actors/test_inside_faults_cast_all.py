"""Tests the inside: a failure at any call within `cast_all` leaves a cast that went to all, or to none."""

from __future__ import annotations

from typing import Any

import pytest
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, Registry


class Session(Actor):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str, *, mark: str = "") -> None:
        self.lines.append(line + mark)

    def read(self) -> list[str]:
        return self.lines


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", [AtCall, WithRoom])
@pytest.mark.parametrize("kwargs", [{}, {"mark": "!"}])
@pytest.mark.parametrize("is_busy", [False, True])
def test_a_cast_to_all_that_fails_reaches_all_or_none(is_busy: bool, kwargs: Any, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        rooms: Registry[str, None] = Registry("rooms", keys="duplicate")
        async with supervised() as supervisor:
            refs = [await supervisor.start_child(Session) for _ in range(3)]
            for ref in refs:
                rooms.register("lobby", owner=ref)
            if not is_busy:
                await wait_all_tasks_blocked()
            for ref in refs:
                if is_busy:
                    ref.cast_nowait(Session.write, "before")
            done = fault(lambda: rooms.cast_all("lobby", Session.write, "hello", **kwargs))
            got = [[line for line in await ref.call(Session.read) if line != "before"] for ref in refs]
            assert got == [["hello" + kwargs.get("mark", "")] if done else []] * 3

    fails_at_every_call(kind, scenario)
