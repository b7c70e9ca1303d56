"""A failure at every call inside of a change: `MemoryError` at the n-th call, and a stack that is almost full."""

from __future__ import annotations

import gc
import inspect
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trioreg
from trioreg._runtime import require_room

_RUNTIME = os.path.dirname(trioreg.__file__)


class Fault:
    """What a scenario calls its change through."""

    is_reached = False
    where = ""

    def __call__(self, change: Callable[[], object]) -> bool:
        """Do the change. Whether it succeeded. (Here it is done without a fault.)"""
        change()
        return True


class AtCall(Fault):
    """Raises `MemoryError` at the n-th call that the runtime makes, or that is made to it."""

    def __init__(self, n: int) -> None:
        self.left = n - 1

    def __call__(self, change: Callable[[], object]) -> bool:
        def count(frame: FrameType, event: str, called: object) -> None:
            if event == "c_call" and getattr(called, "__name__", "") == "__exit__":
                return  # to release a lock can't fail, and no code could make up for it
            # For a call in C the frame is the caller's, for a call in Python it is the new one. What Trio calls is
            # left out: Trio can't undo what it has begun.
            caller = {"c_call": frame, "call": frame.f_back}.get(event)
            if caller is None or not caller.f_code.co_filename.startswith(_RUNTIME):
                return
            if event == "call" and frame.f_code.co_name in ("__exit__", "__aexit__"):
                return  # no code could make up for it: what Trio has opened would stay open
            if event == "call" and frame.f_lineno != frame.f_code.co_firstlineno:
                return  # a coroutine goes on: that needs no memory
            if self.is_reached or (caller.f_code is frame.f_code is require_room.__code__ and event == "call"):
                return
            if self.left == 0:
                self.is_reached = True
                sys.setprofile(None)
                name = getattr(called, "__qualname__", frame.f_code.co_qualname)
                self.where = f", {name} called in {caller.f_code.co_qualname}, line {caller.f_lineno}"
                raise MemoryError
            self.left -= 1

        try:
            if not self.is_reached:  # it fails once
                sys.setprofile(count)
            try:
                change()
            finally:
                sys.setprofile(None)
        except MemoryError:
            return False
        return True


class WithRoom(Fault):
    """Leaves room for n more frames on the stack."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, change: Callable[[], object]) -> bool:
        before = sys.getrecursionlimit()
        limit = 1
        while True:
            try:
                sys.setrecursionlimit(limit)
                break
            except RecursionError:
                limit += 1
        sys.setrecursionlimit(before)
        try:
            _change_with(limit + self.n, change)
        except RecursionError:
            self.is_reached = True
            return False
        finally:
            sys.setrecursionlimit(before)
        return True


def _change_with(limit: int, change: Callable[[], object]) -> None:
    sys.setrecursionlimit(limit)
    change()


class Stepped:
    """An awaitable whose steps are each made through a fault, as Trio makes them. `MemoryError` if one has failed."""

    def __init__(self, coroutine: Any, fault: Fault) -> None:
        self.coroutine = coroutine
        self.fault = fault

    def __await__(self) -> Generator[object, Any, Any]:
        sent: Any = None
        outcome: list[tuple[str, Any]] = []

        def step() -> None:
            try:
                outcome.append(("yield", self.coroutine.send(sent)))
            except StopIteration as stop:
                outcome.append(("return", stop.value))

        while True:
            if not self.fault(step):
                raise MemoryError
            kind, value = outcome.pop()
            if kind == "return":
                return value
            sent = yield value


async def _break_down() -> None:
    await trio.sleep(2000)
    raise AssertionError("it hangs")  # a `TrioInternalError`, which ends even a run whose tasks can't be cancelled


async def _within_time(scenario: Callable[[Fault], Awaitable[object]], fault: Fault) -> None:
    trio.lowlevel.spawn_system_task(_break_down)
    gc.disable()  # what the collector would finalize is no part of the change
    try:
        with trio.fail_after(1000):
            await scenario(fault)
    finally:
        gc.enable()


def fails_at_every_call(kind: Callable[[int], Fault], scenario: Callable[[Fault], Awaitable[Any]]) -> None:
    """Run a scenario again and again, and let its change fail at its 1st, 2nd, ... call, until it is not reached.

    The scenario checks what is left. It has to end within virtual time.
    """
    logger = logging.getLogger("trioreg")
    for handler in logger.handlers[:]:
        if type(handler).__module__.startswith("trioreg."):
            logger.removeHandler(handler)  # of an observer that an earlier test has left: it is no part of the change
    for n in range(1, 700):
        fault = kind(n)
        try:
            trio.run(_within_time, scenario, fault, clock=MockClock(autojump_threshold=0))
        except BaseException as error:
            error.add_note(f"fault number {n}{fault.where}")
            raise
        if not fault.is_reached:
            assert n > 1
            return
    raise AssertionError("the change still fails")


def fail_once(patch: pytest.MonkeyPatch, holder: Any, name: str, error: type[BaseException] = MemoryError) -> list[str]:
    """The next call of a function raises. Later ones are as before. Returns a list that says so when it has raised."""
    original = getattr(holder, name)
    failed: list[str] = []

    def called(*args: Any, **kwargs: Any) -> Any:
        if not failed:
            failed.append(name)
            raise error
        return original(*args, **kwargs)

    patch.setattr(holder, name, called)
    return failed


@contextmanager
def inside(holder: Any, name: str, fault: Fault, *, of: Callable[..., bool] = lambda *_: True) -> Generator[None]:
    """The next call of a function in the runtime goes through a fault, if ``of`` says so of its arguments.

    It raises what the fault raises. If the function is async, each of its steps goes through the fault.
    """
    original = getattr(holder, name)
    patch = pytest.MonkeyPatch()
    is_async = inspect.iscoroutinefunction(original)

    @trio.lowlevel.enable_ki_protection
    def faulty(*args: Any, **kwargs: Any) -> Any:
        if not of(*args, **kwargs):
            return original(*args, **kwargs)
        patch.undo()
        if is_async:
            return _awaited(Stepped(original(*args, **kwargs), fault))
        result: list[Any] = []
        if not fault(lambda: result.append(original(*args, **kwargs))):
            raise MemoryError
        return result[0]

    patch.setattr(holder, name, faulty)
    try:
        yield
    finally:
        patch.undo()


async def _awaited(stepped: Stepped) -> Any:
    return await stepped
