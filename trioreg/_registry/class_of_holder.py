"""``of=``: the class that the holder of a name has to have. A type checker believes it, and the run time checks it."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_origin

from .._actors import ActorRef
from .._runtime import Owner


def as_class(of: object) -> type:
    """The class that a user has given as ``of=``: it may have type arguments."""
    cls = get_origin(of) or of
    if not isinstance(cls, type) or cls in (UnionType, Union, Annotated):  # some of these are classes
        raise TypeError(f"of must be the class of an actor, not {of!r}")
    return cls


def as_actor(owner: Owner, of: type | None, key: object, registry: str) -> ActorRef[Any]:
    """The owner of a key, if it is an actor, and one of that class. `TypeError` if it is not."""
    if not isinstance(owner, ActorRef):
        raise TypeError(f"{key!r} in {registry!r} is held by {owner!r}, which is not an actor")
    ref: ActorRef[Any] = owner  # pyright: ignore[reportUnknownVariableType]  # it narrows to no class at all
    if of is not None and not ref._is_of(of):
        raise TypeError(f"{key!r} in {registry!r} is held by {ref!r}, which is not of class {of.__qualname__}")
    return ref


def is_actor_of(owner: Owner, of: type) -> bool:
    """Whether an owner is an actor of a class, or of a subclass."""
    return isinstance(owner, ActorRef) and owner._is_of(of)
