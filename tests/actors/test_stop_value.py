"""`self.stop(value)`: the value is in the `Exit`."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, ActorExited, Exit, Supervisor


class Game(Actor):
    def __init__(self) -> None:
        self.seen: list[Exit] = []

    def end(self, *value: Any) -> str:
        self.stop(*value)
        return "answer"

    async def play(self) -> None:
        await trio.sleep(1)

    def crash(self) -> None:
        raise Bang

    async def on_stop(self, exit: Exit) -> None:
        self.seen.append(exit)


async def test_the_value_is_in_the_exit_that_wait_and_on_stop_get(autojump_clock: MockClock) -> None:
    seen: list[Exit] = []

    class Seen(Game):
        def __init__(self) -> None:
            self.seen = seen

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Seen, restart="temporary")
        assert await ref.call(Game.end, {"score": 7}) == "answer"
        exit = await ref.wait()
        assert exit == Exit("normal", value={"score": 7})
        assert (exit.has_returned, ref.exit, seen) == (True, exit, [exit])


async def test_without_a_value_the_exit_is_as_before(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Game, restart="temporary")
        await ref.call(Game.end)
        exit = await ref.wait()
        assert (exit, exit.has_returned) == (Exit("normal"), False)


async def test_the_first_value_counts_and_one_may_come_while_the_actor_stops(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Game, restart="temporary")
        ref.cast_nowait(Game.play)
        for value in ((), ("first",), ("second",)):
            ref.cast_nowait(Game.end, *value)
        assert await ref.stop() == Exit("normal", value="first")


async def test_a_crash_after_stop_outweighs_the_value(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Game, restart="temporary")
        ref.cast_nowait(Game.play)
        ref.cast_nowait(Game.end, "value")
        ref.cast_nowait(Game.crash)
        exit = await ref.wait()
        assert (exit.reason, exit.value) == ("crashed", None)


async def test_an_actor_that_is_ended_while_it_stops_keeps_its_value(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Game, restart="temporary")
        await ref.call(Game.play)
        ref.cast_nowait(Game.end, "value")
        ref.cast_nowait(Game.play)
        await trio.sleep(0.5)
        ref.cancel()
        assert await ref.wait() == Exit("shutdown", value="value")


async def test_a_value_in_on_stop_comes_too_late(autojump_clock: MockClock) -> None:
    class Late(Game):
        async def on_stop(self, exit: Exit) -> None:
            self.stop("late")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Late, restart="temporary")
        assert await ref.stop() == Exit("normal")


async def test_a_supervisor_in_a_tree_gives_a_value_too(autojump_clock: MockClock) -> None:
    class Match(Supervisor):
        async def on_start(self) -> None:
            await super().on_start()
            self.stop("over")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Match, restart="temporary")
        assert await ref.wait() == Exit("normal", value="over")


async def test_an_actor_has_no_result_all_the_same(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Game, restart="temporary")
        await ref.call(Game.end, "value")
        with pytest.raises(TypeError, match="only a function actor has a result"):
            await ref.result()
        with pytest.raises(ActorExited):
            await ref.call(Game.end)


@pytest.mark.parametrize("place", ["__init__", "on_start", "on_started", "on_idle", "background"])
async def test_a_value_can_be_given_anywhere_in_the_actor(place: str, autojump_clock: MockClock) -> None:
    class Anywhere(Actor):
        idle_timeout = 1

        def __init__(self) -> None:
            self.stop_in("__init__")

        async def on_start(self) -> None:
            self.stop_in("on_start")
            self.start_soon(self.beside)

        async def on_started(self) -> None:
            self.stop_in("on_started")

        async def on_idle(self) -> None:
            self.stop_in("on_idle")

        async def beside(self) -> None:
            self.stop_in("background")
            await trio.sleep_forever()

        def stop_in(self, here: str) -> None:
            if here == place:
                self.stop(here)
                self.stop("too late")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Anywhere, restart="temporary")
        assert await ref.wait() == Exit("normal", value=place)
