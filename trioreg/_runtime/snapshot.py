"""The items of a dict as they are now, for a reader in any thread, whatever the keys' own `__eq__` does."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


def items_of(table: dict[K, T]) -> Collection[tuple[K, T]]:
    """The items of a dict, in their order. The dict may change meanwhile, in another thread too.

    The cost grows with the dict: a million items take some milliseconds.
    """
    # `copy` is one call in C, and makes no tuple for each item. But if the dict has many gaps, it puts in one key after
    # the other, and where two have the same hash their own `__eq__` runs. That may raise, and let other threads run.
    try:
        return table.copy().items()
    except Exception:
        pass
    while True:
        try:
            return list(table.items())  # looks at no key
        except RecursionError:
            raise
        except RuntimeError:
            continue  # the garbage collector ran, and a finalizer changed the dict
