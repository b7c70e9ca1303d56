"""What a class has under a name: a plain function, or any other callable that has a signature.

A plain function is what most methods are. A decorator may put an object of its own in its place, a compiler a function
of its own kind; and there are ``staticmethod`` and ``classmethod``. What ``SecretAgent.echo`` gives you may then be
another object each time. `name_in` finds its name all the same, and the actor runs what ``self.echo`` gives.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from types import ClassMethodDescriptorType, CoroutineType, FunctionType
from typing import Any, cast

from trio.lowlevel import disable_ki_protection

from .._runtime import shown_safely

DECLARED = "__trioreg_raises__"
BESIDE = "__trioreg_beside__"

_ORIGINALS = ("__wrapped__", "__partialmethod__", "_partialmethod")
_ABSENT = object()


def in_class(cls: type, name: str) -> object:
    """What stands under a name in a class or in the first of its bases that has it: not bound to anything."""
    return next(vars(base)[name] for base in cls.__mro__ if name in vars(base))


def seen_from(cls: type, name: str) -> object:
    """What ``cls.name`` gives. None if that fails."""
    try:
        return getattr(cls, name, None)
    except (MemoryError, RecursionError):
        raise  # else it would look as if there were no such method
    except Exception:  # a descriptor of the user's that is not made for classes
        return None


def name_in(cls: type, method: object) -> str | None:
    """The name of a method in a class: its own, or another one that a decorator or an alias has given it."""
    name = getattr(method, "__name__", None)
    if isinstance(name, str) and any(_is_under(name, base, cls, method) for base in cls.__mro__):
        return name
    if not callable(method) and not _is_descriptor(method):
        return None
    return next((name for base in cls.__mro__ for name in vars(base) if _is_under(name, base, cls, method)), None)


def is_the_only_one(cls: type, method: object) -> bool:
    """Whether a class gives an object equal to ``method`` each time, and for one name only (and its aliases)."""
    found: list[object] = []
    for base in cls.__mro__:
        for name, each in vars(base).items():
            seen = seen_from(base, name)
            if callable(seen) and seen == method:
                found.append(each)
    return bool(found) and all(each is found[0] for each in found)


def _is_under(name: str, base: type, cls: type, method: object) -> bool:
    if name not in vars(base):
        return False
    found = vars(base)[name]
    if found is method:
        return True
    if type(found) is FunctionType or not _is_descriptor(found):
        return False
    bound_to = getattr(method, "__self__", None)
    if inspect.isclass(bound_to) and (issubclass(cls, bound_to) or issubclass(bound_to, base)):
        seen = seen_from(bound_to, name)  # a class method
    else:
        seen = seen_from(base, name)
    if type(seen) is not type(method):
        return False
    return seen == method or (not _is_static(found) and _is_made_of_the_same(seen, method))


def _is_made_of_the_same(one: object, other: object) -> bool:
    return any(getattr(one, name, _ABSENT) is getattr(other, name, None) for name in _ORIGINALS)


def errors_declared_by(method: object) -> tuple[type[Exception], ...]:
    """What `raises` has declared, under any decorators that hide it."""
    while method is not None:
        declared = getattr(method, DECLARED, None)
        if isinstance(declared, tuple):
            return cast("tuple[type[Exception], ...]", declared)
        method = getattr(method, "__wrapped__", None)
    return ()


def signature_of(cls: type, name: str) -> inspect.Signature:
    """The signature of any callable in a class, as if it were a plain method: with the actor in front."""
    found, seen = in_class(cls, name), seen_from(cls, name)
    takes_the_actor = _takes_the_actor(found)
    for each in (seen, found):
        try:
            signature = inspect.signature(cast("Callable[..., object]", each))
        except (ValueError, TypeError):
            continue
        if not takes_the_actor:
            actor = inspect.Parameter("_trioreg_actor", inspect.Parameter.POSITIONAL_ONLY)
            return signature.replace(parameters=[actor, *signature.parameters.values()])
        if not has_place_for_the_actor(signature):
            # mypyc shows no parameters for an async method. Any arguments fit, and wrong ones are a crash.
            return inspect.signature(_any)
        return signature
    raise TypeError(f"{cls.__qualname__}.{name} has no signature that Python could read: write a method that calls it")


def _any(*args: object, **kwargs: object) -> None: ...


def has_place_for_the_actor(signature: inspect.Signature) -> bool:
    """Whether a signature has a first parameter, for the actor."""
    first = next(iter(signature.parameters.values()), None)
    return first is not None and first.kind not in (first.KEYWORD_ONLY, first.VAR_KEYWORD)


def _takes_the_actor(found: object) -> bool:
    if isinstance(found, functools.partial):
        return sys.version_info >= (3, 14)
    if isinstance(found, functools.singledispatchmethod):
        return not isinstance(cast("functools.singledispatchmethod[object]", found).func, staticmethod)
    return _is_descriptor(found) and not _is_static(found)


def _is_descriptor(found: object) -> bool:
    return hasattr(type(found), "__get__")


def _is_static(found: object) -> bool:
    # Use the class that the object shows: a decorator's object shows the class of the function inside it.
    return issubclass(found.__class__, staticmethod | classmethod | ClassMethodDescriptorType)


def call_by_name(name: str) -> Callable[..., Any]:
    """A plain function that calls what an actor has under a name, open to Ctrl-C."""

    @disable_ki_protection
    def call(actor: object, /, *args: object, **kwargs: object) -> Any:
        result: Any = getattr(actor, name)(*args, **kwargs)
        return _awaited(result) if _is_of_a_compiler(result) else result

    return call


def _is_of_a_compiler(result: object) -> bool:
    """Whether this is a coroutine, and not one of Python's own."""
    return type(result) is not CoroutineType and isinstance(result, Coroutine)


@disable_ki_protection
async def _awaited(coroutine: Coroutine[Any, Any, object]) -> object:
    return await coroutine


def why_unknown(cls: type, method: object) -> str:
    """Why an object is no method of a class, and what to write instead."""
    what = shown(method)
    if isinstance(method, functools.partial):
        what = f"functools.partial({shown(cast('functools.partial[object]', method).func)}, ...)"
        return f"{what} is not a method of {cls.__qualname__}: pass the method itself, and all arguments after it"
    if inspect.ismethod(method) and not inspect.isclass(method.__self__):
        name = name_in(cls, method.__func__)
        if name is None and isinstance(method.__self__, cls):
            name = getattr(method, "__name__", None)
        if name is not None:
            return f"{what} is bound to an instance: pass {cls.__qualname__}.{name}"
    name = getattr(method, "__name__", None)
    if isinstance(name, str):
        for base in cls.__mro__:
            found = vars(base).get(name)
            if _is_made_of_the_same(found, method):
                return f"{what} is bound to an instance: pass {cls.__qualname__}.{name}"
            if _is_inside(found, method):
                return f"{what} is the function under a decorator: pass {cls.__qualname__}.{name}"
            if _home(method) != (base.__module__, base.__qualname__):
                continue
            if not _is_in_its_module(base):
                return (
                    f"{what} is of another class than this actor: {base.__qualname__} has been defined again since it "
                    "started. Start it again"
                )
            if found is not None:
                return f"{what} is not the function that the class has: pass {cls.__qualname__}.{name}"
    return f"{what} is not a method of {cls.__qualname__}: pass {cls.__qualname__}.<method>"


def _is_inside(found: object, method: object) -> bool:
    while found is not None:
        found = getattr(found, "__wrapped__", None)
        if found is method:
            return True
    return False


def _is_in_its_module(cls: type) -> bool:
    found: object = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is cls


def _home(method: object) -> tuple[object, str]:
    """The module and the name of the class that a method was written in."""
    method = getattr(method, "__func__", method)
    return getattr(method, "__module__", None), str(getattr(method, "__qualname__", "")).rpartition(".")[0]


def shown(method: object) -> str:
    """What a method is called in an error."""
    partial = getattr(method, "__partialmethod__", None) or getattr(method, "_partialmethod", None)
    if isinstance(partial, functools.partialmethod):
        return f"functools.partialmethod({shown(cast('functools.partialmethod[object]', partial).func)}, ...)"
    return str(getattr(method, "__qualname__", None) or shown_safely(method))
