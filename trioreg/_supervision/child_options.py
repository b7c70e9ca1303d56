"""The options of a child that is started by its parts, and not from a whole `ChildSpec`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from .._registry import Via
from .child_spec import Restart


class LifeOptions(TypedDict, total=False):
    """How a child is kept: the fields of `ChildSpec` with these names."""

    restart: Restart | None
    shutdown: float | Literal["kill"] | None


class ChildOptions(LifeOptions, total=False):
    """The same, and the name that it is registered under in every life."""

    name: Via[Any, Any] | None
