"""A watcher that compares registries with the truth at each step of the scheduler."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import trio
from trio.lowlevel import Task, add_instrument, remove_instrument

from support.inside import coroutine_of
from trioreg import Owner, Registry


class Watcher(trio.abc.Instrument):
    """Compares registries with Trio's own tasks, before and after each step of each task.

    Attributes:
        steps: The number of looks.
        stale: Names shown with an owner whose task had exited, against promise 1.
        early: Names that left an owner whose task still lived, against promise 2.
        shown: For each key, its owners in turn; None while it was free.
    """

    def __init__(self, *registries: Registry[Any, Any]) -> None:
        self.registries = registries
        self.steps = 0
        self.stale: list[str] = []
        self.early: list[str] = []
        self.shown: dict[object, list[Owner | None]] = {}
        # A task is known by its coroutine.
        self._exited: set[object] = set()
        self._tasks: dict[Owner, object] = {}
        self._before: set[tuple[str, object, Owner]] = set()

    def before_task_step(self, task: Task) -> None:
        self._look("before a step of", task)

    def after_task_step(self, task: Task) -> None:
        self._look("after a step of", task)

    def task_exited(self, task: Task) -> None:
        self._exited.add(task.coro)

    def _look(self, when: str, step_of: Task) -> None:
        self.steps += 1
        now: set[tuple[str, object, Owner]] = set()
        for registry in self.registries:
            for key, owner in rows(registry):
                now.add((registry.name, key, owner))
                task = self._task_of(owner)
                if task is not None and task in self._exited:
                    self.stale.append(f"{when} {step_of.name}: {key!r} is shown with {owner!r}")
                looked_up = [entry.owner for entry in registry.lookup(key)]
                if owner not in looked_up:
                    self.stale.append(f"{when} {step_of.name}: {key!r} in the tables, but not looked up")
        for name, key, owner in self._before - now:
            task = self._task_of(owner)
            if task is not None and task not in self._exited:
                self.early.append(f"{when} {step_of.name}: {key!r} in {name!r} has left {owner!r}")
        for key in {key for _, key, _ in self._before | now}:
            owners: list[Owner | None] = [owner for _, shown, owner in now if shown == key]
            history = self.shown.setdefault(key, [])
            history.extend(owner for owner in owners or [None] if not history or history[-1] is not owner)
        self._before = now

    def _task_of(self, owner: Owner) -> object:
        task = coroutine_of(owner)
        if task is not None:
            self._tasks[owner] = task
        return self._tasks.get(owner)


@contextmanager
def watching(*registries: Registry[Any, Any]) -> Generator[Watcher]:
    """Watch during a block, and fail at its end if a name was stale or released early at any step."""
    watcher = Watcher(*registries)
    add_instrument(watcher)
    yield watcher
    remove_instrument(watcher)  # KeyError if the watcher raised, and Trio has removed it
    assert watcher.steps > 0
    assert watcher.stale == []
    assert watcher.early == []


def rows(registry: Registry[Any, Any]) -> list[tuple[Any, Owner]]:
    """Each (key, owner) that the tables of a registry show."""
    found: list[tuple[Any, Owner]] = []
    for table in registry.tables():
        for row in table.rows:
            key, owner = (row[1], row[0]) if table.name.startswith("PID") else (row[0], row[1])
            found.append((key, cast("Owner", owner)))
    return found
