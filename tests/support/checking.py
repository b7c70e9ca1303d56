"""An instrument that checks what it is told: each pair in order, and nothing twice.

`watch_every_run` puts one into each Trio run of a test. It looks at nothing else, so each test can run under it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

import trioreg
from trioreg import ActorRef, Exit, Instrument, Message
from trioreg._program.instrument import hooks_of
from trioreg._runtime import Run, install


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

    def unfinished(self) -> list[str]:
        """What has begun and not ended."""
        return [f"{it!r} is {stage}" for it, stage in [*self._messages.items(), *self._actors.items()]]

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

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self._step(self._messages, message, ("handling",), None)

    def message_left(self, message: Message, why: object, /) -> None:
        if message in self._messages:
            self._step(self._messages, message, ("sent",), None)


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
    assert [fault for checking in made for fault in checking.faults] == []
    # A run that ends in order ends all its actors, and each message with them.
    assert [it for checking in made for it in checking.unfinished()] == []
