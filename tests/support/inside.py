"""Looks inside the runtime: the one helper that knows private names, so that the tests need not.

A test that can see the same through the public API does not come here.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from typing import Any, Never, cast

import pytest
from trio.lowlevel import add_instrument, enable_ki_protection, remove_instrument

from trioreg import ActorRef, Owner, Partitions, PubSub, Registry, TaskOwner, Via
from trioreg._actors import birth as _birth
from trioreg._actors import cell as _cell_module
from trioreg._actors import hot_paths as _hot_paths
from trioreg._actors import mailbox as _mailbox
from trioreg._actors.call import Call
from trioreg._actors.cell import Cell
from trioreg._actors.wait_graph import Wait
from trioreg._pubsub import publishing as _publishing
from trioreg._pubsub import pubsub as _pubsub
from trioreg._pubsub import retained as _retained
from trioreg._registry import query as _query
from trioreg._registry.registry import WaitingVia
from trioreg._runtime import owner as _owner
from trioreg._runtime import turnstile as _turnstile
from trioreg._runtime import waking as _waking
from trioreg._runtime.sleeping import sleep_until_woken
from trioreg._runtime.task_owner import current_owner
from trioreg._runtime.trio_run import current_run
from trioreg._supervision.child import Child
from trioreg._supervision.engine import Engine

__all__ = [
    "BATCH",
    "COMPACT",
    "CRASHES_PER_TURN",
    "REFUSED_PER_TURN",
    "ROWS_PER_TURN",
    "WOKEN_PER_PASS",
    "ask_to_stop",
    "assert_no_subscription",
    "assert_nothing_left",
    "assert_nothing_left_behind",
    "assert_nothing_waits",
    "cell_of",
    "coroutine_of",
    "do_before_sleep",
    "end_idle_time",
    "exact_totals",
    "few_at_a_time",
    "following_via",
    "interrupted_at",
    "is_candidate_waiting",
    "is_followed",
    "is_idle",
    "is_instrument_installed",
    "is_selection_running",
    "number_actors_from_one",
    "owner_of_this_task",
    "patterns_in",
    "plain_holders",
    "retained_at_a_time",
    "rows_per_turn",
    "slices_of",
    "table_of",
    "tuned",
    "wake_at_once",
]

BATCH = _hot_paths.BATCH
"""How many messages an actor handles before it lets other tasks run."""

COMPACT = _mailbox._COMPACT
"""How many withdrawn messages a mailbox keeps, at least, before it removes them from its queue."""

CRASHES_PER_TURN = _turnstile.PER_TURN
"""How many actors that have crashed end before other tasks run."""

REFUSED_PER_TURN = _cell_module.REFUSED_PER_TURN
"""How many messages an ending actor refuses before it lets other tasks run."""

ROWS_PER_TURN = _query.ROWS_PER_TURN
"""How many rows a selection looks at before it lets other tasks run."""

WOKEN_PER_PASS = _waking.PER_PASS
"""How many of the tasks that wait in a feed are woken before other tasks run."""


# Registries and the Trio run


def plain_holders() -> int:
    """The number of plain tasks in this run that hold a name, as trioreg counts them."""
    return len(current_run().holders)


def is_instrument_installed() -> bool:
    """Whether trioreg's instrument is in this run. (Looking takes it out: it is put back.)"""
    run = current_run()
    try:
        remove_instrument(run)
    except KeyError:
        return False
    add_instrument(run)
    return True


def is_followed(registry: Registry[Any, Any]) -> bool:
    """Whether a task watches a registry, or waits for a name in it."""
    notifier = registry._names.notifier
    return notifier is not None and bool(notifier._watchers_of_all or notifier._watchers or notifier._waiters)


def exact_totals(registry: Registry[Any, Any]) -> dict[Any, Any]:
    """The exact total of each key, and the number of floats in it. Empty in a registry without totals."""
    totals = registry._names.totals
    return {} if totals is None else dict(totals.by_key)


def is_candidate_waiting(registry: Registry[Any, Any]) -> bool:
    """Whether a candidate waits to acquire a name in a registry."""
    return registry._names.queues.by_key != {}


def is_selection_running(registry: Registry[Any, Any]) -> bool:
    """Whether a selection in a registry is under way."""
    return registry._names.selections != []


def assert_nothing_left(*registries: Registry[Any, Any]) -> None:
    """No task holds a name in these registries, waits for one, follows one, or locks one."""
    for registry in registries:
        assert registry.count() == 0
    assert_nothing_waits(*registries)
    assert plain_holders() == 0


def assert_nothing_left_behind(*registries: Registry[Any, Any]) -> None:
    """The same after the Trio run has ended."""
    for registry in registries:
        assert registry.count() == 0
    assert_nothing_waits(*registries)


def assert_nothing_waits(*registries: Registry[Any, Any]) -> None:
    """No task waits in these registries, selects from them, follows them, or has a lock in them. Needs no Trio run."""
    for registry in registries:
        assert not is_candidate_waiting(registry)
        assert not is_selection_running(registry)
        assert not is_followed(registry)
        assert len(registry._locks) == 0


# Topics


def patterns_in(pubsub: PubSub[Any, Any]) -> int:
    """How many patterns the trie of a PubSub has."""
    return len(pubsub._wildcards)


def assert_no_subscription(*pubsubs: PubSub[Any, Any]) -> None:
    """Nothing is left of any subscription: no entry, no lease, no pattern, no watcher. Needs no Trio run."""
    for pubsub in pubsubs:
        assert_no_subscription_but_watchers(pubsub)
        assert not is_followed(pubsub._registry)


def assert_no_subscription_but_watchers(*pubsubs: PubSub[Any, Any]) -> None:
    """The same while there are watchers."""
    for pubsub in pubsubs:
        assert len(pubsub) == 0
        assert pubsub.topics() == []
        assert not any(table.rows for table in pubsub.tables())
        assert patterns_in(pubsub) == 0
        assert pubsub._wildcards._root.children == {}


def slices_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Have `PubSub.publish` let other tasks run after each ``size`` subscriptions, and read few at a time."""
    monkeypatch.setattr(_publishing, "SLICE", size)
    monkeypatch.setattr(_pubsub, "PART", 2 * size + 1)


def retained_at_a_time(monkeypatch: pytest.MonkeyPatch, messages: int) -> None:
    """A new subscription to a pattern looks at this number of retained messages, then other tasks run."""
    monkeypatch.setattr(_retained, "KEPT_PER_TURN", messages)


def wake_at_once(monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    """Have at most that many tasks woken in each pass of the scheduler, where very many wait for the same."""
    monkeypatch.setattr(_waking, "PER_PASS", tasks)


def table_of(partitions: Partitions[Any]) -> Registry[Any, Any]:
    """The registry that the children of a partition supervisor are in."""
    return partitions._names


def rows_per_turn(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Have a selection let other tasks run after each ``rows`` rows."""
    monkeypatch.setattr(_query, "ROWS_PER_TURN", rows)


_AT_A_TIME = (
    "BATCH",
    "CHILDREN_PER_TURN",
    "KEPT_PER_TURN",
    "LOOKS_PER_TURN",
    "PER_PASS",
    "PER_TURN",
    "REFUSED_PER_TURN",
    "ROWS_PER_TURN",
)


def few_at_a_time(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have all work over many entries let other tasks run after each ``number`` of them."""
    slices_of(monkeypatch, number)
    for name, module in list(sys.modules.items()):
        for constant in _AT_A_TIME:
            if name.startswith("trioreg.") and hasattr(module, constant):
                monkeypatch.setattr(module, constant, number)


# Owners and actors


def owner_of_this_task() -> Owner:
    """The owner that names of this task go to, also where it has none yet: a new object, equal to the others."""
    return current_owner()


def coroutine_of(owner: Owner) -> object:
    """The coroutine of an owner's task, which stands for the task; None before and after an actor's."""
    if isinstance(owner, TaskOwner):
        return owner._coro
    cell = cast("ActorRef[Any]", owner)._cell
    return None if cell is None or cell.task is None else cell.task.coro


def number_actors_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number actors as in a new process."""
    numbers = count(1)
    for module in (_owner, _birth):
        monkeypatch.setattr(module, "owner_numbers", numbers)


def cell_of(ref: ActorRef[Any]) -> Cell:
    """The cell of an actor that has not ended."""
    assert ref._cell is not None
    return ref._cell


def is_idle(ref: ActorRef[Any]) -> bool:
    """Whether an actor waits for messages, and handles a sync call in the caller's turn."""
    return ref._cell is not None and ref._cell.is_idle


def count_watchers(ref: ActorRef[Any]) -> int:
    """How many tasks wait for the end of an actor."""
    return 0 if ref._cell is None else len(ref._cell.life.watchers or ())


def end_idle_time(ref: ActorRef[Any]) -> None:
    """End the wait of an idle actor as its ``idle_timeout`` does."""
    assert ref._cell is not None
    assert ref._cell.idle_scope is not None
    ref._cell.idle_scope.cancel()


def ask_to_stop(ref: ActorRef[Any]) -> None:
    """``ref.stop()`` without the wait for the end."""
    assert ref._cell is not None
    ref._cell.stop()


def do_before_sleep(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> Callable[[], int]:
    """Do something when an actor next falls asleep, at the moment at which the garbage collector may run.

    Returns a function that tells how often an actor has fallen asleep since.
    """
    sleeps = 0

    def collect_and_sleep() -> Any:
        nonlocal sleeps
        sleeps += 1
        if sleeps == 1:
            action()
        return sleep_until_woken()

    monkeypatch.setattr(_hot_paths, "sleep_until_woken", collect_and_sleep)
    monkeypatch.setattr(_mailbox, "sleep_until_woken", collect_and_sleep)
    return lambda: sleeps


@contextmanager
def tuned(*, batch: int, compact_at: int) -> Generator[None]:
    """Other values for the constants that short programs never reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_hot_paths, "BATCH", batch)
        patch.setattr(_mailbox, "_COMPACT", compact_at)
        yield


# Addresses by name


class _Following(Via[Any, None]):
    def __init__(self, registry: Registry[Any, None], key: object, led_to: Callable[[ActorRef[Any]], None]) -> None:
        super().__init__(registry, key, None)
        self._table = None  # every message goes through `_resolve`
        self.led_to = led_to

    def _resolve(self) -> ActorRef[Never]:
        ref = super()._resolve()
        self.led_to(ref)
        return ref

    def _find(self) -> Cell | None:
        return self._resolve()._cell


class _FollowingWaiting(WaitingVia[Any, None]):
    def __init__(self, registry: Registry[Any, None], key: object, led_to: Callable[[ActorRef[Any]], None]) -> None:
        super().__init__(registry, key, None)
        self._table = None
        self.led_to = led_to
        self.is_waiting = False

    def _resolve(self) -> ActorRef[Never]:
        ref = super()._resolve()
        if not self.is_waiting:
            self.led_to(ref)
        return ref

    def _find(self) -> Cell | None:
        return self._resolve()._cell

    async def _resolve_or_wait(self) -> ActorRef[Never]:
        self.is_waiting = True
        try:
            ref = await super()._resolve_or_wait()
        finally:
            self.is_waiting = False
        self.led_to(ref)
        return ref


def following_via(
    registry: Registry[Any, None], key: object, led_to: Callable[[ActorRef[Any]], None], *, wait: bool
) -> Via[Any, None]:
    """``registry.via(key, wait=wait)``, which tells each life of the actor that it leads to."""
    return (_FollowingWaiting if wait else _Following)(registry, key, led_to)


# Ctrl-C

_POINTS: dict[str, tuple[object, str]] = {
    "before a background task is started": (Child, "spawn"),
    "before a supervisor closes": (Engine, "close"),
    "before a call is answered": (Call, "_done"),
    "before a message is put into a mailbox": (Cell, "put"),
    "after a message was taken from a mailbox": (Cell, "update_peak"),
    "before what an actor does is cancelled": (Cell, "_interrupt"),
    "before an actor is woken for a message": (_mailbox, "wake"),
    "after a wait for an actor has begun": (Wait, "__init__"),
}


@contextmanager
def interrupted_at(point: str, *, is_protected: bool = False) -> Generator[Callable[[], None]]:
    """A block that must come to a point. The function that it gives has SIGINT raised there the next time.

    ``is_protected`` defers the `KeyboardInterrupt` as Trio does for its own code.
    """
    holder, name = _POINTS[point]
    original = getattr(holder, name)
    monkeypatch = pytest.MonkeyPatch()
    is_reached = False

    def interrupted(*args: Any) -> Any:
        nonlocal is_reached
        is_reached = True
        monkeypatch.undo()
        if point == "after a wait for an actor has begun":
            original(*args)
            signal.raise_signal(signal.SIGINT)
            return None
        signal.raise_signal(signal.SIGINT)
        return original(*args)

    def arm() -> None:
        monkeypatch.setattr(holder, name, enable_ki_protection(interrupted) if is_protected else interrupted)

    try:
        yield arm
    finally:
        monkeypatch.undo()
    assert is_reached, point
