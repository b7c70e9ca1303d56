"""`open_stream`: check the arguments, and run a `TaskStream` for the time of a block.

No task outlives the block. An async generator could not promise that: if its loop ends early, it stays half-way, with
its nursery open. So there is a block, and the loop is in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack, overload

import trio
from trio.lowlevel import checkpoint, checkpoint_if_cancelled, enable_ki_protection

from .._runtime import AsyncBlock, require_count
from .outcome import Outcome
from .stream import TaskStream

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")
E = TypeVar("E")

AsyncFunction: TypeAlias = Callable[[T], Awaitable[R]]
Items: TypeAlias = Iterable[T] | AsyncIterable[T]
OnError: TypeAlias = Literal["raise", "return"]
Opened: TypeAlias = AbstractAsyncContextManager[TaskStream[E]]


class StreamOptions(TypedDict, total=False):
    """The options of `open_stream` that do not change the type of the results."""

    ordered: bool
    buffer: int | None


@overload
def open_stream(
    async_fn: AsyncFunction[T, R],
    items: Items[T],
    /,
    *,
    max_concurrency: int,
    on_error: Literal["raise"] = ...,
    **options: Unpack[StreamOptions],
) -> Opened[R]: ...
@overload
def open_stream(
    async_fn: AsyncFunction[T, R],
    items: Items[T],
    /,
    *,
    max_concurrency: int,
    on_error: Literal["return"],
    **options: Unpack[StreamOptions],
) -> Opened[Outcome[T, R]]: ...
@overload
def open_stream(
    async_fn: AsyncFunction[T, R],
    items: Items[T],
    /,
    *,
    max_concurrency: int,
    on_error: OnError,
    **options: Unpack[StreamOptions],
) -> Opened[R | Outcome[T, R]]: ...
def open_stream(
    async_fn: AsyncFunction[T, R],
    items: Items[T],
    /,
    *,
    max_concurrency: int,
    ordered: bool = True,
    on_error: OnError = "raise",
    buffer: int | None = None,
) -> Opened[Any]:
    """Run an async function over many items, at most ``max_concurrency`` at a time, and take the results as they come.

    ::

        async with trioreg.open_stream(fetch, urls, max_concurrency=10) as pages:
            async for page in pages:
                ...

    This is Elixir's ``Task.async_stream``, and with ``on_error="return"`` its ``Task.Supervisor.async_stream_nolink``.
    It is a block, so that no task outlives it. Entering the block starts the first items. Leaving it, by its end,
    ``break``, ``return`` or an error, cancels the items that are still in work and waits for them. No item begins after
    that. The stream takes an item from the input only when it has room, so the input may be endless. A generator is
    closed when the stream ends.

    There is no timeout argument. Limit the function itself; its `trio.TooSlowError` is an error like any other::

        async def fetch(url: str) -> bytes:
            with trio.fail_after(5):
                ...

    Entering the block, leaving it and taking a result are checkpoints. Each item costs a task.

    Args:
        async_fn: Called with each item. Each call has its own task, and its own copy of the context of this block.
        items: An iterable or an async iterable. If it is both, the async iteration is used. The iteration runs in its
            own task. If it raises, that error ends the stream, with either ``on_error``.
        max_concurrency: How many items may be in work at once, at least 1.
        ordered: Whether the results come in the order of the items. If not, they come as they are ready.
        on_error: What happens when the function raises an `Exception`. ``"raise"``: the error ends the stream, cancels
            everything else in the block, and leaves the block. ``"return"``: the result of that item is a `Failed`, the
            result of any other item is a `Done`, and the stream goes on. Failures that you have not taken when the
            block ends are logged, also if the end of the block has cancelled their items.
        buffer: How many results may wait while other items are in work. They wait for the consumer, or for a slower
            item before them. At most ``max_concurrency + buffer`` items are in work or wait. None means
            ``max_concurrency``. (Elixir has no such bound: behind one slow item it starts all the others.)

    Raises:
        TypeError, ValueError: An argument is wrong.
        ExceptionGroup: The function, the input or the block raised, as in a nursery.
    """
    if not callable(async_fn):
        raise TypeError(f"async_fn must be an async function, not {async_fn!r}")
    if not isinstance(items, Iterable | AsyncIterable):
        raise TypeError(f"items must be an iterable or an async iterable, not {items!r}")
    require_count("max_concurrency", max_concurrency, 1)
    if buffer is not None:
        require_count("buffer", buffer, 0)
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
    return StreamBlock(stream, async_fn, items)


class StreamBlock(AsyncBlock, AbstractAsyncContextManager["TaskStream[Any]"]):
    """The context manager of `open_stream`.

    It is a class, as Trio's own nursery manager is: Ctrl-C can interrupt the code of ``contextlib``, which would leave
    the nursery open.
    """

    __slots__ = ("_async_fn", "_items", "_nursery", "_scope", "_stream")

    _written = "open_stream(...)"

    def __init__(self, stream: TaskStream[Any], async_fn: AsyncFunction[Any, Any], items: Items[Any]) -> None:
        self._stream = stream
        self._async_fn = async_fn
        self._items = items
        self._nursery: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._scope: trio.CancelScope

    def end_at(self, is_end: Callable[[Exception], bool]) -> None:
        """Also with ``on_error="return"``, an error for which ``is_end`` is True is to end the stream."""
        self._stream._ends_at = is_end

    @enable_ki_protection
    async def __aenter__(self) -> TaskStream[Any]:
        if self._nursery is not None:
            raise RuntimeError("this stream's block is already entered: open another one")
        await checkpoint()
        self._nursery = trio.open_nursery()
        nursery = await self._nursery.__aenter__()
        self._scope = nursery.cancel_scope
        try:
            nursery.start_soon(self._stream._feed, self._async_fn, self._items, nursery, copy_context())
        except BaseException as error:
            await self._close(error)
            raise
        return self._stream

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> bool | None:
        if error is None:
            try:
                await checkpoint_if_cancelled()
                self._scope.cancel()
            except BaseException as failure:
                await self._close(failure)
                raise
        return await self._close(error)

    async def _close(self, error: BaseException | None) -> bool | None:
        """Leave the nursery, as its own ``__aexit__`` does."""
        assert self._nursery is not None
        try:
            return await self._nursery.__aexit__(
                None if error is None else type(error), error, None if error is None else error.__traceback__
            )
        finally:
            self._stream._close()
