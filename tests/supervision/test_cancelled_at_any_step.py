"""A supervisor that is cancelled after each step of any task, in the middle of what it does."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.children import went_on
from support.errors import Bang
from support.supervision_model import STRATEGIES, Strategy
from trio.lowlevel import Task
from trio.testing import MockClock

from trioreg import (
    Actor,
    Backoff,
    ChildSpec,
    Exit,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_supervisor,
)


class CancellingAtStep(trio.abc.Instrument):
    """Cancels a scope after the n-th step of any task."""

    def __init__(self, n: int, scope: trio.CancelScope) -> None:
        self.n = n
        self.steps = 0
        self.scope = scope
        self.at = math.inf

    def after_task_step(self, task: Task) -> None:
        self.steps += 1
        if self.steps == self.n:
            self.at = trio.current_time()
            self.scope.cancel()


class Slow(Actor):
    """It starts and stops slowly, and has a background task and a second name."""

    def __init__(self, stage: Stage, label: str) -> None:
        self.stage = stage
        self.label = label
        stage.names.register(f"also {label}")

    async def on_start(self) -> None:
        self.start_soon(trio.sleep_forever)
        await trio.sleep(1)
        if self.stage.fails[self.label]:
            self.stage.fails[self.label] -= 1
            raise Bang(self.label)
        self.stage.note(f"+{self.label}")

    async def on_stop(self, exit: Exit) -> None:
        self.stage.note(f"<{self.label}")
        await trio.sleep(1)
        self.stage.note(f"-{self.label}")

    def bang(self) -> None:
        raise Bang(self.label)


class Stage:
    """The children a, b, c and a nested supervisor of d, e; and a journal of their starts and stops."""

    def __init__(self, strategy: Strategy) -> None:
        self.names: Registry[str, None] = Registry("names")
        self.journal: list[tuple[float, str]] = []
        self.fails: Counter[str] = Counter()
        self.strategy: Strategy = strategy

    def note(self, entry: str) -> None:
        self.journal.append((trio.current_time(), entry))

    def spec(self, label: str, **options: Any) -> ChildSpec:
        return ChildSpec(Slow, (self, label), id=label, name=self.names.via(label), **options)

    def specs(self) -> list[ChildSpec]:
        inner = [self.spec("d"), self.spec("e")]
        return [
            self.spec("a"),
            self.spec("b", backoff=Backoff(initial=2)),
            ChildSpec(Supervisor, (inner,), id="inner", name=self.names.via("inner")),
            self.spec("c"),
        ]

    def crash(self, *labels: str) -> None:
        for label in labels:
            self.names.via(label).cast_nowait(Slow.bang)


async def starts(stage: Stage, supervisor: Supervisor) -> None:
    await supervisor.start_child(stage.spec("f"))


async def fails_to_start(stage: Stage, supervisor: Supervisor) -> None:
    stage.fails["f"] = 1
    with pytest.raises(Bang):
        await supervisor.start_child(stage.spec("f"))


async def restarts_one(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("a")
    await trio.sleep(20)


async def restarts_after_a_pause(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("b")
    await trio.sleep(20)


async def fails_to_restart(stage: Stage, supervisor: Supervisor) -> None:
    stage.fails["b"] = 1
    stage.crash("a", "b")
    await trio.sleep(40)


async def restarts_several(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("c", "a", "e")
    await trio.sleep(40)


async def restarts_a_tree(stage: Stage, supervisor: Supervisor) -> None:
    stage.names.via("inner").kill()
    await trio.sleep(40)


async def terminates(stage: Stage, supervisor: Supervisor) -> None:
    await supervisor.terminate_child("inner")
    await supervisor.restart_child("inner")
    await supervisor.terminate_child("a")
    supervisor.delete_child("a")


async def gives_up(stage: Stage, supervisor: Supervisor) -> None:
    stage.crash("e", "b")
    await went_on()


async def shuts_down(stage: Stage, supervisor: Supervisor) -> None:
    supervisor.stop()
    await went_on()


SITUATIONS = [
    starts,
    fails_to_start,
    restarts_one,
    restarts_after_a_pause,
    fails_to_restart,
    restarts_several,
    restarts_a_tree,
    terminates,
    gives_up,
    shuts_down,
]


def out_of_order(journal: list[tuple[float, str]], since: float) -> list[str]:
    """The children that began to end, later than ``since``, before the children started after them had ended."""
    order = "abdecf"
    last, is_ended, wrong = len(order), True, list[str]()
    for at, entry in journal:
        if at > since and entry[0] == "<":
            if order.index(entry[1]) >= last or not is_ended:
                wrong.append(entry)
            last, is_ended = order.index(entry[1]), False
        elif at > since and entry[0] == "-":
            is_ended = True
    return wrong


@pytest.mark.parametrize("situation", SITUATIONS, ids=[situation.__name__ for situation in SITUATIONS])
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_supervisor_that_is_cancelled_at_any_step_ends_in_order_and_leaves_nothing(
    strategy: Strategy, situation: Callable[[Stage, Supervisor], Awaitable[None]], autojump_clock: MockClock
) -> None:
    tasks = trio.lowlevel.current_statistics().tasks_living
    lives = Counter[str]()
    cancelling = CancellingAtStep(0, trio.CancelScope())
    while cancelling.steps >= cancelling.n:  # it has been reached
        stage = Stage(strategy)
        limit = 0 if situation is gives_up else 5
        with trio.fail_after(1000), trio.CancelScope() as scope:
            cancelling = CancellingAtStep(cancelling.n + 1, scope)
            try:
                async with open_supervisor(stage.specs(), strategy=strategy, max_restarts=limit) as supervisor:
                    trio.lowlevel.add_instrument(cancelling)
                    await situation(stage, supervisor)
                    scope.cancel()
            except* (Bang, RestartLimitExceeded):
                pass
        trio.lowlevel.remove_instrument(cancelling)
        assert stage.names.count() == 0
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        lives.clear()
        for _, entry in stage.journal:
            lives[entry[1]] += {"+": 1, "<": 0, "-": -1}[entry[0]]
        # The children of a supervisor that is killed do not run their on_stop.
        assert all(left == 0 or (left == 1 and situation is restarts_a_tree) for left in lives.values())
        assert out_of_order(stage.journal, cancelling.at) == []
    assert cancelling.n > 10
    assert lives
