"""The lives of actors on demand: which key has one, which life comes next, and when its task is started.

A key has a chain of lives, oldest first. The oldest has the name, and only its task runs the user's code. The newest
takes the messages. Nearly always they are the same. There is a second one only while the first is on its way out: it
collects what is sent meanwhile, and takes the name over in the last step of the first.

Where `max_running` lives have a task, the next one waits in line, and the actor that was used the longest time ago is
asked to stop. If none is idle, each of them is asked to say when it has handled what it has.

Must never happen: two lives of a key that both run the user's code; a message that lies in a life whose task will not
be started; a name that is free while its key has a life.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import checkpoint, enable_ki_protection

from .._actors import ENDED, LAUNCHED, STARTING, STOPPING, WAITING, PassingCell, YieldingWait
from .._runtime import KILLED, NORMAL, SHUTDOWN, NotRunning, current_actor, logger, require_room
from .child import Child
from .crash_limit import CrashLimit
from .crashes import Crashes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from .._actors import ActorRef, Cell
    from .._runtime import Owner, Run
    from .children import Children
    from .lifecycle import Lifecycle
    from .on_demand_settings import Settings
    from .starting import Starting

LOOKS = 10
"""How often an idle actor is looked at before it is retired."""

LOOKS_PER_TURN = 500
"""After how many of them other tasks have their turn."""


class Lives:
    """The lives of all keys of one `OnDemand`, while its supervisor runs.

    Attributes:
        running: The lives with a task that take messages, the one that was used the longest time ago first.
        asked: Those of them that were asked to say when they are idle.
        leaving: The lives with a task that take no more messages.
        waiting: The lives that wait in line for their task.
        delayed: The lives that wait for the end of a backoff.
    """

    __slots__ = (
        "_children",
        "_crashes",
        "_is_asking",
        "_is_unlimited",
        "_lifecycle",
        "_limit",
        "_run",
        "_settings",
        "_starting",
        "_table",
        "_woken",
        "asked",
        "delayed",
        "leaving",
        "running",
        "waiting",
    )

    def __init__(
        self, settings: Settings, run: Run, lifecycle: Lifecycle, children: Children, starting: Starting
    ) -> None:
        self._settings = settings
        self._table = settings.table
        self._run = run
        self._lifecycle = lifecycle
        self._children = children
        self._starting = starting
        self._crashes = Crashes(settings.backoff)
        limit = settings.limit
        self._limit = None if limit is None else CrashLimit(limit, settings.name, lifecycle.label)
        self._woken = trio.Event()
        self._is_asking = False
        self._is_unlimited = settings.max_running == math.inf
        self.running: OrderedDict[PassingCell, None] = OrderedDict()
        self.asked: dict[PassingCell, None] = {}
        self.leaving: dict[PassingCell, None] = {}
        self.waiting: OrderedDict[PassingCell, None] = OrderedDict()
        self.delayed: dict[PassingCell, trio.CancelScope] = {}

    @property
    def has_room(self) -> bool:
        if self._is_unlimited:
            return True
        return len(self.running) + len(self.asked) + len(self.leaving) < self._settings.max_running

    # A message comes

    def accepting(self, key: Hashable) -> PassingCell:
        """The life that takes messages for a key: the newest, or else a blank one."""
        entry = self._table.get(key)
        newest = None if entry is None else entry[0]._cell
        assert newest is None or isinstance(newest, PassingCell)
        if newest is not None and newest.state < STOPPING:
            return newest
        self._lifecycle.require_thread()
        if not self._lifecycle.is_accepting:
            raise NotRunning(self._settings.name)
        refusal = self._refusal(key)
        if refusal is not None:
            raise refusal
        return self._blank(key, newest)

    def _refusal(self, key: Hashable) -> Exception | None:
        return None if self._limit is None or self._lifecycle.is_closing else self._limit.refusal(key)

    def touch(self, cell: PassingCell) -> None:
        """A message comes for it."""
        if cell.place is self.running:
            self.running.move_to_end(cell)

    def _blank(self, key: Hashable, older: PassingCell | None) -> PassingCell:
        spec = self._settings.spec(key)
        kind = spec.kind.type
        ref: ActorRef[Any] = kind.reference(self._run, spec.kind.label)
        cell = PassingCell(ref, self._children.blank(spec), kind, self, key, older)
        ref._cell = cell
        return cell

    def successor_of(self, cell: PassingCell) -> PassingCell | None:
        if not self._lifecycle.is_accepting or self._refusal(cell.key) is not None:
            return None
        return self.accepting(cell.key)

    def take_in(self, cell: PassingCell) -> None:
        """A blank life gets its first message: it is named and listed, and its task is started if that may be now."""
        key, older, child = cell.key, cell.older, _child(cell)
        entry = self._table.get(key)
        if (None if entry is None else entry[0]._cell) is not older:
            raise RuntimeError(f"{key!r} of {self._settings.name!r} was used by its own __eq__ or __hash__")
        require_room(14)  # Trio can't undo the start of a task
        ref = cast("ActorRef[Any]", cell.ref)
        try:
            if older is None:
                _claim(cell, None)
            self._table[key] = (ref,)
            self._children.adopt(child, cell)
            cell.stage = WAITING
            self._lifecycle.lives += 1
            if older is not None:
                older.newer = cell
            else:
                self._get_ready(cell, is_wanted=True)
        except BaseException:
            self._undo(cell, entry)
            raise

    def _undo(self, cell: PassingCell, entry: Any) -> None:
        if self._table.get(cell.key, (None,))[0] is cell.ref:
            if entry is None:
                del self._table[cell.key]
            else:
                self._table[cell.key] = entry
        if cell.place is not None:
            self._move(cell, None)
        if cell.stage == WAITING:
            self._lifecycle.lives -= 1
        self._children.forget(_child(cell))
        self.waiting.pop(cell, None)
        self.delayed.pop(cell, None)
        cell.ref._set_ended(SHUTDOWN)
        cell.ref._release(SHUTDOWN)

    # Its task is started

    def _get_ready(self, cell: PassingCell, *, is_wanted: bool = False) -> None:
        """It is the oldest life of its key: start its task, as soon as that may be."""
        if not is_wanted and not cell.has_messages and cell.state == STARTING:
            cell.end(NORMAL)  # all its callers have given up: it ends without having been started
            return
        seconds = 0.0 if self._lifecycle.is_closing else self._crashes.wait(cell.key)
        if seconds:
            scope = self.delayed[cell] = trio.CancelScope()
            name = f"{self._lifecycle.label}, backoff of {cell.key!r}"
            self._lifecycle.nursery.start_soon(self._get_ready_after, cell, seconds, scope, name=name)
        else:
            self._line_up(cell)

    @enable_ki_protection
    async def _get_ready_after(self, cell: PassingCell, seconds: float, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
        if self.delayed.pop(cell, None) is not None:
            self._line_up(cell)

    def _line_up(self, cell: PassingCell) -> None:
        if not self.waiting and self.has_room:
            self._launch(cell)
        else:
            self.waiting[cell] = None
            self._make_room()

    def _launch(self, cell: PassingCell) -> None:
        # What can fail comes first: a task can't be taken back.
        try:
            self._move(cell, self.leaving if cell.state >= STOPPING else self.running)
            cell.stage = LAUNCHED
            self._woken.set()
            self._starting.launch(_child(cell), cell)
        except BaseException:
            cell.stage = WAITING
            self._move(cell, None)
            raise

    def _launch_next(self) -> None:
        while self.waiting and self.has_room:
            cell = next(iter(self.waiting))
            del self.waiting[cell]
            if cell.has_messages or cell.state != STARTING:
                self._launch(cell)
            else:
                cell.end(NORMAL)
        self._make_room()

    # Room for the next one

    def _move(self, cell: PassingCell, place: dict[PassingCell, None] | None) -> None:
        if cell.place is not None:
            cell.place.pop(cell, None)
        cell.place = place
        if place is not None:
            place[cell] = None

    def _make_room(self) -> None:
        """Have as many lives end as wait in line. Those that are not idle now say when they are."""
        while self.running and len(self.leaving) < len(self.waiting):
            cell = next(iter(self.running))
            if cell.is_unused:
                cell.stop()
            else:
                self._move(cell, self.asked)
                cell.ask_round()

    def came_round(self, cell: PassingCell) -> None:
        if cell.place is not self.asked:
            return
        if len(self.leaving) >= len(self.waiting):
            self._move(cell, self.running)
        elif cell.has_come_round:
            cell.stop()
        elif cell.deferred and not cell.has_messages:
            cell.watch_answers()
        else:
            cell.ask_round()

    # Cycles of calls

    def blockers_of(self, cell: PassingCell) -> Iterable[Owner]:
        """The lives that have to end before its task is started, if it waits in line and none of them can end first.

        One life that can end is enough, so this is no simple path in the wait-for graph.
        """
        if self._is_asking or not (cell in self.waiting or (cell.stage < WAITING and self._would_line_up)):
            return ()
        self._is_asking = True
        try:
            busy: list[PassingCell] = [*self.leaving, *self.asked, *self.running]
            known: dict[object, bool] = {current_actor.get(None): True}
            return [each.ref for each in busy] if all(self._is_stuck(each.ref, known) for each in busy) else ()
        finally:
            self._is_asking = False

    @property
    def _would_line_up(self) -> bool:
        return bool(self.waiting) or not self.has_room

    def _is_stuck(self, actor: Owner, known: dict[object, bool]) -> bool:
        """Whether an actor waits, directly or not, for the actor that asks, or for a life that waits in line."""
        if actor in known:
            return known[actor]
        known[actor] = True
        cell: Cell | None = getattr(actor, "_cell", None)
        if isinstance(cell, PassingCell) and cell in self.waiting:
            return True
        waits = () if cell is None else list(cell.waits or ())
        known[actor] = any(
            self._is_stuck(wait.target, known)
            for wait in waits
            if wait.target is not actor and not (isinstance(wait, YieldingWait) and wait.may_give_way())
        )
        return known[actor]

    # A life ends

    def closed(self, cell: PassingCell) -> None:
        if cell.stage == LAUNCHED:
            if cell.place is not self.leaving:
                self._move(cell, self.leaving)
        elif cell.stage == WAITING and cell.is_ending:
            # It has no task that could end it, so it gets one, which does nothing else.
            self.waiting.pop(cell, None)
            scope = self.delayed.pop(cell, None)
            if scope is not None:
                scope.cancel()
            self._launch(cell)

    def ended(self, cell: PassingCell) -> None:
        """The last step of its task: the next life takes the name over, and the first in line gets its task."""
        self._move(cell, None)
        older, newer = cell.older, cell.newer
        cell.newer = None
        cell.wait_for_older(None)
        if older is not None:
            older.newer = newer
        if newer is not None:
            newer.wait_for_older(older)
        elif self._table.get(cell.key, (None,))[0] is cell.ref:
            if older is None:
                del self._table[cell.key]
            else:
                self._table[cell.key] = (cast("ActorRef[Any]", older.ref),)
        self._crashes.note(cell.key, cell)
        self._count_crash(cell)
        if newer is not None and older is None:
            try:
                _claim(newer, cell.ref)
                refusal = self._refusal(cell.key)
                if refusal is not None:
                    raise refusal
            except Exception as error:
                newer.fail(error)  # the name is taken, or its key has crashed too often: its callers get this error
            else:
                if newer.stage == WAITING:
                    self._get_ready(newer)
        self._launch_next()

    def _count_crash(self, cell: PassingCell) -> None:
        exit = cell.life.exit
        if self._limit is None or self._lifecycle.is_closing or exit is None or not isinstance(exit.error, Exception):
            return
        given_up = self._limit.note(cell.key, exit.error)
        if given_up is not None:
            cell.ref._run.after_step(partial(logger.error, "%s", given_up[0]))
            self._lifecycle.give_up(*given_up)

    # Retirement

    async def retire_idle(self) -> None:
        """Stop what has been idle for ``retire_after`` seconds. It never returns.

        To note the time of each message would cost each message something. So it looks at each actor ten times.
        """
        pause = self._settings.retire_after / LOOKS
        while True:
            if not self.running:
                self._woken = trio.Event()
                await self._woken.wait()
            await trio.sleep(pause)
            for number, cell in enumerate(list(self.running), 1):
                if cell.place is self.running and cell.has_been_unused() >= LOOKS:
                    cell.stop()
                if number % LOOKS_PER_TURN == 0:
                    await checkpoint()

    # Shutdown

    async def finish(self) -> None:
        """Let each life handle what it has, within its shutdown time, and wait until all have ended."""
        for scope in list(self.delayed.values()):
            scope.cancel()
        children = list(self._children.by_id.values())
        for number, child in enumerate(children, 1):
            if child.life is not None:
                child.life.stop()
            if number % LOOKS_PER_TURN == 0:
                await checkpoint()
        killed: set[PassingCell] = set()
        while True:
            # One that has ended may still be listed, if its last step has failed.
            begun = [cell for cell in (*self.running, *self.asked, *self.leaving) if cell.state != ENDED]
            left = [cell for cell in begun if cell not in killed]
            if left:
                with trio.move_on_after(_child(left[0]).spec.seconds):
                    for cell in left:
                        await cell.wait_ended()
                    continue
                for cell in left:
                    if cell.state != ENDED:
                        killed.add(cell)
                        child = _child(cell)
                        cell.end(KILLED)
                        child.parent.shutdown_timed_out(child, cell)
            elif begun:
                await begun[0].wait_ended()
            elif self.waiting or self.delayed:
                self._launch_next()  # the last step of a life does it, but that may have failed
                await checkpoint()
            else:
                return


def _child(cell: PassingCell) -> Child:
    child = cell.life.child
    assert isinstance(child, Child)
    return child


def _claim(cell: PassingCell, predecessor: Owner | None) -> None:
    name = _child(cell).spec.name
    assert name is not None
    name._claim(cell.ref, predecessor)
