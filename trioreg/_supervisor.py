"""Supervisors of a fixed set of children, in order: `Supervisor` and `open_supervisor`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, TypeVarTuple, overload

import trio

from ._actor import Actor, Function
from ._child_spec import ChildSpec, Restart
from ._errors import RestartLimitExceeded
from ._intensity import Intensity
from ._ref import ActorRef
from ._supervision import Engine
from ._tree import Node, format_tree, node_of
from ._via import Via

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

A = TypeVar("A", bound=Actor)
S = TypeVar("S", bound="SupervisorBase")
Ts = TypeVarTuple("Ts")

Strategy: TypeAlias = Literal["one_for_one"]


class SupervisorBase(Actor):
    """What every supervisor can do. It is an actor itself, so that a supervisor can start it: trees are nesting."""

    _is_supervisor = True
    _engine: Engine
    _specs: tuple[ChildSpec, ...] = ()

    async def on_start(self) -> None:
        started = trio.Event()
        failure: list[BaseException] = []

        async def run() -> None:
            try:
                await self._engine.run(self._specs, task_status=_Started(started))
            except BaseException as error:
                if not started.is_set() and isinstance(error, Exception):
                    failure.append(error)
                    return
                raise
            finally:
                started.set()

        self.start_soon(run)
        await started.wait()
        if failure:
            raise failure[0]

    def _killed(self) -> None:
        self._engine.kill()

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
        name: Via[Any, Any] | None = ...,
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[A]: ...
    @overload
    async def start_child(
        self,
        factory: Callable[[*Ts], Awaitable[object]],
        /,
        *args: *Ts,
        id: Hashable = ...,
        name: Via[Any, Any] | None = ...,
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[Function]: ...
    @overload
    async def start_child(self, factory: ChildSpec, /) -> ActorRef[Any]: ...
    async def start_child(  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
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

        A checkpoint. If it is cancelled while the child starts, the child is ended first. Constant time.

        Args:
            factory: An `Actor` class or an async function (or a ``functools.partial`` of one, for keyword arguments),
                or a whole `ChildSpec`.
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
        if isinstance(factory, ChildSpec):
            spec = factory
        else:
            spec = ChildSpec(factory, args, id=id, name=name, restart=restart, shutdown=shutdown)
        return await self._engine.start_child(spec)

    def tree(self) -> str:
        """The supervision tree from here down, as text for people: references, names, restarts.

        Not a checkpoint; costs as much as there are children.
        """
        return format_tree(self._node())

    def _node(self) -> Node:
        return node_of(self._engine)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._engine.children)} children>"


class _Started(trio.TaskStatus[None]):
    def __init__(self, event: trio.Event) -> None:
        self._event = event

    def started(self, value: None = None) -> None:
        self._event.set()


class Supervisor(SupervisorBase):
    """A supervisor of a fixed list of children, started in order and stopped in reverse order.

    Arguments and behaviour are those of `open_supervisor`. As a class it is what another supervisor starts::

        open_supervisor(children=[ChildSpec(Supervisor, args=([...],), id="games")])
    """

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        max_restarts: float = 3,
        max_seconds: float = 5.0,
        name: str = "supervisor",
    ) -> None:
        if not isinstance(children, Iterable):
            raise TypeError(f"children must be ChildSpecs, not {children!r}")
        self._specs = tuple(children)
        ids: set[Hashable] = set()
        for spec in self._specs:
            if not isinstance(spec, ChildSpec):
                raise TypeError(f"children must be ChildSpecs, not {spec!r}")
            if spec.id is not None and spec.id in ids:
                raise ValueError(f"id {spec.id!r} is taken: two of the children have it")
            ids.add(spec.id)
        if strategy != "one_for_one":
            raise ValueError(f"strategy must be 'one_for_one', not {strategy!r}")
        _require_str(name)
        self._engine = Engine(name, Intensity(max_restarts, max_seconds), keeps_ended=True)


class DynamicSupervisor(SupervisorBase):
    """A supervisor of any number of children that come and go, without an order among them.

    Arguments and behaviour are those of `open_dynamic_supervisor`.
    """

    def __init__(self, *, max_restarts: float = 3, max_seconds: float = 5.0, name: str = "dynamic supervisor") -> None:
        _require_str(name)
        self._engine = Engine(name, Intensity(max_restarts, max_seconds), keeps_ended=False)


def _require_str(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")


def open_supervisor(
    children: Iterable[ChildSpec] = (),
    *,
    strategy: Strategy = "one_for_one",
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    name: str = "supervisor",
) -> AbstractAsyncContextManager[Supervisor]:
    """Open a supervisor for a block: a nursery that restarts.

    ::

        async with open_supervisor(children=[ChildSpec(Cache), ChildSpec(Web)]) as supervisor:
            ...

    Entering starts the children in order. Leaving the block waits until the last child has ended for good, as a
    nursery does; leaving it by an exception, or cancelling it, shuts the children down in reverse order, each within
    its ``shutdown`` time.

    Args:
        children: What to start, in this order.
        strategy: ``"one_for_one"``: only the child that ended is restarted.
        max_restarts: How many restarts are allowed ...
        max_seconds: ... in how many seconds. One more, and the supervisor gives up.
        name: What it is called in the tree and in the log.

    Raises:
        RestartLimitExceeded: It gave up: the group of its children's errors.
        ExceptionGroup: A child did not start, or the block raised, as in a nursery.
        TypeError, ValueError: An argument is not what is said above.
    """
    return _opened(
        Supervisor(children, strategy=strategy, max_restarts=max_restarts, max_seconds=max_seconds, name=name)
    )


def open_dynamic_supervisor(
    *, max_restarts: float = 3, max_seconds: float = 5.0, name: str = "dynamic supervisor"
) -> AbstractAsyncContextManager[DynamicSupervisor]:
    """Open a supervisor whose children are started with ``start_child`` only: Elixir's `DynamicSupervisor`.

    ::

        async with open_dynamic_supervisor() as supervisor:
            bond = await supervisor.start_child(SecretAgent, "James Bond", name=agents.via("James Bond"))

    Each child is on its own (one-for-one), and at the end they shut down side by side. It keeps nothing of a child
    that has ended for good. Leaving the block, arguments and errors: as in `open_supervisor`.
    """
    return _opened(DynamicSupervisor(max_restarts=max_restarts, max_seconds=max_seconds, name=name))


@asynccontextmanager
async def _opened(supervisor: S) -> AsyncGenerator[S]:
    engine = supervisor._engine
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run, supervisor._specs)
            try:
                yield supervisor
            except BaseException:
                engine.close()
                raise
            engine.leave()
    except BaseExceptionGroup as group:
        # One group is enough: the supervisor's own failure is not wrapped in the nursery's once more. (What is in the
        # group may be a copy of it: that is how `Cancelled` is taken out of groups.)
        failure: object = engine.failure
        if isinstance(failure, RestartLimitExceeded) and len(group.exceptions) == 1:
            raise failure from None
        raise
    finally:
        engine.failure = None  # its traceback leads here: no cycle
