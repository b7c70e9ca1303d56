"""Actors on demand whose keys misbehave: that hurts only what has to compare or show them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import trio
from support.carts import Cart, Shop
from support.errors import Bang
from trio.testing import MockClock

from trioreg import ActorExited, Backoff, OnDemand, RestartLimit, open_on_demand


class Key:
    """All have the same hash, so a dict compares them, which raises while they are bad."""

    are_bad = False

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        if Key.are_bad:
            raise Bang
        return self is other

    def __repr__(self) -> str:
        return self.name


OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_running": 2},
    {"backoff": Backoff(initial=1, maximum=4)},
    {"limit": RestartLimit(3, 60)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("how", ["stop", "kill", "next life"])
async def test_a_key_that_raises_when_its_actor_ends_hurts_no_other(
    how: Literal["stop", "kill", "next life"],
    options: dict[str, Any],
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    shop.stop_takes = 1
    carts: Any = shop.carts(**options)
    first, second = Key("first"), Key("second")
    answers: list[object] = []

    async def ask(what: str) -> None:
        try:
            answers.append(await carts.via(second).call(Cart.note, what))
        except ActorExited as error:
            answers.append(type(error.__cause__))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        for key in (first, second):
            await carts.via(key).call(Cart.note, "begin")
        ref = carts.whereis(second)
        other = carts.whereis(first)
        if how == "kill":
            ref.kill()
        else:
            nursery.start_soon(ref.stop)
            await trio.sleep(0.5)
            if how == "next life":
                nursery.start_soon(ask, "behind")
                await trio.sleep(0.1)
        monkeypatch.setattr(Key, "are_bad", True)
        await ref.wait()
        await trio.sleep(1)
        assert "a key raised when its actor" in caplog.text
        assert answers == ([Bang] if how == "next life" else [])
        monkeypatch.setattr(Key, "are_bad", False)
        assert other.state == "running"
        await trio.sleep(20)
        await ask("again")
        assert answers[-1] == "again"
    assert (len(carts), carts.registry.count()) == (0, 0)


class StrictKey:
    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: Any) -> bool:
        return bool(self.name == other.name)

    def __repr__(self) -> str:
        raise Bang


async def test_a_key_that_can_be_compared_with_its_like_only_and_not_be_shown_hurts_no_other(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(Cart):
        async def on_start(self) -> None:
            raise ValueError

    shop = Shop()
    carts: OnDemand[Any, Cart] = shop.carts(Fails)
    async with open_on_demand(carts):
        with pytest.raises(ActorExited):
            await carts.via(StrictKey("a")).call(Cart.note, 1)
        await trio.sleep(1)
        with pytest.raises(ActorExited):
            await carts.via(StrictKey("a")).call(Cart.note, 1)
    assert "child Fails named <StrictKey" in caplog.text
