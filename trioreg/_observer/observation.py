"""What one observer knows of one Trio run, beside what it can ask: the log, and what happened while a page was open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .log_ring import LogRing
from .registry_numbers import RegistryNumbers
from .tracing import Traces

if TYPE_CHECKING:
    from .._actors import ActorRef
    from .._runtime import Run


class Observation:
    """One run, as it is observed.

    Attributes:
        run: The Trio run.
        log: The last lines of the log.
        refs: Actors that were looked for, by their numbers. It keeps none of them.
        registries: The numbers of the registries.
        traces: The actors whose messages are shown.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.log = LogRing()
        self.refs: WeakValueDictionary[int, ActorRef[Any]] = WeakValueDictionary()
        self.registries = RegistryNumbers()
        self.traces = Traces(run)
