"""Decorators that put an object in the place of a method, as popular libraries do."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any


class Proxy:
    """As wrapt's: it pretends to be the function, is equal to it, and is another object each time it is looked up."""

    def __init__(self, wrapped: Any) -> None:
        self.__wrapped__ = wrapped

    if not TYPE_CHECKING:

        @property
        def __class__(self):
            return type(self.__wrapped__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return Proxy(self.__wrapped__.__get__(instance, owner))


class ForInstancesOnly:
    """As cachetools': it keeps a bound function for each instance, and is not made to be called on the class."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self.function, instance)

    def __call__(self, *args: Any) -> Any:
        raise TypeError("call it on an instance")


class Adder:
    """A callable object: as a class attribute it does not get the instance."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, other: int) -> int:
        return self.number + other


class AsyncAdder:
    """The same, and async."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def __call__(self, other: int) -> int:
        return self.number + other


class Compiled:
    """As a compiler's function type: no plain function, with a signature, bound like a method."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__wrapped__ = function

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.function(*args, **kwargs)
        return CompiledCoroutine(result) if hasattr(result, "send") else result


class CompiledCoroutine:
    """As a compiler's coroutine: it can be awaited, and is none of Python's own."""

    def __init__(self, coroutine: Any) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Any:
        return self.coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self.coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        return self.coroutine.throw(*error)

    def close(self) -> None:
        self.coroutine.close()


class ShowsNoArguments(Compiled):
    """As an async method of mypyc: `inspect` finds an empty signature."""

    __signature__ = inspect.Signature()


def proxy(method: object) -> Any:
    return Proxy(method)


def for_instances_only(method: object) -> Any:
    return ForInstancesOnly(method)


def compiled(method: Callable[..., Any]) -> Any:
    return Compiled(method)


def shows_no_arguments(method: Callable[..., Any]) -> Any:
    return ShowsNoArguments(method)
