"""What every supervisor can do: `SupervisorBase`. A user meets it as `Supervisor` and `DynamicSupervisor`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Literal, TypeVar, TypeVarTuple, Unpack, overload

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import Actor, ActorRef, Function, raises
from .._registry import Via
from .child_info import ChildCounts, ChildInfo
from .child_options import ChildOptions
from .child_spec import ChildSpec, Restart, spec_of
from .engine import Engine
from .tree import Node, format_tree, node_of

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class SupervisorBase(Actor):
    """What every supervisor can do. It is an actor itself, so that a supervisor can start it: trees are nesting."""

    _is_supervisor = True
    _engine: Engine
    _specs: tuple[ChildSpec, ...] = ()

    async def on_start(self) -> None:
        started = trio.Event()
        failure: list[BaseException] = []

        @enable_ki_protection
        async def run() -> None:
            try:
                await self._engine.run(self._specs, started.set)
                Actor.stop(self)  # auto_shutdown: without its children, it has nothing left to do
            except BaseException as error:
                if not started.is_set() and isinstance(error, Exception):
                    failure.append(error)
                    return
                raise
            finally:
                started.set()

        # A child that calls this supervisor while it starts would wait for it, and this waits for that child.
        self._engine.starting.opener = current_task()
        self.start_soon(run)
        try:
            await started.wait()
        finally:
            self._engine.starting.opener = None
        if failure:
            raise failure[0]

    async def _run_on_start(self) -> None:
        await super()._run_on_start()
        if self._engine.task is None:
            raise RuntimeError(
                f"{type(self).__qualname__}.on_start() must call await super().on_start(): that starts the children"
            )

    def _killed(self) -> None:
        self._engine.kill()

    @enable_ki_protection
    def stop(self) -> None:
        """Shut the children down, each within its ``shutdown`` time, and end. Not a checkpoint; constant time.

        Where the supervisor was opened for a block, the block is left when they have ended.
        """
        if self._cell is None:
            self._engine.close()
        else:
            super().stop()

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
    async def start_child(self, factory: ChildSpec, /) -> ActorRef[Any]: ...
    # Asked by a call, too, a child that does not start is the caller's error: it does not crash the supervisor.
    @raises(Exception)  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    async def start_child(
        self,
        factory: Callable[..., Any] | ChildSpec,
        /,
        *args: Any,
        id: Hashable = None,
        name: Via[Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
    ) -> ActorRef[Any]:
        """Start one more child; return when it is named and started, or raise and leave nothing behind.

        A checkpoint. If it is cancelled while the child starts, the child is ended first. Constant time. On the object
        itself any number of starts run side by side; those that are asked of it by ``ref.call(...)`` run one after the
        other, as all its messages do, and their errors are the caller's.

        Args:
            factory: An `Actor` class or an async function (or a ``functools.partial`` of one, for keyword arguments),
                or a whole `ChildSpec`, with nothing beside it.
            args: Its arguments.
            id, name, restart, shutdown: As in `ChildSpec`.

        Returns:
            The reference of the child's first life. An async function counts as started when its task runs.

        Raises:
            AlreadyRegistered: Somebody has the name.
            ActorExited: The child was ended from elsewhere before it had started.
            RuntimeError: The supervisor is not running (any more).
            TypeError, ValueError: An argument is not what `ChildSpec` takes, or the id is taken.
            Exception: What the child's ``__init__`` or ``on_start`` raised.
        """
        spec = spec_of(factory, args, id=id, name=name, restart=restart, shutdown=shutdown)
        return await self._engine.starting.start_child(spec)

    @raises(Exception)
    async def terminate_child(self, child: Hashable, /) -> None:
        """End a child within its ``shutdown`` time, and wait until it has ended. It is not restarted.

        A `Supervisor` keeps its spec (unless it is temporary) for `~Supervisor.restart_child`; a `DynamicSupervisor`
        forgets it. A child that waits for its restart does not get one. A child that has ended already is no error. A
        checkpoint; if it is cancelled while the child ends, that goes on. So a child can terminate itself, from any of
        its tasks, or a supervisor that it is under: it does not come back from that call, unless it was ending already.

        Args:
            child: Its id (not in a `DynamicSupervisor`), or the `ActorRef` of its current life; of its last one, while
                it waits for its restart.

        Raises:
            ChildNotFound: There is no such child.
            TypeError: ``child`` is neither.
        """
        await self._engine.termination.terminate_child(child)

    def which_children(self) -> list[ChildInfo]:
        """All children, in start order. Not a checkpoint; costs as much as there are."""
        return [
            ChildInfo(
                None if child.id is child else child.id,
                child.ref,
                child.state,
                child.restarts,
                child.spec.kind.is_supervisor,
                child.spec,
            )
            for child in list(self._engine.children.values())
        ]

    def count_children(self) -> ChildCounts:
        """How many children there are. Not a checkpoint; costs as much as there are."""
        children = self.which_children()
        supervisors = sum(child.is_supervisor for child in children)
        active = sum(child.ref is not None for child in children)
        return ChildCounts(len(children), active, supervisors, len(children) - supervisors)

    def tree(self) -> str:
        """The supervision tree from here down, as text for people: references, names, restarts.

        Not a checkpoint; costs as much as there are children.
        """
        return format_tree(self._node())

    def _node(self) -> Node:
        return node_of(self._engine)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._engine.children)} children>"


def require_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")
