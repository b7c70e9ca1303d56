"""One registration, as a registry shows it."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from .._runtime import Owner

V = TypeVar("V")


class Entry(NamedTuple, Generic[V]):
    """One registration: an owner and a value.

    It is a tuple, like ``{pid, value}`` in Elixir, so a loop can take it apart::

        for owner, value in registry.lookup("topic"):
            ...

    """

    owner: Owner
    """The owner: an `ActorRef`, or a `TaskOwner` for a plain Trio task."""
    value: V
    """The value that was passed to `Registry.register` or `Registry.via`."""
