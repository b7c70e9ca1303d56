"""The Trio run that a registry belongs to: who may write, and what goes when the run is over.

A registry belongs to the first run that writes to it, until that run ends. What follows its changes (`Notifier`,
`Totals`, queues, selections) is kept beside its tables, since the end of the run ends that too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Literal, TypeAlias, TypeVar

from trio.lowlevel import in_trio_run

from .._runtime import NORMAL, ActorExited, Owner, Run, current_owner, current_run
from .acquire_queue import AcquireQueues
from .arguments import as_owner
from .changes import Changes
from .entry import Entry
from .notifier import Notifier
from .tables import Tables
from .totals import Totals

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Purpose: TypeAlias = Literal["names", "topics", "pool", "partitions", "actors on demand"]

_binding = threading.RLock()  # not a Lock: a finalizer may run while it is held, and may use a registry too


class BoundTables(Tables[K, V]):
    """The tables of a registry in the hands of one run, and what follows their changes.

    Attributes:
        name: The name of the registry.
        notifier: Delivers events; None until there is a listener, a watcher or a waiting task. (`follow` sets it.)
        plain: The only table of unique keys, while a new name concerns nothing else: no totals, no notifier. Else None.
        queues: The tasks that wait for a unique name in `Registry.acquire`.
        selections: For each selection that lets other tasks run: what has changed since it began.
        totals: The sum of the values of each key; None in a registry without totals.
        purpose: What they are the names of, for people: ``"names"``, or what makes a registry for itself.
        registry: Leads to the `Registry`, as long as the program keeps it.
        when_forgotten: Called when all entries are forgotten at once. No listener is told of that.
    """

    __slots__ = (
        "__weakref__",
        "_run",
        "name",
        "notifier",
        "plain",
        "purpose",
        "queues",
        "registry",
        "selections",
        "totals",
        "when_forgotten",
    )

    def __init__(self, name: str, kind: str, partitions: int, *, by_owner: bool, totals: bool) -> None:
        super().__init__(kind, partitions, by_owner=by_owner)
        self.name: str = name
        self.notifier: Notifier[K, V] | None = None
        self.totals: Totals[K] | None = Totals() if totals else None
        self.plain: dict[K, Entry[V]] | None = None if totals else self.sole
        self.queues: AcquireQueues[K, V] = AcquireQueues()
        self.selections: list[Changes[K, V]] = []
        self.purpose: Purpose = "names"
        self.registry: Callable[[], object] = _gone
        self.when_forgotten: Callable[[], object] | None = None
        self._run: Run | None = None

    def is_written_here(self) -> bool:
        """Whether the run that writes is in this thread. If so, nothing changes while this thread is busy."""
        return self._run is not None and self._run.thread == threading.get_ident()

    def writable_owner(self, owner: Owner | None) -> Owner:
        """The owner of a change, by default the caller. Raises unless it may be changed here and now."""
        if owner is None:
            try:
                owner = current_owner()
            except RecursionError:
                raise  # a `RuntimeError` too, and not the one of a thread without a run
            except RuntimeError:
                raise RuntimeError(
                    f"registry {self.name!r} can only be written from inside the Trio run that hosts the owner: "
                    "use trio.from_thread to get there"
                ) from None
        else:
            owner = as_owner("owner", owner)
            if not owner.is_alive:
                raise ActorExited(owner, getattr(owner, "exit", None) or NORMAL)
            if owner._run.thread != threading.get_ident():
                elsewhere = (
                    f"{owner!r} lives in another one"
                    if in_trio_run()
                    else "this thread is in none: use trio.from_thread to get there"
                )
                raise RuntimeError(
                    f"registry {self.name!r} can only be written from inside the Trio run that hosts the owner, "
                    f"and {elsewhere}"
                )
        if owner._run is not self._run:
            self.bind_to_run(owner._run)
        return owner

    def bind_to_run(self, run: Run) -> None:
        """Let the registry belong to a run until that run ends. Raises while it belongs to another run.

        It does not become free when its last name goes: the other run, in another thread, may be about to add the next
        name, and to find out would need a lock around every change. A run that has ended changes nothing, so two runs
        can only meet here.
        """
        with _binding:
            if self._run is not run and self._run is not None:
                if not self._run.is_over:
                    raise RuntimeError(
                        f"registry {self.name!r} is in use by another Trio run ({self._run!r}) until that run ends"
                    )
                # If that run broke down, its tasks still seem to wait.
                self.queues.by_key.clear()
                if self.notifier is not None:
                    self.notifier.forget_tasks()
            self._run = run
            run.registries.add(self)
            if run.instruments is not None and run.instruments.see_names:
                self.watch()

    def forget_run(self) -> None:
        """The run is over, and nothing is left of its tasks: take every name out.

        Names are left only if Trio has failed, or if this process is the child of a fork.
        """
        for partition in self.partitions:
            for _, entry in partition.rows():
                entry.owner._held = None
            partition.clear()
        if self.totals is not None:
            self.totals.by_key.clear()
        self.queues.by_key.clear()
        self.selections.clear()
        if self.notifier is not None:
            self.notifier.forget_tasks()
        if self.when_forgotten is not None:
            self.when_forgotten()
        self._run = None

    def watch(self) -> None:
        """Tell the instruments of the run of each change from now on."""
        if self.notifier is None:
            self.follow(Notifier(()))

    def follow(self, notifier: Notifier[K, V]) -> Notifier[K, V]:
        """Tell a notifier of each change from now on: the first one that this registry has."""
        self.plain = None  # first: Ctrl-C may come in between, and a notifier that is passed by is told of nothing
        self.notifier = notifier
        return notifier

    def open_notifier(self) -> Notifier[K, V]:
        """The notifier, for a task of this run to watch the registry or wait for a name. Made when first needed."""
        self.bind_to_run(current_run())
        return self.follow(Notifier(())) if self.notifier is None else self.notifier


def _gone() -> None:
    """Leads to no `Registry`."""
