"""Exceptions: take them apart, and put them together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import trio
from trio.lowlevel import current_task

from .frames import TRIOREG

if TYPE_CHECKING:
    from trio.lowlevel import Task


def split(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Take an exception apart: the part that is Trio's cancellation, and the part that is a failure.

    A `trio.Cancelled` that comes up while nothing cancels the current task is a failure: the code has kept it from
    somewhere else. Where there is no cancellation in it, the failure is ``error`` itself and no copy.
    """
    if not _has_cancelled(error) or not _is_being_cancelled():
        return None, error
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).split(trio.Cancelled)
    return error, None


def _has_cancelled(error: BaseException) -> bool:
    """Whether an error is a `trio.Cancelled`, or a group with one in it."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).subgroup(trio.Cancelled) is not None
    return isinstance(error, trio.Cancelled)


def _is_being_cancelled() -> bool:
    return trio.current_effective_deadline() == -math.inf


def refuse_foreign_cancelled(error: BaseException, function: object) -> None:
    """Raise `RuntimeError` if there is a `trio.Cancelled` in the error of a user's function, and nothing cancels it.

    A nursery would take it for its own cancellation, and would end without a word.
    """
    if _has_cancelled(error) and not _is_being_cancelled():
        raise RuntimeError(f"{function!r} raised trio.Cancelled, and nothing had cancelled it") from error


def is_being_closed(task: Task | None) -> bool:
    """Whether Python closes the coroutine of ``task``, whose code asks this: nothing can be awaited any more.

    That happens when the Trio run has broken down. (A `GeneratorExit` does not show it: the user's code can raise one.
    And a cancel scope on its way turns it into a `RuntimeError`.)
    """
    try:
        return current_task() is not task
    except RuntimeError:  # there is no current task
        return True


def as_crash(error: BaseException) -> BaseException:
    """The failure as the error of an actor's exit.

    `GeneratorExit` and `trio.Cancelled` mean something only to the coroutine or the scope that they are for. As the
    error of an actor they would end whatever they come to next. As Python does with `StopIteration`, they become the
    cause of a `RuntimeError`.
    """
    if isinstance(error, Exception) or not _is_foreign(error):
        return error
    crash = RuntimeError(f"the actor's code raised {error!r}, and nothing was closing or cancelling it")
    crash.__cause__ = error
    return crash


def _is_foreign(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_foreign, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return isinstance(error, Exception | GeneratorExit | trio.Cancelled)


def combine(errors: list[BaseException], label: str) -> BaseException:
    """One exception for several."""
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(f"{label} failed more than once", flat(errors))


def flat(errors: Iterable[BaseException]) -> list[BaseException]:
    """The errors, and instead of each plain group its members: for one group with no group in it.

    A subclass of a group means something to those who wrote it, and stays whole. One Ctrl-C may come on several ways,
    as the end of a child and out of a nursery: it counts once.
    """
    found: list[BaseException] = []
    todo = list(errors)[::-1]
    while todo:
        error = todo.pop()
        if type(error) in (ExceptionGroup, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", error).exceptions[::-1]
        elif isinstance(error, Exception) or all(error is not each for each in found):
            found.append(error)
    return found


def without_runtime_frames(error: BaseException) -> BaseException:
    """The exception, with a traceback that begins where the runtime calls the user's code."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(TRIOREG):
        tb = tb.tb_next
    return error if tb is None else error.with_traceback(tb)
