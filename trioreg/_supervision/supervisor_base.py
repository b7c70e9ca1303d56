"""What every supervisor can do: the common base of `Supervisor` and `DynamicSupervisor`.

The class is a thin end over its `Engine` (`engine.py`), and makes an actor of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from threading import get_ident
from typing import Any, ClassVar, Literal, TypeVar, TypeVarTuple, Unpack, overload

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import Actor, ActorRef, EndsBelow, Function, beside
from .._registry import Via
from .._runtime import Identity, current_run, do_later, is_finalizing, show_methods_as
from .backoff import Backoff
from .child import Child
from .child_info import ChildCounts, ChildInfo, info_of
from .child_options import ChildOptions
from .child_spec import ChildSpec, Restart, spec_of
from .engine import Engine
from .restart_limit import RestartLimit
from .tree import node_of
from .tree_text import format_tree

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SupervisorBase(Actor, Identity):
    """What every supervisor can do. It is an actor, so another supervisor can start it: that makes a tree.

    Every method declares every error (`raises`), the methods of a subclass too. An actor crashes to get rid of a state
    that may be wrong. The state of a supervisor is its children, and no method can make that wrong: a crash would cost
    the children, and mend nothing.
    """

    _trioreg_is_supervisor = True
    _trioreg_is_side_by_side: ClassVar[bool] = True
    _trioreg_declares: ClassVar[tuple[type[Exception], ...]] = (Exception,)
    _default_name = "supervisor"
    _engine: Engine
    _specs: list[ChildSpec]

    @enable_ki_protection  # Ctrl-C would leave this task in the event as one that sleeps, and break Trio
    async def on_start(self) -> None:
        started = trio.Event()
        failure: list[BaseException] = []

        @enable_ki_protection
        async def run() -> None:
            try:
                await self._engine.run(self._specs, started.set)
                Actor.stop(self)  # auto_shutdown: without its children it has nothing left to do
            except BaseException as error:
                if not started.is_set() and isinstance(error, Exception):
                    failure.append(error)
                    return
                raise
            finally:
                started.set()

        cell = self.ref._cell
        assert cell is not None
        # This task waits for the children. A child that calls this supervisor in its own start would wait for this
        # task, so the starts have to know it: that call is refused as a cycle.
        self._engine.starting.opener = current_task()
        own = cell.life.child
        self._engine.own_child = own if isinstance(own, Child) else None
        cell.life.end_waits = {}
        cell.waits = {} if cell.waits is None else cell.waits
        for waits in (cell.waits, cell.life.end_waits):
            EndsBelow(cell.ref, waits, self._engine.ends_below, self._engine.is_closing)
        self.start_soon(run)
        try:
            await started.wait()
        finally:
            self._engine.starting.opener = None
        if failure:
            raise failure[0]

    async def _trioreg_start(self) -> None:
        await super()._trioreg_start()
        if self._engine.task is None:
            raise RuntimeError(
                f"{type(self).__qualname__}.on_start() must call await super().on_start(): that starts the children"
            )

    def _label(self, name: str | None) -> str:
        """What the supervisor is called in errors and in the log: below another one, the path down to it.

        The path is made of what each supervisor is called: its ``name``, or else its id or name as a child.
        """
        child = None if self._trioreg_cell is None else self._trioreg_cell.life.child
        if not isinstance(child, Child):
            return self._default_name if name is None else name
        if name is None:
            name = child.plain_title
        return f"{child.parent.label}/{name}"

    def _trioreg_killed(self) -> None:
        self._engine.kill()

    @enable_ki_protection
    def stop(self, value: object = None, /) -> None:
        """Shut the children down, each within its ``shutdown`` time, and end.

        The block of `open_supervisor` is left when they have ended. Not a checkpoint; constant time.

        Args:
            value: As in `Actor.stop`, for a supervisor that is a child. A block has no `Exit`, so there it is ignored.

        Raises:
            NotRunning: The supervisor has not been started.
            RuntimeError: This is not the thread of the Trio run.
        """
        if self._trioreg_cell is None:
            if is_finalizing():
                do_later(current_run().token, self.stop, value)
            else:
                self._engine.require_thread()
                self._engine.close()
        else:
            super().stop(value)

    @overload
    async def start_child(
        self,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        id: Hashable = ...,
        **options: Unpack[ChildOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_child(
        self,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        id: Hashable = ...,
        **options: Unpack[ChildOptions],
    ) -> ActorRef[Function[R]]: ...
    @overload
    async def start_child(self, factory: ChildSpec[T], /) -> ActorRef[T]: ...
    @beside  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    async def start_child(
        self,
        factory: Callable[..., Any] | ChildSpec,
        /,
        *args: Any,
        id: Hashable = None,
        name: Via[Any, Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
        backoff: Backoff | None = None,
        limit: RestartLimit | None = None,
    ) -> ActorRef[Any]:
        """Start one more child. Return when it is named and started, or raise and leave nothing behind.

        ::

            name = agents.via("James Bond")
            bond = await supervisor.start_child(SecretAgent, "James Bond", name=name)

        A checkpoint; constant time. If you cancel it while the child starts, the child is ended first. If several
        children are being restarted together, this waits until that is over.

        Any number of starts run side by side, those too that are asked for by ``ref.call(...)``: the supervisor takes
        other messages meanwhile. An error goes to the caller.

        Args:
            factory: An `Actor` class or an async function, or a ``functools.partial`` of one for keyword arguments. Or
                a whole `ChildSpec`, with nothing beside it.
            args: Its arguments.
            id: What a `Supervisor` knows the child by. None makes one up from the name or the factory.
            name: The name that the child has in a registry, from `Registry.via`.
            restart: When it is restarted: ``"permanent"``, ``"transient"`` or ``"temporary"``, as in `ChildSpec`.
            shutdown: How long it may take to end: seconds, ``math.inf`` or ``"kill"``, as in `ChildSpec`.
            backoff: How long it waits before each restart, as in `ChildSpec`.
            limit: How many restarts it may have, and what follows from one more, as in `ChildSpec`.

        Returns:
            The reference of the child's first life. An async function has started when its task runs.

        Raises:
            AlreadyRegistered: The name is taken.
            MaxChildren: A `DynamicSupervisor` has ``max_children`` already.
            ActorExited: The child was ended before it had started.
            CallCycle: The supervisor, or a restart of several children, waits for the caller.
            NotRunning: The supervisor is not running (any more).
            RuntimeError: This is not the thread of the supervisor's Trio run.
            TypeError, ValueError: An argument is not what `ChildSpec` takes, or the id is taken.
            Exception: What the child's ``__init__`` or ``on_start`` raised.
        """
        starting = self._engine.starting
        if get_ident() != starting.thread:  # no call: what a start costs is its calls
            self._engine.require_thread()
        spec = spec_of(factory, args, id, name, restart, shutdown, backoff, limit)
        return await starting.start_child(spec)

    @beside
    async def terminate_child(self, child: Hashable, /) -> None:
        """End a child within its ``shutdown`` time, and wait until it has ended. It is not restarted.

        A `Supervisor` keeps the spec for `~Supervisor.restart_child`, unless the child is temporary. A
        `DynamicSupervisor` forgets the child. If the child waits for its restart, it does not get one. If it has ended
        already, that is no error.

        A checkpoint; constant time. If you cancel the wait, the child still ends. So a child can terminate itself, or a
        supervisor above it, from any of its tasks. That call does not return, unless the child was ending already.

        Args:
            child: The `ActorRef` of its current life, or of its last one until its next life has started. In a
                `Supervisor` also its id.

        Raises:
            CallCycle: The child is ending already, and its ``on_stop`` waits for the caller.
            ChildNotFound: There is no such child.
            TypeError: ``child`` is not a reference, and not an id of a `Supervisor`.
            RuntimeError: This is not the thread of the Trio run.
        """
        self._engine.require_thread()
        await self._engine.termination.terminate_child(child)

    def which_children(self) -> list[ChildInfo]:
        """All children, in start order. Not a checkpoint; safe from any thread; the cost grows with their number."""
        return [info_of(child) for child in list(self._engine.children.values())]

    def which_child(self, child: Hashable, /) -> ChildInfo:
        """One child. Not a checkpoint; safe from any thread; constant time.

        Args:
            child: The `ActorRef` of its current life, or of its last one until its next life has started. In a
                `Supervisor` also its id.

        Raises:
            ChildNotFound: There is no such child.
            TypeError: ``child`` is not a reference, and not an id of a `Supervisor`.
        """
        return info_of(self._engine.book.find(child))

    def count_children(self) -> ChildCounts:
        """How many children there are. Not a checkpoint; safe from any thread; the cost grows with their number."""
        children = self.which_children()
        supervisors = sum(child.is_supervisor for child in children)
        active = sum(child.state == "running" for child in children)
        return ChildCounts(len(children), active, supervisors, len(children) - supervisors)

    def tree(self) -> str:
        """The supervision tree from here down, as text for people: names, references, and what is not as usual.

        The tree of the whole program, and as data, is `trioreg.tree`. Not a checkpoint; safe from any thread; the cost
        grows with the number of children.
        """
        return format_tree(node_of(self._engine), now=self._engine.now())

    def __repr__(self) -> str:
        count = len(self._engine.children)
        return f"<{type(self).__name__}, {count} {'child' if count == 1 else 'children'}>"


show_methods_as("Supervisor", SupervisorBase)


def require_name(name: object) -> None:
    """`TypeError` unless this can be the name of a supervisor: a str, or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")
