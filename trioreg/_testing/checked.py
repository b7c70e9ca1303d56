"""What a test is held to: no crash that it does not expect, and nothing that outlives it. `checked` for a block.

The fixtures of the pytest plugin do the same for a whole test.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from textwrap import indent
from traceback import format_exception
from typing import TYPE_CHECKING, cast

import trio
from trio.lowlevel import checkpoint

from .._runtime import ActorExited, AsyncBlock, RestartLimitExceeded, without_runtime_frames
from .crashes import CrashWatch, leaves_of, says_only_that_it_is_gone
from .leaks import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from .crashes import Crash


class Check:
    """The check of one block or of one test, from its making on."""

    def __init__(self) -> None:
        self._before = Snapshot()
        self._watch = CrashWatch()
        self._watch.begin()

    def end(self) -> None:
        """Watch no more. Not a checkpoint."""
        self._watch.end()

    def crashes(self) -> list[BaseException]:
        """The errors of the crashes that were not expected, each with a note that says whose it is."""
        errors = [_noted(crash) for crash in self._watch.unexpected()]
        return list({id(error): error for error in errors}.values())  # several actors may raise the same object

    def expects(self, error: BaseException) -> bool:
        """Whether an error is, or consists of, the errors of crashes that are expected."""
        return all(map(self._watch.expects, leaves_of(error)))

    def has_seen(self, error: BaseException) -> bool:
        """Whether an error consists of the errors of crashes, so that `crashes` tells of it."""
        seen = [crash.error for crash in self._watch.crashes]
        return all(any(leaf is each for each in seen) for leaf in leaves_of(error))

    def leaks(self, what: str) -> list[BaseException]:
        """An error for what outlives ``what``, in a list; an empty list if nothing does."""
        new = self._before.what_is_new()
        if not new:
            return []
        lines = "\n".join(indent(text, "  ") for text in new)
        return [AssertionError(f"{what} is over, and this is still there:\n{lines}")]


def _noted(crash: Crash) -> BaseException:
    error = without_runtime_frames(crash.error)
    note = (
        f"{crash.label} under {crash.supervisor} crashed, and the test does not expect it."
        f" If it is to crash: async with expect_crash({type(error).__name__}): ..."
    )
    with suppress(Exception):  # of an error that is frozen
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    return error


def judged(error: BaseException | None, problems: Sequence[BaseException]) -> BaseException | None:
    """What is to be raised: the error of a test or block, and what its check has found.

    The problems are raised in place of an error that only follows from them. They are raised in place of a cancellation
    too, because its scope would swallow them. Any other error is raised as it is, with a note for each problem that it
    does not show.
    """
    problems = [each for each in problems if not _is_told_by_another(each, problems)]
    if error is None or not problems or all(isinstance(leaf, trio.Cancelled) for leaf in leaves_of(error)):
        if len(problems) > 1:
            return BaseExceptionGroup("this did not go as the test expects", problems)
        return problems[0] if problems else error
    known = {id(each) for problem in problems for each in _related(problem)}
    if all(id(leaf) in known or _is_consequence(leaf, problems) for leaf in leaves_of(error)):
        return judged(None, problems)
    told = {id(each) for each in _related(error)}
    for problem in problems:
        if not all(id(leaf) in told for leaf in leaves_of(problem)):
            with suppress(Exception):
                text = "".join(format_exception(problem))
                error.add_note(f"Also:\n{indent(text.rstrip(), '  ')}")
    return error


def _is_told_by_another(problem: BaseException, problems: Sequence[BaseException]) -> bool:
    return any(problem is each for other in problems if other is not problem for each in _related(other))


def _is_consequence(error: BaseException, problems: Sequence[BaseException]) -> bool:
    """Whether an error says only that an actor is gone, and a supervisor that has given up is the reason."""
    gave_up = any(isinstance(leaf, RestartLimitExceeded) for each in problems for leaf in leaves_of(each))
    return gave_up and says_only_that_it_is_gone(error)


def _related(error: BaseException) -> list[BaseException]:
    """An error with its causes and contexts, the members of a group, and the crash that an `ActorExited` tells of."""
    found: dict[int, BaseException] = {}
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in found:
            continue
        found[id(each)] = each
        todo += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", each).exceptions
        if isinstance(each, ActorExited):
            todo.append(each.exit.error)
    return list(found.values())


def checked() -> AbstractAsyncContextManager[None]:
    """A block in which no actor may crash unexpectedly, and which may leave nothing behind.

    ::

        async with checked(), open_supervisor(at_end="stop") as supervisor:
            ...

    The fixtures ``supervisor`` and ``dynamic_supervisor`` do this for a whole test. Use the block where there is no
    fixture: in a scenario for `explore`, in a test with hypothesis, without pytest.

    At the end of the block two things are checked. First, no actor of the Trio run has crashed in the block, unless
    `expect_crash` expects it. An actor that was restarted counts, and so does an actor of another supervisor. Second,
    all that has come in the block is gone: actors, tasks, names, subscriptions, claims of pools. If the block raises,
    only crashes are looked for, and noted with its error. If the block is cancelled, a crash is raised in place of the
    cancellation.

    Entering and leaving are checkpoints. The cost grows with the actors, tasks and names that there are.

    Raises:
        Exception: An actor has crashed: the error of that actor, with its traceback and a note that says whose it is.
        AssertionError: Something is left. The text says what: an actor with its path, class, name, and what it waits
            for; a task with where it stands; a name or a subscription with its owner.
        BaseExceptionGroup: Several of these.
        RuntimeError: On entering: you are not inside of a Trio run.
    """
    return CheckedBlock()


class CheckedBlock(AsyncBlock, AbstractAsyncContextManager[None]):
    """The context manager of `checked`."""

    __slots__ = ("_check",)

    _written = "checked()"

    def __init__(self) -> None:
        self._check: Check | None = None

    async def __aenter__(self) -> None:
        if self._check is not None:
            raise RuntimeError("this checked() is already entered: make another one")
        await checkpoint()
        self._check = Check()

    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        check = self._check
        assert check is not None
        try:
            if error is None:
                await checkpoint()
        finally:
            check.end()
        problems = check.crashes()
        if error is None:
            problems += check.leaks("the block")
        found = judged(error, problems)
        if found is not None and found is not error:
            raise found
