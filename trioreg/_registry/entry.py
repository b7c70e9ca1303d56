"""One registration, as a registry shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, cast

from .._runtime import Owner

V = TypeVar("V")


class Entry(NamedTuple, Generic[V]):
    """One registration: an owner and a value.

    It is a tuple, like ``{pid, value}`` in Elixir, so a loop can take it apart::

        for owner, value in registry.lookup("topic"):
            ...

    Attributes:
        owner: The owner: an `ActorRef`, or a `TaskOwner` for a plain Trio task.
        value: The value that was passed to `Registry.register` or `Registry.via`.
    """

    owner: Owner
    value: V


# `Entry(...)` without the Python function that a named tuple has around it.
new_entry = cast(
    "Callable[[type[Entry[Any]], tuple[Owner, Any]], Entry[Any]]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)
