"""The options of a call to a pool: ``key``, ``retries`` and ``idempotent``."""

from __future__ import annotations

from typing import Any

NO_KEY: Any = object()
"""No key was given: None is a key."""


def take_options(kwargs: dict[str, Any]) -> tuple[Any, int, bool]:
    """Take the options of a call out of the keyword arguments."""
    retries: object = kwargs.pop("retries", 0)
    idempotent: object = kwargs.pop("idempotent", False)
    if not isinstance(retries, int) or isinstance(retries, bool):
        raise TypeError(f"retries must be an int, not {retries!r}")
    if retries < 0:
        raise ValueError(f"retries must be at least 0, not {retries!r}")
    if not isinstance(idempotent, bool):
        raise TypeError(f"idempotent must be a bool, not {idempotent!r}")
    return kwargs.pop("key", NO_KEY), retries, idempotent
