"""What a registry says of one registration."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from .._runtime import Owner

V = TypeVar("V")


class Entry(NamedTuple, Generic[V]):
    """One registration: who holds the key, and the value given with it.

    It is a tuple, as ``{pid, value}`` is in Elixir, so that a loop can take it apart::

        for owner, value in registry.lookup("topic"):
            ...

    """

    owner: Owner
    """The holder: an `ActorRef`, or a `TaskOwner` for a plain Trio task."""
    value: V
    """What was given to `Registry.register` (or to `Registry.via`)."""
