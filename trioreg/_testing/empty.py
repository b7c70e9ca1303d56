"""`assert_empty`: registries and topics in which nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .._program import names_of
from .._pubsub import PubSub
from .._registry import Names, Registry
from .._runtime import counted, current_run, shown_safely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trio.lowlevel import Task

SHOWN = 20
"""How many lines of each registry an error shows."""


def assert_empty(*registries: Registry[Any, Any] | PubSub[Any, Any]) -> None:
    """Raise unless nothing is left in some registries and topics: no name, no subscription, no waiter, watcher or lock.

    ::

        assert_empty(agents, rooms, ticks)
        assert_empty()                          # every registry of the current Trio run

    The error lists what is left, each with its owner. A message that a `~trioreg.PubSub` retains is not counted. Not a
    checkpoint; the cost grows with what is left.

    Args:
        registries: Each a `~trioreg.Registry` or a `~trioreg.PubSub`. None at all: all of the current Trio run, those
            too that a pool or `~trioreg.Partitions` have for themselves.

    Raises:
        AssertionError: Something is left.
        TypeError: An argument is neither a registry nor a PubSub.
        RuntimeError: There is no argument, and you are not inside of a Trio run.
    """
    __tracebackhide__ = True  # pytest shows the test, and not what is in here
    found: list[Names[Any, Any]] = []
    for each in registries:
        if not isinstance(each, Registry | PubSub):
            raise TypeError(f"registries must be a Registry or a PubSub each, not {shown_safely(each)}")
        found.append(each._names)
    parts: list[str] = []
    for names in found or names_of(current_run()):
        lines = list(_left_in(names))
        if lines:
            more = [f"... and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
            parts.append("\n  ".join([f"{_title(names)} is not empty:", *lines[:SHOWN], *more]))
    if parts:
        raise AssertionError("\n".join(parts))


def _title(names: Names[Any, Any]) -> str:
    if names.purpose == "topics":
        return f"PubSub {names.name!r}"
    of = "" if names.purpose == "names" else f" of {'a pool' if names.purpose == 'pool' else names.purpose}"
    return f"registry {names.name!r}{of}"


def _left_in(names: Names[Any, Any]) -> Iterator[str]:
    """One line for each thing that is left."""
    what = "subscription to" if names.purpose == "topics" else "name"
    for partition in names.partitions:
        for key, entry in partition.rows():
            yield f"{what} {shown_safely(key)} of {entry.owner!r}"
    for key, queue in list(names.queues.by_key.items()):
        waiters = _tasks(waiter.task for waiter in queue.values())
        yield f"{counted(len(queue), 'task')} in acquire({shown_safely(key)}): {waiters}"
    if names.notifier is not None:
        yield from _watching(names)
    if names.purpose == "names":
        yield from _locked(cast("Registry[Any, Any] | None", names.registry()))


def _watching(names: Names[Any, Any]) -> Iterator[str]:
    notifier = names.notifier
    assert notifier is not None
    for key, tasks in list(notifier._waiters.items()):
        yield f"{counted(len(tasks), 'task')} in wait_for({shown_safely(key)}): {_tasks(tasks)}"
    for key, watchers in list(notifier._watchers.items()):
        yield f"{counted(len(watchers), 'watcher')} of {shown_safely(key)}"
    if notifier._watchers_of_all:
        yield f"{counted(len(notifier._watchers_of_all), 'watcher')} of all names"


def _locked(registry: Registry[Any, Any] | None) -> Iterator[str]:
    for key, (lock, _) in [] if registry is None else list(registry._locks._locks.items()):
        now = lock.statistics()
        holder = "no task" if now.owner is None else f"task {now.owner.name}"
        waiting = f", and {counted(now.tasks_waiting, 'task')} waiting for it" if now.tasks_waiting else ""
        yield f"lock({shown_safely(key)}) of {holder}{waiting}"


def _tasks(tasks: Iterable[Task]) -> str:
    return ", ".join(f"task {task.name}" for task in tasks)
