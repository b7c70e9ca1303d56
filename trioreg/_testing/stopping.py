"""The stop of a supervisor that may not come to an end: which actors are late, what each waits for, and the kill.

It looks at the supervisor again and again, and each time notes what the ending actors wait for. So when an actor is
killed, by this file or after its ``shutdown`` seconds, the error says what the actor has waited for.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from textwrap import indent
from threading import active_count
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import trio
from trio.lowlevel import current_clock
from trio.testing import MockClock, wait_all_tasks_blocked

from .._program import Instrument, add_instrument, remove_instrument, report_of
from .._runtime import counted
from .._supervision import SupervisorBase, node_of, walk
from .blocked import waits_outside
from .checked import Check
from .steps import steps_of_others
from .threads import ends_with_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._actors import ActorRef
    from .._runtime import Exit
    from .._supervision import Engine, TreeChild

S = TypeVar("S", bound=SupervisorBase)

PATIENCE = 5.0
"""For how many seconds nothing may end before all are killed. An actor that has more time to end gets more."""

PATIENCE_WITH_THREADS = 5.0
"""For how many seconds of real time a virtual clock stands still while threads work and no actor ends."""

PAUSE = 0.5
"""After how many seconds without an end the ending actors are looked at."""

_NO_END = f"for {PATIENCE:.0f} seconds"


class EndedEarly(AssertionError):
    """A supervisor ended while the test ran, and cancelled what was in its block: the test."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} ended before the test did, so the test was cancelled. The fixture stops its supervisor at the end"
            " of the test. To test such an end, open a supervisor in the test: async with open_supervisor() as ..."
        )


@asynccontextmanager
async def stopped_in_time(
    block: AbstractAsyncContextManager[S], check: Check, problems: list[BaseException], tell: Callable[[str], None]
) -> AsyncGenerator[S]:
    """The block of a supervisor, whose end is watched.

    Args:
        block: The block.
        check: Knows which crashes are expected: the errors of these do not leave the block.
        problems: Gets each error that has left the block and is no crash, and an error for each actor that was late.
        tell: Called with a text for the user if the block can't end, because an actor does not heed its kill.
    """
    error: BaseException | None = None
    ended_early: str | None = None
    async with trio.open_nursery() as nursery:
        try:
            async with block as supervised:
                try:
                    yield supervised
                except trio.Cancelled:
                    ended_early = supervised._engine.label
                    raise
                finally:
                    watch = StopWatch(supervised._engine, problems, tell)
                    nursery.start_soon(watch.run, name=f"stop of {supervised._engine.label}")
            if ended_early is not None:  # the block itself has cancelled what is in it
                error = EndedEarly(ended_early)
        except BaseException as raised:
            error = raised
        nursery.cancel_scope.cancel()
    if error is not None and not check.expects(error):
        if isinstance(error, Exception) and not check.has_seen(error):
            problems.append(error)
        raise error


class StopWatch(Instrument):
    """Watches the stop of one supervisor, and notes an error for each actor that did not stop in its time."""

    def __init__(self, engine: Engine, problems: list[BaseException], tell: Callable[[str], None]) -> None:
        self._engine = engine
        self._late: dict[ActorRef[Any], str] = {}
        self._ended = trio.Event()
        self._in_threads_since = math.inf
        self._problems = problems
        self._tell = tell

    async def run(self) -> None:
        """Watch until this is cancelled."""
        add_instrument(self)
        try:
            async with trio.open_nursery() as nursery:
                clock = current_clock()
                if isinstance(clock, MockClock) and not clock.rate:
                    if clock.autojump_threshold < math.inf:
                        nursery.start_soon(self._hold)
                    else:
                        nursery.start_soon(self._move, clock)
                await self._wait_until_stuck()
                self._note_those_that_stay()
                self._engine.kill()
                await self._wait_until_stuck()
                self._say_that_it_hangs()
                await trio.sleep_forever()
        finally:
            remove_instrument(self)

    async def _hold(self) -> None:
        """Keep the clock from jumping while an ending actor waits for a thread."""
        with steps_of_others() as steps:
            while True:
                await wait_all_tasks_blocked()
                await steps.wait(math.inf, holds_clock=self._waits_for_threads())

    async def _move(self, clock: MockClock) -> None:
        """Move the clock on while all tasks wait, and no end waits for a thread. The test, now over, can't do it."""
        while True:
            await wait_all_tasks_blocked(0.01)
            if not self._waits_for_threads():
                clock.jump(PAUSE / 2)

    def _waits_for_threads(self) -> bool:
        """Whether the end of an actor waits for a thread. After a while the answer is no: the thread may hang."""
        if active_count() == 1 or not waits_outside()[0] or not any(map(_ends_with_thread, self._living())):
            self._in_threads_since = math.inf
            return False
        now = monotonic()
        self._in_threads_since = min(self._in_threads_since, now)
        return now - self._in_threads_since < PATIENCE_WITH_THREADS

    async def _wait_until_stuck(self) -> None:
        """Return when nothing has ended for too long."""
        waited = 0.0
        while waited < self._patience():
            pause = min([PAUSE, *(child.spec.seconds / 2 for child in self._living() if child.spec.seconds)])
            with trio.move_on_after(pause):
                await self._ended.wait()
            if self._ended.is_set():
                self._ended = trio.Event()
                waited = 0.0
            else:
                waited += pause
                self._note_late()

    def _patience(self) -> float:
        own = [child.spec.seconds for child in self._living() if child.spec.seconds < math.inf]
        return max([PATIENCE, *(seconds + 2 * PAUSE for seconds in own)])

    def _living(self) -> Iterator[TreeChild]:
        """The actors below that are no supervisors: each of those waits for others only."""
        top = node_of(self._engine)
        return (child for _, child in walk((top,)) if child.ref is not None and not child.is_supervisor)

    def _note_late(self) -> None:
        late = {child.ref: child.spec.seconds for child in self._living() if child.state in ("stopping", "ending")}
        for ref, own in late.items():
            assert ref is not None
            if ref not in self._late or (ref.exit is not None and ref.exit.reason != "killed"):
                own_time = f"stop within its {counted(own, 'second')}" if own < math.inf else f"stop {_NO_END}"
                self._note(ref, own_time)

    def _note_those_that_stay(self) -> None:
        """With ``at_end="wait"`` nothing stops a child: if none is late, those that live are why there is no end."""
        if not self._late:
            for child in self._living():
                assert child.ref is not None
                self._note(child.ref, f"end {_NO_END}")

    def _note(self, ref: ActorRef[Any], what: str) -> None:
        report = indent(str(report_of(ref)), "  ")
        self._late[ref] = f"did not {what}, and was killed. Before that:\n{report}"

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        self._ended.set()
        self._in_threads_since = math.inf
        late = self._late.pop(ref, None)
        if late is not None and exit.reason == "killed":
            self._problems.append(AssertionError(f"{ref!r} {late}"))

    def _say_that_it_hangs(self) -> None:
        lines = "\n".join(f"{ref!r} {text}" for ref, text in self._late.items())
        self._tell(f"trioreg: {self._engine.label} does not end, although all is killed:\n{lines}")


def _ends_with_thread(child: TreeChild) -> bool:
    cell = None if child.ref is None else child.ref._cell
    return cell is not None and ends_with_thread(cell)
