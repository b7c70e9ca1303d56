"""The crashes of actors: which there were, and which of them a test expects.

A `CrashWatch` notes each crash of the current run. It judges only at its end, so a test can say afterwards that it has
expected a crash: `expect_crash` and the fault `crash` do so with `expect_error`.
"""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import attrs
from trio.lowlevel import RunVar, checkpoint
from trio.testing import wait_all_tasks_blocked

from .._program import Instrument, add_instrument, remove_instrument
from .._runtime import (
    ActorExited,
    AsyncBlock,
    Identity,
    NotRunning,
    current_run,
    shown_error,
    shown_safely,
)
from .._supervision import Engine, tops_of, walk

if TYPE_CHECKING:
    from types import TracebackType

    from .._actors import ActorRef, Cell
    from .._runtime import Exit
    from .._supervision import Child

Errors: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]


@attrs.frozen(eq=False, repr=False)
class Crash(Identity):
    """The crash of one life of an actor, from `expect_crash`.

    Attributes:
        ref: The life that crashed.
        error: The exception, as in its `~trioreg.Exit`.
        supervisor: The path of its supervisor, as in ``"supervisor/games"``.
        label: What its Trio task was called, as in ``"Cart #5 'a-17'"``.
    """

    ref: ActorRef[Any]
    error: BaseException
    supervisor: str
    label: str

    def __repr__(self) -> str:
        return f"<{shown_error(self.error)} of {self.label} under {self.supervisor}>"


class CrashWatch(Instrument):
    """Notes the crashes in the current Trio run, from `begin` to `end`.

    A start that fails is no crash, if a task waits for that start: it gets the error. Nor is it one if an actor fails
    during the stop of its supervisor, because it needs an actor that has been stopped.

    Attributes:
        crashes: The crashes, in order.
    """

    def __init__(self) -> None:
        self.crashes: list[Crash] = []
        self._expected: list[BaseException] = []
        self._cells: dict[ActorRef[Any], Cell] = {}

    def begin(self) -> None:
        for _, child in walk(tuple(tops_of(current_run()))):
            if child.ref is not None:
                self.actor_starting(child.ref)
        add_instrument(self)
        _watches().append(self)

    def end(self) -> None:
        remove_instrument(self)
        _watches().remove(self)
        self._cells.clear()

    def unexpected(self) -> list[Crash]:
        """The crashes whose errors are not expected. Ctrl-C is no fault of the actor that it hits."""
        return [crash for crash in self.crashes if not (self.expects(crash.error) or _is_ctrl_c(crash.error))]

    def expects(self, error: BaseException) -> bool:
        """Whether this very error is expected."""
        return any(error is each for each in self._expected)

    def expect(self, error: BaseException) -> None:
        """A crash with this very error is expected, whether it comes or has come."""
        self._expected.append(error)

    # The hooks

    def actor_starting(self, ref: ActorRef[Any], /) -> None:
        cell = ref._cell
        assert cell is not None
        self._cells[ref] = cell  # its reference will not lead to it any more when it has ended

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        cell = self._cells.pop(ref)
        if exit.error is None:
            return
        child = cast("Child", cell.life.child)
        parent = child.parent
        if cell.life.starter is not None and not parent.is_in_restart_group(child):
            return
        if isinstance(parent, Engine) and parent.is_closing() and says_only_that_it_is_gone(exit.error):
            return  # it needed an actor that was stopped before it
        self.crashes.append(Crash(ref, exit.error, parent.label, child.task_name(ref)))


_all_watches: RunVar[list[CrashWatch]] = RunVar("trioreg crash watches")


def _watches() -> list[CrashWatch]:
    try:
        return _all_watches.get()
    except LookupError:
        watches: list[CrashWatch] = []
        _all_watches.set(watches)
        return watches


def expect_error(error: BaseException) -> None:
    """A crash with this very error is expected: no check of the current run fails because of it."""
    for watch in _watches():
        watch.expect(error)


def expect_crash(error: Errors, /, *, match: str | None = None) -> AbstractAsyncContextManager[list[Crash]]:
    """Say that an actor is to crash in a block. Without this, a crash fails a test that is checked.

    ::

        async with expect_crash(ZeroDivisionError) as crashes:
            await calculator.cast(Calculator.divide, 1, 0)
        assert crashes[0].ref is calculator

    Each crash in the block with such an error is expected, and there has to be one. At the end of the block this waits
    until all tasks wait for something. If the crash needs time, or a thread, wait for it in the block: ``await
    ref.wait()``. Entering and leaving are checkpoints; the cost grows with the crashes in the block.

    A caller in the block gets `~trioreg.ActorExited` from the crash. That ends the block, and is no error.

    Args:
        error: The class of the error, or a tuple of classes. A group matches if an error in it does, so
            `~trioreg.RestartLimitExceeded` matches a supervisor that gives up.
        match: A regular expression that the text of the error has to contain, as for ``re.search``.

    Returns:
        A list. When the block is left, it has the crashes that were expected, in order.

    Raises:
        AssertionError: At the end of the block: no actor crashed with such an error.
        TypeError: ``error`` is no class of exceptions, or ``match`` is not a str.
        re.error: ``match`` is no regular expression.
        RuntimeError: On entering: you are not inside of a Trio run.
    """
    classes = error if isinstance(error, tuple) else (error,)
    for each in cast("tuple[object, ...]", classes or ((),)):
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise TypeError(f"error must be a class of exceptions, or a tuple of them, not {shown_safely(error)}")
    if not isinstance(match, str | None):
        raise TypeError(f"match must be a str, not {shown_safely(match)}")
    return ExpectCrash(classes, None if match is None else re.compile(match))


class ExpectCrash(AsyncBlock, AbstractAsyncContextManager["list[Crash]"]):
    """The context manager of `expect_crash`."""

    __slots__ = ("_classes", "_found", "_match", "_watch")

    _written = "expect_crash(...)"

    def __init__(self, classes: tuple[type[BaseException], ...], match: re.Pattern[str] | None) -> None:
        self._classes = classes
        self._match = match
        self._watch: CrashWatch | None = None
        self._found: list[Crash] = []

    async def __aenter__(self) -> list[Crash]:
        if self._watch is not None:
            raise RuntimeError("this expect_crash(...) is already entered: make another one")
        await checkpoint()
        self._watch = CrashWatch()
        self._watch.begin()
        return self._found

    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> bool:
        watch = self._watch
        assert watch is not None
        try:
            # A caller gets `ActorExited` before the actor has ended.
            is_from_a_crash = error is None or all(isinstance(each, ActorExited) for each in leaves_of(error))
            if is_from_a_crash:
                await wait_all_tasks_blocked()
        finally:
            watch.end()
            self._found += filter(self._is_expected, watch.crashes)
            for crash in self._found:
                expect_error(crash.error)
        if error is not None:
            return self._is_consequence(error)
        if not self._found:
            raise AssertionError(self._what_is_missing(watch.crashes))
        return False

    def _is_expected(self, crash: Crash) -> bool:
        return any(map(self._matches, leaves_of(crash.error))) or self._matches(crash.error)

    def _matches(self, error: BaseException) -> bool:
        if isinstance(error, self._classes):
            if self._match is None:
                return True
            with suppress(Exception):  # of the error's own __str__
                return self._match.search(str(error)) is not None
        return False

    def _is_consequence(self, error: BaseException) -> bool:
        """Whether the error that leaves the block is only what the callers of the crashed actors get."""
        crashed = [crash.ref for crash in self._found]
        return all(isinstance(each, ActorExited) and each.ref in crashed for each in leaves_of(error))

    def _what_is_missing(self, crashes: list[Crash]) -> str:
        names = " or ".join(each.__qualname__ for each in self._classes)
        text = "" if self._match is None else f" and a text that matches {self._match.pattern!r}"
        others = "".join(f"\n  {crash!r}" for crash in crashes)
        return f"no actor crashed with {names}{text} in this block" + (f"; what crashed is:{others}" if others else "")


def says_only_that_it_is_gone(error: BaseException) -> bool:
    """Whether an error says that an actor or a supervisor has ended, and no crash was the reason."""
    return isinstance(error, NotRunning) or (isinstance(error, ActorExited) and error.exit.error is None)


def _is_ctrl_c(error: BaseException) -> bool:
    return any(isinstance(each, KeyboardInterrupt) for each in leaves_of(error))


def leaves_of(error: BaseException) -> list[BaseException]:
    """The errors in a group, and in the groups in it; or the error itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    members = cast("BaseExceptionGroup[BaseException]", error).exceptions
    return [leaf for member in members for leaf in leaves_of(member)]
