"""What several test files share: a watcher that looks at each step of the scheduler, cancellation sweeps, and small
actors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar, cast

import trio
from trio.lowlevel import Task, add_instrument, current_task, remove_instrument

from trioreg import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Owner,
    Registry,
    Supervisor,
    TaskOwner,
    open_dynamic_supervisor,
    open_supervisor,
)
from trioreg._registry import KeysKind

T = TypeVar("T")

KINDS: list[tuple[KeysKind, int]] = [
    ("unique", 1),
    ("unique", 4),
    ("duplicate", 1),
    ("duplicate", 4),
    (("duplicate", "key"), 1),
    (("duplicate", "key"), 4),
]
DUPLICATE_KINDS = [kind for kind in KINDS if kind[0] != "unique"]


def kind_id(kind: tuple[KeysKind, int]) -> str:
    """The name of a kind of registry in the id of a test."""
    keys, partitions = kind
    return f"{keys if isinstance(keys, str) else '-by-'.join(keys)}-{partitions}"


class Fragile:
    """A key whose comparison fails, once, when it has been compared so many times. All have the same hash."""

    left: int | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        if Fragile.left is not None:
            Fragile.left -= 1
            if Fragile.left < 0:
                Fragile.left = None
                raise ZeroDivisionError
        return isinstance(other, Fragile) and other.name == self.name


class Watcher(trio.abc.Instrument):
    """Compares registries with the truth, Trio's own, before and after each step of each task.

    Attributes:
        steps: How many steps were looked at.
        stale: What was shown for an owner whose task had exited: promise 1.
        early: What went while the task of its owner was still there: promise 2.
        shown: For each key, the owners it was shown with, in turn; None while it was free.
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
        if isinstance(owner, TaskOwner):
            return owner._coro
        if owner not in self._tasks:
            cell = cast("ActorRef[Any]", owner)._cell
            if cell is not None and cell.task is not None:
                self._tasks[owner] = cell.task.coro
        return self._tasks.get(owner)


@contextmanager
def watching(*registries: Registry[Any, Any]) -> Generator[Watcher]:
    """Watch for a block; at its end, fail if there was a stale name or an early release at any step."""
    watcher = Watcher(*registries)
    add_instrument(watcher)
    yield watcher
    remove_instrument(watcher)  # KeyError if it raised, and Trio has thrown it out
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


def plain_holders() -> int:
    """How many plain tasks trioreg thinks hold a name in this run."""
    from trioreg._run import current_run

    return len(current_run().holders)


def is_instrument_installed() -> bool:
    """Whether trioreg's instrument is in this run. (Looking takes it out: it is put back.)"""
    from trioreg._run import current_run

    run = current_run()
    try:
        remove_instrument(run)
    except KeyError:
        return False
    add_instrument(run)
    return True


@asynccontextmanager
async def supervised(*, max_restarts: float = 3) -> AsyncGenerator[DynamicSupervisor]:
    """A dynamic supervisor that is shut down at the end of the block."""
    with trio.fail_after(10_000), trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_restarts=max_restarts) as supervisor:
            yield supervisor
            scope.cancel()


@asynccontextmanager
async def supervising(children: Sequence[ChildSpec] = (), **options: Any) -> AsyncGenerator[Supervisor]:
    """A supervisor of these children, shut down at the end of the block."""
    with trio.CancelScope() as scope:
        async with open_supervisor(children, **options) as supervisor:
            yield supervisor
            scope.cancel()


class Cancelling(trio.abc.Instrument, Generic[T]):
    """Runs an operation and cancels it at its n-th checkpoint; n = 0 is before it begins.

    Attributes:
        n: At which one.
        is_reached: Whether the operation has had as many checkpoints.
        value: What the operation gave, if `is_completed`.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.is_reached = False
        self.is_completed = False
        self.value = cast("T", None)
        self._scope = trio.CancelScope()
        self._task: Task | None = None
        self._yields = 0

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            self._yields += 1
            self._cancel_if_reached()

    def _cancel_if_reached(self) -> None:
        if self._yields == self.n:
            self.is_reached = True
            self._scope.cancel()

    async def run(self, operation: Callable[[], Awaitable[T]]) -> bool:
        """Run it; False if the cancellation got through, True if it was completed."""
        self._task = current_task()
        self._cancel_if_reached()
        add_instrument(self)
        try:
            with self._scope:
                self.value = await operation()
                self.is_completed = True
        finally:
            remove_instrument(self)
        return self.is_completed


class AtCheckpoint(trio.abc.Instrument):
    """Does something while a task is at its next checkpoint: after its step, and before anybody else's.

    Used with ``with``, by the task in question, around what has the checkpoint.
    """

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self._task = current_task()

    def after_task_step(self, task: Task) -> None:
        if task is self._task:
            remove_instrument(self)
            self._action()

    def __enter__(self) -> None:
        add_instrument(self)

    def __exit__(self, *_: object) -> None:
        try:
            remove_instrument(self)
        except KeyError:
            return
        raise AssertionError("there was no checkpoint")


async def sweep(attempt: Callable[[Cancelling[Any]], Awaitable[None]], *, limit: int = 50) -> int:
    """Have ``attempt`` run its operation, in a world of its own, cancelled at its 0th, 1st, 2nd, ... checkpoint,
    until there are no more. Returns how many there were; at least one, or it would be no checkpoint."""
    for n in range(limit):
        cancelling = Cancelling[Any](n)
        await attempt(cancelling)
        if not cancelling.is_reached:
            assert cancelling.is_completed
            assert n > 1, "the operation is no checkpoint"
            return n - 1
        assert n > 0 or not cancelling.is_completed, "the operation is no checkpoint"
    raise AssertionError(f"still not done after {limit} checkpoints")


class CancellingAtStep(Cancelling[Any]):
    """Cancels the operation after the n-th step of any task: in the middle of the handler that it waits for, too."""

    def after_task_step(self, task: Task) -> None:
        self._yields += 1
        self._cancel_if_reached()


async def sweep_steps(attempt: Callable[[Cancelling[Any]], Awaitable[None]], *, limit: int = 100) -> int:
    """`sweep`, and then the same with the steps of all tasks. Returns how many checkpoints there were."""
    checkpoints = await sweep(attempt, limit=limit)
    for n in range(limit):
        cancelling = CancellingAtStep(n)
        await attempt(cancelling)
        if not cancelling.is_reached:
            assert n > checkpoints
            return checkpoints
    raise AssertionError(f"still not done after {limit} steps")


def is_followed(registry: Registry[Any, Any]) -> bool:
    """Whether a task watches a registry, or waits for a name in it."""
    hub = registry._names.hub
    return hub is not None and bool(hub._everything or hub._watchers or hub._waiters)


def assert_nothing_left(*registries: Registry[Any, Any]) -> None:
    """Nobody holds anything in these registries, waits for it, follows it, or locks it."""
    for registry in registries:
        names = registry._names
        assert registry.count() == 0
        assert names.queues.by_key == {}
        assert names.selections == []
        assert not is_followed(registry)
        assert len(registry._locks) == 0
    assert plain_holders() == 0


async def settle(steps: int = 5) -> None:
    """Let every task that can run do so; for where one that loops on a checkpoint is never blocked."""
    for _ in range(steps):
        await trio.lowlevel.checkpoint()


def leaves(error: BaseException) -> list[BaseException]:
    """The originals in an exception group."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for inner in group.exceptions for leaf in leaves(inner)]
    return [error]


class Bang(Exception):
    """A crash."""


class Worker(Actor):
    """It writes down when it starts and when it ends, each after so many seconds."""

    def __init__(self, log: list[str], name: str, *, start: float = 0, stop: float = 0) -> None:
        self.log = log
        self.name = name
        self.start_seconds = start
        self.stop_seconds = stop

    async def on_start(self) -> None:
        await trio.sleep(self.start_seconds)
        self.begin()

    def begin(self) -> None:
        """It has started, unless this raises."""
        self.log.append(f"+{self.name}")

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(self.stop_seconds)
        self.log.append(f"-{self.name}")

    def ping(self) -> str:
        return self.name

    def bang(self) -> None:
        raise Bang(self.name)
