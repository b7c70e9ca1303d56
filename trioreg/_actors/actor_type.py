"""What the runtime knows of an actor class: its settings, checked once, its hooks, and its table of handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .._runtime import OPTIONAL_SECONDS, require_number
from .actor import Actor
from .handler import Handlers, Hooks
from .handler_timeout import limit_of
from .idle import require_idle_timeout
from .ref import ActorRef, FunctionRef

if TYPE_CHECKING:
    from .handler import Limit

_HOOKS = frozenset(dir(Actor))


class ActorType:
    """What the runtime knows of an actor class. With ``cls`` None: of any function actor."""

    __slots__ = ("handlers", "hooks", "mailbox_size", "reference")

    def __init__(self, cls: type[Actor] | None) -> None:
        self.reference: type[ActorRef[Any]] = FunctionRef if cls is None else ActorRef
        self.mailbox_size: int | None = None
        self.hooks: Hooks | None = None
        limit: Limit | None = None
        if cls is not None:
            size = cls.mailbox_size
            if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
                raise ValueError(f"{cls.__qualname__}.mailbox_size must be None or an int of at least 1, not {size!r}")
            self.mailbox_size = size
            if not isinstance(cls.own_turn, bool):
                raise TypeError(f"{cls.__qualname__}.own_turn must be True or False, not {cls.own_turn!r}")
            seconds = cls.handler_timeout
            if seconds is not None:
                require_number(f"{cls.__qualname__}.handler_timeout", seconds, what=OPTIONAL_SECONDS, zero=False)
                limit = limit_of(seconds)
            idle: object = cls.idle_timeout
            if not hasattr(type(idle), "__get__"):  # else it is made for each instance: by a property, a slot, ...
                require_idle_timeout(cls, idle)
            self.hooks = Hooks(cls, Actor, limit)
        self.handlers: Handlers = Handlers(cls, _HOOKS, limit)


_function_type = ActorType(None)


def type_of(cls: type[Actor] | None) -> ActorType:
    """The `ActorType` of a class. It is made when the class is first started, and kept."""
    if cls is None:
        return _function_type
    known = vars(cls).get("_trioreg_type")
    if known is None:
        known = ActorType(cls)
        type.__setattr__(cls, "_trioreg_type", known)
    return cast("ActorType", known)
