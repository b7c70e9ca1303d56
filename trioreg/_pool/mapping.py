"""A method of the workers over many items, as a stream of results: the part of `Pool` with `Pool.map`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Hashable, Iterable, Sized
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack, cast, overload

from .._actors import Actor
from .._runtime import NotRunning, require_sync, run_user, sync_result
from .._tasks import Outcome, StreamBlock, TaskStream, open_stream
from .call_options import NO_KEY, take_options
from .core import PoolCore

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
T = TypeVar("T")
E = TypeVar("E")

Items: TypeAlias = Iterable[T] | AsyncIterable[T]
Opened: TypeAlias = AbstractAsyncContextManager[TaskStream[E]]
Progress: TypeAlias = Callable[[int, int | None], object]
KeyOf: TypeAlias = Callable[[Any], Hashable]


class MapOptions(TypedDict, total=False):
    """The options of `Pool.map` that do not change the type of the results."""

    ordered: bool
    buffer: int | None
    max_concurrency: int | None
    key: KeyOf | None
    retries: int
    idempotent: bool
    on_progress: Progress | None


class PoolMap(PoolCore[A]):
    """The part of a pool that runs a method over many items."""

    if TYPE_CHECKING:

        async def call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any: ...

    @overload
    def map(
        self,
        method: Callable[[A, T], Awaitable[R]],
        items: Items[T],
        /,
        *,
        on_error: Literal["raise"] = ...,
        **options: Unpack[MapOptions],
    ) -> Opened[R]: ...
    @overload
    def map(
        self,
        method: Callable[[A, T], R],
        items: Items[T],
        /,
        *,
        on_error: Literal["raise"] = ...,
        **options: Unpack[MapOptions],
    ) -> Opened[R]: ...
    @overload
    def map(
        self,
        method: Callable[[A, T], Awaitable[R]],
        items: Items[T],
        /,
        *,
        on_error: Literal["return"],
        **options: Unpack[MapOptions],
    ) -> Opened[Outcome[T, R]]: ...
    @overload
    def map(
        self,
        method: Callable[[A, T], R],
        items: Items[T],
        /,
        *,
        on_error: Literal["return"],
        **options: Unpack[MapOptions],
    ) -> Opened[Outcome[T, R]]: ...
    def map(
        self,
        method: Callable[[A, T], Any],
        items: Items[T],
        /,
        *,
        ordered: bool = True,
        on_error: Literal["raise", "return"] = "raise",
        buffer: int | None = None,
        max_concurrency: int | None = None,
        key: KeyOf | None = None,
        retries: int = 0,
        idempotent: bool = False,
        on_progress: Progress | None = None,
    ) -> Opened[Any]:
        """Run a method of the workers over many items, and take the results as they come.

        ::

            async with pool.map(Renderer.render, pages) as pictures:
                async for picture in pictures:
                    ...

        It is `open_stream` over `call`: a block, with as many items in work as there are workers now. The stream takes
        an item from the input only when it has room. Other callers of the pool have their turn between the items.
        Entering the block, leaving it and taking a result are checkpoints. Each item costs a task and a call.
        Leaving the block gives up the items that are still in work: each worker finishes the one that it has.

        Args:
            method: A method of the workers' class with one argument, sync or async.
            items: An iterable or an async iterable. It may be endless.
            ordered: Whether the results come in the order of the items. If not, they come as they are ready.
            on_error: What happens when a call raises an `Exception`. ``"raise"``: the error ends the stream, and leaves
                the block. ``"return"``: the result of that item is a `Failed`, the result of any other item is a
                `Done`, and the stream goes on. The end of the pool is no result: it ends the stream with `NotRunning`.
            buffer: How many results may wait while other items are in work, as for `open_stream`.
            max_concurrency: How many items may be in work or in line at once; by default as many as there are workers
                now.
            key: A function that takes an item and returns its key: with the strategy ``"by_key"``, which needs it.
            retries, idempotent: As for `call`.
            on_progress: A plain function, called as ``on_progress(done, total)`` when an item is done, also one that
                has failed. ``done`` counts from 1, whatever the order of the results. ``total`` is ``len(items)``, or
                None if the input has no length. An error that it raises is an error of that item.

        Raises:
            NotRunning: No supervisor runs the pool (any more).
            TypeError, ValueError: An argument is wrong.
            ExceptionGroup: A call, the input or the block raised, as in a nursery.
        """
        if not callable(method):
            raise TypeError(f"method must be a method of the workers' class, not {method!r}")
        options = {"retries": retries, "idempotent": idempotent}
        take_options(dict(options))  # it checks them
        if (key is None) == (self._settings.strategy == "by_key"):
            self._check_key(NO_KEY if key is None else key)
        desk = self._running_desk()
        self._settings.handlers.find(method, (None,), {})  # a wrong one would be the failure of each item
        call: Callable[..., Awaitable[Any]] = self.call
        block = _open_map(
            partial(call, method, **options),
            items,
            max_concurrency=len(desk.places) if max_concurrency is None else max_concurrency,
            ordered=ordered,
            on_error=on_error,
            buffer=buffer,
            key=key,
            on_progress=on_progress,
        )
        block.end_at(lambda error: isinstance(error, NotRunning) and desk.is_over)
        return block


def _open_map(
    call: Callable[..., Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    max_concurrency: int,
    ordered: bool,
    on_error: Literal["raise", "return"],
    buffer: int | None,
    key: KeyOf | None,
    on_progress: Progress | None,
) -> StreamBlock:
    """A stream of the results of ``call(item)``, with the key of the item if there is a function for that."""
    if key is not None:
        require_sync("key", key)
    if on_progress is not None:
        require_sync("on_progress", on_progress)
    total = len(items) if isinstance(items, Sized) else None
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            sync_result("on_progress", on_progress, run_user(on_progress, done, total))

    async def work(item: Any) -> Any:
        try:
            if key is None:
                result = await call(item)
            else:
                result = await call(item, key=sync_result("key", key, run_user(key, item)))
        except Exception:
            count()
            raise
        count()
        return result

    block = open_stream(work, items, max_concurrency=max_concurrency, ordered=ordered, on_error=on_error, buffer=buffer)
    return cast("StreamBlock", block)
