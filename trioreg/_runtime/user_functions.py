"""Check that a user's function is sync, or async, as it must be.

An async function that is called and not awaited does nothing, and the coroutine it returns is true. So an async
function is refused when you hand it over. Some functions show only by their result that they are async, so the result
of each call is checked as well.

A sync function in the place of an async one has already run when its result can't be awaited: the error names it.
"""

from __future__ import annotations

from inspect import (
    CO_ITERABLE_COROUTINE,
    CORO_CREATED,
    getcoroutinestate,
    isasyncgenfunction,
    isawaitable,
    iscoroutinefunction,
    isgeneratorfunction,
)
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

T = TypeVar("T")


def require_sync(argument: str, function: object) -> None:
    """Raise `TypeError` if ``function`` is not callable, or is known to be async."""
    if not callable(function):
        raise TypeError(f"{argument} must be callable, not {function!r}")
    # Python calls an object through a method of its class.
    called = (function, type(function).__call__)
    if any(iscoroutinefunction(f) or isasyncgenfunction(f) for f in called):
        raise TypeError(f"{argument} must be a sync function, not {function!r}")


def sync_result(argument: str, function: object, result: T) -> T:
    """The result of a function. `TypeError` if it is a coroutine, which would never be awaited."""
    if isinstance(result, CoroutineType):
        coroutine = cast("CoroutineType[Any, Any, Any]", result)
        error = TypeError(f"{argument} must be a sync function, and {function!r} returned {coroutine!r}")
        discard(coroutine)
        raise error
    return result


def discard(coroutine: Coroutine[Any, Any, object]) -> None:
    """Let go of a coroutine that is not to be awaited any more.

    One that has not begun is closed, or Python warns that it was never awaited. To close one that has begun would run
    the user's code in it, which may raise; and another task may be awaiting it.
    """
    if getcoroutinestate(coroutine) == CORO_CREATED:
        coroutine.close()


def is_generator(function: object) -> bool:
    """Whether a call of a function gives a generator, which can not be awaited."""
    if isasyncgenfunction(function):
        return True
    return isgeneratorfunction(function) and not is_old_coroutine(function)


def is_old_coroutine(function: object) -> bool:
    """Whether this is a generator function that `types.coroutine` has made awaitable."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return isinstance(flags, int) and bool(flags & CO_ITERABLE_COROUTINE)


def async_result(function: object, result: Awaitable[T]) -> Awaitable[T]:
    """The result of a function. `TypeError` if it can't be awaited."""
    if not isawaitable(result):
        name = getattr(function, "__qualname__", None) or repr(function)
        raise TypeError(f"{name} must be an async function, but it returned {result!r}")
    return result
