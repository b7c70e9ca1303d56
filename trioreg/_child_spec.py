"""What a supervisor has to know to start a child, and to start it again: a fact, made once, checked at once."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Literal, TypeAlias, cast, get_origin

import attrs

from ._actor import Actor, ActorType, type_of
from ._via import Via

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
Factory: TypeAlias = Callable[..., Actor] | Callable[..., Awaitable[object]]

RESTARTS = ("permanent", "transient", "temporary")


def _one_of(*allowed: object) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")

    return check


def _check_factory(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not callable(value):
        raise TypeError(f"factory must be an Actor class or an async function, not {value!r}")
    if actor_class(value) is None:
        inner = innermost(value)
        if isinstance(inner, type) or (inspect.isfunction(inner) and not inspect.iscoroutinefunction(inner)):
            raise TypeError(
                f"factory must be an Actor class or an async function (or a functools.partial of one), not {value!r}"
            )


def _check_args(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple):
        raise TypeError(f"args must be a tuple, not {value!r}")


def _check_id(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"id must be hashable: {value!r}") from None


def _check_name(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, Via):
        raise TypeError(f"name must come from Registry.via(), not {value!r}")


def _check_shutdown(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None or value == "kill":
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"shutdown must be a number of seconds, math.inf or 'kill', not {value!r}")
    if not value >= 0:
        raise ValueError(f"shutdown must be at least 0 seconds, not {value!r}")


def _check_bool(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be a bool, not {value!r}")


@attrs.frozen
class ChildSpec:
    """How a supervisor starts a child: ``Supervisor.child_spec``.

    Synopsis::

        open_supervisor(children=[
            ChildSpec(SecretAgent, args=("James Bond",), name=agents.via("James Bond")),
            ChildSpec(cleaner, restart="temporary"),
        ])

    Attributes:
        factory: An `Actor` class or an async function, or a ``functools.partial`` of one.
        args: Its arguments.
        id: What the supervisor knows the child by; None makes one up from the name or the factory.
        name: The name it has in a registry, in every life, from before it starts: `Registry.via`.
        restart: ``"permanent"`` (always restarted), ``"transient"`` (after a crash or a kill), ``"temporary"``
            (never). None means permanent for an actor class, and transient for a function: it may return.
        shutdown: How long it may take to end, in seconds, ``math.inf``, or ``"kill"``. None means 5 seconds.
        significant: Whether its end counts for the supervisor's ``auto_shutdown``.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """

    factory: Factory = attrs.field(validator=_check_factory)
    args: tuple[Any, ...] = attrs.field(default=(), validator=_check_args)
    id: Hashable = attrs.field(default=None, validator=_check_id)
    name: Via[Any, Any] | None = attrs.field(default=None, validator=_check_name)
    restart: Restart | None = attrs.field(default=None, validator=_one_of(None, *RESTARTS))
    shutdown: float | Literal["kill"] | None = attrs.field(default=None, validator=_check_shutdown)
    significant: bool = attrs.field(default=False, validator=_check_bool)


def innermost(factory: object) -> object:
    """The class or function inside of `functools.partial`, and of ``Agent[int]``."""
    while isinstance(factory, functools.partial):
        factory = cast("functools.partial[object]", factory).func
    return get_origin(factory) or factory


def actor_class(factory: object) -> type[Actor] | None:
    """The actor class that a factory makes, or None for a function actor."""
    inner = innermost(factory)
    return inner if isinstance(inner, type) and issubclass(inner, Actor) else None


def actor_type(factory: object) -> ActorType:
    return type_of(actor_class(factory))


def label_of(factory: object) -> str:
    """What people call actors of that kind."""
    inner = innermost(factory)
    return str(getattr(inner, "__qualname__", None) or type(inner).__qualname__).replace("<locals>.", "").split(".")[-1]


def restart_of(spec: ChildSpec) -> Restart:
    if spec.restart is not None:
        return spec.restart
    return "transient" if actor_class(spec.factory) is None else "permanent"


def seconds_of(spec: ChildSpec) -> float:
    """How long the child may take to end."""
    if spec.shutdown == "kill":
        return 0.0
    if spec.shutdown is not None:
        return spec.shutdown
    cls = actor_class(spec.factory)
    return math.inf if cls is not None and getattr(cls, "_is_supervisor", False) else 5.0
