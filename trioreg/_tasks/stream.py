"""One async function over many items, so many at a time, and the results as a stream: `open_stream`.

What it promises: never more than ``max_concurrency`` items in work, never more than ``max_concurrency + buffer`` pulled
from the input and not taken by the consumer, and no task that outlives the block. An async generator could not promise
the last: one that holds a nursery open is left half-way whenever its loop is. So it is a block, and the loop is in it.

Each item gets a task of its own, in a nursery of the stream's own: a name that it takes, and a context variable that
it sets, go with it. They are no children of a supervisor, which would restart what the stream has to account for once,
and could outlive the block.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

import attrs
import trio
from trio.lowlevel import ParkingLot, checkpoint, checkpoint_if_cancelled, enable_ki_protection

from .._runtime import await_user, run_user

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)

logger = logging.getLogger("trioreg")

END = object()
"""What a sync iterator gives when there is no more."""


@attrs.frozen
class Done(Generic[T_co, R_co]):
    """The function returned, from a stream with ``on_error="return"``: ``{:ok, value}``.

    Attributes:
        item: What it was called with.
        value: What it returned.
    """

    item: T_co
    value: R_co


@attrs.frozen
class Failed(Generic[T_co]):
    """The function raised, from a stream with ``on_error="return"``: ``{:exit, {item, reason}}``.

    Attributes:
        item: What it was called with.
        error: What it raised.
    """

    item: T_co
    error: Exception


Outcome: TypeAlias = Done[T, R] | Failed[T]
OnError: TypeAlias = Literal["raise", "return"]


class _Slot(Generic[E_co]):
    """The place of one result."""

    __slots__ = ("is_done", "result")

    result: E_co

    def __init__(self) -> None:
        self.is_done = False


class TaskStream(AsyncIterator[E_co]):
    """The results of an `open_stream`, to be taken with ``async for``.

    Several tasks may take from it; each result goes to one of them.
    """

    __slots__ = (
        "_ahead",
        "_consumers",
        "_feeder",
        "_is_closed",
        "_is_exhausted",
        "_is_ordered",
        "_max_ahead",
        "_max_running",
        "_returns_errors",
        "_running",
        "_slots",
    )

    def __init__(self, *, max_running: int, max_ahead: int, is_ordered: bool, returns_errors: bool) -> None:
        self._max_running = max_running
        self._max_ahead = max_ahead
        self._is_ordered = is_ordered
        self._returns_errors = returns_errors
        # In the order in which the consumer gets them: ordered, from when the item was pulled; else from when it is
        # done. So if the first one is done there is something to take, in both cases.
        self._slots: deque[_Slot[E_co]] = deque()
        self._running = 0
        self._ahead = 0  # items pulled whose results have not been taken
        self._is_exhausted = False
        self._is_closed = False
        self._feeder = ParkingLot()
        self._consumers = ParkingLot()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self._running} running, {self._ahead - self._running} waiting"
        return f"<TaskStream, {state}>"

    def __aiter__(self) -> TaskStream[E_co]:
        return self

    @enable_ki_protection
    async def __anext__(self) -> E_co:
        """The next result. A checkpoint; if it is cancelled, no result was taken. Constant time.

        Raises:
            StopAsyncIteration: There are no more.
            trio.ClosedResourceError: The block of the stream has been left.
        """
        await checkpoint()
        while True:
            if self._is_closed:
                raise trio.ClosedResourceError("the block of this stream has been left")
            if self._slots and self._slots[0].is_done:
                slot = self._slots.popleft()
                result = slot.result
                del slot.result  # the frames that an error keeps lead to the slot: it would keep itself alive
                self._ahead -= 1
                self._feeder.unpark_all()
                return result
            if self._is_exhausted and not self._ahead:
                raise StopAsyncIteration
            # Until the first one is done, or there is nothing more to come: both wake everybody who is parked here.
            await self._consumers.park()

    @enable_ki_protection
    async def _feed(
        self,
        async_fn: Callable[[Any], Awaitable[Any]],
        items: Iterable[Any] | AsyncIterable[Any],
        nursery: trio.Nursery,
        context: Context,
    ) -> None:
        """Pull the items as there is room, and start a task for each."""
        iterator: Any
        # What is both is taken as async: its sync iteration may well block.
        is_async = isinstance(items, AsyncIterable)
        iterator = run_user(aiter, items) if is_async else run_user(iter, items)
        try:
            while True:
                await self._wait_for_room()
                if is_async:
                    try:
                        item = await await_user(run_user(anext, iterator))
                    except StopAsyncIteration:
                        break
                else:
                    item = run_user(next, iterator, END)
                    if item is END:
                        break
                slot: _Slot[E_co] = _Slot()
                self._ahead += 1
                self._running += 1
                if self._is_ordered:
                    self._slots.append(slot)
                # In a copy of the context that the stream was opened in, whatever the input has done to this one.
                context.run(self._start, nursery, async_fn, item, slot)
                del item, slot
        finally:
            # A generator that is left half-way has its clean-up run here, and not when it happens to be collected.
            if inspect.isasyncgen(iterator):
                await await_user(iterator.aclose())
            elif inspect.isgenerator(iterator):
                run_user(iterator.close)
        self._is_exhausted = True
        self._consumers.unpark_all()

    async def _wait_for_room(self) -> None:
        if self._has_room:
            await checkpoint()  # it is only this task that takes room
        while not self._has_room:
            await self._feeder.park()

    @property
    def _has_room(self) -> bool:
        return self._running < self._max_running and self._ahead < self._max_ahead

    def _start(
        self, nursery: trio.Nursery, async_fn: Callable[[Any], Awaitable[Any]], item: object, slot: _Slot[E_co]
    ) -> None:
        nursery.start_soon(self._work, async_fn, item, slot, name=async_fn)

    @enable_ki_protection
    async def _work(self, async_fn: Callable[[Any], Awaitable[Any]], item: object, slot: _Slot[E_co]) -> None:
        """The task of one item."""
        slot.result = await self._outcome(async_fn, item)
        slot.is_done = True
        self._running -= 1
        self._feeder.unpark_all()
        if not self._is_ordered:
            self._slots.append(slot)
        if self._slots and self._slots[0].is_done:
            self._consumers.unpark_all()

    @enable_ki_protection
    async def _outcome(self, async_fn: Callable[[Any], Awaitable[Any]], item: object) -> Any:
        try:
            value: object = run_user(async_fn, item)
            is_async = False
            if inspect.isawaitable(value):
                is_async = True
                value = await await_user(value)
        except Exception as error:
            # While the stream is being cancelled nobody takes an outcome: an error leaves the block, as in a nursery.
            if not self._returns_errors or trio.current_effective_deadline() == -math.inf:
                raise
            return Failed(item, error)
        if not is_async:
            raise TypeError(f"async_fn must be an async function, but {async_fn!r} returned {value!r}")
        return Done(item, value) if self._returns_errors else value

    @enable_ki_protection
    def _close(self) -> None:
        self._is_closed = True
        self._consumers.unpark_all()
        if self._returns_errors:
            results: list[Any] = [slot.result for slot in self._slots if slot.is_done]
            errors = [result.error for result in results if isinstance(result, Failed)]
            if errors:
                logger.warning(
                    "a stream was left with %d failures that nobody had taken; the first:",
                    len(errors),
                    exc_info=errors[0],
                )
        self._slots.clear()


@overload
def open_stream(
    async_fn: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    /,
    *,
    max_concurrency: int,
    ordered: bool = ...,
    on_error: Literal["raise"] = ...,
    buffer: int | None = ...,
) -> AbstractAsyncContextManager[TaskStream[R]]: ...
@overload
def open_stream(
    async_fn: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    /,
    *,
    max_concurrency: int,
    ordered: bool = ...,
    on_error: Literal["return"],
    buffer: int | None = ...,
) -> AbstractAsyncContextManager[TaskStream[Outcome[T, R]]]: ...
@overload
def open_stream(
    async_fn: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    /,
    *,
    max_concurrency: int,
    ordered: bool = ...,
    on_error: OnError,
    buffer: int | None = ...,
) -> AbstractAsyncContextManager[TaskStream[R | Outcome[T, R]]]: ...
def open_stream(
    async_fn: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    /,
    *,
    max_concurrency: int,
    ordered: bool = True,
    on_error: OnError = "raise",
    buffer: int | None = None,
) -> AbstractAsyncContextManager[TaskStream[Any]]:
    """Run an async function over many items, so many at a time, and take the results as they come.

    ::

        async with trioreg.open_stream(fetch, urls, max_concurrency=10) as pages:
            async for page in pages:
                ...

    ``Task.async_stream``, and with ``on_error="return"`` ``Task.Supervisor.async_stream_nolink``; as a block, for
    nothing may outlive it. Entering starts the first items. Leaving the block, by its end, ``break``, ``return`` or an
    error, cancels what is still in work and waits for it. The input is pulled only as there is room, so it may be
    endless; a generator is closed when the stream ends.

    There is no timeout argument: what is to be quick says so itself, and its `trio.TooSlowError` is an error as any
    other::

        async def fetch(url: str) -> bytes:
            with trio.fail_after(5):
                ...

    Entering, leaving and taking a result are checkpoints. Each item costs a task.

    Args:
        async_fn: Called with each item, in a task of its own, in a copy of the context of this block.
        items: An iterable or an async iterable; what is both is taken as async. It is iterated in a task of its own;
            if it raises, that error ends the stream, in either mode.
        max_concurrency: How many items may be in work at once, at least 1.
        ordered: Whether the results come in the order of the items, or else as they are ready.
        on_error: What happens when the function raises an `Exception`. ``"raise"``: it ends the stream, everything
            else in the block is cancelled, and the error leaves the block. ``"return"``: that item's result is a
            `Failed`, that of each other one a `Done`, and the stream goes on.
        buffer: How many results may wait, for the consumer or for a slower one that comes before them, while others
            are in work: there are never more than ``max_concurrency + buffer`` items pulled and not taken. None means
            as many as ``max_concurrency``. (Elixir has no such bound: behind one slow item it starts all the others.)

    Raises:
        TypeError, ValueError: An argument is not what is said above.
        ExceptionGroup: The function, the input or the block raised, as in a nursery.
    """
    if not callable(async_fn):
        raise TypeError(f"async_fn must be an async function, not {async_fn!r}")
    if not isinstance(items, Iterable | AsyncIterable):
        raise TypeError(f"items must be an iterable or an async iterable, not {items!r}")
    _require_int("max_concurrency", max_concurrency, 1)
    if buffer is not None:
        _require_int("buffer", buffer, 0)
    if not isinstance(ordered, bool):
        raise TypeError(f"ordered must be a bool, not {ordered!r}")
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error must be 'raise' or 'return', not {on_error!r}")
    stream: TaskStream[Any] = TaskStream(
        max_running=max_concurrency,
        max_ahead=max_concurrency + (max_concurrency if buffer is None else buffer),
        is_ordered=ordered,
        returns_errors=on_error == "return",
    )
    return _opened(stream, async_fn, items)


def _require_int(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")


@asynccontextmanager
@enable_ki_protection
async def _opened(
    stream: TaskStream[Any], async_fn: Callable[[Any], Awaitable[Any]], items: Iterable[Any] | AsyncIterable[Any]
) -> AsyncGenerator[TaskStream[Any]]:
    await checkpoint()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream._feed, async_fn, items, nursery, copy_context())
            yield stream
            await checkpoint_if_cancelled()
            nursery.cancel_scope.cancel()
    finally:
        stream._close()
