"""A shared turn: one task runs the sync handlers of many idle actors to which one message has been sent.

To wake a task and to run it costs more than most handlers. As with a call (`answers.py`), an idle actor's sync handler
needs neither: its task stays parked, its mailbox is empty, and none of its code runs. So a message to many actors wakes
one task, and this task runs the handlers, each in the context of its actor.

The message lies in `kind` and `payload`, as any message to an idle actor does. The actor's task stays parked, with
`IN_LINE` in its ``custom_sleep_data``. So the actor does not count as idle, and later messages wait behind this one. A
second message, or the end of the actor, wakes the actor's task (`Mailbox.leave_line`). Then this task takes both
messages, and the shared turn passes the actor by.

Must never happen: a message that overtakes an earlier one; two handlers of one actor at once; an actor in line to which
no turn comes; an error of one handler that another actor sees.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import (
    RunVar,
    cancel_shielded_checkpoint,
    current_task,
    enable_ki_protection,
    spawn_system_task,
)

from .._runtime import Exit, discard, require_room, sleep_until_woken, wake
from .answers import go_on
from .cell import ENDING, OWN_TURN, SHARED_TURN
from .handler import Handler
from .log import log_declared
from .mailbox import IN_LINE
from .message import NO_KWARGS
from .observed import COROUTINE

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from trio.lowlevel import Task

    from .cell import Cell

PER_TURN = 256
"""How many handlers run before other tasks have their turn."""


class SharedTurn:
    """The line of one Trio run, and the task that serves it.

    Attributes:
        line: The actors whose messages are to be handled, in order. One may be in it twice, or not be waiting any more.
        task: The task; None if it has ended, with the run's main task.
    """

    __slots__ = ("line", "task")

    def __init__(self) -> None:
        self.line: deque[Cell] = deque()
        self.task: Task | None = None

    def begin(self) -> None:
        """Wake the task: call this before `line_up`. If it raises, nothing has changed."""
        task = self.task
        if task is not None and task.custom_sleep_data is self:
            wake(task)

    def line_up(self, cell: Cell, handler: object, args: tuple[object, ...]) -> bool:
        """Have an actor handle a message in this turn, if it can. Call `begin` before. If this raises, nothing is sent.

        The handler must be one that `can_share`.
        """
        task = cell.taker
        # A timeout may wake an actor that waits with one, which would then find no message. Others may wait for room in
        # a bounded mailbox.
        if task is None or task.custom_sleep_data is not cell or cell.idle_scope is not None or cell.limit is not None:
            return False
        self.line.append(cell)
        cell.kind = handler
        cell.payload = args
        task.custom_sleep_data = IN_LINE
        return True

    @enable_ki_protection
    async def serve(self) -> None:
        """Serve the line until the end of the run."""
        self.task = task = current_task()
        try:
            while True:
                try:
                    sleep = self._serve_some()
                except (MemoryError, RecursionError) as error:
                    self._make_up_for(error)
                    sleep = self._serve_some()  # it goes on where it has failed
                if sleep is None:
                    await cancel_shielded_checkpoint()
                    continue
                task.custom_sleep_data = self
                try:
                    await sleep
                except trio.Cancelled:
                    # The run is almost over. Some may have lined up since Trio has woken this task for its end. They
                    # are served first: Trio cancels the next sleep as well.
                    if not self.line:
                        raise
        finally:
            self.task = None

    def _serve_some(self) -> Awaitable[None] | None:
        """Serve the first in the line. Returns what the task sleeps with. None if more are left."""
        line = self.line
        for _ in range(min(PER_TURN, len(line))):
            handle(line[0])
            del line[0]  # only now: if something fails, it is tried again
        return None if line else sleep_until_woken()

    def _make_up_for(self, error: BaseException) -> None:
        """To serve the first in the line has failed. If its message is gone, the actor crashes: it is not lost."""
        cell = self.line[0] if self.line else None
        if cell is not None and cell.runs_in == SHARED_TURN:
            cell.runs_in = OWN_TURN
            _crash(cell, error)


def can_share(handler: object) -> bool:
    """Whether a message with this kind can be handled in a shared turn: it is a sync method and its arguments."""
    return type(handler) is Handler and not handler.has_own_turn


def handle(cell: Cell) -> None:
    """Run the handler of an actor in line, or wake the actor's own task for it.

    It may fail, for want of memory. If the actor still has the message then, call it again. If `runs_in` is left at
    `SHARED_TURN`, the message is gone.
    """
    task = cell.taker
    if task is None or task.custom_sleep_data is not IN_LINE:
        return  # its own task has taken the message, or has ended
    if cell.state >= ENDING:
        wake(task)  # its own task finds that
        return
    handler, args = cell.kind, cell.payload
    task.custom_sleep_data = cell
    cell.kind = cell.payload = None
    context, actor, result = cell.context, cell.actor, None
    assert context is not None
    cell.runs_in = SHARED_TURN
    try:
        if not cell.longest:
            cell.update_peak()
        try:
            if len(args) == 1:
                result = context.run(handler.function, actor, args[0])
            else:
                result = context.run(handler.function, actor, *args)
        except handler.declared as error:
            context.run(log_declared, cell, handler, error)
        cell.handled += 1
        if result is not None and type(result) is COROUTINE:
            go_on(cell, cast("Any", result), handler, args, NO_KWARGS, None)
    except BaseException as error:
        if type(result) is COROUTINE:
            discard(cast("Any", result))
        cell.life.crashed_in = (handler.name, args, NO_KWARGS)
        _crash(cell, error)
    cell.runs_in = OWN_TURN


def _crash(cell: Cell, error: BaseException) -> None:
    """End an actor whose handler has failed. If there is no memory for that, try once more: no other code would."""
    try:
        _end(cell, error)
    except (MemoryError, RecursionError):
        _end(cell, error)


def _end(cell: Cell, error: BaseException) -> None:
    if cell.life.errors:  # noted at the first try
        cell.end(Exit("crashed", cell.life.errors[-1]))
    elif not cell.is_of_this_end(error):
        cell.fail(error)


_turn: RunVar[SharedTurn | None] = RunVar("trioreg shared turn")


def current_shared_turn() -> SharedTurn | None:
    """The shared turn of the current run. None if there is none: every actor handles its messages in its own turn."""
    try:
        turn = _turn.get()
    except LookupError:
        turn = SharedTurn()
        require_room()  # Trio can't undo the start of a task
        turn.task = spawn_system_task(turn.serve, name="trioreg shared turn")
        _turn.set(turn)
    return None if turn is None or turn.task is None else turn


def keep_own_turns() -> None:
    """In the current run, every actor is to handle its messages in its own turn. For what tries out orders of turns."""
    _turn.set(None)
