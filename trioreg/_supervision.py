"""Keeping children alive: the engine inside every supervisor.

An `Engine` owns the children of one supervisor and the nursery they run in. It decides, in the last step of a child's
task, what its end means: nothing, a restart, or the end of the supervisor. What it never does is lose an error: a
child's crash is restarted and logged, or leaves `Engine.run`.

The nursery is shielded: when the supervisor is cancelled, its children are not cancelled all at once, but shut down in
reverse order, each within its own time (`_shut_down`). A small task outside of the shield notices the cancellation.

A one-for-one restart happens in the very step in which the old life ends: the successor has the name before anybody
can see it free. What needs waiting (a restart of several children, the shutdown) is done by the engine's own task.
"""

from __future__ import annotations

import itertools
import logging
import math
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import trio
from trio.lowlevel import Abort, RaiseCancelT, current_task, enable_ki_protection, wait_task_rescheduled

from ._call import Waiting
from ._cell import ENDED, RUNNING, STARTING, Cell, Reference
from ._errors import ActorExited, ChildNotEnded, ChildNotFound, MaxChildren, RestartLimitExceeded
from ._exit import Exit
from ._ref import ActorRef
from ._run import current_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from contextvars import Context

    from trio.lowlevel import Task

    from ._child_spec import ChildSpec
    from ._intensity import Intensity
    from ._run import Run

logger = logging.getLogger("trioreg")

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]
ChildState: TypeAlias = Literal["starting", "running", "restarting", "ended"]

CONCURRENT_ENDS = 200
"""How many children are told to end between two looks at what else there is to do."""


class Child:
    """One child of a supervisor, through all its lives.

    Attributes:
        spec: How it is started.
        id: What the supervisor knows it by.
        cell: Its current (or, once it has ended, last) life.
        restarts: How often it has been restarted.
        is_terminated: Whether it is being ended by its supervisor: it is not restarted then.
        attempts: How many restarts in a row its `Backoff` has counted.
        pause: Where it waits for its next restart: what to cancel to give that up.
    """

    __slots__ = ("attempts", "cell", "engine", "id", "is_terminated", "pause", "restarts", "spec")

    def __init__(self, engine: Engine, spec: ChildSpec, id: Hashable) -> None:
        self.engine = engine
        self.spec = spec
        self.id = id
        self.cell: Cell | None = None
        self.restarts = 0
        self.attempts = 0
        self.is_terminated = False
        self.pause: trio.CancelScope | None = None

    @property
    def state(self) -> ChildState:
        if self.pause is not None:
            return "restarting"
        if self.cell is None or self.cell.state == ENDED:
            return "restarting" if self.engine.is_due(self) else "ended"
        return "starting" if self.cell.state == STARTING else "running"

    @property
    def ref(self) -> ActorRef[Any] | None:
        """Its current life, or None while it has none."""
        if self.cell is None or self.cell.state == ENDED:
            return None
        return cast("ActorRef[Any]", self.cell.ref)

    @property
    def shutdown(self) -> float:
        return self.spec.seconds

    @property
    def title(self) -> str:
        return str(self)

    def spawn(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        self.engine.nursery.start_soon(function, name=name)

    def ended(self, cell: Cell) -> None:
        self.engine.child_ended(self, cell)

    def __str__(self) -> str:
        if self.spec.name is not None:
            return repr(self.spec.name.key)
        return self.spec.kind.label if self.id is self else str(self.id)


class Engine:
    """The children of one supervisor."""

    def __init__(
        self,
        label: str,
        intensity: Intensity,
        *,
        keeps_ended: bool,
        strategy: Strategy = "one_for_one",
        auto_shutdown: AutoShutdown = "never",
        max_children: float = math.inf,
    ) -> None:
        self.label = label
        self.intensity = intensity
        self.keeps_ended = keeps_ended
        self.strategy = strategy
        self.auto_shutdown = auto_shutdown
        self.max_children = max_children
        self.children: dict[Hashable, Child] = {}
        self.nursery: trio.Nursery
        self._trio_run: Run
        self._context: Context
        self._is_closing = False
        self._wake = trio.Event()
        # Children whose end means a restart of several: for the engine's own task, since it takes waiting.
        self._pending: dict[Child, None] = {}
        # Those that such a restart, under way, has still to start again.
        self._group: dict[Child, None] = {}
        self._starting: dict[Cell, Child] = {}
        self._is_left = False
        self._alive = 0
        self._failures: list[BaseException] = []
        self._is_open = False
        self.failure: BaseException | None = None
        self.task: Task | None = None
        # While the children of the list are started: who waits for that, and the ids they are to have.
        self.asker: Task | None = None
        self._reserved: set[Hashable] = set()

    # The engine's own task

    @enable_ki_protection
    async def run(
        self, specs: Sequence[ChildSpec], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Start the children, keep them, and shut them down when it is time or when this task is cancelled.

        Raises what its children failed with: `RestartLimitExceeded`, or the error of a child that did not start.
        """
        self._context = copy_context()
        self._trio_run = current_run()
        self.task = current_task()
        self._reserved = {spec.id for spec in specs if spec.id is not None}
        try:
            async with trio.open_nursery() as outside:
                outside.start_soon(self._notice_cancellation)
                with trio.CancelScope(shield=True):
                    async with trio.open_nursery() as self.nursery:
                        await self._keep_children(specs, task_status)
                outside.cancel_scope.cancel()
        except BaseException:
            if not self._failures:
                raise
        # An error outweighs the cancellation during which it came up. Raised out here, it keeps its own cause.
        if self._failures:
            self.failure = self._combined()
            raise self.failure

    async def _keep_children(self, specs: Sequence[ChildSpec], task_status: trio.TaskStatus[None]) -> None:
        self._is_open = True
        try:
            for spec in specs:
                if not self._is_closing:
                    await self.start_child(spec)
            self._reserved.clear()
            if not self._is_closing:
                task_status.started()
            while not self._is_closing:
                await self._wake.wait()
                self._wake = trio.Event()
                while self._pending and not self._is_closing:
                    # The first in order: its restart is that of those after it too.
                    await self._restart_group(next(child for child in self.children.values() if child in self._pending))
        except Exception as error:
            if not isinstance(error, ActorExited) or not self._is_closing:
                self._failures.append(error)
        finally:
            await self._shut_down()
            self._is_open = False

    @enable_ki_protection
    async def _notice_cancellation(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.close()

    @enable_ki_protection
    def close(self) -> None:
        """Begin to shut down. Not a checkpoint."""
        self._is_closing = True
        self._wake.set()
        for cell, child in list(self._starting.items()):
            self._end_start(child, cell)

    @enable_ki_protection
    def leave(self) -> None:
        """Nobody is in the supervisor's block any more: it ends with its last child."""
        self._is_left = True
        self._close_if_done()

    def kill(self) -> None:
        """End without order: what shields itself still ends, everything else is cancelled at once."""
        self.close()
        for child in list(self.children.values()):
            if child.cell is not None:
                child.cell.end(Exit("killed"))

    def _close_if_done(self) -> None:
        if self._is_left and not self._alive:
            self.close()

    def _combined(self) -> BaseException:
        if len(self._failures) == 1:
            return self._failures[0]
        return BaseExceptionGroup(f"{self.label} failed", self._failures)

    # Starting

    @enable_ki_protection
    async def start_child(self, spec: ChildSpec) -> ActorRef[Any]:
        """Start one more child, and wait until it has started. Raises its error, and keeps nothing of it, if it
        does not start. A checkpoint."""
        await self._require_open()
        if len(self.children) >= self.max_children:
            raise MaxChildren(self.label, int(self.max_children))
        if spec.significant and self.auto_shutdown == "never":
            raise ValueError(f"significant children need auto_shutdown, and that of {self.label} is 'never'")
        child = self._add(spec)
        try:
            cell = self._spawn(child)
        except BaseException:
            del self.children[child.id]
            raise
        try:
            await self._wait_started(child, cell)
        except BaseException:
            self.children.pop(child.id, None)
            self._close_if_done()
            raise
        return cast("ActorRef[Any]", cell.ref)

    async def _require_open(self) -> None:
        if not self._is_open or self._is_closing:
            # Where it closes because this very task is being cancelled, that is what the task is to learn.
            await trio.lowlevel.checkpoint_if_cancelled()
            raise RuntimeError(f"{self.label} is not running: it can't start a child")

    def _add(self, spec: ChildSpec) -> Child:
        child = Child(self, spec, None)
        if not self.keeps_ended:
            child.id = child
        elif spec.id is not None:
            if spec.id in self.children:
                raise ValueError(f"id {spec.id!r} is taken: {self.label} has such a child already")
            child.id = spec.id
        else:
            child.id = self._make_id(spec)
        self.children[child.id] = child
        return child

    def _make_id(self, spec: ChildSpec) -> Hashable:
        wanted: Hashable = spec.name.key if spec.name is not None else spec.kind.label
        ids = itertools.chain([wanted], (f"{wanted} {number}" for number in itertools.count(2)))
        return next(id for id in ids if id not in self.children and id not in self._reserved)

    def _spawn(self, child: Child, predecessor: Cell | None = None) -> Cell:
        """Begin a life: name it, then start its task. All or nothing; not a checkpoint."""
        spec = child.spec
        kind = spec.kind.type
        label = spec.kind.label
        ref = kind.reference(self._trio_run, label)
        cell = Cell(
            ref,
            child,
            spec.factory,
            spec.args,
            label=label,
            handlers=kind.handlers,
            hooks=kind.hooks,
            mailbox_size=kind.mailbox_size,
        )
        ref._cell = cell
        if spec.name is not None:
            spec.name._claim(ref, None if predecessor is None else predecessor.ref)
        # Every life begins in the context of the supervisor, whoever asked for it and whatever the last one left.
        self._context.run(self._start_task, cell, label)
        child.cell = cell
        self._alive += 1
        logger.debug("%s: starting child %s as %r", self.label, child, ref)
        return cell

    def _start_task(self, cell: Cell, label: str) -> None:
        self.nursery.start_soon(cell.run, name=label)

    async def _wait_started(self, child: Child, cell: Cell) -> None:
        """Wait until a life has started. Raises its error if it does not. Cancelled: it is ended first."""
        task = current_task()
        cancel: RaiseCancelT | None = None

        def abort(raise_cancel: RaiseCancelT) -> Abort:
            nonlocal cancel
            cancel = raise_cancel
            self._end_start(child, cell)
            return Abort.FAILED

        asker = self.asker if task is self.task else None
        waiting = Waiting(cell.ref, cell.link(asker or task))
        cell.starter = task
        self._starting[cell] = child
        try:
            await wait_task_rescheduled(abort)
        finally:
            del self._starting[cell]
            waiting.unlink()
        if cell.is_started and cancel is None:
            return
        exit = cell.exit or Exit("shutdown")
        if cancel is not None:
            if exit.error is not None:
                logger.error(
                    "%s: child %s failed while its start was cancelled", self.label, child, exc_info=exit.error
                )
            cancel()
        if exit.error is not None:
            raise exit.error
        raise ActorExited(cell.ref, exit)

    def _end_start(self, child: Child, cell: Cell) -> None:
        """End a life that has not begun. It may be a whole subtree, which has no more time than when it runs."""
        if cell.state != ENDED:  # its starter may not have had its turn yet
            cell.end(Exit("shutdown"))
            self.nursery.start_soon(self.terminate, child)

    # Ends

    def child_ended(self, child: Child, cell: Cell) -> None:
        """The last step of a life."""
        exit = cell.exit
        assert exit is not None
        self._alive -= 1
        try:
            self._decide(child, cell, exit)
        except Exception as error:
            # A log handler or a `repr` of the user's that raises: neither that nor the crash is lost.
            self._failures += [error] if exit.error is None else [exit.error, error]
            self.close()
        self._close_if_done()

    def _decide(self, child: Child, cell: Cell, exit: Exit) -> None:
        error = exit.error
        if error is not None and not isinstance(error, Exception):
            # Ctrl-C, SystemExit: never a crash to restart. It ends the supervisor, in order, and leaves it.
            self._failures.append(error)
            self.close()
            return
        if cell.starter is not None:
            return  # whoever started it gets the error
        if self._is_closing or child.is_terminated:
            self._log_end(child, cell, exit)
            # Who needed one that was ended before it has not failed: that is what a shutdown does.
            is_consequence = isinstance(error, ActorExited) and error.exit.error is None
            # It is not restarted any more, so it leaves the block; that of a temporary child is never more than logged.
            is_lost = self._is_closing and child.spec.restarts != "temporary"
            if error is not None and is_lost and not is_consequence:
                self._failures.append(error)
            return
        restart = child.spec.restarts
        if restart == "permanent" or (restart == "transient" and exit.is_abnormal):
            self._restart(child, cell, exit)
            return
        self._log_end(child, cell, exit)
        if not self.keeps_ended or restart == "temporary":
            del self.children[child.id]
        if child.spec.significant and self._is_over():
            self.close()

    def _is_over(self) -> bool:
        """Whether the end of a significant child is the end of the supervisor."""
        if self.auto_shutdown == "all_significant":
            return all(child.state == "ended" for child in self.children.values() if child.spec.significant)
        return self.auto_shutdown == "any_significant"

    def _restart(self, child: Child, cell: Cell, exit: Exit) -> None:
        """A life has ended, or has failed to begin, that should not have: count it, and begin the next one."""
        cause = exit.error if isinstance(exit.error, Exception) else ActorExited(cell.ref, exit)
        now = trio.current_time()
        # Those that end together are restarted together, which counts once. A restart that fails always counts.
        is_covered = exit is cell.exit and self._is_covered(child)
        if not is_covered and not self.intensity.allows(now, cause):
            self._give_up(child, cell, exit)
            return
        child.restarts += 1
        logger.log(
            logging.ERROR if exit.reason == "crashed" else logging.INFO,
            "%s: child %s, %r, ended (%s%s): restart %d",
            self.label,
            child,
            cell.ref,
            exit,
            cell.last_words(),
            child.restarts,
            exc_info=exit.error,
        )
        backoff = child.spec.backoff
        if backoff is not None and not is_covered:
            lived = 0.0 if cell.started_at is None or exit is not cell.exit else now - cell.started_at
            child.attempts = 1 if lived >= backoff.maximum else child.attempts + 1
            self._pause(child, cell, backoff.delay(child.attempts))
        else:
            self._begin_again(child, cell)

    def is_due(self, child: Child) -> bool:
        """Whether a child is to be started again by a restart of several."""
        return child in self._pending or child in self._group

    def _is_covered(self, child: Child) -> bool:
        """Whether a restart of several, wanted already or under way, is going to restart this child too."""
        if child in self._group:
            return True
        if self.strategy == "one_for_all" or not self._pending:
            return bool(self._pending)
        before = list(self.children.values())
        return any(other in self._pending for other in before[: before.index(child)])

    def _begin_again(self, child: Child, cell: Cell) -> None:
        if self.strategy != "one_for_one":
            self._pending[child] = None
            self._alive += 1  # nobody may think that all is over
            self._wake.set()
            return
        try:
            self._spawn(child, cell)
        except Exception as error:
            # The name was taken meanwhile: a restart that fails, and counts as one. The next is for a later step.
            self._pause(child, cell, 0, Exit("crashed", error))

    def _pause(self, child: Child, cell: Cell, seconds: float, failed: Exit | None = None) -> None:
        """Restart later. Until then the child counts as alive: nobody may think that all is over."""
        scope = child.pause = trio.CancelScope()
        self._alive += 1

        @enable_ki_protection
        async def restart() -> None:
            with scope:
                await trio.sleep(seconds)
            if child.pause is scope:
                child.pause = None
            self._alive -= 1
            # Not `cancelled_caught`: it may have been cancelled when its time was up, but not yet its turn.
            if not scope.cancel_called and not self._is_closing:
                if failed is None:
                    self._begin_again(child, cell)
                else:
                    self._restart(child, cell, failed)
            elif failed is not None and failed.error is not None and self._is_closing:
                logger.warning("%s: child %s was waiting for its restart: %r", self.label, child, failed.error)
            self._close_if_done()

        self.nursery.start_soon(restart, name=f"{self.label}, restart of {child}")

    async def _restart_group(self, cause: Child) -> None:
        """One for all, or rest for one: end those children in reverse order, then start them again in order."""
        members = list(self.children.values())
        if self.strategy == "rest_for_one":
            members = members[members.index(cause) :]
        self._group = dict.fromkeys(members)
        self._alive += 1  # while none of them lives, nobody may think that all is over
        try:
            await self._start_group(await self._end_group(members))
        finally:
            self._group.clear()
            self._alive -= 1
        self._close_if_done()

    async def _end_group(self, members: list[Child]) -> dict[Child, bool]:
        """Returns those to start again, in order, and whether that restart of theirs has been noted already."""
        noted: dict[Child, bool] = {}
        for member in reversed(members):
            # Those that crashed meanwhile, or before, are of this restart: each is restarted once.
            is_paused = member.pause is not None
            if member.cell is not None and member.cell.starter is not None:
                self._group.pop(member, None)  # its starter gets the error
            await self.terminate(member)
            noted[member] = is_paused or member in self._pending
            self._unpend(member)
            if member.spec.restarts == "temporary":
                self.children.pop(member.id, None)
                self._group.pop(member, None)
        return {member: noted[member] for member in members}

    async def _start_group(self, noted: dict[Child, bool]) -> None:
        for member, is_noted in noted.items():
            if self._is_closing:
                return
            if member not in self._group:
                continue  # terminated meanwhile
            cell = member.cell
            assert cell is not None
            if not is_noted:
                member.restarts += 1
            try:
                cell = self._spawn(member)
                await self._wait_started(member, cell)
            except Exception as error:
                if self._is_closing:
                    raise
                if member in self._group:
                    # It counts as a restart too, and is tried again with its own group.
                    del self._group[member]
                    self._restart(member, cell, Exit("crashed", error))
                    return
            self._group.pop(member, None)

    def _unpend(self, child: Child) -> None:
        if child in self._pending:
            del self._pending[child]
            self._alive -= 1

    def _give_up(self, child: Child, cell: Cell, exit: Exit) -> None:
        limit = f"more than {self.intensity.max_restarts:g} restarts in {self.intensity.max_seconds:g} seconds"
        logger.error(
            "%s: child %s, %r, ended (%s%s): giving up, %s",
            self.label,
            child,
            cell.ref,
            exit,
            cell.last_words(),
            limit,
            exc_info=exit.error,
        )
        self._failures.append(RestartLimitExceeded(f"{self.label} gave up: {limit}", self.intensity.errors))
        self.close()

    def _log_end(self, child: Child, cell: Cell, exit: Exit) -> None:
        level = logging.ERROR if exit.error is not None else logging.DEBUG
        if logger.isEnabledFor(level):
            logger.log(
                level,
                "%s: child %s, %r, ended (%s%s)",
                self.label,
                child,
                cell.ref,
                exit,
                cell.last_words(),
                exc_info=exit.error,
            )

    @enable_ki_protection
    async def terminate(self, child: Child) -> None:
        """End a child within its shutdown time, and wait for it. Shielded: it takes as long as the child does."""
        if child.pause is not None:
            child.pause.cancel()
            child.pause = None
        cell = child.cell
        if cell is None or cell.state == ENDED:
            return
        child.is_terminated = True
        try:
            with trio.CancelScope(shield=True):
                self._tell_to_end(child, cell)
                seconds = child.spec.seconds
                with trio.move_on_after(seconds):
                    await cell.wait_ended()
                    return
                self._cut_off(cell, seconds)
                await cell.wait_ended()
        finally:
            child.is_terminated = False

    # What is done to children from outside

    def find(self, which: object) -> Child:
        """A child by its reference or its id. `ChildNotFound` if there is none."""
        child: Child | None = None
        if isinstance(which, Reference):
            ref = cast("ActorRef[Any]", which)
            owner = None if ref._cell is None else ref._cell.child
            if isinstance(owner, Child) and owner.engine is self:
                child = owner
            elif self.keeps_ended:
                lives = (child for child in self.children.values() if child.cell is not None)
                child = next((child for child in lives if cast("Cell", child.cell).ref is ref), None)
        elif self.keeps_ended:
            try:
                child = self.children.get(which)
            except TypeError:
                raise TypeError(f"child must be an id or an ActorRef, not {which!r}") from None
        else:
            raise TypeError(f"child must be an ActorRef, not {which!r}")
        if child is None:
            raise ChildNotFound(self.label, which)
        return child

    @enable_ki_protection
    async def terminate_child(self, which: object) -> None:
        child = self.find(which)
        await trio.lowlevel.checkpoint_if_cancelled()
        if child.cell is not None and child.cell.task is current_task():
            # It ends itself: it can't wait for that, but it can be cancelled by it.
            self.nursery.start_soon(self._terminate_and_forget, child)
            await trio.sleep_forever()
        await self._terminate_and_forget(child)

    async def _terminate_and_forget(self, child: Child) -> None:
        self._group.pop(child, None)  # before it ends: a restart of several leaves it out
        await self.terminate(child)
        self._unpend(child)
        if not self.keeps_ended or child.spec.restarts == "temporary":
            self.children.pop(child.id, None)
        self._close_if_done()
        await trio.lowlevel.cancel_shielded_checkpoint()

    @enable_ki_protection
    async def restart_child(self, which: object) -> ActorRef[Any]:
        await self._require_open()
        child = self._find_ended(which)
        cell = self._spawn(child)
        await self._wait_started(child, cell)
        return cast("ActorRef[Any]", cell.ref)

    def delete_child(self, which: object) -> None:
        del self.children[self._find_ended(which).id]

    def _find_ended(self, which: object) -> Child:
        child = self.find(which)
        if child.state != "ended":
            raise ChildNotEnded(self.label, which, child.state)
        return child

    @enable_ki_protection
    async def start_or_get(self, spec: ChildSpec) -> ActorRef[Any]:
        """The holder of the spec's name, or else a new child. A checkpoint."""
        name = spec.name
        assert name is not None
        while True:
            holder = name.whereis()
            if holder is None:
                return await self.start_child(spec)
            ref: ActorRef[Any] = name._resolve()
            cell = ref._cell
            assert cell is not None
            if cell.state == STARTING:
                await self._wait_for(cell, cell.wait_started)
                if cell.is_started:
                    return ref
                if cell.exit is not None and cell.exit.error is not None:
                    raise ActorExited(ref, cell.exit) from cell.exit.error
            elif cell.state == RUNNING:
                await trio.lowlevel.checkpoint()
                return ref
            else:
                await self._wait_for(cell, cell.wait_ended)

    async def _wait_for(self, cell: Cell, event: Callable[[], Awaitable[None]]) -> None:
        """Wait for the start or the end of an actor that somebody else has asked for; a cycle is refused."""
        waiting = Waiting(cell.ref, cell.link(current_task()))
        try:
            await event()
        finally:
            waiting.unlink()

    def _tell_to_end(self, child: Child, cell: Cell) -> None:
        cell.end(Exit("killed" if child.spec.shutdown == "kill" else "shutdown"))

    def _cut_off(self, cell: Cell, seconds: float) -> None:
        """Its time to end is over."""
        cell.end(Exit("killed"))
        if seconds and cell.state != ENDED:
            message = "%s: child %s, %r, is killed: its %g seconds to end are over"
            logger.warning(message, self.label, cell.title, cell.ref, seconds)

    async def _shut_down(self) -> None:
        self._is_closing = True
        if self.keeps_ended:
            # In order: who was started last may need those before it until its very end.
            for child in reversed(list(self.children.values())):
                await self.terminate(child)
        else:
            await self._shut_down_at_once()

    async def _shut_down_at_once(self) -> None:
        """Children without an order among them end side by side: all are told, newest first, then all are awaited."""
        now = trio.current_time()
        cells: dict[float, list[Cell]] = {}
        for number, child in enumerate(reversed(list(self.children.values())), 1):
            if child.pause is not None:
                child.pause.cancel()
            if child.cell is not None:
                self._tell_to_end(child, child.cell)
                cells.setdefault(child.spec.seconds, []).append(child.cell)
            if number % CONCURRENT_ENDS == 0:
                await trio.lowlevel.checkpoint()
        for seconds in sorted(cells):
            for number, cell in enumerate(cells[seconds], 1):
                if cell.state != ENDED:
                    with trio.move_on_at(now + seconds) as limit:
                        await cell.wait_ended()
                    if limit.cancelled_caught:
                        self._cut_off(cell, seconds)
                        await cell.wait_ended()
                elif number % CONCURRENT_ENDS == 0:
                    await trio.lowlevel.checkpoint()
