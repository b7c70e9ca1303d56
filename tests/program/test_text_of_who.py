"""The text of `who`, and of `dump`, where there is much to say."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import trio
from support.dumps import part
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, who
from trioreg._program import dump_signal


class Busy(Actor):
    async def wait(self, tasks: int, other: ActorRef[Any]) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(other.call, Hangs.hang, name=f"task {number}")


class Hangs(Actor):
    async def hang(self) -> None:
        await trio.sleep_forever()

    def hang_beside(self) -> None:
        self.start_soon(self.hang)


class Passes(Actor):
    async def ask(self, others: list[ActorRef[Any]]) -> None:
        if others:
            await others[0].call(Passes.ask, others[1:])
        else:
            await trio.sleep_forever()


async def test_the_text_shows_the_first_tasks_of_an_actor_and_how_many_more_there_are(
    autojump_clock: MockClock,
) -> None:
    async with supervising() as supervisor:
        busy = await supervisor.start_child(Busy, restart="temporary")
        hangs = await supervisor.start_child(Hangs, restart="temporary")
        busy.cast_nowait(Busy.wait, 12, hangs)
        await wait_all_tasks_blocked()
        lines = str(who(busy)).splitlines()
        assert sum("call Hangs.hang" in line and " task " in line for line in lines) == 10
        assert lines[-1].endswith("and 2 more tasks")
        busy.kill()
        hangs.kill()


async def test_the_text_shows_where_a_task_of_an_actor_stands(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        hangs = await supervisor.start_child(Hangs, restart="temporary")
        hangs.cast_nowait(Hangs.hang_beside)
        await wait_all_tasks_blocked()
        lines = str(who(hangs)).splitlines()
        begin = next(number for number, line in enumerate(lines) if line.startswith("  task"))
        assert any("in hang" in line for line in lines[begin:])
        hangs.kill()


async def test_a_long_chain_of_waits_is_cut_in_its_middle(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        first, *others = [await supervisor.start_child(Passes, restart="temporary") for _ in range(12)]
        first.cast_nowait(Passes.ask, others)
        await wait_all_tasks_blocked()
        (way,) = [line for line in part(trioreg.dump(), "Who waits for whom") if "more ..." in line]
        assert way.count("-(call Passes.ask)->") == 7
        assert "... 4 more ..." in way
        for ref in (first, *others):
            ref.kill()


async def test_of_many_actors_that_others_wait_for_the_first_are_shown(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        refs = [await supervisor.start_child(Passes, restart="temporary") for _ in range(6)]
        for first, second in zip(refs[::2], refs[1::2], strict=True):
            first.cast_nowait(Passes.ask, [second])
        await wait_all_tasks_blocked()
        lines = part(trioreg.dump(limit=1), "Who waits for whom")
        assert lines[-1].strip() == "... 2 more that others wait for"
        for ref in refs:
            ref.kill()


async def test_a_tree_that_can_not_be_read_is_said_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: object) -> None:
        raise ValueError("not now")

    monkeypatch.setattr(sys.modules["trioreg._program.dump"], "tree_of_run", fail)
    assert trioreg.dump() == "The tree could not be shown: ValueError('not now')"


def test_outside_of_a_run_no_code_blocks_the_loop() -> None:
    assert dump_signal._now_in_the_loop() == ["waits for something to happen: no code blocks it"]


def test_a_file_that_can_not_be_asked_for_room_is_written_to() -> None:
    assert dump_signal._has_room(-1)
