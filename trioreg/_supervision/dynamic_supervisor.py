"""Supervisors of any number of children that come and go: `DynamicSupervisor` and `open_dynamic_supervisor`."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeVar, TypeVarTuple, Unpack, overload

from .._actors import Actor, ActorRef, Function, beside
from .._registry import Via
from .._runtime import require_count
from .backoff import Backoff
from .child_options import LifeOptions
from .child_spec import ChildSpec, Restart, spec_of
from .engine import Engine
from .restart_intensity import RestartIntensity
from .restart_limit import RestartLimit
from .supervisor_base import SupervisorBase, require_name
from .supervisor_block import AtEnd, SupervisorBlock

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class DynamicSupervisor(SupervisorBase):
    """A supervisor of any number of children that come and go. They have no order.

    It takes the arguments of `open_dynamic_supervisor`, and does the same. The class is for trees: another supervisor
    starts it::

        open_supervisor(children=[ChildSpec(DynamicSupervisor, name=names.via("rooms"))])
    """

    _default_name = "dynamic supervisor"

    def __init__(
        self,
        *,
        max_restarts: float = 3,
        max_seconds: float = 5.0,
        max_children: float = math.inf,
        name: str | None = None,
    ) -> None:
        require_count("max_children", max_children, 0, infinite=True)
        require_name(name)
        self._specs = []
        intensity = RestartIntensity(max_restarts, max_seconds)
        label = self._label(name)
        self._engine = Engine(label, intensity, keeps_ended=False, max_children=max_children)

    @overload
    async def start_or_get(
        self,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        name: Via[Any, Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_or_get(
        self,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[Function[R]]: ...
    @overload
    async def start_or_get(self, factory: ChildSpec[T], /) -> ActorRef[T]: ...
    @beside  # type: ignore[misc]  # as for start_child
    async def start_or_get(
        self,
        factory: Callable[..., Any] | ChildSpec,
        /,
        *args: Any,
        name: Via[Any, Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
        backoff: Backoff | None = None,
        limit: RestartLimit | None = None,
    ) -> ActorRef[Any]:
        """The actor that has the name, or else a new child with that name. Never two, even if many tasks ask at once.

        ::

            room = await supervisor.start_or_get(Room, "cats", name=names.via("room: cats"))

        If the actor with the name is still starting, this waits until it has started. If that actor is ending, this
        waits until it has ended. If a child of this supervisor with that name waits for its restart (`Backoff`), this
        waits for the restart. A checkpoint; constant time.

        Args:
            factory: An `Actor` class or an async function, or a ``functools.partial`` of one. Or a whole `ChildSpec`
                that has a name, with nothing beside it.
            args: Its arguments.
            name: The name, from `Registry.via`.
            restart: When the child is restarted: ``"permanent"``, ``"transient"`` or ``"temporary"``.
            shutdown: How long the child may take to end: seconds, ``math.inf`` or ``"kill"``.
            backoff: How long the child waits before each restart, as in `ChildSpec`.
            limit: How many restarts the child may have, and what follows from one more, as in `ChildSpec`.

        Returns:
            The reference of the actor that has the name. It need not be a child of this supervisor.

        Raises:
            ActorExited: Another task was starting the actor, and it failed; its error is the ``__cause__``.
            TypeError: ``name`` is not from `Registry.via`, or a plain Trio task holds it.
            Exception: As for `start_child`, if it starts the child itself.
        """
        spec = spec_of(factory, args, None, name, restart, shutdown, backoff, limit)
        if spec.name is None:
            raise TypeError("name must come from Registry.via(), not None")
        self._engine.require_thread()
        return await self._engine.starting.start_or_get(spec)


def open_dynamic_supervisor(
    *,
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    max_children: float = math.inf,
    name: str | None = None,
    at_end: AtEnd = "wait",
) -> AbstractAsyncContextManager[DynamicSupervisor]:
    """Open a supervisor for children that come and go, each started with ``start_child``: Elixir's `DynamicSupervisor`.

    ::

        async with open_dynamic_supervisor() as supervisor:
            bond = await supervisor.start_child(SecretAgent, "James Bond")

    A crash restarts only the child that crashed. At the end the children shut down side by side. A child that has ended
    for good is forgotten. Leaving the block, and errors: as in `open_supervisor`. Entering and leaving are checkpoints.
    A start and a restart cost constant time.

    Args:
        max_restarts: How many restarts are allowed within ``max_seconds``. At one more, the supervisor gives up.
        max_seconds: The length of that time, in seconds.
        max_children: How many children there may be at once. One more start raises `MaxChildren`.
        at_end: What happens at the end of the block: ``"wait"`` until the last child has ended for good, as a nursery
            does (a permanent child never does, and a line of the log says so), or ``"stop"`` the children.
        name: What it is called in the tree and in the log. None means "dynamic supervisor"; below another supervisor,
            its id or name.

    Raises:
        ExceptionGroup: It gave up (a `RestartLimitExceeded` and the errors that led to it are in the group).
        ExceptionGroup: The block raised, as in a nursery.
        TypeError, ValueError: An argument is not what is said above.
    """
    return SupervisorBlock(
        DynamicSupervisor(max_restarts=max_restarts, max_seconds=max_seconds, max_children=max_children, name=name),
        "open_dynamic_supervisor(...)",
        at_end,
    )
