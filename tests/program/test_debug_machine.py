"""Suspend, resume, change, send, call and end, in any order and at any time, against a naive model of one actor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, debug

What = Literal["cast", "call", "suspend", "resume", "change", "give up", "stop", "cancel", "kill"]
COMMON: tuple[What, ...] = ("cast", "call", "suspend", "resume", "change", "give up")
ENDS: tuple[What, ...] = ("stop", "cancel", "kill")


@attrs.frozen
class Step:
    """What is done, how long before it nothing is done, and how long its handler takes."""

    what: What
    pause: int
    seconds: int


steps = st.builds(Step, st.sampled_from(COMMON * 2 + ENDS), st.integers(0, 3), st.sampled_from([0, 0, 2, 5]))


class Worker(Actor):
    def __init__(self, done: list[int]) -> None:
        self.done = done

    async def work(self, number: int, seconds: int) -> None:
        await trio.sleep(seconds)
        self.done.append(number)

    def note(self, number: int, seconds: int) -> None:
        assert seconds == 0
        self.done.append(number)


class Model:
    """One actor: it takes one thing after the other, and a request comes before all messages.

    Attributes:
        queue: The messages that wait.
        requests: Numbers of what waits to be done between two messages, with what it is.
        current: The message at work, and when it is done.
        done: The messages that were handled and the changes that were made, in turn.
        told: How each call, suspension and change has ended.
    """

    def __init__(self) -> None:
        self.now = 0
        self.queue: list[tuple[int, Step]] = []
        self.requests: list[tuple[int, Step]] = []
        self.current: tuple[int, Step, int] | None = None
        self.is_suspended = self.is_stopping = self.has_ended = False
        self.done: list[int] = []
        self.told: dict[int, str] = {}

    def pass_time(self, now: int) -> None:
        while self.current is not None and self.current[2] <= now:
            number, step, self.now = self.current
            self.current = None
            self._finish(number, step)
            self._go_on()
        self.now = now

    def do(self, number: int, step: Step) -> None:
        if step.what == "resume":
            self.is_suspended = False
            self._answer_suspensions("done")
        elif step.what == "give up":
            self.requests.clear()
        elif self.has_ended or (self.is_stopping and step.what in COMMON):
            self.told[number] = "exited"
            return
        elif step.what == "stop":
            self.is_stopping, self.is_suspended = True, False
        elif step.what in ENDS:
            self._end()
        elif step.what in ("suspend", "change"):
            self.requests.append((number, step))
        else:
            self.queue.append((number, step))
        self._go_on()

    def _answer_suspensions(self, how: str) -> None:
        for number, step in list(self.requests):
            if step.what == "suspend":
                self.told[number] = how
                self.requests.remove((number, step))

    def _finish(self, number: int, step: Step) -> None:
        self.done.append(number)
        if step.what != "cast":
            self.told[number] = "done"

    def _go_on(self) -> None:
        while self.current is None and not self.has_ended:
            if self.requests:
                number, step = self.requests.pop(0)
                if step.what == "change":
                    self._finish(number, step)
                elif self.is_stopping:
                    self.told[number] = "exited"
                else:
                    self.is_suspended = True
                    self.told[number] = "done"
            elif self.is_suspended:
                return
            elif self.queue:
                number, step = self.queue.pop(0)
                if step.seconds:
                    self.current = number, step, self.now + step.seconds
                else:
                    self._finish(number, step)
            elif self.is_stopping:
                self._end()
            else:
                return

    def _end(self) -> None:
        self.has_ended = True
        self.is_suspended = False
        left = [*self.queue, *self.requests] + ([] if self.current is None else [self.current[:2]])
        self.told.update((number, "exited") for number, step in left if step.what != "cast")
        self.queue, self.requests, self.current = [], [], None


class World:
    """The same with a real actor."""

    def __init__(self, ref: ActorRef[Worker], done: list[int], nursery: trio.Nursery) -> None:
        self.ref = ref
        self.done = done
        self.told: dict[int, str] = {}
        self.asking: dict[int, trio.CancelScope] = {}
        self.nursery = nursery

    def do(self, number: int, step: Step) -> None:
        ref = self.ref
        method: Callable[[Worker, int, int], object] = Worker.work if step.seconds else Worker.note
        operations: dict[What, Callable[[], Awaitable[object]]] = {
            "call": lambda: ref.call(method, number, step.seconds),
            "suspend": lambda: debug.suspend(ref),
            "change": lambda: debug.replace_state(ref, lambda actor: actor.done.append(number)),
            "stop": ref.stop,
            "resume": lambda: debug.resume(ref),
        }
        if step.what == "cast":
            try:
                ref.cast_nowait(method, number, step.seconds)
            except ActorExited:
                self.told[number] = "exited"
        elif step.what == "give up":
            for scope in self.asking.values():
                scope.cancel()
        elif step.what in ("cancel", "kill"):
            if not ref.is_alive:
                self.told[number] = "exited"
            getattr(ref, step.what)()
        elif step.what == "stop" and not ref.is_alive:
            self.told[number] = "exited"
        else:
            self.nursery.start_soon(self._ask, number, step, operations[step.what])

    async def _ask(self, number: int, step: Step, operation: Callable[[], Awaitable[object]]) -> None:
        with trio.CancelScope() as scope:
            if step.what in ("suspend", "change"):
                self.asking[number] = scope
            try:
                await operation()
                how = "done"
            except ActorExited:
                how = "exited"
            if step.what not in ("resume", "stop"):
                self.told[number] = how
        self.asking.pop(number, None)


async def run(program: list[Step], problems: list[object]) -> None:
    model = Model()
    async with trio.open_nursery() as nursery, supervised(max_restarts=0) as supervisor:
        done: list[int] = []
        ref = await supervisor.start_child(Worker, done, restart="temporary")
        world = World(ref, done, nursery)
        now = 0
        for number, step in enumerate([*program, Step("resume", 100, 0)]):
            await trio.sleep(step.pause)
            now += step.pause
            await wait_all_tasks_blocked()
            model.pass_time(now)
            model.do(number, step)
            world.do(number, step)
            await wait_all_tasks_blocked()
            seen = (world.done, world.told, debug.is_suspended(ref), ref.is_alive)
            expected = (model.done, model.told, model.is_suspended, not model.has_ended)
            if seen != expected:
                problems.append((number, step, seen, expected))
                return
        await trio.sleep(100)
        await wait_all_tasks_blocked()
        model.pass_time(now + 100)
        if (world.done, world.told) != (model.done, model.told):
            problems.append((world.done, world.told, model.done, model.told))
        if ref.is_alive and ref.statistics().handled != sum(
            step.what in ("cast", "call") and number in done for number, step in enumerate(program)
        ):
            problems.append(ref.statistics())


@settings(max_examples=4 * settings().max_examples)
@given(st.lists(steps, max_size=12), st.random_module())
def test_a_suspended_actor_does_what_a_naive_model_does(program: list[Step], order_of_tasks: object) -> None:
    problems: list[object] = []
    trio.run(run, program, problems, clock=MockClock(autojump_threshold=0))
    assert problems == []
