"""A shared turn: one message goes to many idle actors, and one task runs the sync handlers of all of them.

To wake a task and to run it costs more than most handlers. A sync handler of an idle actor need not run in the actor's
own task: that task is parked, the mailbox is empty, and none of the actor's code runs. (A call makes use of that, too,
in `answers.py`.) So a message to many actors wakes one task. It runs each handler in the context of its actor.

Until then, the message lies in the actor's `kind` and `payload`, as any message to an idle actor does. The actor's task
stays parked, with `IN_LINE` in its ``custom_sleep_data``. So the actor does not count as idle, and later messages wait
behind this one. If a second message comes, or the actor is to end, the actor's own task is woken
(`Mailbox.leave_line`). Then the actor's own task takes all messages, and the shared turn passes the actor by.

Must never happen: a message that overtakes an earlier one; two handlers of one actor at once; an actor that stays in
line for ever; an error of one handler that another actor sees.
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
        line: The actors whose messages are to be handled, in order. An actor may be in it twice. Its own task may have
            taken the message already.
        task: The task; None after its end. It ends when the run's main task has ended.
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
        """Have an actor handle a message in this turn. Returns False, and does nothing, if the actor can't.

        Call `begin` before. The handler must be one that `can_share`. If this raises, nothing is sent.
        """
        task = cell.taker
        # Not an actor with an idle timeout: that could wake its task, which would then find no message. Not one with a
        # bounded mailbox: senders may wait for room there.
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
                    # The run is almost over. Trio has woken this task to end it. Actors that have lined up since then
                    # are served first. Trio cancels the next sleep, too.
                    if not self.line:
                        raise
        finally:
            self.task = None

    def _serve_some(self) -> Awaitable[None] | None:
        """Serve the first actors in the line. Returns the sleep to await; None if there are more actors in the line."""
        line = self.line
        for _ in range(min(PER_TURN, len(line))):
            handle(line[0])
            del line[0]  # only now: if `handle` fails, it is tried again
        return None if line else sleep_until_woken()

    def _make_up_for(self, error: BaseException) -> None:
        """`handle` has failed for the first actor in the line. If its message is gone, the actor crashes."""
        cell = self.line[0] if self.line else None
        if cell is not None and cell.runs_in == SHARED_TURN:
            cell.runs_in = OWN_TURN
            _crash(cell, error)


def can_share(handler: object) -> bool:
    """Whether a message of this kind can be handled in a shared turn: it runs a sync method, without keywords."""
    return type(handler) is Handler and not handler.has_own_turn


def handle(cell: Cell) -> None:
    """Run the handler of an actor in line. If the actor is to end, wake its own task instead.

    It may fail because there is no memory. If the actor still has the message, call this again. If `runs_in` is still
    `SHARED_TURN`, the message is gone.
    """
    task = cell.taker
    if task is None or task.custom_sleep_data is not IN_LINE:
        return  # its own task has taken the message, or has ended
    if cell.state >= ENDING:
        wake(task)  # it sees that the actor is to end
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
    """End an actor whose handler has failed. If there is no memory for that, try once more: no other code does it."""
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
    """The shared turn of the current run. None: there is none, so each actor handles its messages in its own turn."""
    try:
        turn = _turn.get()
    except LookupError:
        turn = SharedTurn()
        require_room()  # Trio can't undo the start of a task
        turn.task = spawn_system_task(turn.serve, name="trioreg shared turn")
        _turn.set(turn)
    return None if turn is None or turn.task is None else turn


def keep_own_turns() -> None:
    """In the current run, have each actor handle its messages in its own turn: `explore` tries out orders of turns."""
    _turn.set(None)
