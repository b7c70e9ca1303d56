"""`settled`: wait until a program has nothing more to do.

It looks at all actors when no task can run. If one of them still has something to do, it waits until another task has
run, and looks again. A Trio instrument tells it of that. So it needs no clock, and nothing in the actors.

Must never happen: a wait that can never end, and that says nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import Task, current_statistics, current_task
from trio.testing import wait_all_tasks_blocked

from .._actors import RUNNING, current_cell, is_held_up, is_suspended
from .._program import ActorReport, report_of
from .._runtime import counted, current_run, duration, one_line
from .._supervision import tops_of, walk
from .blocked import waits_outside
from .steps import steps_of_others
from .threads import waits_for_thread

if TYPE_CHECKING:
    from .._actors import Cell
    from .._runtime import Run
    from .._supervision import TreeChild

    Busy = list[tuple[str, TreeChild]]

_SHOWN = 10
_LINES = 2


class NotSettled(AssertionError):
    """`settled` would wait for ever: some actors have something to do, and nothing can happen any more.

    Attributes:
        actors: The report of each of these actors, as from `trioreg.who`.
    """

    def __init__(self, message: str, actors: tuple[ActorReport, ...]) -> None:
        super().__init__(message)
        self.actors = actors


async def settled() -> None:
    """Wait until every actor is idle, and every thread that one of them waits for is back.

    ::

        await orders.publish("new", order)
        await settled()  # all subscribers have handled it, and all that these have sent
        assert warehouse.shelves == {}

    An actor is idle when it has started, has handled all messages, and waits for the next one. A child that waits for
    its restart is not idle. A function actor, or a background task of an actor, may wait for anything but a thread: no
    code can see whether it is done. So a timer that comes later is not waited for. Nor are actors that you hold with
    `hang`, or with `trioreg.debug.suspend`.

    With a virtual clock, this waits until the handlers that sleep are done, and the clock jumps on the way. With a
    real clock it waits for as long as that takes. Neither clock nor program is slowed down. A virtual clock stands
    still while an actor waits for a thread, and while all that can come is the result of a thread. It does not stand
    still for sockets and processes.

    If it can't go on, this raises instead of waiting for ever: no task can run, nothing has a deadline, nothing waits
    for the system, and no thread works. It sees threads that Trio has started, and no others. If something else is
    always due, such as a timer that sends again and again, it can't know: put a `trio.fail_after` around it. Then it
    raises `NotSettled` if nothing else is due before that deadline.

    A checkpoint. The cost grows with the number of actors, for each time that the program comes to rest.

    Raises:
        NotSettled: Nothing can happen any more. It says which actors wait for what.
        RuntimeError: A handler or a hook of an actor calls this, so that actor can't become idle. Or you are not inside
            of a Trio run.
    """
    run = current_run()
    _refuse_handler(current_task())
    with steps_of_others() as steps:
        is_second_look = False
        while True:
            await wait_all_tasks_blocked()
            busy = _busy(run)
            if not busy:
                return
            thread, system, rest = waits_outside()
            due = _next_due()
            if thread or system or due < math.inf:
                is_second_look = False
                # A thread of another task may work for as long as the test lasts. It does not hold up a deadline.
                holds_clock = thread and (due == math.inf or _is_one_in_thread(busy))
                await steps.wait(due, holds_clock=holds_clock)
            elif not is_second_look:  # other tasks that wait for all to be blocked have their turn first
                is_second_look = True
            elif rest:  # other tasks wait for all to be blocked, and for longer
                is_second_look = False
                await steps.wait(due, holds_clock=False)
            else:
                raise _not_settled(busy)


def _refuse_handler(task: Task) -> None:
    cell = current_cell()
    if cell is not None and cell.hooks is not None and task is cell.task:
        raise RuntimeError(f"{cell.ref!r} can't become idle while it waits in settled(): call it in a task of the test")


# Which actors have something to do


def _busy(run: Run) -> Busy:
    """The children that have something to do, each with the path of its supervisor."""
    return [(above.path, child) for above, child in walk(tuple(tops_of(run))) if _is_busy(child)]


def _is_busy(child: TreeChild) -> bool:
    cell = None if child.ref is None else child.ref._cell
    if cell is None:
        return child.state == "restarting"
    if is_held_up(cell) or is_suspended(cell):
        return False
    return cell.state != RUNNING or _has_work(cell) or waits_for_thread(cell)


def _has_work(cell: Cell) -> bool:
    if cell.queued:
        return cell.hooks is not None or cell.taker is not None  # a function may never take a message
    background = cell.life.background
    if background is not None and background.turns is not None and background.turns.unfinished:
        return True
    return cell.hooks is not None and not cell.is_idle


def _is_one_in_thread(busy: Busy) -> bool:
    cells = [child.ref._cell for _, child in busy if child.ref is not None]
    return any(cell is not None and waits_for_thread(cell) for cell in cells)


# What can still happen


def _next_due() -> float:
    """The next deadline before the deadline of this task, as `trio.current_time`. `math.inf` if there is none."""
    seconds = current_statistics().seconds_to_next_deadline
    # In this order: if the next deadline is its own, a real clock makes that the smaller one, and not the larger one.
    now = trio.current_time()
    own = trio.current_effective_deadline() - now
    return now + seconds if seconds < own else math.inf


# The error


def _not_settled(busy: Busy) -> NotSettled:
    deadline = trio.current_effective_deadline()
    before = "" if deadline == math.inf else f" before the deadline in {duration(deadline - trio.current_time())}"
    count = counted(len(busy), "actor")
    lines = [f"{count} can't become idle: no task can run, nothing is due{before}, and no thread works"]
    reports = [None if child.ref is None else report_of(child.ref) for _, child in busy]
    for (path, child), report in list(zip(busy, reports, strict=True))[:_SHOWN]:
        lines += _described(path, child, report)
    if len(busy) > _SHOWN:
        lines.append(f"  and {counted(len(busy) - _SHOWN, 'more actor')}")
    return NotSettled("\n".join(lines), tuple(each for each in reports if each is not None))


def _described(path: str, child: TreeChild, report: ActorReport | None) -> list[str]:
    if report is None:
        return [one_line(f"  {child.kind} under {path}: {child.state}")]
    facts: list[str] = [] if report.state == "running" else [report.state]
    if report.handling is not None:
        facts.append(f"handles {report.handling.rpartition('<locals>.')[2]}")
    if report.queued:
        facts.append(f"{counted(report.queued, 'message')} in its mailbox")
    waits = {str(wait): "" for wait in report.waits_for}
    for task in report.tasks:
        for wait in task.waits_for:
            waits.setdefault(str(wait), f" (in {task.name})")
    if waits:
        facts.append(f"waits for {', '.join([wait + where for wait, where in waits.items()][:_LINES])}")
    lines = [one_line(f"  {report.label} under {path}: {', '.join(facts)}")]
    for frame in report.stack[-_LINES:]:
        lines.append(one_line(f"    at {frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}"))
    return lines
