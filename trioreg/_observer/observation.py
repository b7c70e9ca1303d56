"""What one observer knows of one Trio run, beside what it can ask: the log, and what happened while a page was open."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .happenings import Happenings
from .live import Live, Watch
from .log_ring import LogRing
from .owner_tables import OwnerTables
from .registry_numbers import RegistryNumbers
from .samples import Samples
from .tracing import Traces

if TYPE_CHECKING:
    from .._actors import ActorRef
    from .._runtime import Run

REMEMBERED = 1000
"""Of how many actors the places are kept."""


class Observation:
    """One run, as it is observed.

    Attributes:
        run: The Trio run.
        log: The last lines of the log.
        refs: Actors that were looked for, by their numbers. It keeps none of them.
        nodes: The places in the tree of the last actors that were looked at, by their numbers.
        registries: The numbers of the registries.
        owner_tables: How large their tables of owners are.
        traces: The actors whose messages are shown.
        happenings: What happened while a live page was open.
        samples: The numbers of the whole program, and the charts.
        live: The live pages that are open.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.happenings: Happenings = Happenings(run)
        self.samples: Samples = Samples(run, self.happenings)
        self.log: LogRing = LogRing()
        self.refs: WeakValueDictionary[int, ActorRef[Any]] = WeakValueDictionary()
        self.nodes: OrderedDict[int, str] = OrderedDict()
        self.registries: RegistryNumbers = RegistryNumbers()
        self.owner_tables: OwnerTables = OwnerTables()
        self.traces: Traces = Traces(run)
        self.live: Live = Live(run, self.happenings, self.samples, self.traces.end)

    def watching(self) -> AbstractContextManager[Watch]:
        """A live page is open in the block. Not a checkpoint; constant time.

        ::

            with observation.watching() as watch:
                while True:
                    await watch.next_look(page)
                    data = await watch.look(page.view, observation, params)
        """
        return self.live.watching()

    def remember(self, number: int, node: str) -> None:
        """An actor was looked at in this place of the tree. Not a checkpoint; constant time."""
        self.nodes[number] = node
        self.nodes.move_to_end(number)
        if len(self.nodes) > REMEMBERED:
            self.nodes.popitem(last=False)
