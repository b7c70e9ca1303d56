"""meta(), put_meta(), delete_meta(): facts about a registry."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pytest
from support.owners import staged
from trio.testing import MockClock

from trioreg import (
    Registry,
)


async def test_meta_keeps_facts_about_the_registry(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    registry.put_meta("limit", 100)
    registry.put_meta(("any", "hashable"), None)
    assert registry.meta("limit") == 100
    assert registry.meta(("any", "hashable"), "a default") is None
    registry.put_meta("limit", 200)
    assert registry.meta("limit") == 200
    assert registry.count() == 0


async def test_meta_that_was_not_put_is_the_default_or_a_key_error(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("limit", 1)
    with pytest.raises(KeyError, match="limit"):
        registry.meta("limit")
    assert registry.meta("limit", None) is None
    registry.put_meta("limit", 100)
    registry.delete_meta("limit")
    registry.delete_meta("limit")
    assert registry.meta("limit", "none") == "none"


async def test_meta_outlives_the_owner_that_put_it(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        owner = await stage.actor()
        await stage.run(owner, lambda: registry.put_meta("limit", 100))
        await stage.end(owner)
    assert registry.meta("limit") == 100


def test_meta_needs_no_trio_run() -> None:
    registry: Registry[str, int] = Registry("tested")
    registry.put_meta("limit", 100)
    assert registry.meta("limit") == 100
    registry.delete_meta("limit")
    assert registry.meta("limit", None) is None
