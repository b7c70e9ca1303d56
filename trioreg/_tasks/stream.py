"""The stream itself: it takes items from the input, runs a task for each, and gives the results to its consumers.

It keeps two bounds: at most ``max_running`` items are in work, and at most ``max_ahead`` items are taken from the input
before their results are taken from the stream. `open_stream` gives it a nursery, and ends it.

Each item gets its own task, in the stream's own nursery. So a name that the task takes and a context variable that it
sets go with the task. The tasks are not children of a supervisor: a supervisor would restart an item, which the stream
counts once, and could outlive the block.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextvars import Context
from typing import Any, Generic, TypeVar

import trio
from trio.lowlevel import ParkingLot, checkpoint, checkpoint_if_cancelled, enable_ki_protection

from .._runtime import (
    Identity,
    SafeLogger,
    await_user,
    counted,
    refuse_foreign_cancelled,
    require_room,
    run_user,
    split,
)
from .outcome import Done, Failed

logger = SafeLogger("trioreg.tasks")

E_co = TypeVar("E_co", covariant=True)

END = object()
"""What a sync iterator gives when there is no more."""


class _Slot(Generic[E_co]):
    """The place of one result in the stream."""

    __slots__ = ("is_done", "result")

    result: E_co

    def __init__(self) -> None:
        self.is_done = False


class TaskStream(Identity, AsyncIterator[E_co]):
    """The results of an `open_stream`: take them with ``async for``.

    Several tasks may take results from one stream. Each result goes to one of them.
    """

    __slots__ = (
        "_ahead",
        "_consumers",
        "_ends_at",
        "_feeder",
        "_is_closed",
        "_is_exhausted",
        "_is_ordered",
        "_late",
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
        # In the order in which the consumer gets them. An ordered stream adds a slot when it takes the item from the
        # input, any other stream when the item is done. In both, there is a result to take if the first slot is done.
        self._slots: deque[_Slot[E_co]] = deque()
        self._running = 0
        self._ahead = 0  # items from the input whose results have not been taken
        self._late: list[Exception] = []  # errors of items that were cancelled as well
        self._is_exhausted = False
        self._is_closed = False
        self._ends_at: Callable[[Exception], bool] | None = None
        self._feeder = ParkingLot()
        self._consumers = ParkingLot()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self._running} running, {self._ahead - self._running} waiting"
        return f"<TaskStream, {state}>"

    def __aiter__(self) -> TaskStream[E_co]:
        return self

    @enable_ki_protection
    async def __anext__(self) -> E_co:
        """The next result. A checkpoint: if it is cancelled, no result is lost. Constant time.

        Raises:
            StopAsyncIteration: There are no more results.
            trio.ClosedResourceError: The block of the stream has ended.
        """
        await checkpoint()
        while True:
            if self._is_closed:
                raise trio.ClosedResourceError("the block of this stream has ended: take results inside of it")
            if self._slots and self._slots[0].is_done:
                self._feeder.unpark_all()  # before the result is taken: if this fails, it is not lost
                slot = self._slots.popleft()
                result = slot.result
                del slot.result  # an error keeps its frames, and they keep the slot: a circle of references
                self._ahead -= 1
                return result
            if self._is_exhausted and not self._ahead:
                raise StopAsyncIteration
            # Until the first slot is done, or nothing more can come. Both wake all consumers.
            require_room()  # or Trio would keep a task in the lot that has not gone to sleep
            await self._consumers.park()

    @enable_ki_protection
    async def _feed(
        self,
        async_fn: Callable[[Any], Awaitable[Any]],
        items: Iterable[Any] | AsyncIterable[Any],
        nursery: trio.Nursery,
        context: Context,
    ) -> None:
        """Take items from the input while there is room, and start a task for each."""
        try:
            await self._take_items(async_fn, items, nursery, context)
        except (trio.Cancelled, BaseExceptionGroup) as error:
            refuse_foreign_cancelled(error, items)
            raise
        self._is_exhausted = True
        self._consumers.unpark_all()

    async def _take_items(
        self,
        async_fn: Callable[[Any], Awaitable[Any]],
        items: Iterable[Any] | AsyncIterable[Any],
        nursery: trio.Nursery,
        context: Context,
    ) -> None:
        """The loop of `_feed`. It closes a generator that it has not come to the end of."""
        iterator: Any
        # If `items` is both, the async iteration is used: the sync one probably blocks.
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
                # In the context that the stream was opened in. The input may have changed the context of this task.
                context.run(self._start, nursery, async_fn, item, slot)
                del item, slot
        finally:
            # Close an unfinished generator here, so that its clean-up does not wait for the garbage collector.
            if inspect.isasyncgen(iterator):
                await await_user(iterator.aclose())
            elif inspect.isgenerator(iterator):
                run_user(iterator.close)

    async def _wait_for_room(self) -> None:
        if self._has_room:
            await checkpoint()  # the room stays: only this task takes some
        while not self._has_room:
            await self._feeder.park()
            await checkpoint_if_cancelled()  # the block may have been left after it made room

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
        await checkpoint_if_cancelled()  # no item begins once the block is left
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
        """What the stream gives for an item. Raises the error that is to end the stream."""
        try:
            is_async, value = await _call(async_fn, item)
        except Exception as error:
            if not self._returns_errors or (self._ends_at is not None and self._ends_at(error)):
                raise
            return Failed(item, error)
        except BaseExceptionGroup as group:
            cancelled, failure = split(group)
            if not self._returns_errors or cancelled is None or not isinstance(failure, Exception):
                raise
            self._late.append(failure)
            raise cancelled from None
        if not is_async:
            raise TypeError(f"async_fn must be an async function, but {async_fn!r} returned {value!r}")
        return Done(item, value) if self._returns_errors else value

    @enable_ki_protection
    def _close(self) -> None:
        """The block has ended: wake the consumers, and log the errors that they have not taken."""
        self._is_closed = True
        self._consumers.unpark_all()
        if self._returns_errors:
            # An error that comes after the block was left is among them: no outcome is taken any more.
            results: list[Any] = [slot.result for slot in self._slots if slot.is_done]
            errors = [result.error for result in results if isinstance(result, Failed)] + self._late
            if errors:
                logger.warning(
                    "failures_left",
                    "a stream ended with %s that you did not take; the first:",
                    counted(len(errors), "failure"),
                    exc_info=errors[0],
                    count=len(errors),
                )
        self._slots.clear()


@enable_ki_protection
async def _call(async_fn: Callable[[Any], Awaitable[Any]], item: object) -> tuple[bool, object]:
    """Whether the function is async, and what it returned."""
    try:
        value: object = run_user(async_fn, item)
        if inspect.isawaitable(value):
            return True, await await_user(value)
        return False, value
    except (trio.Cancelled, BaseExceptionGroup) as error:
        refuse_foreign_cancelled(error, async_fn)
        raise
