"""A `Receiver`: a task that waits for an item of a feed. ``async for`` makes one, and awaits it for each item.

With a coroutine, each wait makes three new objects: 450,000 if 150,000 tasks wait for the next message. They live until
that message comes, so Python's garbage collector looks at each of them several times. A receiver is awaited again and
again, so the next wait makes no object.

A receiver does by hand what a coroutine does: `__next__` begins the wait, and `send` goes on when the task is woken.

Must never happen: an item is lost, because a receiver has it and its task does not take it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator
from threading import get_ident
from types import TracebackType
from typing import Any, Protocol, TypeVar

from outcome import Outcome
from trio.lowlevel import Task, current_task, enable_ki_protection

from .sleeping import MESSAGE, WOKEN

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NOTHING: Any = object()
_NO_TASK: Any = None
_SOME_TASK: Any = object()


class Source(Protocol[T_co]):
    """What a receiver knows of its feed."""

    _receiver: Receiver[Any] | None

    @property
    def _buffer(self) -> object: ...
    @property
    def _first(self) -> object: ...
    @property
    def _senders(self) -> object: ...
    @property
    def _state(self) -> int: ...
    @property
    def _thread(self) -> int: ...
    def _next(self, at_end: type[Exception]) -> Coroutine[Any, Any, T_co]: ...
    def _line_up(self, receiver: Receiver[Any]) -> None: ...
    def _leave_line(self, receiver: Receiver[Any]) -> None: ...
    def _put_back(self, item: object) -> None: ...


class Receiver(AsyncIterator[T], Generator[object, Outcome[None], T]):
    """A task that waits to receive an item. While the task sleeps, the receiver is its ``custom_sleep_data``.

    Attributes:
        task: The task; None before the wait, and after it.
        item: The item for the task; `NOTHING` until one has come.
    """

    # If an item comes between `__anext__` and ``await``, the task need not wait. Then it runs `_instead`, a coroutine
    # of `Feed._next`.
    __slots__ = ("_at_end", "_feed", "_instead", "item", "task")

    def __init__(self, feed: Source[T], at_end: type[Exception]) -> None:
        self._feed = feed
        self._at_end = at_end
        self._instead: Coroutine[Any, Any, T] | None = None
        self.item: Any = NOTHING
        self.task: Task = _NO_TASK

    def __anext__(self) -> Awaitable[T]:
        feed = self._feed
        # `Feed._has_to_wait`, written out.
        if feed._buffer or feed._state or feed._senders or feed._first is not None or self.task is not _NO_TASK:
            return feed._next(self._at_end)
        return self

    @enable_ki_protection  # ``async for`` turns any error in here into a TypeError, a KeyboardInterrupt, too
    def __await__(self) -> Generator[object, Any, T]:
        return self

    @enable_ki_protection
    def __next__(self) -> object:
        if self.task is not _NO_TASK:
            raise RuntimeError("another task awaits this: call anext() only when you await it")
        feed = self._feed
        try:
            if feed._buffer or feed._state or feed._senders or feed._first is not None or get_ident() != feed._thread:
                self.task = _SOME_TASK
                self._instead = feed._next(self._at_end)
                return self._instead.send(None)
            task = self.task = current_task()
            if feed._receiver is None:
                feed._receiver = self
            else:
                feed._line_up(self)
        except BaseException:
            self._instead = None
            self.task = _NO_TASK
            raise
        task.custom_sleep_data = self
        return MESSAGE

    @enable_ki_protection
    def send(self, outcome: Outcome[None], /) -> object:
        # No local variable of this frame may hold an error that is raised, or an outcome with that error: its traceback
        # leads here, so that would be a cycle of references. (And the raise is at the top of the function, since Python
        # looks for its line from there.)
        if outcome is WOKEN and self._instead is None and self.item is not NOTHING:
            answer: StopIteration | None
            try:
                answer = StopIteration(self.item)
            except BaseException:
                self.give_up()
                raise
            self.task, self.item = _NO_TASK, NOTHING
            raise (answer, answer := None)[0]
        return self._send_other((outcome, outcome := WOKEN)[0])

    def _send_other(self, outcome: Outcome[None] | None) -> object:
        try:
            if self._instead is not None:
                return self._instead.send(outcome)
            if outcome is None:  # so a wrapper may begin the wait by hand
                return self.__next__()
            outcome.unwrap()
            raise self._at_end
        except BaseException:  # cancelled, or at the end of `_instead`
            del outcome  # as in `send`
            self._instead = None
            self.give_up()
            raise

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: object = None,
        tb: TracebackType | None = None,
        /,
    ) -> object:
        error = val if isinstance(val, BaseException) else typ
        try:
            if self._instead is not None:
                return self._instead.throw(error)
            raise error
        except BaseException:
            del error, typ, val  # as in `send`
            self._instead = None
            self.give_up()
            raise

    def close(self) -> None:
        if self._instead is not None:
            self._instead.close()
            self._instead = None
        self.give_up()

    @enable_ki_protection
    def give_up(self) -> None:
        """The task has failed, so it does not wait any more. If it has an item, that is the next item again."""
        self._feed._leave_line(self)
        self.task = _NO_TASK
        item, self.item = self.item, NOTHING
        if item is not NOTHING:
            self._feed._put_back(item)
