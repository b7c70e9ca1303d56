"""The supervisor of actors on demand: `OnDemandSupervisor` and `open_on_demand`."""

from __future__ import annotations

import math
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Never

import trio
from trio.lowlevel import enable_ki_protection

from .._actors import PassingCell
from .._runtime import current_run
from .engine import Engine
from .on_demand import OnDemand
from .on_demand_lives import Lives
from .restart_intensity import RestartIntensity
from .supervisor_base import SupervisorBase, require_name
from .supervisor_block import SupervisorBlock

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._actors import Cell
    from .child import Child
    from .child_spec import ChildSpec


class OnDemandSupervisor(SupervisorBase):
    """The supervisor of the actors of one `OnDemand`.

    It takes the arguments of `open_on_demand`, and does the same. The class is for trees: another supervisor starts
    it::

        open_supervisor(children=[ChildSpec(OnDemandSupervisor, (carts,))])
    """

    def __init__(self, on_demand: OnDemand[Any, Any], /, *, name: str | None = None) -> None:
        if not isinstance(on_demand, OnDemand):
            raise TypeError(f"on_demand must be an OnDemand, not {on_demand!r}")
        require_name(name)
        self._specs = []
        self._engine = OnDemandEngine(self._label(on_demand.name if name is None else name), on_demand)

    async def start_child(self, *_: object, **__: object) -> Never:
        """Always raises a `TypeError`: a message starts the actor of its key."""
        raise TypeError(f"{self._engine.label}: a message to its address starts an actor, not start_child()")


def open_on_demand(
    on_demand: OnDemand[Any, Any], /, *, name: str | None = None
) -> AbstractAsyncContextManager[OnDemandSupervisor]:
    """Open a supervisor of actors on demand. While the block runs, the addresses of ``on_demand`` are good.

    ::

        async with open_on_demand(carts):
            await carts.via("a-17").call(Cart.add, "tea", 2)

    At the end of the block no message is taken any more. Each actor handles the messages that it has, within its
    ``shutdown`` time, and ends. Then the block is left. Crashes are logged; they do not leave the block. Entering and
    leaving are checkpoints; the cost of leaving grows with the actors that run.

    Args:
        on_demand: The actors.
        name: What the supervisor is called in the tree and in the log; by default what the actors are called.

    Raises:
        ExceptionGroup: The block raised, as in a nursery. With a `RuntimeError` in it: another supervisor runs these
            actors.
        TypeError: An argument is not what is said above.
    """
    return SupervisorBlock(OnDemandSupervisor(on_demand, name=name), "open_on_demand(...)", "stop")


class OnDemandEngine(Engine):
    """An engine whose children are lives of keys: messages start them."""

    def __init__(self, label: str, on_demand: OnDemand[Any, Any]) -> None:
        super().__init__(label, RestartIntensity(math.inf, 1.0), keeps_ended=False)
        self._on_demand = on_demand
        self._lives: Lives | None = None
        self._retiring = trio.CancelScope()

    async def _keep_children(self, specs: list[ChildSpec], on_started: Callable[[], object]) -> None:
        on_demand = self._on_demand
        run = current_run()
        lives = Lives(on_demand._settings, run, self._lifecycle, self.book, self.starting)
        try:
            on_demand._begin(lives)
        except RuntimeError as error:
            self._lifecycle.add_failure(error)
            return
        self._lives = lives
        run.registries.add(self)
        try:
            if on_demand._settings.retire_after < math.inf:
                self._lifecycle.nursery.start_soon(self._retire_idle, name=f"{self.label}, retirement")
            await super()._keep_children(specs, on_started)
        finally:
            self.forget_run()
            run.registries.discard(self)

    def watch(self) -> None:
        """Its names are in registries, which tell of them."""

    def forget_run(self) -> None:
        """All lives have ended: also if Trio has failed, or if this process is the child of a fork."""
        if self._on_demand._lives is self._lives:  # else that was done long ago, and another run has begun
            self._on_demand._lives = None
            self._on_demand._table.clear()  # a key whose `__eq__` raised may have kept its life in there

    @enable_ki_protection  # Ctrl-C between two steps of a stop would lose what is sent then
    async def _retire_idle(self) -> None:
        assert self._lives is not None
        with self._retiring:
            await self._lives.retire_idle()

    async def _shut_down(self) -> None:
        self._lifecycle.is_closing = True
        self._retiring.cancel()
        if self._lives is not None and self._on_demand._settings.finishes:
            await self._lives.finish()
        await super()._shut_down()

    def child_ended(self, child: Child, cell: Cell) -> None:
        super().child_ended(child, cell)
        assert self._lives is not None and isinstance(cell, PassingCell)  # only messages start children here
        try:
            self._lives.ended(cell)
        except BaseException as error:
            self._lives.forget(cell)
            self._lifecycle.fail(error)  # nothing here is to raise, but the `__eq__` of a key may
