"""The lives of actors on demand: which key has one, which life comes next, and when its task is started.

A key has a chain of lives, oldest first. The oldest has the name, and only its task runs the user's code. The newest
takes the messages. Nearly always they are the same. There is a second one only while the first is on its way out: it
collects what is sent meanwhile, and takes the name over in the last step of the first.

How many lives may have a task at once, and which one makes room, is in `on_demand_room.py`.

Must never happen: two lives of a key that both run the user's code; a message that lies in a life whose task will not
be started; a name that is free while its key has a life.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import checkpoint, enable_ki_protection

from .._actors import ENDED, LAUNCHED, STARTING, STOPPING, WAITING, PassingCell, new_passing_life
from .._runtime import KILLED, NORMAL, SHUTDOWN, NotRunning, require_room_for_launch, shown_whole
from .child import Child
from .crash_limit import CrashLimit
from .crashes import Crashes
from .log import logger
from .on_demand_room import Room
from .on_demand_settings import CLOSING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from .._actors import ActorRef
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
        delayed: The lives that wait for the end of a backoff.
    """

    __slots__ = (
        "_changed",
        "_children",
        "_crashes",
        "_deadlines",
        "_lifecycle",
        "_limit",
        "_room",
        "_run",
        "_settings",
        "_starting",
        "_table",
        "delayed",
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
        self._limit: CrashLimit | None = None
        if limit is not None and limit.max_restarts < math.inf:
            self._limit = CrashLimit(limit, settings.name, lifecycle.label)
        self._room = Room(settings.max_running, self._start)
        self._changed = trio.Event()
        self._deadlines: dict[PassingCell, float] | None = None
        self.delayed: dict[PassingCell, trio.CancelScope] = {}

    @property
    def is_over(self) -> bool:
        """Whether the Trio run has ended without an end of the supervisor: Trio has failed, or this is a fork."""
        return self._run.is_over

    # A message comes

    def accepting(self, key: Hashable) -> PassingCell:
        """The life that takes messages for a key: the newest, or else a blank one."""
        entry = self._table.get(key)
        newest = None if entry is None else entry[0]._cell
        assert newest is None or isinstance(newest, PassingCell)
        if newest is not None and newest.state < STOPPING:
            return newest
        lifecycle = self._lifecycle
        lifecycle.require_thread()
        if lifecycle.is_closing or not lifecycle.is_open:  # `Lifecycle.is_accepting`
            return self._sender(newest)
        if self._limit is not None:
            refusal = self._refusal(key)
            if refusal is not None:
                raise refusal
        return self._blank(key, newest)

    def _sender(self, life: PassingCell | None) -> PassingCell:
        """There is no next life. So an actor that sends to its own key sends to itself, as with its own reference."""
        while life is not None and not life.is_sent_by_itself():
            life = life.older
        if life is None:
            raise NotRunning(self._settings.name, CLOSING)
        return life

    def _refusal(self, key: Hashable) -> Exception | None:
        return None if self._limit is None or self._lifecycle.is_closing else self._limit.refusal(key)

    def _blank(self, key: Hashable, older: PassingCell | None) -> PassingCell:
        spec = self._settings.spec(key)
        kind = spec.kind.type
        child = self._children.blank(spec)
        return new_passing_life(kind.reference, self._run, spec.kind.label, child, kind, self, key, older)

    def successor_of(self, cell: PassingCell) -> PassingCell | None:
        if not self._lifecycle.is_accepting or self._refusal(cell.key) is not None:
            return None
        return self.accepting(cell.key)

    def take_in(self, cell: PassingCell) -> None:
        """A blank life gets its first message: it is named and listed, and its task is started if that may be now."""
        key, older = cell.key, cell.older
        child = cast("Child", cell.life.child)
        entry = self._table.get(key)
        require_room_for_launch()  # Trio can't undo the start of a task
        ref = cast("ActorRef[Any]", cell.ref)
        new = (ref,)
        try:
            if entry is not None:
                self._table[key] = new
            elif self._table.setdefault(key, new) is not new:
                raise self._was_used(key)
            self._children.adopt(child, cell)
            cell.stage = WAITING
            self._lifecycle.lives += 1
            if older is None:
                # Here: a listener of the registry that is told of the name may send to the actor, or end it.
                _claim(cell, None)
                if cell.stage == WAITING:
                    self._get_ready(cell, is_wanted=True)
            elif older.newer is None:
                older.newer = cell
            else:  # a message came while the key was compared, and that life was first
                entry = (cast("ActorRef[Any]", older.newer.ref),)
                raise self._was_used(key)
        except BaseException:
            self._undo(cell, entry)
            raise

    def _was_used(self, key: Hashable) -> RuntimeError:
        return RuntimeError(f"{shown_whole(key)} of {self._settings.name!r} was used by its own __eq__ or __hash__")

    def _undo(self, cell: PassingCell, entry: Any) -> None:
        if self._table.get(cell.key, (None,))[0] is cell.ref:
            if entry is None:
                del self._table[cell.key]
            else:
                self._table[cell.key] = entry
        if cell.place is not None:
            self._room.move(cell, None)
        if cell.stage == WAITING:
            self._lifecycle.lives -= 1
        self._children.forget(_child(cell))
        self._room.waiting.pop(cell, None)
        self.delayed.pop(cell, None)
        cell.ref._set_ended(SHUTDOWN)
        cell.ref._release(SHUTDOWN)

    # Its task is started

    def _get_ready(self, cell: PassingCell, *, is_wanted: bool = False) -> None:
        """Start the task of the oldest life of a key, as soon as that may be."""
        if not is_wanted and not cell.has_messages and cell.state == STARTING:
            cell.end(NORMAL)  # all its callers have given up: it ends without having been started
            return
        seconds = 0.0 if self._lifecycle.is_closing else self._crashes.wait(cell.key)
        if seconds:
            scope = self.delayed[cell] = trio.CancelScope()
            name = f"{self._lifecycle.label}, backoff of {shown_whole(cell.key)}"
            self._lifecycle.nursery.start_soon(self._get_ready_after, cell, seconds, scope, name=name)
        else:
            self._room.line_up(cell)

    @enable_ki_protection
    async def _get_ready_after(self, cell: PassingCell, seconds: float, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
        if self.delayed.pop(cell, None) is not None:
            self._room.line_up(cell)

    def _start(self, cell: PassingCell) -> None:
        """There is room for it: start its task."""
        self._starting.launch(cast("Child", cell.life.child), cell)
        if self._deadlines is not None:
            self._deadlines[cell] = trio.current_time() + self._settings.seconds
            self._changed.set()

    # What a life asks of its home, about room

    def came_round(self, cell: PassingCell) -> None:
        if cell.place is self._room.running and cell.has_been_unused_until_round(LOOKS):
            cell.stop()
        else:
            self._room.came_round(cell)

    def blockers_of(self, cell: PassingCell) -> Iterable[Owner]:
        return self._room.blockers_of(cell)

    def touch(self, cell: PassingCell) -> None:
        self._room.touch(cell)

    # A life ends

    def closed(self, cell: PassingCell) -> None:
        if cell.stage == LAUNCHED:
            if cell.place is not self._room.leaving:
                self._room.move(cell, self._room.leaving)
        elif cell.stage == WAITING and cell.is_ending:
            # It has no task that could end it, so it gets one, which does nothing else.
            self._room.waiting.pop(cell, None)
            scope = self.delayed.pop(cell, None)
            if scope is not None:
                scope.cancel()
            self._room.launch(cell)

    def ended(self, cell: PassingCell) -> None:
        """The last step of its task: the next life takes the name over, and the first in line gets its task."""
        self._room.move(cell, None)
        if self._deadlines is not None:
            self._deadlines.pop(cell, None)
            self._changed.set()
        older, newer = cell.older, cell.newer
        cell.newer = None
        cell.wait_for_older(None)
        if older is not None:
            older.newer = newer
        try:
            if newer is not None:
                newer.wait_for_older(older)
            elif self._table.get(cell.key, (None,))[0] is cell.ref:
                if older is None:
                    del self._table[cell.key]
                else:
                    self._table[cell.key] = (cast("ActorRef[Any]", older.ref),)
            self._crashes.note(cell.key, cell)
            self._count_crash(cell)
        except Exception as error:
            # The key's `__eq__` raised. That life stays in the table: it takes no message, and the next one replaces
            # it. The others are not to suffer for it.
            label, text = self._lifecycle.label, "%s: a key raised when its actor %r ended"
            logger.report(error, "key_failed", text, label, cell.ref, supervisor=label, actor=cell.ref)
        if newer is not None and older is None:
            try:
                _claim(newer, cell.ref)
                refusal = self._refusal(cell.key)
                if refusal is not None:
                    raise refusal
                if newer.stage == WAITING:
                    self._get_ready(newer)
            except Exception as error:
                newer.fail(error)  # the name is taken, or its key has crashed too often: its callers get this error
        self._room.launch_next()

    def _count_crash(self, cell: PassingCell) -> None:
        exit = cell.life.exit
        if self._limit is None or self._lifecycle.is_closing or exit is None or not isinstance(exit.error, Exception):
            return
        given_up = self._limit.note(cell.key, exit.error)
        if given_up is not None:
            about = partial(_child(cell).log_fields, cell.ref)
            write = partial(logger.error, "gave_up", "%s", given_up[0], about=about, exit=exit.reason)
            cell.ref._run.after_step(write)
            cell.ref._run.tell_after_step("gave_up", self._lifecycle.label, given_up[0])
            self._lifecycle.give_up(*given_up)

    # Retirement

    async def retire_idle(self) -> None:
        """Stop what has been idle for ``retire_after`` seconds. It never returns.

        To note the time of each message would cost each message something. So it looks at each actor ten times.
        """
        pause = self._settings.retire_after / LOOKS
        room = self._room
        while True:
            if not room.running:
                room.woken = trio.Event()
                await room.woken.wait()
            await trio.sleep(pause)
            for number, cell in enumerate(list(room.running), 1):
                if cell.place is room.running and cell.has_been_unused(LOOKS):
                    cell.stop()
                if number % LOOKS_PER_TURN == 0:
                    await checkpoint()

    # Shutdown

    async def finish(self) -> None:
        """Let each life handle what it has, within its shutdown time, and wait until all have ended."""
        room = self._room
        seconds = self._settings.seconds
        end = trio.current_time() + seconds
        self._deadlines = dict.fromkeys([*room.running, *room.asked, *room.leaving], end)
        for scope in list(self.delayed.values()):
            scope.cancel()
        children = list(self._children.by_id.values())
        for number, child in enumerate(children, 1):
            life = child.life
            if isinstance(life, PassingCell) and life.stage == WAITING and not life.has_messages:
                life.end(NORMAL)  # all its callers have given up
            elif life is not None:
                life.stop()
            if number % LOOKS_PER_TURN == 0:
                await checkpoint()
        # All have the same time, so the first that was started is the first whose time is up.
        while True:
            if not (room.running or room.asked or room.leaving or self.delayed):
                if not room.waiting:
                    return
                room.launch_next()  # the last step of a life does it, but that may have failed
                await checkpoint()
                continue
            self._changed = trio.Event()
            first = next(iter(self._deadlines), None)
            with trio.move_on_at(math.inf if first is None else self._deadlines[first]):
                await self._changed.wait()
                continue
            assert first is not None  # without one there is no deadline
            self._deadlines.pop(first, None)
            if first.state != ENDED:
                child = _child(first)
                first.end(KILLED)
                child.parent.shutdown_timed_out(child, first)

    def forget(self, cell: PassingCell) -> None:
        """The last step of a life has failed half-way: it must not stay among the living."""
        if cell.place is not None and cell in cell.place:
            del cell.place[cell]
        if self._deadlines is not None:
            self._deadlines.pop(cell, None)
            self._changed.set()


def _child(cell: PassingCell) -> Child:
    child = cell.life.child
    assert isinstance(child, Child)
    return child


def _claim(cell: PassingCell, predecessor: Owner | None) -> None:
    name = _child(cell).spec.name
    assert name is not None
    name._claim(cell.ref, predecessor)
