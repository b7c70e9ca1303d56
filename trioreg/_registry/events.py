"""What happens in a registry, as facts: what its listeners and watchers get."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeAlias, TypeVar

import attrs

from .._actors import Address
from .._runtime import Exit, Owner

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@attrs.frozen
class Registered(Generic[K, V]):
    """A name was registered.

    Attributes:
        registry: The name of the registry.
        key: The key.
        owner: Who holds it now.
        value: The value beside it.
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
        owner: Who held it.
        value: The value beside it, as it was last.
        exit: How the owner ended, where it is an actor and that was the reason; else None.
    """

    registry: str
    key: K
    owner: Owner
    value: V
    exit: Exit | None = None


Event: TypeAlias = Registered[K, V] | Unregistered[K, V]
Listener: TypeAlias = Callable[[Event[K, V]], object] | Address[object]
