"""How much of the loop's time a coroutine takes: its own steps, not those of the tasks that run in between."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from time import perf_counter
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def timed(work: Coroutine[Any, Any, T], note: Callable[[float], object]) -> Generator[Any, Any, T]:
    """Run a coroutine. Each of its steps is noted, in seconds, also if it raises."""
    value: object = None
    error: BaseException | None = None
    while True:
        began = perf_counter()
        try:
            trap: object = work.send(value) if error is None else work.throw(error)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            error = None  # its traceback leads here
            note(perf_counter() - began)
        try:
            value = yield trap
        except BaseException as thrown:
            error = thrown
