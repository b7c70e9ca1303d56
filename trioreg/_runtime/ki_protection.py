"""Call the user's code: Ctrl-C may interrupt it, and never the runtime's own code.

On Ctrl-C, Trio looks at the stack from the inside out. The first frame with a mark decides whether `KeyboardInterrupt`
is raised there. Functions called through here have the mark that lets it through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import CodeType, FunctionType
from typing import Any, TypeVar, cast

from trio.lowlevel import disable_ki_protection

T = TypeVar("T")


@disable_ki_protection
def run_user(function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
    """``function(*args, **kwargs)``, which Ctrl-C may interrupt."""
    return function(*args, **kwargs)


@disable_ki_protection
async def await_user(awaitable: Awaitable[T]) -> T:
    """``await awaitable``, which Ctrl-C may interrupt."""
    return await awaitable


def without_ki_protection(function: FunctionType) -> Callable[..., Any]:
    """The function, without protection from Ctrl-C when protected code calls it.

    Trio's mark is on the code object. A copy of the function with its own code object can have the mark itself, so no
    message pays for another frame around its handler.
    """
    code = function.__code__.replace()
    if function.__closure__ or function.__defaults__ or function.__kwdefaults__:
        copy = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
        copy.__kwdefaults__ = cast("dict[str, Any]", function.__kwdefaults__)
    else:
        # Python 3.13 specializes a call only if a ``lambda`` or ``def`` has made the function: a tenth of the call.
        constants = (code if constant is _LAMBDA else constant for constant in _MAKE.co_consts)
        copy = eval(_MAKE.replace(co_consts=tuple(constants)), function.__globals__)
        copy.__name__ = function.__name__
    copy.__qualname__ = function.__qualname__
    return disable_ki_protection(copy)


_MAKE = compile("lambda: None", __file__, "eval")
_LAMBDA = next(constant for constant in _MAKE.co_consts if isinstance(constant, CodeType))
