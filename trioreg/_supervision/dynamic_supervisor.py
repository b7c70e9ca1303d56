"""Supervisors of any number of children that come and go: `DynamicSupervisor` and `open_dynamic_supervisor`."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, TypeVar, TypeVarTuple, Unpack, overload

from .._actors import Actor, ActorRef, Function, raises
from .._registry import Via
from .child_options import LifeOptions
from .child_spec import ChildSpec, Restart
from .engine import Engine
from .restart_intensity import RestartIntensity
from .supervisor_base import SupervisorBase, require_name
from .supervisor_block import open_block

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


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
        require_name(name)
        intensity = RestartIntensity(max_restarts, max_seconds)
        self._engine = Engine(name, intensity, keeps_ended=False, max_children=max_children)

    @overload
    async def start_or_get(
        self,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_or_get(
        self,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        **options: Unpack[LifeOptions],
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
        return await self._engine.starting.start_or_get(
            ChildSpec(factory, args, name=name, restart=restart, shutdown=shutdown)
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
    return open_block(
        DynamicSupervisor(max_restarts=max_restarts, max_seconds=max_seconds, max_children=max_children, name=name)
    )
