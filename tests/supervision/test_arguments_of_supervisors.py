"""Arguments that are wrong, addresses that are compared, and blocks that are entered twice."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from trioreg import Actor, ChildSpec, OnDemand, OnDemandSupervisor, open_supervisor


class Cart(Actor):
    def __init__(self, key: object = None) -> None:
        pass


def test_an_on_demand_supervisor_is_for_an_on_demand() -> None:
    carts: Any = "carts"
    with pytest.raises(TypeError, match=r"^on_demand must be an OnDemand, not 'carts'$"):
        OnDemandSupervisor(carts)


def test_the_name_of_an_on_demand_is_a_text() -> None:
    name: Any = 5
    with pytest.raises(TypeError, match=r"^name must be a str, not 5$"):
        OnDemand(name, Cart)


def test_an_address_on_demand_has_its_key_and_is_equal_to_one_of_the_same_key_only() -> None:
    carts: OnDemand[Any, Cart] = OnDemand("carts", Cart)
    others: OnDemand[Any, Cart] = OnDemand("carts", Cart)
    address: Any = carts.via("a-17")
    assert address.key == "a-17"
    assert repr(address) == "<via carts 'a-17'>"
    assert address == carts.via("a-17")
    assert hash(address) == hash(carts.via("a-17"))
    assert address not in (carts.via("b-18"), others.via("a-17"), "a-17")


async def test_a_block_is_entered_once(autojump_clock: MockClock) -> None:
    block = open_supervisor([ChildSpec(Cart)], at_end="stop")
    async with block:
        with pytest.raises(RuntimeError, match="this supervisor's block is already entered: open another one"):
            async with block:
                pass
