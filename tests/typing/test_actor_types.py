"""What a type checker says of an actor's own code, and of many functions: as in `test_types.py`."""

from __future__ import annotations

from typing import assert_type

import trioreg
from trioreg import Actor, Exit, HandlerTimeout, Timer


class Clock(Actor):
    handler_timeout = 5

    async def on_started(self) -> None:
        assert_type(self.cast_after(5, Clock.strike, "five"), Timer)
        assert_type(self.cast_after(0.5, Clock.strike, what="five", times=5), Timer)
        assert_type(self.cast_every(5, Clock.chime, "five"), Timer)
        self.cast_every(5, Alarm.ring)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cast_after(5, Clock.strike)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.cast_after(5, Clock.strike, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cast_every(5, Clock.strike, "five", time=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.cast_every("5", Clock.strike, "five")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cast_after(5, Other.strike, "five")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.stop("a value")
        self.stop()

    def strike(self, what: str, times: int = 1) -> None: ...

    async def chime(self, what: str) -> bytes:
        return what.encode()


class Alarm(Clock):
    def ring(self) -> None:
        self.cast_after(1, Clock.strike, "one")
        self.cast_after(1, Alarm.ring)


class Other(Actor):
    def strike(self, what: str) -> None: ...


async def ends(clock: trioreg.ActorRef[Clock]) -> None:
    exit = await clock.wait()
    assert_type(exit, Exit)
    assert_type(exit.value, object)
    if isinstance(exit.error, HandlerTimeout):
        assert_type(exit.error.seconds, float)
        assert_type([frame.name for frame in exit.error.stack], list[str])
