"""A method of the workers over many items: what `Pool.map` does, as a stream of results (`open_stream`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sized
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from .._runtime import require_sync, run_user, sync_result
from .._tasks import open_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterable
    from contextlib import AbstractAsyncContextManager

    from .._tasks import TaskStream

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


def open_map(
    call: Callable[..., Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    max_concurrency: int,
    ordered: bool,
    on_error: Literal["raise", "return"],
    buffer: int | None,
    key: KeyOf | None,
    on_progress: Progress | None,
) -> AbstractAsyncContextManager[TaskStream[Any]]:
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

    return open_stream(work, items, max_concurrency=max_concurrency, ordered=ordered, on_error=on_error, buffer=buffer)
