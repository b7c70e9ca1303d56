"""The context managers: what they are called, and what they say if they are entered in the wrong way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import trio

from trioreg import (
    Actor,
    Registry,
    open_dynamic_supervisor,
    open_partition_supervisor,
    open_stream,
    open_supervisor,
)

names: Registry[str, None] = Registry("names")

ASYNC: list[tuple[Callable[[], Any], str]] = [
    (open_supervisor, "open_supervisor(...)"),
    (open_dynamic_supervisor, "open_dynamic_supervisor(...)"),
    (lambda: open_partition_supervisor(2, Actor), "open_partition_supervisor(...)"),
    (lambda: open_stream(trio.sleep, [], max_concurrency=1), "open_stream(...)"),
    (lambda: names.lock("key"), "registry.lock(...)"),
]

SYNC: list[tuple[Callable[[], Any], str]] = [
    (lambda: names.hold("key"), "registry.hold(...)"),
    (lambda: names.watch("key"), "registry.watch(...)"),
]


@pytest.mark.parametrize(("make", "written"), ASYNC)
async def test_an_async_block_is_not_entered_by_with(make: Callable[[], Any], written: str) -> None:
    with pytest.raises(TypeError) as caught, make():
        raise AssertionError("entered")
    assert str(caught.value) == f"write 'async with {written}', not 'with {written}'"


@pytest.mark.parametrize(("make", "written"), SYNC)
async def test_a_sync_block_is_not_entered_by_async_with(make: Callable[[], Any], written: str) -> None:
    with pytest.raises(TypeError) as caught:
        async with make():
            raise AssertionError("entered")
    assert str(caught.value) == f"write 'with {written}', not 'async with {written}'"
    assert names.count() == 0


@pytest.mark.parametrize(("make", "written"), [*ASYNC, *SYNC])
async def test_a_block_is_shown_as_it_is_written(make: Callable[[], Any], written: str) -> None:
    assert repr(make()) == f"<{written}>"


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """It refuses each assignment, that of a traceback too: ``contextlib.contextmanager`` loses it."""

    code: int


@pytest.mark.parametrize(("make", "written"), SYNC)
async def test_a_frozen_exception_leaves_a_sync_block_as_it_is(make: Callable[[], Any], written: str) -> None:
    with pytest.raises(Frozen) as caught, make():
        raise Frozen(5)
    assert caught.value.code == 5


@pytest.mark.parametrize(("make", "written"), ASYNC)
async def test_a_frozen_exception_leaves_an_async_block_as_it_is(make: Callable[[], Any], written: str) -> None:
    error = Frozen(5)
    with pytest.raises((Frozen, ExceptionGroup)) as caught:
        async with make():
            raise error
    assert getattr(caught.value, "exceptions", (caught.value,)) == (error,)
