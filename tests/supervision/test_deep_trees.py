"""Trees of a thousand levels: nothing that walks them uses up the stack."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, ChildSpec, Exit, Registry, Supervisor, open_supervisor

LEVELS = 1000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A thousand tracebacks of a thousand lines are not what these tests are about."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Deepest(Actor):
    def bang(self) -> None:
        raise Bang


def deep(spec: ChildSpec, **options: Any) -> ChildSpec:
    """A tree in which a child is the only one, a thousand levels down."""
    for _ in range(LEVELS):
        spec = ChildSpec(partial(Supervisor, [spec], **options), restart="temporary")
    return spec


async def test_a_deep_tree_can_be_killed(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        top = await supervisor.start_child(deep(ChildSpec(Deepest, name=names.via("deepest"))))
        top.kill()
        assert await top.wait() == Exit("killed")
        assert names.count() == 0


async def test_a_deep_tree_is_shown(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        await supervisor.start_child(deep(ChildSpec(Deepest)))
        lines = supervisor.tree().splitlines()
        assert len(lines) == LEVELS + 2
        assert "Deepest" in lines[-1]


async def test_a_deep_tree_is_stopped_in_order(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        top: ActorRef[Any] = await supervisor.start_child(deep(ChildSpec(Deepest)))
        assert await top.stop() == Exit("normal")


async def test_a_deep_tree_gives_up_level_by_level(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    spec = ChildSpec(Deepest, name=names.via("deepest"))
    for _ in range(LEVELS):
        spec = ChildSpec(partial(Supervisor, [spec], max_restarts=0))
    caught: list[BaseException] = []
    try:
        async with open_supervisor([spec], max_restarts=0):
            names.via("deepest").cast_nowait(Deepest.bang)
            await wait_all_tasks_blocked()
            await trio.sleep_forever()
    except* Bang as group:
        caught = leaves(group)
    except* Exception:
        pass
    assert [type(error) for error in caught] == [Bang]


async def test_a_child_that_does_not_start_ends_the_start_of_a_deep_tree(autojump_clock: MockClock) -> None:
    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang

    async with supervised() as supervisor:
        with pytest.raises(Bang):
            await supervisor.start_child(deep(ChildSpec(Fails)))
        assert supervisor.count_children().specs == 0
