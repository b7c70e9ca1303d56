"""An instrument that checks what it is told: each pair in order, and nothing twice.

`watch_every_run` puts one into each Trio run of a test. It looks at nothing else, so each test can run under it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import trioreg
from trioreg import ActorRef, Exit, Instrument, Message, Registered, Unregistered
from trioreg._program.instrument import hooks_of
from trioreg._runtime import Owner, Run, install


class Checking(Instrument):
    """Follows each actor and each message.

    Attributes:
        faults: What was told in a wrong order.
        told: How often each hook was called.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.told = dict[str, int]()
        self._actors: dict[ActorRef[Any], str] = {}
        self._messages: dict[Message, str] = {}
        self._calls: dict[Message, str] = {}
        self._names: dict[tuple[str, Owner], list[object]] = {}

    def unfinished(self) -> list[str]:
        """What has begun and not ended."""
        stages = [*self._messages.items(), *self._calls.items(), *self._actors.items()]
        names = [f"{owner!r} has {keys!r} in {name!r}" for (name, owner), keys in self._names.items()]
        return [f"{it!r} is {stage}" for it, stage in stages] + names

    def _step(self, stages: dict[Any, str], it: object, before: tuple[str | None, ...], after: str | None) -> None:
        hook = after or "the end"
        self.told[hook] = self.told.get(hook, 0) + 1
        stage = stages.get(it)
        if stage not in before:
            self.faults.append(f"{it!r}: {hook} came after {stage}")
        if after is None:
            stages.pop(it, None)
        else:
            stages[it] = after

    def actor_starting(self, ref: ActorRef[Any], /) -> None:
        self._step(self._actors, ref, (None,), "starting")

    def actor_started(self, ref: ActorRef[Any], /) -> None:
        self._step(self._actors, ref, ("starting",), "started")

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        if ref.is_alive and not ref._run.ending:
            self.faults.append(f"{ref!r} is told as ended, and is alive")
        self._step(self._actors, ref, ("starting", "started"), None)

    def message_sent(self, message: Message, /) -> None:
        self._step(self._messages, message, (None,), "sent")

    def handling(self, message: Message, /) -> None:
        if trioreg.current() is not message.to:
            self.faults.append(f"{message!r} is handled by {trioreg.current()!r}")
        self._step(self._messages, message, ("sent",), "handling")
        if message.kind == "call":
            self._step(self._calls, message, (None,), "unanswered")

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self._step(self._messages, message, ("handling",), None)

    def answered(self, message: Message, value: object, error: BaseException | None, /) -> None:
        if message.kind != "call":
            self.faults.append(f"{message!r} is no call, and is answered")
        self._step(self._calls, message, ("unanswered",), None)

    def message_left(self, message: Message, why: object, /) -> None:
        if message in self._messages:
            self._step(self._messages, message, ("sent",), None)

    def registered(self, event: Registered[Any, Any], /) -> None:
        self._names.setdefault((event.registry, event.owner), []).append(event.key)

    def unregistered(self, event: Unregistered[Any, Any], /) -> None:
        held = self._names.get((event.registry, event.owner), [])
        found = [number for number, key in enumerate(held) if _is_same(key, event.key)]
        if found:
            del held[found[0]]
        else:
            self.faults.append(f"{event!r}: it was not registered")
        if not held:
            self._names.pop((event.registry, event.owner), None)


def _is_same(key: object, other: object) -> bool:
    """Whether two keys are one name. A key may be equal to nothing, or raise when it is compared."""
    with suppress(Exception):
        return key is other or key == other
    return False


@contextmanager
def watch_every_run(monkeypatch: pytest.MonkeyPatch) -> Generator[list[Checking]]:
    """Put a `Checking` into each Trio run that begins in the block. At the end, none has seen a fault."""
    made: list[Checking] = []
    begin = Run.__init__

    def init(run: Run) -> None:
        begin(run)
        made.append(Checking())
        install(run, made[-1], hooks_of(made[-1]), Message)

    monkeypatch.setattr(Run, "__init__", init)
    yield made
    faults = [fault for checking in made for fault in checking.faults]
    assert not faults, faults
    # A run that ends in order ends all its actors, and each message and each name with them.
    unfinished = [it for checking in made for it in checking.unfinished()]
    assert not unfinished, unfinished
