"""A call that waits for its answer, and the `Reply` that a handler returns when it will answer later.

A `Call` is a message with a caller parked behind it. It is answered, failed, or abandoned by its caller. The first of
these counts, and later ones do nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Generic, Never, TypeVar, final

import trio
from trio.lowlevel import enable_ki_protection

from .._runtime import UNUSUAL, ActorExited, Identity, NoReply, do_later, is_finalizing, wake
from .wait_graph import Wait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.lowlevel import Task

    from .._runtime import Exit, Owner
    from .handler import Handler
    from .wait_graph import WaitKind

R = TypeVar("R")


class Call(Wait):
    """One call: the method and its arguments, the caller's task, and the answer.

    Attributes:
        task: The caller's task, while it is parked.
        is_done: Whether it has been answered, failed or abandoned.
        has_begun: Whether a part of its handler has run. Then it can't be withdrawn.
        deferred: All calls that the same actor will answer later, while this is one of them.
        value, error: The answer, or the exception to raise in the caller.
    """

    __slots__ = ("args", "deferred", "error", "handler", "has_begun", "is_done", "kwargs", "task", "value")

    kind: ClassVar[WaitKind] = "call"

    def __init__(
        self,
        target: Owner,
        waits: dict[Wait, None] | None,
        handler: Handler,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> None:
        super().__init__(target, waits)
        self.handler: Handler = handler
        self.args: tuple[object, ...] = args
        self.kwargs: Mapping[str, object] = kwargs
        self.task: Task | None = None
        self.is_done: bool = False
        self.has_begun: bool = False
        self.deferred: dict[Call, None] | None = None
        self.value: object = None
        self.error: BaseException | None = None

    def answer(self, value: object) -> None:
        if not self.is_done:
            self.value = value
            self._done()
            if UNUSUAL:
                self.handler.answered(value, None)

    def fail(self, error: BaseException) -> None:
        if not self.is_done:
            self.error = error
            self._done()
            if UNUSUAL:
                self.handler.answered(None, error)

    def abandon(self) -> None:
        """The caller is gone: its task is being cancelled, so it must not be rescheduled any more."""
        self.task = None
        if not self.is_done:
            self._done()

    def _done(self) -> None:
        # First what may fail. If it does, the call is as before, and the end of the actor answers it.
        if self.waits is not None:
            self.end_wait()
        if self.task is not None:
            wake(self.task)
            self.task = None
        self.is_done = True
        if self.deferred is not None:
            self.deferred.pop(self, None)
            self.deferred = None


def refuse(payload: object, ref: Owner, exit: Exit, *, was_sent: bool = True, was_begun: bool | None = None) -> None:
    """If a message is a call, tell its caller that the actor ends and no answer will come."""
    if isinstance(payload, Call):
        error = ActorExited(ref, exit, was_sent=was_sent, was_begun=was_begun)
        error.__cause__ = exit.error
        payload.fail(error)


@final
class Reply(Identity, Generic[R]):
    """An answer that comes later: ``GenServer.reply``.

    A handler makes a reply, keeps it, and returns it. The caller waits, and the actor goes on with the next message.
    Later any task of the same Trio run answers, with `send` or `fail`::

        class Lobby(trioreg.Actor):
            def join(self, player: str) -> trioreg.Reply[str]:
                reply = trioreg.Reply[str]()
                self.waiting.append((player, reply))
                return reply

            def begin(self) -> None:
                for player, reply in self.waiting:
                    reply.send(f"welcome, {player}")

    You may also answer it before you return it. If the actor ends first, the caller gets `ActorExited`. If the reply is
    thrown away without an answer, the caller gets `NoReply`. It can't be subclassed.
    """

    __slots__ = ("__weakref__", "_call", "_error", "_is_answered", "_value")

    def __init_subclass__(cls) -> Never:
        raise TypeError(f"{cls.__qualname__}: Reply can't be subclassed, keep what belongs to one beside it")

    def __init__(self) -> None:
        self._call: Call | None = None
        self._is_answered = False
        self._value: object = None
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Reply, {'answered' if self._is_answered else 'open'}>"

    def __del__(self) -> None:
        call: Call | None = getattr(self, "_call", None)  # Ctrl-C in `__init__` may leave no `_call`
        if call is not None:
            # The garbage collector may run in any thread, and in the middle of anything: let Trio do it at a good time.
            with suppress(trio.RunFinishedError):
                call.target._run.token.run_sync_soon(call.fail, NoReply(call.target))

    @property
    def is_answered(self) -> bool:
        """Whether `send` or `fail` has been called. Not a checkpoint; constant time."""
        return self._is_answered

    @property
    def is_abandoned(self) -> bool:
        """Whether an answer would come too late: the caller waits no longer. It was cancelled, or the actor has ended.

        Look at it before you compute a costly answer. It is False before the handler has returned the reply, and once
        the reply is answered. If no call waits for the reply, as after a cast, it stays False. Constant time.
        """
        call = self._call
        return call is not None and call.is_done

    @enable_ki_protection
    def send(self, value: R) -> None:
        """Answer with a value. Not a checkpoint; constant time. If the caller is gone, nothing happens.

        Raises:
            RuntimeError: The reply was answered before, or this is not the thread of the Trio run.
        """
        self._answer(value, None)

    @enable_ki_protection
    def fail(self, error: Exception) -> None:
        """Answer with an exception, which is raised in the caller. The actor goes on. Not a checkpoint; constant time.

        Raises:
            TypeError: ``error`` is not an instance of `Exception`.
            RuntimeError: As `send`.
        """
        if not isinstance(error, Exception):
            raise TypeError(f"error must be an instance of Exception, not {error!r}")
        self._answer(None, error)

    def _answer(self, value: object, error: BaseException | None) -> None:
        if self._is_answered:
            raise RuntimeError("this reply has been answered before: a reply is answered once")
        call = self._call
        if call is not None:
            call.target._require_thread()
            if is_finalizing():
                do_later(call.target._run.token, self._answer, value, error)
                return
        self._is_answered = True
        self._value, self._error = value, error
        self._call = None
        if call is not None:
            try:
                self._pass_to(call)
            except BaseException:
                self._call, self._is_answered = call, False  # it can be answered again
                raise

    def _bind(self, call: Call) -> bool:
        """A handler returned this reply for ``call``: send the answer there. True if there was an answer already."""
        if self._call is not None:
            raise RuntimeError("this reply was returned for another call before: make a new Reply for each call")
        if self._is_answered:
            self._pass_to(call)
            return True
        self._call = call
        return False

    def _pass_to(self, call: Call) -> None:
        if self._error is not None:
            call.fail(self._error)
        else:
            call.answer(self._value)
