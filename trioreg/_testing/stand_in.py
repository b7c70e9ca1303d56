"""The class of a stand-in: a subclass of the class that it stands in for, in which each method only tells of itself.

As a subclass it has all the names, signatures and declared errors of that class. None of that class's code runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from .._actors import Actor, signature_of

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Iterator, Mapping

    Tell = Callable[[Any, str, tuple[object, ...], Mapping[str, object]], object]

A = TypeVar("A", bound=Actor)

_OF_ACTOR = frozenset(dir(Actor))
_HOOKS = ("on_start", "on_started", "on_stop", "on_idle")
_SETTINGS = ("idle_timeout", "own_turn", "handler_timeout", "log_state")


def stand_in_for(cls: type[A], tell: Tell) -> type[A]:
    """A class that can stand in for ``cls``: each method calls ``tell`` with the instance, its name and its arguments,
    and returns what that returns. It takes any arguments, and makes nothing of them."""
    namespace: dict[str, Any] = {name: getattr(Actor, name) for name in (*_HOOKS, *_SETTINGS)}
    if cls.__new__ is not Actor.__new__:
        namespace["__new__"] = vars(Actor)["__new__"]
    for name, signature in _methods(cls):
        namespace[name] = _telling(name, signature, tell)

    def init(self: object, *args: object, **kwargs: object) -> None:
        pass

    async def on_message(self: Any, message: object) -> None:
        tell(self, "on_message", (message,), {})

    namespace["__init__"] = init
    namespace["on_message"] = on_message
    namespace["__module__"] = cls.__module__
    namespace["__qualname__"] = f"Recorder[{cls.__qualname__}]"
    make = cast("Callable[[str, tuple[type, ...], dict[str, Any]], type[A]]", type(cls))
    return make(f"Recorder[{cls.__name__}]", (cls,), namespace)


def _methods(cls: type) -> Iterator[tuple[str, inspect.Signature]]:
    """The methods that can be sent as messages."""
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    for name in names:
        if name in _OF_ACTOR or (name.startswith("__") and name.endswith("__")):
            continue
        found: object = getattr(cls, name, None)
        if not callable(found) or isinstance(found, type):
            continue
        try:
            yield name, signature_of(cls, name)
        except TypeError:
            continue  # it can't be sent as a message


def _telling(name: str, signature: inspect.Signature, tell: Tell) -> Callable[..., object]:
    def method(self: object, /, *args: object, **kwargs: object) -> object:
        return tell(self, name, args, kwargs)

    method.__name__ = method.__qualname__ = name
    method.__signature__ = signature  # type: ignore[attr-defined]
    return method
