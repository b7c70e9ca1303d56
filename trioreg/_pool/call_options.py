"""The options of a call to a pool: ``key``, ``retries`` and ``idempotent``."""

from __future__ import annotations

from typing import Any

from .._runtime import require_count

NO_KEY: Any = object()
"""No key was given: None is a key."""


def take_options(kwargs: dict[str, Any]) -> tuple[Any, int, bool]:
    """Take the options of a call out of the keyword arguments."""
    retries: Any = kwargs.pop("retries", 0)
    idempotent: object = kwargs.pop("idempotent", False)
    require_count("retries", retries, 0)
    if not isinstance(idempotent, bool):
        raise TypeError(f"idempotent must be a bool, not {idempotent!r}")
    return kwargs.pop("key", NO_KEY), retries, idempotent
