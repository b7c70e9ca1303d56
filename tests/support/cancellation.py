"""An operation cancelled at each of its checkpoints, and at each step of any task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import trio
from trio.lowlevel import Task, add_instrument, current_task, remove_instrument

T = TypeVar("T")


class Cancelling(trio.abc.Instrument, Generic[T]):
    """Runs an operation and cancels it at its n-th checkpoint; 0 is before it begins.

    Attributes:
        n: The number of the checkpoint.
        is_reached: Whether the operation has come to that checkpoint.
        is_completed: Whether the operation returned.
        value: Its result, if it did.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.is_reached = False
        self.is_completed = False
        self.value = cast("T", None)
        self._scope = trio.CancelScope()
        self._task: Task | None = None
        self._yields = 0

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            self._yields += 1
            self._cancel_if_reached()

    def _cancel_if_reached(self) -> None:
        if self._yields == self.n:
            self.is_reached = True
            self._scope.cancel()

    async def run(self, operation: Callable[[], Awaitable[T]]) -> bool:
        """Run it. Returns whether it was completed, and not cancelled."""
        self._task = current_task()
        self._cancel_if_reached()
        add_instrument(self)
        try:
            with self._scope:
                self.value = await operation()
                self.is_completed = True
        finally:
            remove_instrument(self)
        return self.is_completed


class AtCheckpoint(trio.abc.Instrument):
    """Does something while a task is at its next checkpoint: after its step, before any other task's.

    A block in that task, around the operation with the checkpoint.
    """

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self._task = current_task()

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            remove_instrument(self)
            self._action()

    def __enter__(self) -> None:
        add_instrument(self)

    def __exit__(self, *_: object) -> None:
        try:
            remove_instrument(self)
        except KeyError:
            return
        raise AssertionError("there was no checkpoint")


async def sweep(attempt: Callable[[Cancelling[Any]], Awaitable[None]], *, limit: int = 50) -> int:
    """Run ``attempt`` again and again, with its operation cancelled at its 0th, 1st, 2nd, ... checkpoint.

    Ends when the operation has no more checkpoints, and returns how many it has. It must have one at least.
    """
    for n in range(limit):
        cancelling = Cancelling[Any](n)
        await attempt(cancelling)
        if not cancelling.is_reached:
            assert cancelling.is_completed
            assert n > 1, "the operation is no checkpoint"
            return n - 1
        assert n > 0 or not cancelling.is_completed, "the operation is no checkpoint"
    raise AssertionError(f"still not done after {limit} checkpoints")


class CancellingAtStep(Cancelling[Any]):
    """Cancels the operation after the n-th step of any task, within the handler that it waits for, too."""

    def after_task_step(self, task: Task) -> None:
        self._yields += 1
        self._cancel_if_reached()


async def sweep_steps(attempt: Callable[[Cancelling[Any]], Awaitable[None]], *, limit: int = 100) -> int:
    """`sweep`, and then the same with the steps of all tasks. Returns the number of checkpoints."""
    checkpoints = await sweep(attempt, limit=limit)
    for n in range(limit):
        cancelling = CancellingAtStep(n)
        await attempt(cancelling)
        if not cancelling.is_reached:
            assert n > checkpoints
            return checkpoints
    raise AssertionError(f"still not done after {limit} steps")


async def settle(steps: int = 5) -> None:
    """Let every task run some steps, where `wait_all_tasks_blocked` would never end."""
    for _ in range(steps):
        await trio.lowlevel.checkpoint()
