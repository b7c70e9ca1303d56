"""Looks inside the runtime: the helpers that know private names."""

from __future__ import annotations

from typing import Any

from trio.lowlevel import add_instrument, remove_instrument

from trioreg import (
    Owner,
    Partitions,
    Registry,
)
from trioreg._registry.query import ROWS_PER_TURN as ROWS_PER_TURN
from trioreg._runtime.owner import current_owner


def plain_holders() -> int:
    """How many plain tasks trioreg thinks hold a name in this run."""
    from trioreg._runtime.trio_run import current_run

    return len(current_run().holders)


def is_instrument_installed() -> bool:
    """Whether trioreg's instrument is in this run. (Looking takes it out: it is put back.)"""
    from trioreg._runtime.trio_run import current_run

    run = current_run()
    try:
        remove_instrument(run)
    except KeyError:
        return False
    add_instrument(run)
    return True


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


def assert_nothing_waits(*registries: Registry[Any, Any]) -> None:
    """No task waits in these registries, selects from them, follows them, or has a lock in them. Needs no Trio run."""
    for registry in registries:
        assert registry._names.queues.by_key == {}
        assert registry._names.selections == []
        assert not is_followed(registry)
        assert len(registry._locks) == 0


def owner_of_this_task() -> Owner:
    """The owner that names of this task go to, also where it has none yet: a new object, equal to the others."""
    return current_owner()


def table_of(partitions: Partitions[Any]) -> Registry[Any, Any]:
    """The registry that the children of a partition supervisor are in."""
    return partitions._names
