"""Children of supervisors that write down what they do, and short questions to their supervisors."""

from __future__ import annotations

import functools
from typing import Any

import trio

from support.errors import Bang
from support.workers import Worker
from trioreg import Actor, ActorRef, ChildSpec, DynamicSupervisor, Exit, Supervisor


class Failing(Worker):
    """A worker named in ``fails`` does not start; ``fails`` says how often."""

    def __init__(
        self, log: list[str], name: str, *, start: float = 0, stop: float = 0, fails: dict[str, int] | None = None
    ) -> None:
        super().__init__(log, name, start=start, stop=stop)
        self.fails = {} if fails is None else fails

    def begin(self) -> None:
        if self.fails.get(self.name, 0):
            self.fails[self.name] -= 1
            self.log.append(f"!{self.name}")
            raise Bang(f"start of {self.name}")
        super().begin()

    def exit(self) -> None:
        raise SystemExit(self.name)


class FailsToStart(Actor):
    """It fails to start, after one second."""

    async def on_start(self) -> None:
        await trio.sleep(1)
        raise Bang("start")


class Verbose(Worker):
    """It writes down each step of its life, in words."""

    def __init__(self, log: list[str], name: str, *, start: float = 0, stop: float = 0) -> None:
        super().__init__(log, name, start=start, stop=stop)
        log.append(f"{name} init")

    def begin(self) -> None:
        self.log.append(f"{self.name} started")

    async def on_stop(self, exit: Exit) -> None:
        self.log.append(f"{self.name} stopping")
        await trio.sleep(self.stop_seconds)
        self.log.append(f"{self.name} stopped")


def worker(
    log: list[str],
    label: str,
    *,
    start: float = 0,
    stop: float = 0,
    fails: dict[str, int] | None = None,
    **options: Any,
) -> ChildSpec:
    """A child that writes ``+label`` into the log when it starts, and ``-label`` when it stops."""
    factory = functools.partial(Failing, log, label, start=start, stop=stop, fails=fails)
    return ChildSpec(factory, id=label, **options)


def verbose(log: list[str], label: str, *, start: float = 0, stop: float = 0, **options: Any) -> ChildSpec:
    """A child that writes "label init", "label started", "label stopping" and "label stopped" into the log."""
    return ChildSpec(functools.partial(Verbose, log, label, start=start, stop=stop), id=label, **options)


def ref_of(supervisor: Supervisor, id: object) -> ActorRef[Any]:
    """The reference of a child that has one."""
    ref = next(child.ref for child in supervisor.which_children() if child.id == id)
    assert ref is not None
    return ref


def states(supervisor: Supervisor | DynamicSupervisor) -> list[str]:
    """The states of the children, in start order."""
    return [child.state for child in supervisor.which_children()]


def states_by_id(supervisor: Supervisor) -> dict[Any, str]:
    """The state of each child."""
    return {child.id: child.state for child in supervisor.which_children()}


def restarts(supervisor: Supervisor) -> dict[Any, int]:
    """How often each child was restarted."""
    return {child.id: child.restarts for child in supervisor.which_children()}


def bang(supervisor: Supervisor, *ids: str) -> None:
    """Crash these children, in this order, before any other task runs."""
    for id in ids:
        ref_of(supervisor, id).cast_nowait(Failing.bang)


async def went_on() -> None:
    """The end of a block that an error of its children, or its shutdown, should have left before."""
    await trio.sleep(1000)
    raise AssertionError("the block went on")
