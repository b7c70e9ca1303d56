"""How you reach an actor: `Address`, and the reference to one life of an actor, `ActorRef`.

References and names (`Via`) share one interface, the `Address`. Each of its methods is a few lines over the actor's
`Cell`. The methods that most messages go through are in `hot_paths.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    TypeVarTuple,
    cast,
    overload,
)

import attrs
from trio.lowlevel import checkpoint, checkpoint_if_cancelled, current_task, enable_ki_protection

from .._runtime import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    ActorExited,
    CallCycle,
    Exit,
    Identity,
    Owner,
    TrioregError,
    current_actor,
    do_later,
    is_finalizing,
    show_methods_as,
    sleep_until_woken,
    users_part,
)
from .at_work import handling, own_frames
from .cell import ENDING, STOPPING, Reference
from .deadlock import begin_wait, waiting_for
from .function_actor import Function
from .hot_paths import MessagePaths
from .message import CAST, INFO
from .wait_graph import RoomWait, SleepingWait

if TYPE_CHECKING:
    from traceback import StackSummary

    from trio.lowlevel import Task

    from .._runtime import Run
    from .cell import Cell

ActorState: TypeAlias = Literal["starting", "running", "stopping", "ending", "ended"]

_STATES: tuple[ActorState, ...] = ("starting", "running", "stopping")

A = TypeVar("A", covariant=True)
R = TypeVar("R")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")


class Address(MessagePaths[A], Identity):
    """Where you can send messages: an `ActorRef` (one life of an actor) or a `Via` (the actor that has the name now).

    =====================  ==============================================  ==================================
    to                     waits for the answer / for room                 never waits
    =====================  ==============================================  ==================================
    call a method          ``await ref.call(SecretAgent.echo, "text")``
    cast to a method       ``await ref.cast(SecretAgent.note, "text")``    ``ref.cast_nowait(...)``
    send any object        ``await ref.send(message)``                     ``ref.send_nowait(message)``
    =====================  ==============================================  ==================================

    You pass a method as the class has it, and its arguments behind it, as with ``nursery.start_soon``. The actor looks
    it up by name on its own class, so an override is used. There are no timeout arguments: use `trio.fail_after`.
    """

    __slots__ = ()

    # What the error says behind the address if it is given as the name of a child.
    _instead_of_naming: ClassVar[str] = ""

    def _resolve(self) -> ActorRef[A]:
        """The reference of the actor that the address leads to now; raises if there is none."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _find(self) -> Cell | None:
        return self._resolve()._cell

    @overload
    async def cast(self, method: Callable[Concatenate[A, P], object], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    async def cast(self, method: Callable[[A, *Ts], object], /, *args: *Ts) -> None: ...
    @enable_ki_protection
    async def cast(self, method: Callable[..., Any], /, *args: object, **kwargs: object) -> None:
        """Have the actor run one of its methods, and do not wait for the result: ``GenServer.cast``.

        If the mailbox is bounded and full, this waits for room. If you cancel it while it waits, nothing is sent. A
        stopping actor may send to itself without an error: the message counts as unhandled. A checkpoint. Constant
        time.

        Args:
            method: A method of the actor's class (or of a base class), sync or async.
            args, kwargs: Its arguments.

        Raises:
            ActorExited: The actor has ended, is ending, or ends before there is room.
            CallCycle: There is no room, and the actor waits for the caller: it can't make room before the caller's own
                handler ends.
            NotRegistered: The address is a name that no actor has.
            TypeError: The actor has no such method, or the arguments do not fit. The actor lives on.
        """
        await checkpoint()
        cell = self._accepting()
        handler = cell.handlers.find(method, args, kwargs)
        if kwargs:
            await self._deliver(cell, CAST, (handler, args, kwargs))
        else:
            await self._deliver(cell, handler, args)

    @enable_ki_protection
    async def send(self, message: object) -> None:
        """Send any object to the actor's ``on_message``, or to a function actor's ``receive()``.

        If the mailbox is bounded and full, this waits for room. A checkpoint. Constant time.

        Raises:
            ActorExited, CallCycle, NotRegistered: As `cast`.
        """
        await checkpoint()
        await self._deliver(self._accepting(), INFO, message)

    @enable_ki_protection
    async def wait(self) -> Exit:
        """Wait until the actor has ended: ``Process.monitor``. A checkpoint; constant time. Any task may wait.

        Returns:
            How the actor ended. When this returns, its names are gone.

        Raises:
            CallCycle: The actor waits for the caller: it could not end before the caller's own handler ends.
            NotRegistered: The address is a name that no actor has.
        """
        try:
            ref = self._resolve()
        except TrioregError:
            await checkpoint_if_cancelled()
            raise
        cell = ref._cell
        if cell is None:
            await checkpoint()
        else:
            ref._require_thread()
            # If that actor waits for this one too, neither could ever go on: `waiting_for` refuses it.
            with waiting_for(cell, current_task(), SleepingWait):
                await cell.wait_ended()
        assert ref._exit is not None
        return ref._exit

    @enable_ki_protection
    async def stop(self) -> Exit:
        """Ask the actor to end when it has handled the messages in its mailbox, and wait until it has ended.

        Its exit is ``"normal"``, unless something else ends it first. Nothing new gets into the mailbox meanwhile. A
        function actor that has never called ``receive()`` is cancelled at once. If you cancel the wait, the actor ends
        all the same. A checkpoint; constant time.

        Returns:
            How the actor ended.

        Raises:
            CallCycle: The actor would wait for itself: in its own code use ``self.stop()``. Or it waits for the caller.
            NotRegistered: The address is a name that no actor has.
        """
        try:
            cell = self._cell or self._resolve()._cell
        except TrioregError:
            await checkpoint_if_cancelled()
            raise
        if cell is None:
            return await self.wait()
        ref = cell.ref
        if get_ident() != cell.thread:
            ref._require_thread()
        task = current_task()
        if cell.owns(task):
            raise CallCycle([ref, ref], [cell.title, cell.title])
        wait = None if current_actor.get(None) is None else begin_wait(cell, task, SleepingWait)
        try:
            cell.stop()
            # `Cell.wait_ended`, written out.
            watchers = cell.life.watchers
            if watchers is None:
                watchers = cell.life.watchers = {}
            sleep = sleep_until_woken()
            watchers[task] = None
            try:
                task.custom_sleep_data = watchers
                await sleep
            finally:
                watchers.pop(task, None)
        finally:
            if wait is not None:
                wait.end_wait()
        assert ref._exit is not None
        return ref._exit

    @enable_ki_protection
    def cancel(self) -> None:
        """End the actor now: its handler is cancelled, ``on_stop`` runs, and the exit is ``"shutdown"``.

        This does not wait for the end, and does nothing if the actor has ended. Not a checkpoint; constant time.

        Raises:
            NotRegistered: The address is a name that no actor has.
        """
        self._end(SHUTDOWN)

    @enable_ki_protection
    def kill(self) -> None:
        """End the actor at once, without its ``on_stop``: ``Process.exit(pid, :kill)``. The exit is ``"killed"``.

        Python can't end a task that shields itself from cancellation. The actor and its names stay until it leaves the
        shielded block. This does not wait for the end, and does nothing if the actor has ended. Not a checkpoint;
        constant time.

        Raises:
            NotRegistered: The address is a name that no actor has.
        """
        self._end(KILLED)

    def _end(self, exit: Exit) -> None:
        cell = self._find()
        if cell is not None:
            cell.ref._require_thread()
            if is_finalizing():
                do_later(cell.ref._run.token, self._end, exit)
            else:
                cell.end(exit)

    def _accepting(self) -> Cell:
        """The cell that takes a message now; raises if there is none. Only for the thread of the Trio run."""
        cell = self._find()
        if cell is None or (cell.state >= STOPPING and not cell.is_sent_by_itself()):
            raise self._exited(cell)
        if get_ident() != cell.thread:
            cell.ref._require_thread()
        return cell

    def _exited(self, cell: Cell | None) -> ActorExited:
        ref = self._resolve() if cell is None else cell.ref
        exit = self._resolve()._exit if cell is None else cell.life.exit
        error = ActorExited(ref, exit or NORMAL, was_sent=False)
        error.__cause__ = exit.error if exit is not None else None
        return error

    async def _deliver(self, cell: Cell, kind: object, payload: object) -> None:
        """Put a message in, and wait for room first if there is none. Raises if the actor ends before there is."""
        if cell.put_if_room(kind, payload):
            return
        # There is room when the actor takes its next message. So this waits for its handler, as a call does.
        with waiting_for(cell, current_task(), RoomWait):
            if not await cell.put_when_room(kind, payload):
                raise self._exited(cell)


show_methods_as("Address", MessagePaths)


@attrs.frozen
class ActorStatistics:
    """The numbers of an actor at one moment, from `ActorRef.statistics`.

    Attributes:
        queued: How many messages wait in its mailbox.
        peak: The most messages that have waited at once.
        handled: How many messages it has handled in this life.
        calls_in_flight: How many calls it has begun and not answered yet, deferred replies included.
        started_at: When it started, as `trio.current_time`, in seconds; None while it starts.
        restarts: How often its supervisor has restarted it.
        mailbox_size: How many messages may wait; None: any number.
        handling: The handler or the hook that it runs, as in ``"Cart.add"``. None while it runs none, and always for a
            function actor. What a supervisor does beside its messages is in `who`.
        handling_since: When that has begun, as `trio.current_time`, in seconds. None for a sync handler: it runs in one
            step, and while it runs, no other task does.
    """

    queued: int
    peak: int
    handled: int
    calls_in_flight: int
    started_at: float | None
    restarts: int
    mailbox_size: int | None = None
    handling: str | None = None
    handling_since: float | None = None


# `_cell` is a slot of `Reference`; for other addresses it is None in the class.
class ActorRef(Reference, Address[A]):  # pyright: ignore[reportIncompatibleVariableOverride]
    """The reference to one life of an actor: what a pid is on the BEAM.

    ``start_child`` gives you one; inside of an actor it is ``self.ref``, or `current`. A reference never leads to
    another life: a restarted actor has a new one. References are compared by identity, hashable, and safe to keep. They
    keep the state of an actor alive after one kind of end only: a crash that is not restarted, whose error has it.
    """

    __slots__ = ()

    _is_function = False

    def __init__(self, run: Run, label: str) -> None:
        Owner.__init__(self, run)  # not super(): one more object for each start
        self._cell = None
        self._exit = None
        self._label = label

    def __repr__(self) -> str:
        return f"<{self._label} #{self._number}>"

    @property
    def is_alive(self) -> bool:
        """Whether the actor has not ended yet: it may be starting or ending. Not a checkpoint; safe from any thread;
        constant time.

        When it is False, the actor's names are gone, or the next actor has them.
        """
        return self._exit is None or self._is_leaving()

    @property
    def state(self) -> ActorState:
        """What the actor is doing. Not a checkpoint; safe from any thread; constant time.

        - ``"starting"``: it takes messages and handles none yet.
        - ``"running"``
        - ``"stopping"``: `~Address.stop` was called. It handles the messages from before, and takes no others.
        - ``"ending"``: it is decided how it ends, and `exit` says so. It handles nothing more; `Actor.on_stop` runs.
        - ``"ended"``: `is_alive` is False.
        """
        cell = self._cell
        if cell is not None and cell.state < ENDING:
            return _STATES[cell.state]
        return "ending" if self.is_alive else "ended"

    @property
    def exit(self) -> Exit | None:
        """How the actor ended, or how it is going to end; None while that is open. Not a checkpoint; safe from any
        thread; constant time.

        A crash is there as soon as its caller has `ActorExited`. While the actor is still ending, another end may
        outweigh this one: an error in ``on_stop`` makes it a crash, and a kill makes an orderly end ``"killed"``. A
        crash stays a crash. A second error makes its ``error`` a group of both.
        """
        cell = self._cell
        return self._exit if cell is None else cell.life.decided(self._label)

    def statistics(self) -> ActorStatistics:
        """How busy the actor is. Not a checkpoint; safe from any thread; constant time.

        From another thread or from a signal handler you also see a sync handler at work, one that blocks the loop. Then
        the cost grows with the depth of the stack.

        Raises:
            ActorExited: The actor has ended.
        """
        cell = self._cell
        if cell is None:
            raise self._exited(None)
        child = getattr(cell.life, "child", None)
        if child is None:  # another thread asks, in the last step of the actor
            raise self._exited(None)
        name, since = handling(cell)
        return ActorStatistics(
            queued=cell.queued,
            peak=cell.peak,
            handled=cell.handled,
            calls_in_flight=cell.calls_in_flight,
            started_at=cell.life.started_at,
            restarts=child.restarts,
            mailbox_size=cell.limit,
            handling=name,
            handling_since=since,
        )

    def stack(self) -> StackSummary:
        """Where the actor's code stands now, the innermost line last. Empty if none of its code runs or waits.

        ::

            print("".join(ref.stack().format()))

        The lines of Trio and of trioreg are left out. A sync handler may run in the turn of its caller: then these are
        its lines there. Only another thread or a signal handler can see it at work. If a signal handler asks, its own
        lines are the last ones. Where the actor's background tasks stand is in `who`.

        Not a checkpoint; safe from any thread. The cost grows with the depth of the stack. The source is read from its
        file.

        Raises:
            ActorExited: The actor has ended.
        """
        cell = self._cell
        if cell is None:
            raise self._exited(None)
        return users_part(own_frames(cell))

    async def result(self: ActorRef[Function[R]]) -> R:
        """Wait until a function actor has ended, and give what it returned: ``Task.await``.

        Any number of tasks may ask, as often as they like. This is the result of one life: a restarted function has a
        new reference. If you cancel the wait, the function goes on. A checkpoint; constant time.

        Raises:
            ActorExited: The function did not return. It crashed (its error is the ``__cause__``) or was ended.
            CallCycle: As `~Address.wait`.
            TypeError: This is not the reference of a function actor.
        """
        if not self._is_function:
            raise TypeError(f"{self!r} is an Actor: only a function actor has a result")
        exit = await self.wait()
        if not exit.has_returned:
            raise self._exited(None)
        return cast("R", exit.value)

    def _resolve(self) -> ActorRef[A]:
        return self

    def _find(self) -> Cell | None:
        return self._cell

    def _is_of(self, cls: type) -> bool:
        """Whether this is an actor of a class, or of a subclass. An actor that has ended may be of any."""
        cell = self._cell
        return cell is None or issubclass(cell.handlers.cls or Function, cls)

    def _owns(self, task: Task) -> bool:
        return self._cell is not None and self._cell.owns(task)


class FunctionRef(ActorRef[A]):
    """The reference to a function actor. A class of its own, so that no reference needs a field that says so."""

    __slots__ = ()

    _is_function = True
