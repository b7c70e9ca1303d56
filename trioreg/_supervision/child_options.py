"""The options of ``start_child`` and ``start_or_get``, for the type checkers: each is a field of `ChildSpec`.

A function says them once, as ``**options: Unpack[ChildOptions]``, in each of its overloads.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from .._registry import Via
from .backoff import Backoff
from .child_spec import Restart
from .restart_limit import RestartLimit


class LifeOptions(TypedDict, total=False):
    """How each life of a child ends, and whether and when another one follows: as in `ChildSpec`."""

    restart: Restart | None
    shutdown: float | Literal["kill"] | None
    backoff: Backoff | None
    limit: RestartLimit | None


class ChildOptions(LifeOptions, total=False):
    """The options of a life, and the name that each life has in a registry."""

    name: Via[Any, Any, Any] | None
