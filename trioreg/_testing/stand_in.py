"""The class of a stand-in: a subclass of the class that it stands in for, in which each method only tells of itself.

As a subclass it has all the names, signatures and declared errors of that class. None of that class's code runs.
"""

from __future__ import annotations

from types import FunctionType
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
    namespace: dict[str, Any] = dict(_plain_specials(cls))
    namespace.update({name: getattr(Actor, name) for name in (*_HOOKS, *_SETTINGS)})
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
    namespace["__qualname__"] = f"Recorder[{label_of_class(cls)}]"
    make = cast("Callable[[str, tuple[type, ...], dict[str, Any]], Any]", type(cls))
    bases = (cls,) if issubclass(cls, _Unannounced) else (_Unannounced, cls)
    made = make(f"Recorder[{cls.__name__}]", bases, namespace)
    if getattr(made, "__abstractmethods__", None):
        made.__abstractmethods__ = frozenset()  # properties: no message reads them
    return cast("type[A]", made)


def label_of_class(cls: type) -> str:
    """What a class is called in texts: without the function that it is defined in."""
    return cls.__qualname__.rpartition("<locals>.")[2]


class _Unannounced:
    """No ``__init_subclass__`` learns of a stand-in. It may enter its subclasses in a list, or ask for arguments."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        pass


def _plain_specials(cls: type) -> Iterator[tuple[str, object]]:
    """Methods in place of the special ones that Python calls by itself: those would miss what `__init__` sets."""
    theirs = {
        name
        for base in cls.__mro__
        if not issubclass(Actor, base)
        for name, found in vars(base).items()
        if isinstance(found, FunctionType)
    }
    if "__eq__" in theirs:
        theirs.add("__hash__")  # Python takes it away from a class that defines only the other one
    for name in theirs:
        if name in vars(object):
            yield name, vars(object)[name]
        elif name in _SPECIALS:
            yield name, _SPECIALS[name]


def _no_del(_actor: object) -> None: ...


def _no_getattr(actor: object, name: str) -> object:
    raise AttributeError(f"{type(actor).__qualname__} has no attribute {name!r}")


_SPECIALS = {"__del__": _no_del, "__getattr__": _no_getattr}


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
    def method(*args: object, **kwargs: object) -> object:
        if not args or not isinstance(args[0], Actor):  # a static method or a class method, called as a function
            raise TypeError(f"a stand-in has no code, so {name}() can't be called as a function: send it as a message")
        return tell(args[0], name, args[1:], kwargs)

    method.__name__ = method.__qualname__ = name
    method.__signature__ = signature  # type: ignore[attr-defined]
    return method
