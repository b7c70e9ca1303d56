"""Looks inside the runtime: the helpers that know private names."""

from __future__ import annotations

from typing import Any

from trio.lowlevel import add_instrument, remove_instrument

from trioreg import (
    Registry,
)


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
    notifier = registry._names.notifier
    return notifier is not None and bool(notifier._watchers_of_all or notifier._watchers or notifier._waiters)


def exact_totals(registry: Registry[Any, Any]) -> dict[Any, Any]:
    """The exact total of each key, and how many floats are in it; none where the registry keeps no totals."""
    totals = registry._names.totals
    return {} if totals is None else dict(totals.by_key)


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
