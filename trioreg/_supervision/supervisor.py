"""Supervisors of a fixed set of children, in order: `Supervisor` and `open_supervisor`."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar, TypeVarTuple, overload

import attrs
import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import Actor, ActorRef, Function, raises
from .._registry import Via
from .._runtime import RestartLimitExceeded
from .child_spec import ChildSpec, Restart, spec_of
from .engine import AutoShutdown, ChildState, Engine, Strategy
from .restart_intensity import Intensity
from .tree import Node, format_tree, node_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
S = TypeVar("S", bound="SupervisorBase")
Ts = TypeVarTuple("Ts")


@attrs.frozen
class ChildInfo:
    """One child, as `Supervisor.which_children` shows it.

    Attributes:
        id: What the supervisor knows it by; None under a `DynamicSupervisor`.
        ref: Its current life, or None while it has none.
        state: ``"starting"``, ``"running"``, ``"restarting"`` (it waits for its restart) or ``"ended"``.
        restarts: How often it has been restarted.
        is_supervisor: Whether it is a supervisor itself.
        spec: How it is started.
    """

    id: Hashable
    ref: ActorRef[Any] | None
    state: ChildState
    restarts: int
    is_supervisor: bool
    spec: ChildSpec


@attrs.frozen
class ChildCounts:
    """How many children a supervisor has, from `Supervisor.count_children`.

    Attributes:
        specs: All of them, those that have ended included.
        active: Those that have a life now.
        supervisors: Those that are supervisors.
        workers: The others.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


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
        self._engine.asker = current_task()
        self.start_soon(run)
        try:
            await started.wait()
        finally:
            self._engine.asker = None
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
        name: Via[Any, Any] | None = ...,
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[A]: ...
    @overload
    async def start_child(
        self,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        id: Hashable = ...,
        name: Via[Any, Any] | None = ...,
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
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
        return await self._engine.start_child(spec)

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
        await self._engine.terminate_child(child)

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
        auto_shutdown: AutoShutdown = "never",
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
            if spec.significant and auto_shutdown == "never":
                raise ValueError(f"auto_shutdown must not be 'never' for significant children: {spec!r}")
        if strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
            raise ValueError(f"strategy must be 'one_for_one', 'one_for_all' or 'rest_for_one', not {strategy!r}")
        if auto_shutdown not in ("never", "any_significant", "all_significant"):
            raise ValueError(
                f"auto_shutdown must be 'never', 'any_significant' or 'all_significant', not {auto_shutdown!r}"
            )
        _require_str(name)
        intensity = Intensity(max_restarts, max_seconds)
        self._engine = Engine(name, intensity, keeps_ended=True, strategy=strategy, auto_shutdown=auto_shutdown)

    @raises(Exception)
    async def restart_child(self, child: Hashable, /) -> ActorRef[Any]:
        """Start a child again that has ended, from the spec that was kept. Waits as `start_child` does.

        Raises:
            ChildNotFound: There is no such child.
            ChildNotEnded: It is alive, or waits for its restart.
            RuntimeError: The supervisor is not running (any more).
            AlreadyRegistered, ActorExited, Exception: As for `start_child`; the spec is kept.
        """
        return await self._engine.restart_child(child)

    @raises(Exception)
    def delete_child(self, child: Hashable, /) -> None:
        """Forget the spec of a child that has ended. Not a checkpoint; constant time.

        Raises:
            ChildNotFound: There is no such child.
            ChildNotEnded: It is alive, or waits for its restart: `terminate_child` first.
        """
        self._engine.delete_child(child)


class DynamicSupervisor(SupervisorBase):
    """A supervisor of any number of children that come and go, without an order among them.

    Arguments and behaviour are those of `open_dynamic_supervisor`.
    """

    def __init__(
        self,
        *,
        max_restarts: float = 3,
        max_seconds: float = 5.0,
        max_children: float = math.inf,
        name: str = "dynamic supervisor",
    ) -> None:
        if isinstance(max_children, bool) or not (isinstance(max_children, int) or max_children == math.inf):
            raise TypeError(f"max_children must be an int or math.inf, not {max_children!r}")
        if max_children < 0:
            raise ValueError(f"max_children must be at least 0, not {max_children!r}")
        _require_str(name)
        intensity = Intensity(max_restarts, max_seconds)
        self._engine = Engine(name, intensity, keeps_ended=False, max_children=max_children)

    @overload
    async def start_or_get(
        self,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[A]: ...
    @overload
    async def start_or_get(
        self,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[Function[R]]: ...
    @raises(Exception)  # type: ignore[misc]  # as for start_child
    async def start_or_get(
        self,
        factory: Callable[..., Any],
        /,
        *args: Any,
        name: Via[Any, Any],
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
    ) -> ActorRef[Any]:
        """The actor that has the name, or else a new child under it: however many ask at once, never two.

        One that is still starting is waited for; one that is ending is waited out; and so is the wait of a child of
        this supervisor that is to have the name again (`Backoff`). A checkpoint.

        Args:
            factory, args, restart, shutdown: As for ``start_child``.
            name: The name, from `Registry.via`.

        Returns:
            The reference of whoever has the name. It need not be a child of this supervisor.

        Raises:
            ActorExited: It was being started by somebody else, and failed; the error is the ``__cause__``.
            TypeError: ``name`` is not from `Registry.via`, or is held by a plain Trio task.
            Exception: As for ``start_child``, where it starts the child itself.
        """
        if not isinstance(name, Via):
            raise TypeError(f"name must come from Registry.via(), not {name!r}")
        return await self._engine.start_or_get(ChildSpec(factory, args, name=name, restart=restart, shutdown=shutdown))


def _is_single(group: BaseExceptionGroup[BaseException]) -> bool:
    """Whether there is one failure in it, beside a cancellation or not."""
    failures = group.split(trio.Cancelled)[1]
    return failures is not None and len(failures.exceptions) == 1


def _require_str(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {name!r}")


def open_supervisor(
    children: Iterable[ChildSpec] = (),
    *,
    strategy: Strategy = "one_for_one",
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
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
        strategy: Who is restarted when a child has ended that should not have: ``"one_for_one"`` (that child),
            ``"one_for_all"`` (all), ``"rest_for_one"`` (that child and those started after it). Several are ended in
            reverse order and started again in order; those that crash together are restarted once.
        max_restarts: How many restarts are allowed ...
        max_seconds: ... in how many seconds. One more, and the supervisor gives up.
        auto_shutdown: Whether the supervisor ends by itself when a significant child has ended for good: ``"never"``,
            ``"any_significant"`` (with the first), ``"all_significant"`` (with the last of them). The rest of the
            block is cancelled then.
        name: What it is called in the tree and in the log.

    Raises:
        RestartLimitExceeded: It gave up: the group of its children's errors.
        ExceptionGroup: A child did not start, or the block raised, as in a nursery.
        TypeError, ValueError: An argument is not what is said above.
    """
    return _opened(
        Supervisor(
            children,
            strategy=strategy,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            auto_shutdown=auto_shutdown,
            name=name,
        )
    )


def open_dynamic_supervisor(
    *,
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    max_children: float = math.inf,
    name: str = "dynamic supervisor",
) -> AbstractAsyncContextManager[DynamicSupervisor]:
    """Open a supervisor whose children are started with ``start_child`` only: Elixir's `DynamicSupervisor`.

    ::

        async with open_dynamic_supervisor() as supervisor:
            bond = await supervisor.start_child(SecretAgent, "James Bond", name=agents.via("James Bond"))

    Each child is on its own (one-for-one), and at the end they shut down side by side. It keeps nothing of a child
    that has ended for good. With ``max_children``, a start beyond so many is a `MaxChildren`. Leaving the block, the
    other arguments, and errors: as in `open_supervisor`.
    """
    return _opened(
        DynamicSupervisor(max_restarts=max_restarts, max_seconds=max_seconds, max_children=max_children, name=name)
    )


@asynccontextmanager
@enable_ki_protection
async def _opened(supervisor: S) -> AsyncGenerator[S]:
    engine = supervisor._engine
    try:
        async with trio.open_nursery() as nursery:
            started = trio.Event()

            @enable_ki_protection
            async def run() -> None:
                await engine.run(supervisor._specs, started.set)
                # It has ended: so has the block, if it has not been left, or not even been entered. (In this order: who
                # waits for the start has its turn with the block, and is not cancelled before.)
                started.set()
                nursery.cancel_scope.cancel()

            nursery.start_soon(run, name=engine.label)
            await started.wait()
            try:
                yield supervisor
            except BaseException:
                engine.close()
                raise
            engine.leave()
    except BaseExceptionGroup as group:
        # One group is enough: the supervisor's own failure is not wrapped in the nursery's once more. (What is in the
        # group may be a copy of it: that is how `Cancelled` is taken out of groups.)
        # As in the engine, an error outweighs the cancellation during which it came up.
        failure: object = engine.failure
        if isinstance(failure, RestartLimitExceeded) and _is_single(group):
            raise failure from None
        raise
    finally:
        engine.failure = None  # its traceback leads here: no cycle
