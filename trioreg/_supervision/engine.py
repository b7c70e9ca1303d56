"""Keeping children alive: the engine inside every supervisor.

An `Engine` owns the children of one supervisor and the nursery they run in. It decides, in the last step of a child's
task, what its end means: nothing, a restart, or the end of the supervisor. What it never does is lose an error: a
child's crash is restarted and logged, or leaves `Engine.run`.

The nursery is shielded: when the supervisor is cancelled, its children are not cancelled all at once, but end in
reverse order, each within its own time (`_ending.py`). A small task outside of the shield notices the cancellation.

A one-for-one restart happens in the very step in which the old life ends: the successor has the name before anybody
can see it free. What needs waiting (a restart of several children, the shutdown) is done by the engine's own task;
which children such a restart has still to start is in a book of its own (`_due.py`).
"""

from __future__ import annotations

import math
from contextvars import copy_context
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import trio
from trio.lowlevel import Abort, RaiseCancelT, current_task, enable_ki_protection, wait_task_rescheduled

from .._actors import ENDED, ENDING, RUNNING, STARTING, ActorRef, Cell, Reference, run_actor, waiting_for
from .._runtime import (
    KILLED,
    SHUTDOWN,
    ActorExited,
    ChildNotEnded,
    ChildNotFound,
    Exit,
    MaxChildren,
    NotRunning,
    RestartLimitExceeded,
    current_actor,
    current_run,
)
from .backoff import Backoff
from .child import Child, ChildState
from .delayed_restart import Pauses
from .group_restart import Due
from .log import Trace
from .shutdown import end, end_in_order, end_side_by_side

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from contextvars import Context

    from trio.lowlevel import Task

    from .._runtime import Owner, Run
    from .child_spec import ChildSpec
    from .restart_intensity import Intensity

__all__ = ["AutoShutdown", "Child", "ChildState", "Engine", "Strategy"]

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]

RETRY = Backoff(initial=0.01, maximum=1.0)
"""How long a child waits for its next restart that could not have its name, and has no backoff of its own."""


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
        self.failure: BaseException | None = None
        self._trace = Trace(label)
        self._trio_run: Run
        self._context: Context
        self._numbers = count(1)
        self._made_ids: dict[Hashable, int] = {}
        self._is_open = False
        self._is_left = False
        self._is_closing = False
        self._wake = trio.Event()
        self._due = Due(is_for_all=strategy == "one_for_all")
        self._starting: dict[Cell, Child] = {}
        self._pauses = Pauses()
        # How many lives there are, and waits for the next one. (Those that are due have neither.)
        self._alive = 0
        self._failures: list[BaseException] = []
        self._gave_up: str | None = None
        self.task: Task | None = None
        # While the children of the list are started: who waits for that, and the ids they are to have.
        self.asker: Task | None = None
        self._reserved: set[Hashable] = set()

    # The engine's own task

    @enable_ki_protection
    async def run(self, specs: Sequence[ChildSpec], on_started: Callable[[], object]) -> None:
        """Start the children, keep them, and shut them down when it is time or when this task is cancelled.

        ``on_started`` is called when all have started; not at all if the supervisor is done before. Raises what its
        children failed with: `RestartLimitExceeded`, or the error of a child that did not start.
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
                        await self._keep_children(specs, on_started)
                outside.cancel_scope.cancel()
        except BaseException:
            if not self._failures and self._gave_up is None:
                raise
        # An error outweighs the cancellation during which it came up. Raised out here, it keeps its own cause.
        if self._failures or self._gave_up is not None:
            self.failure = self._combined()
            raise self.failure

    async def _keep_children(self, specs: Sequence[ChildSpec], on_started: Callable[[], object]) -> None:
        self._is_open = True
        try:
            for spec in specs:
                if not self._is_closing:
                    await self.start_child(spec)
            self._reserved.clear()
            if not self._is_closing:
                on_started()
            while not self._is_closing:
                if self._due.cause is not None:
                    await self._restart_several()
                elif self._due and not self._is_held_up():
                    # The one that held them up is terminated.
                    await self._start_due(self._due.in_order())
                else:
                    await self._wake.wait()
                    self._wake = trio.Event()
        except Exception as error:
            if not isinstance(error, ActorExited) or not self._is_closing:
                self._failures.append(error)
        finally:
            await self._shut_down()
            self._is_open = False

    async def _shut_down(self) -> None:
        self._is_closing = True
        self._due.clear()
        newest_first = reversed(list(self.children.values()))
        await (end_in_order if self.keeps_ended else end_side_by_side)(newest_first)

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
                child.cell.end(KILLED)

    def _close_if_done(self) -> None:
        if self._is_left and not self._alive and not self._due:
            self.close()

    def _fail(self, *errors: BaseException) -> None:
        """These errors leave the supervisor, once it has ended in order."""
        self._failures += errors
        self.close()

    def _combined(self) -> BaseException:
        failures = self._failures
        if self._gave_up is not None:
            # What crashed after it gave up belongs to that: who catches a give-up catches all of it.
            errors = [failure for failure in failures if isinstance(failure, Exception)]
            others = [failure for failure in failures if not isinstance(failure, Exception)]
            failures = [RestartLimitExceeded(self._gave_up, [*self.intensity.errors, *errors]), *others]
        return failures[0] if len(failures) == 1 else BaseExceptionGroup(f"{self.label} failed", failures)

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
            self._forget(child)
            self._close_if_done()
            raise
        await self._wait_started(child, cell)
        child.is_new = False
        return cast("ActorRef[Any]", cell.ref)

    async def _require_open(self) -> None:
        if not self._is_open or self._is_closing:
            await trio.lowlevel.checkpoint_if_cancelled()  # who is cancelled with it learns that, and no error
            raise NotRunning(self.label)

    def _add(self, spec: ChildSpec) -> Child:
        child = Child(self, next(self._numbers), spec)
        if self.keeps_ended:
            if spec.id is not None and spec.id in self.children:
                raise ValueError(f"id {spec.id!r} is taken: {self.label} has such a child already")
            child.id = self._make_id(spec) if spec.id is None else spec.id
        self.children[child.id] = child
        return child

    def _make_id(self, spec: ChildSpec) -> Hashable:
        wanted: Hashable = spec.name.key if spec.name is not None else spec.kind.label
        if self._is_free(wanted):
            return wanted
        # Not from 2 on each time: the children of one class would cost the more, the more of them there are.
        number = self._made_ids.get(wanted, 1) + 1
        while not self._is_free(f"{wanted} {number}"):
            number += 1
        self._made_ids[wanted] = number
        return f"{wanted} {number}"

    def _is_free(self, id: Hashable) -> bool:
        return id not in self.children and id not in self._reserved

    def _forget(self, child: Child) -> None:
        if self.children.get(child.id) is child:
            del self.children[child.id]

    def _drop_ended(self, child: Child) -> None:
        """A child has ended for good: forget it, unless its spec is to be kept."""
        if not self.keeps_ended or child.spec.restarts == "temporary":
            self._forget(child)

    def _spawn(self, child: Child, predecessor: Cell | None = None) -> Cell:
        """Begin a life: name it, then start its task. All or nothing; not a checkpoint."""
        spec = child.spec
        kind = spec.kind.type
        label = spec.kind.label
        ref = kind.reference(self._trio_run, label)
        cell = Cell(
            ref,
            child,
            handlers=kind.handlers,
            hooks=kind.hooks,
            mailbox_size=kind.mailbox_size,
        )
        ref._cell = cell
        if spec.name is not None:
            spec.name._claim(ref, None if predecessor is None else predecessor.ref)
        # Every life begins in the context of the supervisor, whoever asked for it and whatever the last one left.
        self._context.run(self._start_task, cell, spec)
        child.cell = cell
        self._alive += 1
        try:
            self._trace.starting(child, cell)
        except Exception as error:
            self._fail(error)  # of a log handler: the child is there all the same, and ends with the others
        return cell

    def _start_task(self, cell: Cell, spec: ChildSpec) -> None:
        self.nursery.start_soon(run_actor, cell, spec.factory, spec.args, name=spec.kind.label)

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
        with waiting_for(cell, asker or task):
            cell.life.starter = task
            self._starting[cell] = child
            try:
                await wait_task_rescheduled(abort)
            finally:
                del self._starting[cell]
        if cell.life.has_started and cancel is None:
            return
        exit = cell.life.exit or SHUTDOWN
        if cancel is not None:
            if exit.error is not None:
                self._trace.start_cancelled(child, cell, exit.error)
            cancel()
        if exit.error is not None:
            raise exit.error
        raise ActorExited(cell.ref, exit)

    def _end_start(self, child: Child, cell: Cell) -> None:
        """End a life that has not begun. It may be a whole subtree, which has no more time than when it runs."""
        if cell.state != ENDED:  # its starter may not have had its turn yet
            cell.end(SHUTDOWN)
            self.nursery.start_soon(end, child)

    # Ends

    def child_ended(self, child: Child, cell: Cell) -> None:
        """The last step of a life."""
        exit = cell.life.exit
        assert exit is not None
        self._alive -= 1
        if child.is_new and cell.life.starter is not None:
            # Not when its starter has its turn: somebody else may have started it again before, for nobody to end it.
            self._due.drop(child)
            self._forget(child)
        try:
            self._decide(child, cell, exit)
        except Exception as error:
            # A log handler or a `repr` of the user's that raises: neither that nor the crash is lost.
            self._fail(*([error] if exit.error is None else [exit.error, error]))
        self._close_if_done()

    def child_cut_off(self, child: Child, cell: Cell) -> None:
        if cell.state != ENDED:
            self._trace.cut_off(child, cell)

    def _decide(self, child: Child, cell: Cell, exit: Exit) -> None:
        error = exit.error
        if error is not None and not isinstance(error, Exception):
            # Ctrl-C, SystemExit: never a crash to restart. It ends the supervisor, in order, and leaves it.
            self._trace.ended(child, cell, exit)
            self._fail(error)
            return
        if cell.life.starter is not None:
            # Whoever started it gets the error. (Where that is a restart of several, it is traced as what comes of it.)
            if child not in self._due:
                self._trace.not_started(child, cell, exit)
            return
        if self._is_closing or child.is_terminated:
            self._trace.ended(child, cell, exit)
            if not self._is_closing:
                self._drop_ended(child)  # now, and not when whoever has ended it has its turn: as above
            # Who needed one that was ended before it, or another child, has not failed: that is what a shutdown does.
            is_consequence = isinstance(error, NotRunning) or (
                isinstance(error, ActorExited) and error.exit.error is None
            )
            # It is not restarted any more, so it leaves the block; that of a temporary child is never more than logged.
            is_lost = self._is_closing and child.spec.restarts != "temporary"
            if error is not None and is_lost and not is_consequence:
                self._failures.append(error)
            return
        restart = child.spec.restarts
        if restart == "permanent" or (restart == "transient" and exit.is_abnormal):
            self._restart(child, cell, exit)
            return
        self._trace.ended(child, cell, exit)
        self._drop_ended(child)
        if child.spec.significant and self._is_over():
            self.close()

    def _is_over(self) -> bool:
        """Whether the end of a significant child is the end of the supervisor."""
        if self.auto_shutdown == "all_significant":
            return all(child.state == "ended" for child in self.children.values() if child.spec.significant)
        return self.auto_shutdown == "any_significant"

    # Restarts

    def is_due(self, child: Child) -> bool:
        return child in self._due

    def _restart(self, child: Child, cell: Cell, exit: Exit) -> None:
        """A life has ended that should not have: count it, and begin the next one."""
        if self._due.covers(child):
            # Those that end together are restarted together, which counts once.
            child.restarts += 1
            self._due.note(child)
            self._trace.restarting(child, cell, exit)
        elif self._may_restart(child, cell, exit):
            backoff = child.spec.backoff
            since = cell.life.started_at
            if backoff is not None and since is not None and trio.current_time() - since >= backoff.maximum:
                child.attempts = 0  # a life as long as that was a success
            self._begin_again_after(backoff, child, cell, exit)

    def _restart_failed(
        self, child: Child, cell: Cell, error: Exception, backoff: Backoff | None, *, of_several: bool
    ) -> None:
        """The next life could not begin: that counts as one more restart, always, and is tried again."""
        exit = Exit("crashed", error)
        if self._may_restart(child, cell, exit):
            self._begin_again_after(backoff, child, cell, exit, holds_up=of_several)

    def _may_restart(self, child: Child, cell: Cell, exit: Exit) -> bool:
        """Count a restart. False: it was one too many, and the supervisor gives up."""
        cause = exit.error if isinstance(exit.error, Exception) else ActorExited(cell.ref, exit)
        if self.intensity.allows(trio.current_time(), cause):
            child.restarts += 1
            return True
        limit = f"more than {self.intensity.max_restarts:g} restarts in {self.intensity.max_seconds:g} seconds"
        self._trace.gives_up(child, cell, exit, limit)
        self._gave_up = f"{self.label} gave up: {limit}"
        self.close()
        return False

    def _begin_again_after(
        self, backoff: Backoff | None, child: Child, cell: Cell, exit: Exit, *, holds_up: bool = False
    ) -> None:
        if backoff is None:
            child.attempts = 0
            self._trace.restarting(child, cell, exit)
            self._begin_again(child, cell)
        else:
            child.attempts += 1
            seconds = backoff.delay(child.attempts)
            self._trace.restarting(child, cell, exit, seconds)
            self._pause(child, cell, seconds, holds_up=holds_up)

    def _begin_again(self, child: Child, cell: Cell) -> None:
        if self.strategy != "one_for_one":
            self._due.want(child)
            self._wake.set()
            return
        try:
            self._spawn(child, cell)
        except Exception as error:
            # The name was taken meanwhile. The next try is for later: it may stay taken for long.
            self._restart_failed(child, cell, error, child.spec.backoff or RETRY, of_several=False)

    def _pause(self, child: Child, cell: Cell, seconds: float, *, holds_up: bool) -> None:
        """Restart later. Until then the child counts as alive: nobody may think that all is over."""
        pause = self._pauses.begin(child, cell, holds_up=holds_up)
        self._alive += 1

        @enable_ki_protection
        async def restart() -> None:
            with pause.scope:
                await trio.sleep(seconds)
            self._alive -= 1
            is_wanted = self._pauses.end(child, cell, pause)
            if is_wanted and not self._is_closing:
                try:
                    self._begin_again(child, cell)
                except Exception as error:
                    self._fail(error)  # of a log handler
            self._close_if_done()

        self.nursery.start_soon(restart, name=f"{self.label}, restart of {child}")

    # Restarts of several: one for all, rest for one

    async def _restart_several(self) -> None:
        """End them in reverse order, then start them again in order."""
        members = self._due.take(self.children.values())
        for member in reversed(members):
            if member.cell in self._starting and not member.cell.life.has_started:
                # Whoever starts it gets the error, and may not have had its turn yet where it has failed already.
                self._due.drop(member)
            elif member.pause is not None:
                self._due.note(member)
            # Those that crash meanwhile are of this restart: each is restarted once.
            await end(member)
            if member.spec.restarts == "temporary":
                self._due.drop(member)
                self._drop_ended(member)
        await self._start_due(members)

    async def _start_due(self, members: list[Child]) -> None:
        for member in members:
            if member.is_dismissed:
                self._due.drop(member)  # whoever has terminated it may not have had its turn yet
            # The others were terminated meanwhile.
            if member in self._due and not self._is_closing and not await self._start_again(member):
                return  # it is tried again, and those behind it with it
        self._close_if_done()

    async def _start_again(self, member: Child) -> bool:
        cell = member.cell
        assert cell is not None
        if not self._due.is_counted(member):
            member.restarts += 1
            self._trace.restarting_too(member)
        backoff = member.spec.backoff
        try:
            try:
                cell = self._spawn(member)
            except Exception:
                backoff = backoff or RETRY  # else there might be no end of tries, without a checkpoint between them
                raise
            await self._wait_started(member, cell)
        except Exception as error:
            if self._is_closing:
                raise
            if member in self._due:
                self._due.drop(member)
                self._restart_failed(member, cell, error, backoff, of_several=True)
                return False
        self._due.drop(member)
        return True

    def _is_held_up(self) -> bool:
        """Whether one that failed to start waits for its next try, and those behind it wait for that."""
        return any(child.pause is not None and child.pause.holds_up for child in self.children.values())

    # What is done to children from outside

    def find(self, which: object) -> Child:
        """A child by its reference or its id. `ChildNotFound` if there is none. Constant time, but for the reference
        of a life that has ended."""
        child: Child | None = None
        if isinstance(which, Reference):
            ref = cast("ActorRef[Any]", which)
            owner = None if ref._cell is None else ref._cell.life.child
            paused = self._pauses.after(ref)
            if isinstance(owner, Child) and owner.engine is self:
                child = owner
            elif paused is not None:
                child = paused
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
        """End a child. A checkpoint; the end goes on if who waits for it is cancelled."""
        child = self.find(which)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._due.drop(child)  # before it ends: a restart of several leaves it out
        child.give_up_pause()
        life = child.life
        if life is None:
            self._terminated(child)
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        # In a task of its own: whoever asks may be below that child, and end with it. Where that is ending already it
        # can't be cancelled any more, and would wait for itself.
        ended = trio.Event()
        child.is_dismissed = True
        self.nursery.start_soon(self._terminate, child, ended, name=f"{self.label}, end of {child}")
        if _is_ending(current_actor.get(None)) and life.owns(current_task()):
            await trio.lowlevel.checkpoint()
        else:
            await ended.wait()

    @enable_ki_protection
    async def _terminate(self, child: Child, ended: trio.Event) -> None:
        await end(child)
        self._terminated(child)
        ended.set()

    def _terminated(self, child: Child) -> None:
        child.is_dismissed = False
        self._due.drop(child)
        self._drop_ended(child)
        self._wake.set()  # those that were held up by it are not any more
        self._close_if_done()

    @enable_ki_protection
    async def restart_child(self, which: object) -> ActorRef[Any]:
        await self._require_open()
        child = self._find_ended(which)
        cell = self._spawn(child)
        await self._wait_started(child, cell)
        return cast("ActorRef[Any]", cell.ref)

    def delete_child(self, which: object) -> None:
        self._forget(self._find_ended(which))

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
            if name.whereis() is None:
                pause = self._pauses.for_name(name)
                if pause is None:
                    return await self.start_child(spec)
                # Somebody is to have the name again. Not before its time: that is what the pause is for.
                await pause.over.wait()
                continue
            ref: ActorRef[Any] = name._resolve()
            cell = ref._cell
            assert cell is not None
            if cell.state == STARTING:
                await self._wait_for(cell, cell.wait_started)
                if cell.life.has_started:
                    return ref
                if cell.life.exit is not None and cell.life.exit.error is not None:
                    raise ActorExited(ref, cell.life.exit) from cell.life.exit.error
            elif cell.state == RUNNING:
                await trio.lowlevel.checkpoint()
                return ref
            else:
                await self._wait_for(cell, cell.wait_ended)

    async def _wait_for(self, cell: Cell, event: Callable[[], Awaitable[None]]) -> None:
        """Wait for the start or the end of an actor that somebody else has asked for; a cycle is refused."""
        with waiting_for(cell, current_task()):
            await event()


def _is_ending(actor: Owner | None) -> bool:
    cell = cast("ActorRef[Any]", actor)._cell if isinstance(actor, Reference) else None
    return cell is not None and cell.state >= ENDING
