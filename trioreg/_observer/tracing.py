"""The last messages of an actor, while its page asks for them.

A trace has no task and no block: each look renews it for some seconds. When nobody looks any more, it ends: with the
next message in the program, or with `Traces.end`. Then the program pays nothing again.

Must never happen: a message, an argument or a result that is kept; one that is shown although the class of the actor
does not allow it (``log_state``).
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict
from weakref import ref

import trio

from .._actors import Message
from .._program import Instrument, hooks_of
from .._runtime import install, text_of, uninstall
from .texts import Texts

if TYPE_CHECKING:
    from .._actors import ActorRef
    from .._runtime import Exit, Run

MESSAGES = 20
"""How many messages are kept."""

ARGUMENTS = 70
"""How many arguments of a message are looked at. There is no room for more in its text."""

RENEWED = 10.0
"""For how long a look keeps a trace, in seconds."""

MOST = 8
"""How many actors are traced at once. One more ends the oldest trace."""


class TracedMessage(TypedDict):
    """One message that an actor has handled.

    Attributes:
        clock: When it was handled, as Unix time, in seconds.
        text: What it was, as in ``"call Cart.add('tea')"``. Without the arguments, unless the class allows it.
        outcome: ``"done"``, ``"-> 3"``, ``"cancelled"`` or ``"raised ValueError('x')"``.
        seconds: How long the handler took.
    """

    clock: float
    text: str
    outcome: str
    seconds: float


class Traces:
    """The traces of one observer."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tracers: dict[int, _Tracer] = {}

    def of(self, actor: ActorRef[Any]) -> list[TracedMessage]:
        """The last messages that an actor has handled since it is traced, the newest first. It is traced from now on.

        Not a checkpoint; constant time.
        """
        self.end(idle_only=True)
        tracer = self._tracers.get(actor._number)
        if tracer is None:
            while len(self._tracers) >= MOST:
                self._tracers.pop(next(iter(self._tracers))).stop()
            tracer = self._tracers[actor._number] = _Tracer(actor, self._run)
        tracer.ends_at = self._run.now() + RENEWED
        return list(tracer.messages)[::-1]

    def end(self, *, idle_only: bool = False) -> None:
        """End all traces, or only those that nobody has looked at lately."""
        for number, tracer in list(self._tracers.items()):
            if not idle_only or tracer.is_over or self._run.now() >= tracer.ends_at:
                del self._tracers[number]
                tracer.stop()

    def __len__(self) -> int:
        return len(self._tracers)

    def __del__(self) -> None:
        for tracer in self._tracers.values():
            tracer.ends_at = 0.0  # a finalizer removes nothing itself: the next message does


class _Tracer(Instrument):
    """Keeps the last messages of one actor as texts. It does not keep the actor."""

    def __init__(self, actor: ActorRef[Any], run: Run) -> None:
        self.messages: deque[TracedMessage] = deque(maxlen=MESSAGES)
        self.ends_at = 0.0
        self.is_over = False
        self._actor = ref(actor)
        self._run = run
        self._texts = Texts()
        install(run, self, hooks_of(self), Message)

    def stop(self) -> None:
        self.is_over = True
        instruments = self._run.instruments
        if instruments is not None and self in instruments.all:
            uninstall(self._run, self)

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        if self._run.now() >= self.ends_at:
            self.stop()
        elif message.to is self._actor():
            self.messages.append(self._traced(message, value, error))

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        if ref is self._actor():
            self.stop()

    def _traced(self, message: Message, value: object, error: BaseException | None) -> TracedMessage:
        shown = may_show_state(message.to)
        began = message.began_at
        return TracedMessage(
            clock=time.time(),
            text=self._text(message) if shown else f"{message.kind} {text_of(message.method) or 'message'}",
            outcome=self._outcome(value, error, shown),
            seconds=0.0 if began is None else max(0.0, self._run.now() - began),
        )

    def _text(self, message: Message) -> str:
        args = [*map(self._texts.shown, message.args[:ARGUMENTS])]
        args += [f"{name}={self._texts.shown(value)}" for name, value in islice(message.kwargs.items(), ARGUMENTS)]
        return text_of(f"{message.kind} {message.method or 'message'}({', '.join(args)})") or ""

    def _outcome(self, value: object, error: BaseException | None, shown: bool) -> str:
        if isinstance(error, trio.Cancelled):
            return "cancelled"
        if error is not None:
            return f"raised {self._texts.name(error) if shown else text_of(type(error).__name__)}"
        return f"-> {self._texts.shown(value)}" if shown else "done"


def may_show_state(actor: ActorRef[Any]) -> bool:
    """Whether the class of an actor allows to show its attributes, its arguments and its results."""
    cell = actor._cell
    cls = None if cell is None else cell.handlers.cls
    return bool(cls is not None and getattr(cls, "log_state", False) is True)
