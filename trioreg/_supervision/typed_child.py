"""`child`: a `ChildSpec` written as a call, so that type checkers check the arguments, keyword arguments included."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

import attrs

from .._actors import Actor, Function
from .child_spec import ChildSpec

A = TypeVar("A", bound=Actor)
P = ParamSpec("P")
R = TypeVar("R")


@overload
def child(factory: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> ChildSpec[A]: ...
@overload
def child(factory: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> ChildSpec[Function[R]]: ...
def child(factory: Callable[..., Any], /, *args: Any, **kwargs: Any) -> ChildSpec[Any]:
    """A `ChildSpec` written as the call that makes the child. Type checkers check the arguments.

    ::

        cart = child(Cart, "a-17", size=3).named(carts.via("a-17"))
        cart.restarted("transient").within(10)

    It is short for ``ChildSpec(functools.partial(Cart, size=3), args=("a-17",), name=..., restart=..., shutdown=10)``.
    `ChildSpec.named`, `ChildSpec.with_id`, `ChildSpec.restarted`, `ChildSpec.within` and `ChildSpec.as_significant`
    give you a new spec each. `Supervisor.start_child` with such a spec gives you an ``ActorRef[Cart]``. Not a
    checkpoint; constant time; safe from any thread.

    Args:
        factory: An `Actor` class or an async function.
        args, kwargs: Its arguments. Each life gets the same objects.

    Raises:
        TypeError: ``factory`` is not what is said above.
    """
    spec: ChildSpec[Any] = ChildSpec(factory, args)
    return attrs.evolve(spec, factory=functools.partial(factory, **kwargs)) if kwargs else spec
