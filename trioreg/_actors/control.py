"""To control a live actor from outside: suspend it, and change its state between two messages.

What a task asks of an actor is a `Request`. The requests of one actor are in its `Control`, which is itself a message:
it goes in front of all that wait. Its handler does what is asked. While the actor is suspended, the handler waits for
the next request. So to all other code a suspended actor is one with an async handler at work: its messages and the
calls in their caller's turn wait, it is not idle, and it can be ended at any time. Without a request it costs nothing.

Must never happen: a suspended actor that handles a message; a request without an answer; a user's message that is
cut in two; an instrument that sees a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from trio.lowlevel import current_task

from .._runtime import (
    NORMAL,
    ActorExited,
    Kept,
    attributes_of,
    run_user,
    shown_safely,
    sleep_until_woken,
    sync_result,
    wake,
)
from .background import Background
from .call import Call, refuse
from .cell import ENDING, STOPPING
from .current import current_cell
from .deadlock import check_for_cycle
from .handler import runtime_handler
from .message import CALL, NO_KWARGS
from .runtime_call import RuntimeCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Cell
    from .wait_graph import Wait

    Change = Callable[[Any], object]


class Control(RuntimeCall):
    """What is asked of one actor.

    Attributes:
        requests: The requests that are not answered yet, oldest first.
        is_suspended: Whether the actor handles nothing until it is released.
    """

    __slots__ = ("is_suspended", "requests")

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell, _HANDLER)
        self.requests: dict[Request, None] = {}
        self.is_suspended = False

    def fail(self, error: BaseException) -> None:
        """The actor ends before all are answered."""
        for request in list(self.requests):
            exit = error.exit if isinstance(error, ActorExited) else NORMAL
            refuse(request, self.target, exit)
        super().fail(error)

    def work(self) -> None:
        """Do all that is asked."""
        while self.requests:
            request = next(iter(self.requests))
            if request.is_done:
                del self.requests[request]  # its last step has failed
            else:
                request.perform(self.cell)

    def release(self) -> None:
        """The actor is to go on."""
        self.wake()
        self.is_suspended = False

    def wake(self) -> None:
        """The actor's task waits for the next request: there is one."""
        task = self.cell.task
        if task is not None and task.custom_sleep_data is self:
            wake(task)

    def forget(self, request: Request) -> None:
        """A request is answered, or its task has given up."""
        self.requests.pop(request, None)
        if not self.requests and not self.has_begun and self.cell.state < ENDING:
            self.cell.withdraw(self)
            self.correct_peak()
            _set_control(self.cell, None)


class Request(Call):
    """One thing that a task asks of an actor. The task waits as for a call.

    Attributes:
        control: The control that it is in.
        change: What changes the actor; None: it is to be suspended.
    """

    __slots__ = ("change", "control")

    def __init__(self, control: Control, waits: dict[Wait, None] | None, change: Change | None) -> None:
        super().__init__(control.target, waits, _HANDLER if change is None else _CHANGE, (), NO_KWARGS)
        self.control = control
        self.change = change
        self.has_begun = True  # it is not in the mailbox itself, so it is not withdrawn from there

    def perform(self, cell: Cell) -> None:
        """Do it, and answer."""
        if cell.state >= (STOPPING if self.change is None else ENDING):
            refuse(self, cell.ref, cell.life.exit or NORMAL)
        elif self.change is None:
            self.control.is_suspended = True
            self.answer(None)
        else:
            began = cell.handling, cell.handling_since
            cell.handling, cell.handling_since = self.handler.name, cell.ref._run.now()
            try:
                self._change(cell.actor, self.change)
            finally:
                cell.handling, cell.handling_since = began

    def _change(self, actor: object, change: Change) -> None:
        before = Kept(actor)
        try:
            result = sync_result("fn", change, run_user(change, actor))
            if result is not None:
                raise TypeError(f"fn must change the actor in place and return None, not {shown_safely(result)}")
        except BaseException as error:
            before.put_back()
            if not isinstance(error, Exception):
                raise
            self.fail(error)
        else:
            before.put_own_back()
            self.answer(attributes_of(actor))

    def _done(self) -> None:
        super()._done()
        self.control.forget(self)


async def _attend(_actor: object) -> None:
    """The handler of a `Control`."""
    cell = current_cell()
    assert cell is not None  # this is its code
    control, task = control_of(cell), cell.task
    assert control is not None and task is not None
    control.has_begun = True
    control.correct_peak()
    was_suspended = False
    try:
        while True:
            control.work()
            if not control.is_suspended:
                break
            was_suspended = True
            task.custom_sleep_data = control
            await sleep_until_woken()
    finally:
        _set_control(cell, None)
    cell.handled -= 1  # the runtime sent it, not a user
    if was_suspended:
        cell.restart_idle_time()


_HANDLER = runtime_handler("trioreg.debug.suspend", _attend, 0, is_async=True)
_CHANGE = runtime_handler("trioreg.debug.replace_state", _attend, 0, is_async=True)  # for its name


def control_of(cell: Cell) -> Control | None:
    """What is asked of an actor now. None if that is nothing, and the actor is not suspended."""
    background = cell.life.background
    return None if background is None else cast("Control | None", background.control)


def _set_control(cell: Cell, control: Control | None) -> None:
    background = cell.life.background
    if background is None and control is not None:
        background = cell.life.background = Background()
    if background is not None:
        background.control = control


def is_suspended(cell: Cell) -> bool:
    """Whether an actor handles nothing until `resume`."""
    control = control_of(cell)
    return control is not None and control.is_suspended


def ask_to_suspend(cell: Cell) -> Call:
    """Ask an actor to handle nothing more, until `resume`. Wait for the answer as for any call: `wait_answer`.

    The actor must not be a function, and not be stopping. Raises `CallCycle` if it waits for the current task.
    """
    return _ask(cell, None)


def ask_to_change(cell: Cell, change: Change) -> Call:
    """Ask an actor to change its state between two messages. The answer is its attributes. Otherwise as for
    `ask_to_suspend`."""
    return _ask(cell, change)


def _ask(cell: Cell, change: Change | None) -> Call:
    waits = check_for_cycle(cell, current_task())
    control = control_of(cell)
    is_new = control is None
    if control is None:
        control = Control(cell)
    request = Request(control, waits, change)
    try:
        control.requests[request] = None
        if is_new:
            _set_control(cell, control)
            cell.put_before_waiting(CALL, control)
        else:
            control.wake()
    except BaseException:
        # The stack is full, or the memory: nothing is asked.
        request.end_wait()
        control.requests.pop(request, None)
        if is_new:
            _set_control(cell, None)
        raise
    return request


def resume(cell: Cell) -> None:
    """Let an actor go on. What still waits for it to be suspended waits no longer."""
    control = control_of(cell)
    if control is None:
        return
    control.release()
    for request in list(control.requests):
        if request.change is None:
            request.answer(None)
