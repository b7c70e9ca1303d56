"""The engine inside every supervisor: the task that starts the children, keeps them, and shuts them down.

The engine is made of parts, and each part is a file: the list of children (`children.py`), starts (`starting.py`), what
an end means (`restarts.py`), restarts that wait (`delayed_restart.py`), restarts of several children
(`group_restart.py`), terminations (`termination.py`), and what all of them share (`lifecycle.py`).

An engine never loses an error: a child's crash is restarted and logged, or leaves `Engine.run`.

The children's nursery is shielded. When the supervisor is cancelled, its children are not cancelled all at once, but
end in reverse order, each within its own time (`shutdown.py`). A small task outside of the shield notices the
cancellation.
"""

from __future__ import annotations

import math
from logging import DEBUG
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import ENDED, ENDING
from .._runtime import KILLED, ActorExited, require_room, split
from .children import Children
from .delayed_restart import DelayedRestarts
from .group_restart import GroupRestart
from .lifecycle import Lifecycle
from .log import SupervisionLog, logger
from .restart_group import RestartGroup
from .restarts import Restarts
from .shutdown import end_in_order, end_side_by_side
from .starting import Starting, say_whose
from .termination import Termination

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator

    from trio.lowlevel import RaiseCancelT, Task

    from .._actors import Cell
    from .._runtime import SafeLogger
    from .child import Child
    from .child_spec import ChildSpec
    from .restart_intensity import RestartIntensity
    from .strategy import AutoShutdown, Strategy


class Engine:
    """What a supervisor does, apart from being an actor.

    Attributes:
        label: What the supervisor is called in errors, in the tree and in the log.
        strategy: Which children are restarted when one needs it.
        task: The supervisor's own task; None before `run`.
        own_child: The supervisor itself as a child of the one above it; None if there is none.
        failure: What left `run`, or None.
        book: The list of children: their ids, and how a child is found.
        starting, restarts, termination: The parts that do the work.
    """

    def __init__(
        self,
        label: str,
        intensity: RestartIntensity,
        *,
        keeps_ended: bool,
        strategy: Strategy = "one_for_one",
        auto_shutdown: AutoShutdown = "never",
        max_children: float = math.inf,
        logger: SafeLogger = logger,
    ) -> None:
        self.label = label
        self.strategy: Strategy = strategy
        self.failure: BaseException | None = None
        self.task: Task | None = None
        self.own_child: Child | None = None
        self._to_start: list[ChildSpec] = []
        self._is_killed_from_above = False
        self._log = SupervisionLog(label, logger)
        self._group = RestartGroup(strategy)
        self._lifecycle = Lifecycle(label, self._group)
        delayed = DelayedRestarts(self._lifecycle)
        self.book = Children(self, label, delayed, keeps_ended=keeps_ended)
        self.starting = Starting(
            self._lifecycle,
            self.book,
            delayed,
            self._group,
            self._log,
            max_children=max_children,
            allows_significant=auto_shutdown != "never",
        )
        self.restarts = Restarts(
            intensity,
            self._lifecycle,
            self.book,
            self.starting,
            delayed,
            self._group,
            self._log,
            auto_shutdown,
        )
        self._group_restart = GroupRestart(
            self._group, self._lifecycle, self.book, self.starting, self._log, self.restarts.start_failed
        )
        self.termination = Termination(self._lifecycle, self.book, self._group)

    @property
    def children(self) -> dict[Hashable, Child]:
        """The children by id, in start order."""
        return self.book.by_id

    # The engine's own task

    @enable_ki_protection
    async def run(self, specs: list[ChildSpec], on_started: Callable[[], object]) -> None:
        """Start the children, keep them, and shut them down when it is time or when this task is cancelled.

        The specs are taken out of the list: what is to be kept of them is with the children.

        ``on_started`` is called when all have started; not at all if the supervisor is done before. Raises what its
        children failed with: `RestartLimitExceeded`, or the error of a child that did not start.
        """
        self.task = current_task()
        self._lifecycle.begin()
        self.starting.begin()
        self.book.reserve(specs)
        try:
            if self.own_child is None:
                self._lifecycle.begin_top(self)
            async with trio.open_nursery() as outside:
                outside.start_soon(self._notice_cancellation)
                with trio.CancelScope(shield=True):
                    async with trio.open_nursery() as self._lifecycle.nursery:
                        await self._keep_children(specs, on_started)
                outside.cancel_scope.cancel()
        except BaseException as error:
            if not self._lifecycle.has_failed:
                raise
            also = split(error)[1]
            if also is not None:
                self._lifecycle.add_failure(also)
            del also
        finally:
            self._lifecycle.end_top(self)
        # An error outweighs the cancellation during which it came up. Raised out here, it keeps its own cause.
        if self._lifecycle.has_failed:
            self.failure = self._lifecycle.combined_failure()
            raise self.failure

    async def _keep_children(self, specs: list[ChildSpec], on_started: Callable[[], object]) -> None:
        lifecycle = self._lifecycle
        lifecycle.is_open = True
        try:
            specs.reverse()
            self._to_start = specs
            while specs and not lifecycle.is_closing:
                await self.starting.start_listed_child(specs.pop())
            specs.clear()
            self.book.end_reservation()
            if not lifecycle.is_closing:
                on_started()
            while not lifecycle.is_closing:
                if self._group_restart.is_due:
                    await self._group_restart.work()
                else:
                    await lifecycle.wait_notified()
        except Exception as error:
            is_consequence = isinstance(error, ActorExited) and lifecycle.is_closing
            if lifecycle.forgives() and not is_consequence:
                self._log.not_started_too_late(error)
            elif not is_consequence:
                lifecycle.add_failure(error)
        finally:
            try:
                try:
                    await self._shut_down()
                except (MemoryError, RecursionError):
                    await self._shut_down()  # what has ended has ended: it goes on from there
            finally:
                lifecycle.is_closing = True
                lifecycle.is_open = False

    async def _shut_down(self) -> None:
        self._lifecycle.is_closing = True
        self._group.clear()
        newest_first = reversed(list(self.children.values()))
        await (end_in_order if self.book.keeps_ended else end_side_by_side)(newest_first)

    @enable_ki_protection
    async def _notice_cancellation(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.close()

    def require_thread(self) -> None:
        """Raise `RuntimeError` unless this is the thread of the Trio run that the supervisor lives in."""
        self._lifecycle.require_thread()

    @enable_ki_protection
    def close(self) -> None:
        """Begin to shut down. Not a checkpoint."""
        self._lifecycle.close()

    def forgives_crashes(self, if_so: Callable[[], bool]) -> None:
        """From when ``if_so`` is true, crashes are logged and do not leave the supervisor."""
        self._lifecycle.forgives = if_so

    @enable_ki_protection
    def close_when_empty(self) -> None:
        """No code is in the supervisor's block any more: it ends with its last child."""
        self._lifecycle.closes_when_empty = True
        self._lifecycle.close_if_done()

    def log_wait(self) -> None:
        """Say in the log that the end of the block is reached, if only `stop` can end the children.

        Called in the task of the block. If that is cancelled already, the block does not wait.
        """
        if not self._lifecycle.is_closing and trio.current_effective_deadline() != -math.inf:
            self._log.block_waits(self.children.values())

    def kill(self) -> None:
        """End without order: what shields itself still ends, everything else is cancelled at once.

        The supervisors below are taken one after the other: if each one killed its own, a deep tree would use up the
        stack.
        """
        if self._is_killed_from_above:
            return
        require_room(30)  # more than each one needs: all are killed, or none
        todo: list[Engine] = [self]
        while todo:
            engine = todo.pop()
            engine.close()
            for child in list(engine.children.values()):
                cell = child.cell
                if cell is None or cell.state == ENDED:
                    continue
                below = engine_of(child)
                if below is None:
                    cell.end(KILLED)
                    continue
                todo.append(below)
                below._is_killed_from_above = True
                try:
                    cell.end(KILLED)
                finally:
                    below._is_killed_from_above = False

    def is_closing(self) -> bool:
        return self._lifecycle.is_closing

    def now(self) -> float:
        """`trio.current_time` of its Trio run, from any thread. 0 if it has not begun."""
        return self._lifecycle.now()

    def ends_below(self) -> Iterator[Cell]:
        """The lives below that are ending: the end of this supervisor waits for them. The cost grows with the tree."""
        todo: list[Engine] = [self]
        for engine in todo:
            for child in list(engine.children.values()):
                cell = child.cell
                if cell is not None and cell.state == ENDING:
                    yield cell  # if it is a supervisor, it knows what its end waits for
                elif (below := engine_of(child)) is not None:
                    todo.append(below)

    # What a child needs of its supervisor

    def start_task(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        self._lifecycle.nursery.start_soon(function, name=name)

    def cancel_start(self, child: Child, raise_cancel: RaiseCancelT) -> None:
        self.starting.cancel_start(child, raise_cancel)

    def child_ended(self, child: Child, cell: Cell) -> None:
        exit = cell.life.exit
        assert exit is not None
        lifecycle = self._lifecycle
        lifecycle.lives -= 1
        try:
            spec = child.spec
            if (
                spec.restart == "temporary"
                and exit.error is None
                and not (child.is_new or child.is_ending or lifecycle.is_closing or spec.significant)
                and not (self.book.keeps_ended or child.last_lives or self._log.is_enabled_for(DEBUG))
            ):
                # What follows, written out for an end that means nothing: the child is forgotten.
                by_id = self.book.by_id
                if child in by_id:
                    del by_id[child]
                if lifecycle.closes_when_empty:
                    lifecycle.close_if_done()
                return
            if child.is_new and (cell.life.starter is not None or child.is_ending):
                # Now, and not when the task that starts it has its turn: another one may have started it again before.
                # It would be forgotten while it lives, and nothing would end it.
                self._group.remove(child)
                self.book.forget(child)
            if exit.error is not None and not cell.life.has_started:
                say_whose(exit.error, child)
            self.restarts.decide(child, cell, exit)
            if exit.error is not None:
                # It is logged. The child keeps this life for long, but not the last message.
                cell.life.crashed_in = None
            lifecycle.close_if_done()
        except Exception as error:
            # Nothing here is to raise. If it does, as with a stack that is full, neither that nor the crash is lost.
            lifecycle.fail(*([error] if exit.error is None else [exit.error, error]))

    def starts_later(self, child: Child, names: object, key: object) -> bool:
        if child.cell is None or child.cell.life.starter is not self.task:
            return False
        self._group.wake_waiters()  # if one of them is the start of this name, it does not wait
        later = [*self._to_start, *(member.spec for member in self._group.in_order() if member is not child)]
        return any(spec.name is not None and spec.name._names is names and spec.name.key == key for spec in later)

    def shutdown_timed_out(self, child: Child, cell: Cell) -> None:
        if cell.state != ENDED:
            self._log.shutdown_timed_out(child, cell)

    def is_in_restart_group(self, child: Child) -> bool:
        return child in self._group


def engine_of(child: Child) -> Engine | None:
    """The engine of a child that is a supervisor, while it has a life; else None."""
    engine = None if child.cell is None else getattr(child.cell.actor, "_engine", None)
    return engine if isinstance(engine, Engine) else None
