"""How children start: a life is named, its task is spawned, and a task waits until it has started.

Must never happen: a start that fails and leaves something behind; two actors for one `Starting.start_or_get`.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import copy_context
from logging import DEBUG
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import (
    ENDED,
    RUNNING,
    STARTING,
    SharedStartWait,
    SleepingWait,
    StartWait,
    begin_wait,
    new_life,
    run_actor,
    waiting_for,
)
from .._runtime import (
    SHUTDOWN,
    ActorExited,
    MaxChildren,
    current_actor,
    current_run,
    is_being_closed,
    require_room_for_task,
    sleep_with,
)
from .task_name import LONGEST, task_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from trio.lowlevel import RaiseCancelT, Task

    from .._actors import ActorRef, Cell
    from .._runtime import Run
    from .child import Child
    from .child_spec import ChildSpec
    from .children import Children
    from .delayed_restart import DelayedRestarts
    from .lifecycle import Lifecycle
    from .log import SupervisionLog
    from .restart_group import RestartGroup


class Starting:
    """The starts of one supervisor.

    Attributes:
        thread: The thread of its Trio run; None before `begin`.
        opener: While the supervisor starts its list of children: the task that waits for that.
    """

    __slots__ = (
        "_allows_significant",
        "_cancelled",
        "_children",
        "_context",
        "_delayed",
        "_group",
        "_lifecycle",
        "_log",
        "_max_children",
        "_own_task",
        "_run",
        "opener",
        "thread",
    )

    def __init__(
        self,
        lifecycle: Lifecycle,
        children: Children,
        delayed: DelayedRestarts,
        group: RestartGroup,
        log: SupervisionLog,
        *,
        max_children: float,
        allows_significant: bool,
    ) -> None:
        self.opener: Task | None = None
        self._lifecycle = lifecycle
        self._children = children
        self._delayed = delayed
        self._group = group
        self._log = log
        self._max_children = max_children
        self._allows_significant = allows_significant
        self.thread: int | None = None
        self._cancelled: dict[Cell, RaiseCancelT] = {}  # the starts whose waiting task is being cancelled
        self._own_task: Task
        self._run: Run
        self._context: Context

    def begin(self) -> None:
        """Called in the supervisor's own task, before the first start."""
        self._own_task = current_task()
        self._run = current_run()
        self.thread = self._run.thread
        self._context = copy_context()

    @enable_ki_protection
    async def start_child(self, spec: ChildSpec) -> ActorRef[Any]:
        """Start one more child, and wait until it has started. Raises its error, and keeps nothing of it, if it
        does not start. A checkpoint. During a restart of several, it waits until that is over."""
        task = current_task()
        lifecycle, group = self._lifecycle, self._group
        while True:
            if group.is_at_work or group.cause is not None:  # `RestartGroup.is_busy`
                await group.wait_over(lifecycle, spec.name)
            if lifecycle.is_closing or not lifecycle.is_open:  # `Lifecycle.is_accepting`
                await lifecycle.refuse()
            child, cell = self._begin_new(spec)
            # `wait_started`, written out: a coroutine less for each start.
            life = cell.life
            try:
                ref: Any = cell.ref
                wait = None if current_actor.get(None) is None else begin_wait(cell, self._waiter(task), StartWait)
                try:
                    life.starter = task
                    lifecycle.starts[cell] = child
                    await sleep_with(child.cancel_start)
                finally:
                    life.starter = None
                    cancel = self._cancelled.pop(cell, None) if self._cancelled else None
                    is_postponed = cell not in lifecycle.starts
                    if not is_postponed:
                        del lifecycle.starts[cell]
                    if wait is not None:
                        wait.end_wait()
                if life.started_at is None or cancel is not None:
                    self._not_started(child, cell, cancel, is_postponed=is_postponed)
                    continue
            except BaseException:
                self.abandon(child, cell)
                raise
            child.is_new = False
            return ref  # type: ignore[no-any-return]

    @enable_ki_protection
    async def start_listed_child(self, spec: ChildSpec) -> None:
        """Start a child of the supervisor's own list. It does not wait for a restart of several, which comes after it.

        Only while the supervisor is open, and not closing."""
        child, cell = self._begin_new(spec)
        try:
            self._group.wait_for(starting=cell)  # a restart of several may be requested already
            await self.wait_started(child, cell)
        except BaseException:
            self.abandon(child, cell)
            raise
        finally:
            self._group.wait_for()
        child.is_new = False

    def _begin_new(self, spec: ChildSpec) -> tuple[Child, Cell]:
        lifecycle, children = self._lifecycle, self._children
        if len(children.by_id) >= self._max_children:
            raise MaxChildren(lifecycle.label, int(self._max_children))
        if spec.significant and not self._allows_significant:
            raise ValueError(f"significant must be False under {lifecycle.label}: its auto_shutdown is 'never'")
        child = children.add(spec)
        try:
            return child, self.spawn(child)
        except BaseException as error:
            children.forget(child)  # first: there may be no room for more
            say_whose(error, child)
            lifecycle.close_if_done()
            raise

    @enable_ki_protection
    async def restart_child(self, which: object) -> ActorRef[Any]:
        """Start a child again that has ended, and wait until it has started. A checkpoint."""
        lifecycle, group = self._lifecycle, self._group
        while True:
            if group.is_busy:
                await group.wait_over(lifecycle)
            if not lifecycle.is_accepting:
                await lifecycle.refuse()
            child = self._children.find_ended(which)
            try:
                cell = self.spawn(child)
            except BaseException as error:
                say_whose(error, child)
                raise
            try:
                ref = cast("ActorRef[Any]", cell.ref)
                is_started = await self.wait_started(child, cell)
            except BaseException:
                self.abandon(child, cell)
                raise
            if is_started:
                return ref

    @enable_ki_protection
    async def start_or_get(self, spec: ChildSpec) -> ActorRef[Any]:
        """The holder of the spec's name, or else a new child. A checkpoint."""
        name = spec.name
        assert name is not None
        while True:
            if name.whereis() is None:
                delayed = self._delayed.for_name(name)
                if delayed is None:
                    return await self.start_child(spec)
                # A child gets the name again. Not before its time: that is what the delay is for.
                await delayed.over.wait()
                continue
            ref: ActorRef[Any] = name._resolve()
            cell = ref._cell
            assert cell is not None
            # Another task has asked for that start or end. To wait for it is refused where that would be a cycle.
            if cell.state == STARTING:
                with waiting_for(cell, current_task(), SharedStartWait):
                    await cell.wait_started()
                if cell.life.has_started:
                    return ref
                if cell.life.exit is not None and cell.life.exit.error is not None:
                    raise ActorExited(ref, cell.life.exit) from cell.life.exit.error
            elif cell.state == RUNNING:
                await trio.lowlevel.checkpoint()
                return ref
            else:
                with waiting_for(cell, current_task(), SleepingWait):
                    await cell.wait_ended()

    def spawn(self, child: Child, predecessor: Cell | None = None) -> Cell:
        """Begin a life: name it, then start its task. All or nothing; not a checkpoint."""
        spec = child.spec
        label = spec.kind.label
        blueprint = spec.kind.type
        cell = new_life(blueprint.reference, self._run, label, child, blueprint)
        require_room_for_task()  # Trio can't undo the start of a task
        last = child.cell
        try:
            if spec.name is None:
                name = f"{label} #{cell.ref._number}"
            else:
                spec.name._claim(cell.ref, None if predecessor is None else predecessor.ref)
                key = spec.name._key
                if type(key) is str and len(key) <= LONGEST:
                    name = f"{label} #{cell.ref._number} {key!r}"  # `task_name`, written out
                else:
                    name = task_name(label, cell.ref, key)
            # Before the task is there: a task whose child does not know it would never be ended.
            if last is None and not self._children.keeps_ended:
                child.cell = cell  # `Children.begin_life`, written out
            else:
                self._children.begin_life(child, cell)
            if self._log.is_enabled_for(DEBUG):
                self._log.starting(child, cell)
            if self._run.instruments is not None:
                if last is not None:
                    self._run.tell_after_step("restarted", cell.ref, child.restarts)
                self._run.tell_after_step("actor_starting", cell.ref)
            # As in `launch`.
            start: Callable[..., None] = self._lifecycle.nursery.start_soon
            self._context.run(start, run_actor, cell, spec.factory, spec.args, name=name)
        except BaseException:
            # The name was taken, or is given back: no task would do it.
            ref = cell.ref
            child.cell = last
            ref._set_ended(SHUTDOWN)
            ref._release(SHUTDOWN)
            self._children.undo_life(child, cell, last)  # last: there may be no room for it
            raise
        self._lifecycle.lives += 1
        return cell

    def launch(self, child: Child, cell: Cell) -> None:
        """Start the task of a life that was made elsewhere, and has its name. Not a checkpoint."""
        if self._log.is_enabled_for(DEBUG):
            self._log.starting(child, cell)
        if self._run.instruments is not None:
            self._run.tell_after_step("actor_starting", cell.ref)
        spec = child.spec
        # Every life begins in the supervisor's context: not in the asking task's, and not in what the last life left.
        start: Callable[..., None] = self._lifecycle.nursery.start_soon
        name = child.task_name(cell.ref)
        self._context.run(start, run_actor, cell, spec.factory, spec.args, name=name)

    async def wait_started(self, child: Child, cell: Cell) -> bool:
        """Wait until a life has started. Raises its error if it does not. Cancelled: it is ended first.

        If it raises, call `abandon`: it may not even have begun to wait.

        False: a restart of several has ended it meanwhile, so it is to be started anew when that is over.
        """
        lifecycle = self._lifecycle
        task = current_task()
        wait = None if current_actor.get(None) is None else begin_wait(cell, self._waiter(task), StartWait)
        try:
            cell.life.starter = task
            lifecycle.starts[cell] = child
            await sleep_with(child.cancel_start)
        finally:
            cell.life.starter = None  # if it has not even begun to wait, nothing may wake it
            cancel = self._cancelled.pop(cell, None) if self._cancelled else None
            is_postponed = cell not in lifecycle.starts
            if not is_postponed:
                del lifecycle.starts[cell]  # no call, which could fail: a restart of several would leave the child out
            if wait is not None:
                wait.end_wait()
        if cell.life.started_at is not None and cancel is None:
            return True
        self._not_started(child, cell, cancel, is_postponed=is_postponed)
        return False

    def cancel_start(self, child: Child, raise_cancel: RaiseCancelT) -> None:
        """The task that waits for a start is being cancelled: the life is ended first."""
        cell = child.cell
        assert cell is not None
        self._cancelled[cell] = raise_cancel
        self._lifecycle.end_start(child, cell)

    def _waiter(self, task: Task) -> Task:
        """The task that waits for a start, if ``task`` asks for it.

        A child of the list that calls this supervisor in its own start waits for the opener, which waits for it.
        """
        return self.opener if task is self._own_task and self.opener is not None else task

    def _not_started(self, child: Child, cell: Cell, cancel: RaiseCancelT | None, *, is_postponed: bool) -> None:
        """Raise why a life has not started. If it is to be started anew, after a restart of several, return."""
        exit = cell.life.exit or SHUTDOWN
        if cancel is not None:
            if exit.error is not None:
                self._log.start_cancelled(child, cell, exit.error)
            cancel()
        if exit.error is not None:
            raise exit.error
        if is_postponed and self._lifecycle.is_accepting:
            return
        raise ActorExited(cell.ref, exit)

    def abandon(self, child: Child, cell: Cell) -> None:
        """A start has failed. If the child has not ended, no task waits for it: it is ended, and not restarted."""
        if cell.state != ENDED and not is_being_closed(current_task()):
            child.is_ending = True
            self._lifecycle.end_start(child, cell)


def say_whose(error: BaseException, child: Child) -> None:
    """Note with an error of a start whose start it was."""
    note = f"starting child {child} of {child.parent.label}"
    # An error of a start below a supervisor has such a note already, and the path in it leads through this child.
    below = f" of {child.parent.label}/" if child.spec.kind.is_supervisor else None
    with suppress(Exception):  # of an error that is frozen, or whose notes are something else
        for each in map(str, getattr(error, "__notes__", ())):
            if each == note or (below is not None and each.startswith("starting child ") and below in each):
                return
        error.add_note(note)
