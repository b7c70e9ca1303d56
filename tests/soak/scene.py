"""What the scenarios share: a program that is drawn before it runs, a look after each step, and a crash of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

import trio
from support.watcher import rows
from trio.lowlevel import add_instrument, remove_instrument

from trioreg import Registry

T = TypeVar("T")


class Boom(Exception):
    """A crash that a scenario has planned."""


class AfterEachStep(trio.abc.Instrument):
    """Looks at something after each step of any task. The first error leaves the block, at its end."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.look = look
        self.error: BaseException | None = None
        self.looks = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.error is None:
            self.looks += 1
            try:
                self.look()
            except BaseException as error:  # an instrument that raises is removed, and the test goes on
                error.add_note(f"after a step of {task.name}")
                self.error = error


@contextmanager
def always(look: Callable[[], object]) -> Generator[None]:
    """What ``look`` asserts holds after each step of any task, while the block runs."""
    looking = AfterEachStep(look)
    add_instrument(looking)
    try:
        yield
    finally:
        remove_instrument(looking)
        if looking.error is not None:
            raise looking.error
    assert looking.looks


def assert_living(*registries: Registry[Any, Any]) -> None:
    """Each name leads to an owner that lives; a unique name to one owner."""
    for registry in registries:
        for key, owner in rows(registry):
            assert owner.is_alive, f"{key!r} leads to {owner!r}, which has ended"
        if registry._names.unique:
            keys = [key for key, _, _ in registry.select_nowait()]
            assert len(keys) == len({*keys}), f"two have one name: {keys}"


def plans(draw: Random, steps: list[T], *, tasks: int, length: int) -> list[list[T]]:
    """For each task, the steps that it takes."""
    return [[draw.choice(steps) for _ in range(draw.randint(1, length))] for _ in range(tasks)]


async def pause(draw: float) -> None:
    """Nothing, a checkpoint, or some time."""
    if draw < 0:
        return
    if draw == 0:
        await trio.lowlevel.checkpoint()
    else:
        await trio.sleep(draw)


PAUSES = (-1, 0, 0, 0, 1, 1, 2)
"""What a scenario draws its pauses from: they often end at the same moment."""
