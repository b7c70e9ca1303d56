"""A gate before the mailbox of one actor: it holds each message up for some seconds, or for ever. A fault from outside.

A gate works by steps. A `_Step` is a message of the runtime's own, which lies in front of the next message. Its handler
waits until there is a message, and then until the time is up. Then it puts the next step behind that message. So to all
other code an actor that is held up is one with an async handler at work: its messages wait, and it can be ended at any
time. An actor without a gate pays nothing.

While a step waits for a message, the actor looks idle. So it has other handlers as long as there is a gate: these never
run in the turn of a caller, which would go around the gate.

Must never happen: a step that is left in the mailbox when the gate is gone; an instrument that sees a step; an actor
that can't be ended because it is held up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import checkpoint

from .._runtime import sleep_until_woken, wake
from .cell import ENDING
from .handler import Handler, Handlers, RuntimeHandler, runtime_handler
from .hot_paths import wait_for_message_or_idle
from .message import CALL, CAST, STOP
from .runtime_call import RuntimeCall

if TYPE_CHECKING:
    from .call import Call
    from .cell import Cell


# Those that are there now. Each is taken out by the code that made it.
_gates: dict[Cell, _Gate] = {}


def hold_up(cell: Cell, cause: object, seconds: float) -> None:
    """Hold each message of an actor up for some seconds more, until `let_through`. With `math.inf`: for ever.

    What the actor handles now goes on. ``cause`` is what asks for the delay: the delays of several causes add up.
    """
    gate = _gates.get(cell)
    if gate is None:
        gate = _Gate(cell)
        gate.delays[cause] = seconds
        gate.close()
        _gates[cell] = gate
    else:
        gate.delays[cause] = seconds
        gate.has_changed()


def let_through(cell: Cell, cause: object) -> None:
    """End what `hold_up` has begun. Nothing happens if the actor has ended."""
    gate = _gates[cell]
    del gate.delays[cause]
    if gate.delays:
        gate.has_changed()
    else:
        del _gates[cell]
        gate.open()


def is_held_up(cell: Cell) -> bool:
    """Whether an actor handles nothing until `let_through`."""
    gate = _gates.get(cell)
    return gate is not None and gate.is_holding


def steps_in_mailbox(cell: Cell) -> int:
    """How many objects that are no message to it a gate has in the mailbox of an actor: 0 or 1."""
    gate = _gates.get(cell)
    step = None if gate is None else gate._step
    return int(step is not None and not step.has_begun and not step.is_done)


class _Gate:
    """What holds the messages of one actor up.

    Attributes:
        cell: The actor's cell.
        delays: How long each message is held up, in seconds, by what asks for it.
    """

    __slots__ = ("_handlers", "_step", "cell", "delays")

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.delays: dict[object, float] = {}
        self._handlers = cell.handlers
        self._step: _Step | None = None

    @property
    def is_holding(self) -> bool:
        """Whether it lets nothing through, and has begun with that."""
        return self._step is not None and self._step.has_begun and self._seconds == math.inf

    @property
    def _seconds(self) -> float:
        return sum(self.delays.values())

    def close(self) -> None:
        """Begin to hold messages up: an own step comes before them, and all handlers run in the actor's own turn."""
        self.cell.handlers = _InOwnTurn(self._handlers)
        self._step = _Step(self.cell, self)
        self.cell.put_before_waiting(CALL, self._step)

    def open(self) -> None:
        """End the delay, and put the actor's own handlers back."""
        cell, step = self.cell, self._step
        cell.handlers = self._handlers
        if step is None:
            return
        if step.has_begun:
            self.has_changed()
        else:
            cell.withdraw(step)
            step.abandon()
            step.correct_peak()

    def has_changed(self) -> None:
        """Have a step that is at work look at the delays again."""
        if self._step is None or not self._step.has_begun:
            return
        task = self.cell.task
        if task is not None and task.custom_sleep_data is self:
            wake(task)
        else:
            self.cell.wake_taker()

    # What the actor's own task does

    async def keep(self, step: _Step) -> None:
        """Wait for the next message, hold it up, and put the next step behind it."""
        cell = self.cell
        step.has_begun = True
        step.correct_peak()
        # A call that found the actor idle before there was a gate looks once more, in this round of the scheduler or
        # in the one before. It must not find it idle again, or it would go around the gate.
        await checkpoint()
        is_done = False
        while self.delays and cell.state < ENDING and not is_done:
            if self._seconds < math.inf and not cell.queue:
                await self._wait_for_message()
            else:
                is_done = await self._hold_message()
        self._step = None
        if is_done:
            queue = cell.queue
            assert queue is not None
            place = self._first_message()
            self._step = _Step(cell, self)
            behind = len(queue) if place is None else place + 2
            queue.insert(behind, CALL)
            queue.insert(behind + 1, self._step)
        cell.handled -= 1  # the runtime sent it, not a user

    async def _wait_for_message(self) -> None:
        """After it, the message that has come is in the queue."""
        cell = self.cell
        cell.handling = None
        await wait_for_message_or_idle(cell)
        if cell.kind is not None and cell.state < ENDING:
            kind, payload = cell.kind, cell.payload
            # `Cell.end` must find this task asleep, not as one that a message has woken.
            cell.kind = cell.payload = None
            cell.put_before_waiting(kind, payload)

    async def _hold_message(self) -> bool:
        """Hold the first message up. Whether its time is up; else the delays have changed to none, or to others."""
        cell = self.cell
        if self._seconds < math.inf and self._first_message() is None:
            return True  # there are only some of the runtime's own
        name = "trioreg.testing.hang" if self._seconds == math.inf else "trioreg.testing.slow"
        cell.handling, cell.handling_since = name, cell.ref._run.now()
        limit = cell.handlers._limit
        hold = _sleep if limit is None else limit(_sleep, name)
        return cast("bool", await hold(self))

    async def sleep(self) -> bool:
        """Until the first message has been held up for long enough, whether the delays change meanwhile or not."""
        cell = self.cell
        began = trio.current_time()
        while self.delays:
            deadline = began + self._seconds
            if deadline < math.inf and not cell.queue:
                return False
            if trio.current_time() >= deadline:
                return True
            with trio.CancelScope(deadline=deadline):
                assert cell.task is not None
                cell.task.custom_sleep_data = self
                await sleep_until_woken()
        return False

    def _first_message(self) -> int | None:
        """Where in the queue the first message of a user's is."""
        queue: Any = self.cell.queue or ()
        for place in range(0, len(queue), 2):
            if _is_of_a_user(queue[place], queue[place + 1]):
                return place
        return None


def _is_of_a_user(kind: object, payload: object) -> bool:
    if kind is CALL:
        return type(cast("Call", payload).handler) is not RuntimeHandler
    return kind is not STOP and (kind is not CAST or type(payload) is tuple)


async def _sleep(gate: _Gate, /) -> bool:
    return await gate.sleep()


class _Step(RuntimeCall):
    """One step of a gate."""

    __slots__ = ()

    def __init__(self, cell: Cell, gate: _Gate) -> None:
        super().__init__(cell, _HANDLER, (gate, self))

    def _done(self) -> None:
        super()._done()
        self.args = ()  # they lead back to it: no circle


async def _keep(_actor: object, gate: _Gate, step: _Step) -> None:
    await gate.keep(step)


_HANDLER = runtime_handler("trioreg.testing.slow", _keep, 2, is_async=True)


class _InOwnTurn(Handlers):
    """The handlers of an actor that runs all of them in its own task."""

    __slots__ = ()

    def __init__(self, handlers: Handlers) -> None:
        super().__init__(handlers.cls, handlers._hooks, handlers._limit)

    def _make(self, method: object) -> tuple[Handler, bool]:
        handler, is_known = super()._make(method)
        handler.has_own_turn = True
        return handler, is_known
