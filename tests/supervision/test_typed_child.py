"""`child`: a spec that is written as a call, and the methods that give another spec."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from support.supervisors import supervised, supervising
from trio.testing import MockClock

from trioreg import Actor, Backoff, ChildSpec, OnDemand, Registry, RestartLimit, child

NAMES: Registry[str, None] = Registry("names")


class Cart(Actor):
    def __init__(self, key: str, *, size: int = 3) -> None:
        self.key = key
        self.size = size

    def show(self) -> tuple[str, int]:
        return self.key, self.size


async def poll(url: str, *, every: float) -> tuple[str, float]:
    return url, every


async def nothing() -> None: ...


async def test_each_life_gets_the_arguments_keyword_arguments_included(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervising([child(Cart, "a", size=5).named(names.via("a"))]) as supervisor:
        assert await names.via("a").call(Cart.show) == ("a", 5)
        first = supervisor.which_child("a").ref
        assert first is not None
        first.kill()
        await first.wait()
        assert await names.via("a", wait=True).call(Cart.show) == ("a", 5)


async def test_start_child_and_start_or_get_take_such_a_spec(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        cart = await supervisor.start_child(child(Cart, "a"))
        assert await cart.call(Cart.show) == ("a", 3)
        named = child(Cart, "b", size=1).named(names.via("b"))
        assert await supervisor.start_or_get(named) is await supervisor.start_or_get(named)
        function = await supervisor.start_child(child(poll, "url", every=2))
        assert await function.result() == ("url", 2)


def test_a_spec_without_keyword_arguments_is_the_plain_one() -> None:
    assert child(Cart, "a") == ChildSpec(Cart, ("a",))
    assert child(nothing).restart == "transient"


def test_a_spec_with_keyword_arguments_is_called_what_its_factory_is_called() -> None:
    spec = child(Cart, "a", size=5)
    assert isinstance(spec.factory, functools.partial)
    assert spec.kind.label == "Cart"


def test_each_method_gives_another_spec() -> None:
    plain = child(Cart, "a")
    backoff, limit = Backoff(), RestartLimit()
    assert plain.named(NAMES.via("a")) == ChildSpec(Cart, ("a",), name=NAMES.via("a"))
    assert plain.with_id(7) == ChildSpec(Cart, ("a",), id=7)
    assert plain.within(7) == ChildSpec(Cart, ("a",), shutdown=7)
    assert plain.within("kill") == ChildSpec(Cart, ("a",), shutdown="kill")
    assert plain.within(math.inf).seconds == math.inf
    restarted = plain.restarted("transient", backoff=backoff, limit=limit)
    assert restarted == ChildSpec(Cart, ("a",), restart="transient", backoff=backoff, limit=limit)
    assert restarted.restarted("temporary") == ChildSpec(
        Cart, ("a",), restart="temporary", backoff=backoff, limit=limit
    )
    assert plain.restarted() == plain
    assert restarted.as_significant() == ChildSpec(
        Cart, ("a",), restart="transient", backoff=backoff, limit=limit, significant=True
    )
    assert plain == ChildSpec(Cart, ("a",))


def test_a_plain_spec_has_the_same_methods() -> None:
    assert ChildSpec(Cart, ("a",)).with_id("x").within(1) == ChildSpec(Cart, ("a",), id="x", shutdown=1)


WRONG: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda spec: spec.named("a"), TypeError, "name must come from Registry.via(), not 'a'"),
    (lambda spec: spec.named(None), TypeError, "name must come from Registry.via(), not None"),
    (
        lambda spec: spec.named(OnDemand("carts", Cart).via("a-17")),
        TypeError,
        "name must come from Registry.via(), not <via carts 'a-17'>: "
        "send a message to it instead, the first one starts the actor",
    ),
    (lambda spec: spec.within(None), TypeError, "shutdown must be a number of seconds, math.inf or 'kill', not None"),
    (lambda spec: spec.with_id([]), TypeError, "id must be hashable: []"),
    (lambda spec: spec.restarted("always"), ValueError, "restart must be one of"),
    (lambda spec: spec.restarted(backoff=3), TypeError, "backoff must be a Backoff, not 3"),
    (lambda spec: spec.restarted(limit=3), TypeError, "limit must be a RestartLimit, not 3"),
    (lambda spec: spec.within(-1), ValueError, "shutdown must be at least 0, not -1"),
    (lambda spec: spec.within("5"), TypeError, "shutdown must be a number of seconds"),
    (lambda spec: spec.as_significant(), ValueError, "significant must not be True for a permanent child"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_a_wrong_argument_is_refused_and_named(
    make: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make(child(Cart, "a"))


@pytest.mark.parametrize("factory", [5, None, int, "Cart"])
def test_what_is_no_factory_is_refused(factory: Any) -> None:
    with pytest.raises(TypeError, match="factory must be an Actor class or an async function"):
        child(factory, "a")


def test_a_factory_that_is_no_callable_is_refused_with_keyword_arguments_too() -> None:
    factory: Any = 5
    with pytest.raises(TypeError, match=r"factory must be an Actor class or an async function .*, not 5"):
        child(factory, size=3)
