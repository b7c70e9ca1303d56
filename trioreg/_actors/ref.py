"""How an actor is reached: `Address`, and the reference to one life of an actor, `ActorRef`.

Both ends of trioreg meet here: names (`Via`) and references share one interface, and everything they do is a few
lines over the actor's `Cell`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, TypeVarTuple, cast, overload

import attrs
from trio.lowlevel import checkpoint, current_task, enable_ki_protection

from .._runtime import KILLED, NORMAL, SHUTDOWN, ActorExited, CallCycle, Exit
from .cell import STOPPING, Reference
from .deadlock import waiting_for
from .hot_paths import MessagePaths
from .message import CAST, INFO

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .._runtime import Run
    from .cell import Cell
    from .function_actor import Function

A = TypeVar("A", covariant=True)
R = TypeVar("R")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")


class Address(MessagePaths[A]):
    """Where messages can be sent: an `ActorRef` (one life of an actor) or a `Via` (whoever has the name).

    =====================  ==============================================  ==================================
    to                     waits for the answer / for room                 never waits
    =====================  ==============================================  ==================================
    call a method          ``await ref.call(SecretAgent.echo, "text")``
    cast to a method       ``await ref.cast(SecretAgent.note, "text")``    ``ref.cast_nowait(...)``
    send any object        ``await ref.send(message)``                     ``ref.send_nowait(message)``
    =====================  ==============================================  ==================================

    A method is passed as the class has it, with its arguments behind it, as to ``nursery.start_soon``; it is resolved
    by name on the actor's own class, so overrides are honoured. There are no timeout arguments: `trio.fail_after`.
    """

    __slots__ = ()

    def _resolve(self) -> ActorRef[A]:
        """The actor it leads to now; raises if there is none."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _find(self) -> Cell | None:
        """What the actor it leads to now is run by; None if that has ended; raises if there is none."""
        return self._resolve()._cell

    @overload
    async def cast(self, method: Callable[Concatenate[A, P], object], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    async def cast(self, method: Callable[[A, *Ts], object], /, *args: *Ts) -> None: ...
    @enable_ki_protection
    async def cast(self, method: Callable[..., Any], /, *args: object, **kwargs: object) -> None:
        """Have the actor run one of its methods, and do not wait for it: ``GenServer.cast``.

        Where the mailbox is bounded, it waits for room; if it is cancelled while it waits, nothing was sent. What a
        stopping actor sends to itself is no error, and is counted among what was left. A checkpoint. Constant time.

        Args:
            method: A method of the actor's class (or of a base class), sync or async.
            args, kwargs: Its arguments.

        Raises:
            ActorExited: The actor has ended or is ending, or ends before there is room.
            CallCycle: There is no room, and can't be any before the caller has ended its own handler.
            NotRegistered: The address is a name that nobody has.
            TypeError: It is no method of this actor, or the arguments do not fit. The actor lives on.
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

        A checkpoint. Waits for room where the mailbox is bounded. Constant time.

        Raises:
            ActorExited, CallCycle, NotRegistered: As `cast`.
        """
        await checkpoint()
        await self._deliver(self._accepting(), INFO, message)

    @enable_ki_protection
    async def wait(self) -> Exit:
        """Wait until the actor has ended: ``Process.monitor``. A checkpoint. Any number of tasks may wait.

        Returns:
            How it ended; at once if it already has. When this returns, the names of that actor are gone.

        Raises:
            CallCycle: That actor waits for the caller, and can't end before the caller has ended its own handler.
            NotRegistered: The address is a name that nobody has.
        """
        ref = self._resolve()
        cell = ref._cell
        if cell is None:
            await checkpoint()
        else:
            ref._require_thread()
            # An actor whose handler waits here may not be waited for by that other one: nobody would ever go on.
            with waiting_for(cell, current_task()):
                await cell.wait_ended()
        assert ref._exit is not None
        return ref._exit

    @enable_ki_protection
    async def stop(self) -> Exit:
        """Ask the actor to end when it has handled what is in its mailbox, and wait until it has.

        Its exit is ``"normal"``, unless something else ends it first. Nothing new gets into the mailbox meanwhile. A
        function actor that never calls ``receive()`` is cancelled at once. If the wait is cancelled, the actor still
        ends. A checkpoint.

        Raises:
            CallCycle: It is the actor itself that asks, and would wait for itself (it has ``self.stop()``).
            NotRegistered: The address is a name that nobody has.
        """
        ref = self._resolve()
        cell = ref._cell
        if cell is None:
            return await ref.wait()
        ref._require_thread()
        if cell.owns(current_task()):
            raise CallCycle([ref, ref], [cell.title, cell.title])
        with waiting_for(cell, current_task()):
            cell.stop()
            await cell.wait_ended()
        assert ref._exit is not None
        return ref._exit

    @enable_ki_protection
    def cancel(self) -> None:
        """End the actor now: what it is doing is cancelled, ``on_stop`` runs, the exit is ``"shutdown"``.

        Not a checkpoint: it does not wait, and does nothing if the actor has ended. Constant time.

        Raises:
            NotRegistered: The address is a name that nobody has.
        """
        cell = self._find()
        if cell is not None:
            cell.ref._require_thread()
            cell.end(SHUTDOWN)

    @enable_ki_protection
    def kill(self) -> None:
        """End the actor at once, without its ``on_stop``: ``Process.exit(pid, :kill)``. The exit is ``"killed"``.

        Python can't end a task that shields itself from cancellation: until such a block is left the actor, and its
        names, stay. Not a checkpoint; does nothing if the actor has ended. Constant time.

        Raises:
            NotRegistered: The address is a name that nobody has.
        """
        cell = self._find()
        if cell is not None:
            cell.ref._require_thread()
            cell.end(KILLED)

    def _accepting(self) -> Cell:
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
        if cell.limit is None or not cell.is_full or not cell.is_open:
            cell.put(kind, payload)
            return
        # There is room when the actor takes its next message: so this waits for its handler, as a call does.
        with waiting_for(cell, current_task()):
            if not await cell.put_when_room(kind, payload):
                raise self._exited(cell)


@attrs.frozen
class ActorStatistics:
    """A look at an actor, from `ActorRef.statistics`.

    Attributes:
        queued: How many messages wait in its mailbox.
        peak: The most that have waited at once.
        handled: How many it has handled in this life.
        calls_in_flight: How many calls it has begun and not answered, deferred replies included.
        started_at: When it had started, as `trio.current_time`, in seconds; None while it starts.
        restarts: How often its supervisor has restarted it.
    """

    queued: int
    peak: int
    handled: int
    calls_in_flight: int
    started_at: float | None
    restarts: int


class ActorRef(Reference, Address[A]):
    """The reference to one life of an actor: what a pid is on the BEAM.

    You get one from ``start_child`` (or as ``self.ref``, or from `current`). It stays what it is when the actor has
    ended: a restarted actor has another. Compared by identity, hashable, safe to keep; it does not keep the actor's
    state alive.
    """

    __slots__ = ("_cell", "_exit")

    _is_function = False

    def __init__(self, run: Run, label: str) -> None:
        super().__init__(run)
        self._cell: Cell | None = None
        self._exit: Exit | None = None
        self._label = label

    def __repr__(self) -> str:
        return f"<{self._label} #{self._number}>"

    @property
    def is_alive(self) -> bool:
        """Whether the actor has not ended yet (it may be starting, or ending). Not a checkpoint; constant time."""
        return self._exit is None

    @property
    def exit(self) -> Exit | None:
        """How the actor ended, or None while it is alive. Not a checkpoint; constant time."""
        return self._exit

    def statistics(self) -> ActorStatistics:
        """What the actor is busy with. Not a checkpoint; constant time.

        Raises:
            ActorExited: The actor has ended.
        """
        cell = self._cell
        if cell is None:
            raise self._exited(None)
        return ActorStatistics(
            queued=cell.queued,
            peak=cell.peak,
            handled=cell.handled,
            calls_in_flight=cell.calls_in_flight,
            started_at=cell.life.started_at,
            restarts=cell.life.child.restarts,
        )

    async def result(self: ActorRef[Function[R]]) -> R:
        """Wait until a function actor has ended, and give what it returned: ``Task.await``.

        Any number of tasks may ask, as often as they like. It is the result of this one life: a restarted function
        has another reference. A checkpoint; if it is cancelled, the function goes on.

        Raises:
            ActorExited: It has not returned: it crashed (its error is the ``__cause__``), or was ended.
            CallCycle: As `~Address.wait`.
            TypeError: It is no function actor.
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

    def _owns(self, task: Task) -> bool:
        return self._cell is not None and self._cell.owns(task)

    def _set_ended(self, exit: Exit) -> None:
        self._exit = exit
        self._cell = None


class FunctionRef(ActorRef[A]):
    """What the reference to a function actor is at run time: so a reference knows it without a field for it."""

    __slots__ = ()

    _is_function = True
