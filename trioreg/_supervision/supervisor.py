"""Supervisors of a fixed list of children, in order: `Supervisor` and `open_supervisor`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from contextlib import AbstractAsyncContextManager
from types import FunctionType
from typing import Any

from .._actors import ActorRef, beside
from .child_spec import ChildSpec
from .engine import Engine
from .restart_intensity import RestartIntensity
from .strategy import AutoShutdown, Strategy, require_auto_shutdown, require_strategy
from .supervisor_base import SupervisorBase, require_name
from .supervisor_block import AtEnd, SupervisorBlock


class Supervisor(SupervisorBase):
    """A supervisor of a list of children, started in order and stopped in reverse order.

    It takes the arguments of `open_supervisor`, and does the same. The class is for trees: another supervisor starts
    it::

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
        name: str | None = None,
    ) -> None:
        if not isinstance(children, Iterable):
            write = f": write [child({children.__name__})]" if isinstance(children, type | FunctionType) else ""
            raise TypeError(f"children must be a list of ChildSpecs, not {children!r}{write}")
        self._specs = list(children)
        ids: set[Hashable] = set()
        for spec in self._specs:
            if not isinstance(spec, ChildSpec):
                write = f": write child({spec.__name__})" if isinstance(spec, type | FunctionType) else ""
                raise TypeError(f"children must be ChildSpecs, not {spec!r}{write}")
            if spec.id is not None and spec.id in ids:
                raise ValueError(f"id {spec.id!r} is taken: two of the children have it")
            ids.add(spec.id)
            if spec.significant and auto_shutdown == "never":
                raise ValueError(
                    f"auto_shutdown must be 'any_significant' or 'all_significant' for a significant child: {spec!r}"
                )
        require_strategy(strategy)
        require_auto_shutdown(auto_shutdown)
        require_name(name)
        intensity = RestartIntensity(max_restarts, max_seconds)
        label = self._label(name)
        self._engine = Engine(label, intensity, keeps_ended=True, strategy=strategy, auto_shutdown=auto_shutdown)

    @beside
    async def restart_child(self, child: Hashable, /) -> ActorRef[Any]:
        """Start a child again that has ended, from the spec that was kept.

        A checkpoint; constant time. If several children are being restarted together, this waits until that is over.

        Args:
            child: Its id, or the `ActorRef` of its last life.

        Returns:
            The reference of its new life.

        Raises:
            ChildNotFound: There is no such child.
            ChildNotEnded: It is alive, or waits for its restart: `terminate_child` first.
            NotRunning: The supervisor is not running (any more).
            RuntimeError: This is not the thread of the supervisor's Trio run.
            AlreadyRegistered, ActorExited, Exception: As for `start_child`; the spec is kept.
        """
        self._engine.require_thread()
        return await self._engine.starting.restart_child(child)

    def delete_child(self, child: Hashable, /) -> None:
        """Forget a child that has ended: its spec is not kept any more. Not a checkpoint; constant time.

        Args:
            child: Its id, or the `ActorRef` of its last life.

        Raises:
            ChildNotFound: There is no such child.
            ChildNotEnded: It is alive, or waits for its restart: `terminate_child` first.
            RuntimeError: This is not the thread of the Trio run.
        """
        self._engine.require_thread()
        self._engine.book.forget(self._engine.book.find_ended(child))


def open_supervisor(
    children: Iterable[ChildSpec] = (),
    *,
    strategy: Strategy = "one_for_one",
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
    name: str | None = None,
    at_end: AtEnd = "wait",
) -> AbstractAsyncContextManager[Supervisor]:
    """Open a supervisor for a block: a nursery that restarts.

    ::

        async with open_supervisor([ChildSpec(Cache), ChildSpec(Web)]) as supervisor:
            ...

    Entering the block starts the children in order. At the end of the block you wait until the last child has ended for
    good, as in a nursery. If the block raises or is cancelled, the children shut down in reverse order, each within its
    ``shutdown`` time. Entering and leaving are checkpoints; the cost grows with the children.

    Args:
        children: What to start, in this order.
        strategy: Which children are restarted when one needs it: ``"one_for_one"`` (that child), ``"one_for_all"``
            (all), ``"rest_for_one"`` (that child and all that were started after it). Several are ended in reverse
            order and started again in order. Children that crash together are restarted once.
        max_restarts: How many restarts are allowed within ``max_seconds``. At one more, the supervisor gives up.
        max_seconds: The length of that time, in seconds.
        auto_shutdown: Whether the supervisor ends by itself when significant children have ended for good:
            ``"never"``, ``"any_significant"`` (with the first), ``"all_significant"`` (with the last). The rest of the
            block is cancelled then.
        at_end: What happens at the end of the block: ``"wait"`` until the last child has ended for good, as a nursery
            does (a permanent child never does, and a line of the log says so), or ``"stop"`` the children.
        name: What it is called in the tree and in the log. None means "supervisor"; below another supervisor, its id.

    Raises:
        ExceptionGroup: It gave up (a `RestartLimitExceeded` and the errors that led to it are in the group).
        ExceptionGroup: A child did not start, or the block raised, as in a nursery.
        TypeError, ValueError: An argument is not what is said above.
    """
    return SupervisorBlock(
        Supervisor(
            children,
            strategy=strategy,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            auto_shutdown=auto_shutdown,
            name=name,
        ),
        "open_supervisor(...)",
        at_end,
    )
