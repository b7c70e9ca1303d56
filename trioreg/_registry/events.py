"""The events that a registry's listeners and watchers get."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeAlias, TypeVar

import attrs

from .._actors import Address
from .._runtime import Exit, Owner, do_later

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@attrs.frozen
class Registered(Generic[K, V]):
    """A name was registered.

    Attributes:
        registry: The name of the registry.
        key: The key.
        owner: Its owner now.
        value: The value that it is registered with.
    """

    registry: str
    key: K
    owner: Owner
    value: V


@attrs.frozen
class Unregistered(Generic[K, V]):
    """A name was given back: by its owner, or because its owner ended.

    Attributes:
        registry: The name of the registry.
        key: The key.
        owner: The owner that held it.
        value: The last value that it was registered with.
        exit: How the owner ended, if it is an actor and its end freed the name; else None.
    """

    registry: str
    key: K
    owner: Owner
    value: V
    exit: Exit | None = None


Event: TypeAlias = Registered[K, V] | Unregistered[K, V]
Listener: TypeAlias = Callable[[Event[K, V]], object] | Address[object]


class Follower(Generic[K, V]):
    """A listener of the runtime's own. It learns of each event, even if there is no memory: then a little later."""

    __slots__ = ()

    def __call__(self, event: Event[K, V]) -> None:
        """Do what has to be done. If this fails half-way, it can be called again."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def put_off(self, event: Event[K, V]) -> None:
        """Have it called by the loop."""
        do_later(event.owner._run.token, self, event)
