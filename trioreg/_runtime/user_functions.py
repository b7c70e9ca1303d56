"""Functions of a user's that have to be sync, and those that have to be async.

Called without being awaited, an async function does nothing, and what it gives is true. So it is refused where it is
handed over, if that can be seen; and what a function returns is looked at where it is called.

A sync function that is awaited has been called all the same: what it gives says which one it was.
"""

from __future__ import annotations

from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")


def require_sync(argument: str, function: object) -> None:
    """Raise `TypeError` unless ``function`` is callable, and not known to be async."""
    if not callable(function):
        raise TypeError(f"{argument} must be callable, not {function!r}")
    # An object is called by a method of its class.
    called = (function, type(function).__call__)
    if any(iscoroutinefunction(f) or isasyncgenfunction(f) for f in called):
        raise TypeError(f"{argument} must be a sync function, not {function!r}")


def sync_result(argument: str, function: object, result: T) -> T:
    """What a function has returned; `TypeError` if that is a coroutine, which nobody would await."""
    if isinstance(result, CoroutineType):
        coroutine = cast("CoroutineType[Any, Any, Any]", result)
        error = TypeError(f"{argument} must be a sync function, and {function!r} returned {coroutine!r}")
        coroutine.close()  # or Python would warn that it was never awaited
        raise error
    return result


def async_result(function: object, result: Awaitable[T]) -> Awaitable[T]:
    """What a function has returned; `TypeError` if that can't be awaited."""
    if not isawaitable(result):
        name = getattr(function, "__qualname__", None) or repr(function)
        raise TypeError(f"{name} must be an async function, but it returned {result!r}")
    return result
