"""What a schedule has changed, as text for people."""

from __future__ import annotations

import trio

from trioreg._testing.one_run import run_once
from trioreg._testing.schedule import moved, numbered
from trioreg._testing.trace import Trace


async def three() -> None:
    async def step() -> None:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for name in ("one", "two", "two"):
            nursery.start_soon(step, name=name)


def lines_of(moves: list[tuple[int, int, int]]) -> list[str]:
    trace = Trace(moves)
    run_once(three, moved(moves), look=trace.look)
    return [line for line in str(trace).splitlines() if " is at " not in line]


def test_a_task_runs_before_or_after_others_and_tasks_with_one_name_have_numbers() -> None:
    assert lines_of([(2, 2, 0), (3, 0, 1)]) == [
        "  round 2, at 0 s: 'two' (2) runs before 'one' and 1 more task",
        "  round 3, at 0 s: 'one' runs after 'two' (1)",
        "All others run in the order in which they were started.",
    ]


def test_the_second_of_two_moves_in_one_round_is_of_the_order_behind_the_first() -> None:
    assert lines_of([(2, 2, 0), (2, 2, 1)])[:2] == [
        "  round 2, at 0 s: 'two' (2) runs before 'one' and 1 more task",
        "  round 2, at 0 s: 'two' (1) runs before 'one'",
    ]


def test_moves_that_change_nothing_are_not_shown() -> None:
    assert lines_of([(2, 7, 0), (2, 1, 1)]) == ["All tasks run in the order in which they were started."]


def test_very_many_moves_are_cut_and_without_moves_those_of_the_order_are_shown() -> None:
    trace = Trace()
    run_once(three, numbered(1), look=trace.look)
    text = str(trace)
    assert text.count(" runs ") == 6
    assert " more changes\n" in text


def test_the_place_of_a_task_is_shown_with_its_line() -> None:
    trace = Trace([(2, 1, 0)])
    run_once(three, moved([(2, 1, 0)]), look=trace.look)
    assert "      'two' (1) is at test_trace.py:15: await trio.lowlevel.checkpoint()" in str(trace)
