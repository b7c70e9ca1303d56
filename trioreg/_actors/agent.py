"""An actor around one value: Elixir's `Agent`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .._runtime import sync_result
from .actor import Actor

T = TypeVar("T")
R = TypeVar("R")


class Agent(Actor, Generic[T]):
    """A small actor around one value, for state that several tasks share.

    Synopsis::

        counter = await supervisor.start_child(Agent[int], lambda: 0)
        await counter.cast(Agent[int].update, lambda n: n + 1)
        await counter.call(Agent[int].get, lambda n: n)  # 1
        await counter.call(Agent[int].get_and_update, lambda n: (n, n + 10))  # 1

    The functions run in the agent, one at a time. An error in one of them crashes the agent, as in any actor. A
    restarted agent begins with a new value.

    Args:
        initial: Gives the first value. It is called without arguments, in the agent's own task.
    """

    def __init__(self, initial: Callable[[], T]) -> None:
        if not callable(initial):
            raise TypeError(f"initial must be callable, so that each life gets a value of its own, not {initial!r}")
        self._value = sync_result("initial", initial, initial())

    def get(self, fn: Callable[[T], R]) -> R:
        """Give the result of ``fn(value)``. Constant time, plus the time of ``fn``.

        You send it, as any method of an actor. If ``fn`` raises, the agent crashes, and the caller gets `ActorExited`.
        """
        return fn(self._value)

    def update(self, fn: Callable[[T], T]) -> None:
        """Make ``fn(value)`` the new value. Cost and errors are as for `get`. ``fn`` must be a sync function."""
        self._value = sync_result("fn", fn, fn(self._value))

    def get_and_update(self, fn: Callable[[T], tuple[R, T]]) -> R:
        """Give a result and set a new value: ``fn(value)`` returns both, as a tuple. Otherwise as `update`."""
        result, self._value = sync_result("fn", fn, fn(self._value))
        return result
