"""Calling the user's code from the runtime's: that is protected from Ctrl-C, the user's is not.

Trio asks the frames of the stack, from the inside out, which of them is marked: what is called through here is open.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import FunctionType
from typing import Any, TypeVar, cast

from trio.lowlevel import disable_ki_protection

T = TypeVar("T")


@disable_ki_protection
def run_user(function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
    return function(*args, **kwargs)


@disable_ki_protection
async def await_user(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _await_result(function: Callable[..., Awaitable[T]], /, *args: object, **kwargs: object) -> T:
    return await await_user(run_user(function, *args, **kwargs))


def unprotected(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, open to Ctrl-C where protected code calls it.

    What Trio asks is the code of the frame, so that a copy with a code object of its own does without a frame around
    it, on the way of every message.
    """
    if type(function) is not FunctionType:
        return partial(_await_result if inspect.iscoroutinefunction(function) else run_user, function)
    copy = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = cast("dict[str, Any]", function.__kwdefaults__)
    copy.__qualname__ = function.__qualname__
    return disable_ki_protection(copy)
