"""What a supervisor knows and keeps of a child: effective values, its last reference, and not its arguments."""

from __future__ import annotations

import gc
import logging
import math
import weakref
from typing import Any

import attrs
import pytest
import trio
from support.children import ref_of, states_by_id
from support.errors import Bang
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildNotFound,
    ChildSpec,
    Exit,
    Registry,
    RestartLimit,
    Supervisor,
    open_supervisor,
)


async def function() -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("factory", "restart", "shutdown"),
    [(Actor, "permanent", 5.0), (function, "transient", 5.0), (Supervisor, "permanent", math.inf)],
)
def test_a_spec_shows_the_values_that_hold(factory: Any, restart: str, shutdown: float) -> None:
    spec = ChildSpec(factory)
    assert (spec.restart, spec.shutdown) == (restart, shutdown)
    assert spec == ChildSpec(factory, restart=restart, shutdown=shutdown)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert attrs.evolve(spec, shutdown="kill").shutdown == "kill"
    assert not hasattr(spec, "restarts")


class Slow(Actor):
    """After its first life it takes a second to start."""

    lives = 0

    async def on_start(self) -> None:
        Slow.lives += 1
        if Slow.lives > 1:
            await trio.sleep(1)

    def bang(self) -> None:
        raise Bang


@pytest.fixture
def slow() -> type[Slow]:
    Slow.lives = 0
    return Slow


@pytest.mark.parametrize("backoff", [None, Backoff(initial=1)])
@pytest.mark.parametrize("after", [0.5, 1.5])
@pytest.mark.parametrize("is_dynamic", [False, True])
async def test_an_old_reference_leads_to_its_child_until_the_next_life_has_started(
    is_dynamic: bool, after: float, backoff: Backoff | None, slow: type[Slow], autojump_clock: MockClock
) -> None:
    async with supervised() as dynamic, supervising() as static:
        supervisor: Any = dynamic if is_dynamic else static
        old = await supervisor.start_child(ChildSpec(slow, backoff=backoff))
        old.cast_nowait(Slow.bang)
        await trio.sleep(after)
        if backoff is None and after > 1:
            with pytest.raises(ChildNotFound):
                await supervisor.terminate_child(old)
            return
        await supervisor.terminate_child(old)
        assert supervisor.count_children().active == 0
        await trio.sleep(5)
        assert Slow.lives == (1 if backoff is not None and after < 1 else 2)


@pytest.mark.parametrize("seconds", [2.5, 3.5, 4.5])  # it waits, starts for the second time, waits again
@pytest.mark.parametrize("which", ["started", "failed"])
async def test_the_last_reference_that_had_started_leads_to_a_child_that_fails_to_start_again(
    which: str, seconds: float, autojump_clock: MockClock
) -> None:
    lives: list[ActorRef[Any]] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            lives.append(self.ref)
            if len(lives) > 2:
                await trio.sleep(1)
                raise Bang

    async with supervised(max_restarts=10) as supervisor:
        await supervisor.start_child(Fails, backoff=Backoff(initial=1, factor=1))
        lives[0].kill()
        await trio.sleep(1.5)
        lives[1].kill()
        await trio.sleep(seconds)
        with pytest.raises(ChildNotFound):
            await supervisor.terminate_child(lives[0])
        failed = lives[-1 if seconds != 3.5 else -2]
        await supervisor.terminate_child(lives[1] if which == "started" else failed)
        assert supervisor.which_children() == []


async def test_a_child_that_is_starting_is_not_active(slow: type[Slow], autojump_clock: MockClock) -> None:
    async with supervising([ChildSpec(slow, id="a"), ChildSpec(Actor, id="b")]) as supervisor:
        assert supervisor.count_children().active == 2
        ref_of(supervisor, "a").kill()
        await trio.sleep(0.5)
        assert states_by_id(supervisor)["a"] == "starting"
        assert supervisor.count_children().active == 1
        await trio.sleep(1)
        assert supervisor.count_children().active == 2


class Big:
    """An argument."""


async def test_the_arguments_of_a_temporary_child_are_not_kept(autojump_clock: MockClock) -> None:
    async def uses(big: Big) -> None:
        await trio.lowlevel.checkpoint()

    big = Big()
    alive = weakref.ref(big)
    block = open_supervisor([ChildSpec(uses, (big,), restart="temporary"), ChildSpec(Actor)])
    del big
    async with block as supervisor:
        await wait_all_tasks_blocked()
        gc.collect()
        assert alive() is None
        supervisor.stop()


@pytest.mark.parametrize("when", ["stop", "start"])
async def test_of_a_child_that_has_failed_while_it_was_ended_or_started_by_hand_only_the_lines_are_kept(
    when: str, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    alive: list[weakref.ref[Big]] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            self.big = Big()
            alive.append(weakref.ref(self.big))
            if when == "start" and len(alive) > 1:
                raise Bang

        async def on_stop(self, exit: Exit) -> None:
            if when == "stop":
                raise Bang

    async with supervising([ChildSpec(Fails, id="a")]) as supervisor:
        await supervisor.terminate_child("a")
        if when == "start":
            with pytest.raises(Bang):
                await supervisor.restart_child("a")
        else:
            assert "in on_stop" in caplog.text
        gc.collect()
        assert [each() for each in alive] == [None] * len(alive)


async def test_the_message_that_crashed_a_child_is_not_kept_while_it_waits_for_its_restart(
    autojump_clock: MockClock,
) -> None:
    class Crashes(Actor):
        def take(self, big: Big) -> None:
            raise Bang

    big = Big()
    alive = weakref.ref(big)
    async with supervising([ChildSpec(Crashes, id="a", backoff=Backoff(initial=60))]) as supervisor:
        ref_of(supervisor, "a").cast_nowait(Crashes.take, big)
        del big
        await trio.sleep(1)
        gc.collect()
        assert alive() is None
        assert states_by_id(supervisor) == {"a": "restarting"}


async def test_the_name_of_a_dropped_child_that_once_waited_for_its_restart_is_not_kept(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Crashes(Actor):
        def bang(self) -> None:
            raise Bang

    class Key(str):
        pass

    names: Registry[str, None] = Registry("names")
    key = Key("a")
    alive = weakref.ref(key)
    caplog.set_level(logging.CRITICAL, "trioreg")  # pytest keeps what is logged, and so the name
    async with supervised() as supervisor:
        await supervisor.start_child(ChildSpec(Crashes, name=names.via(key), backoff=Backoff(initial=1)))
        names.via(key).cast_nowait(Crashes.bang)
        await trio.sleep(3)
        ref = names.whereis(key)
        assert ref is not None
        await supervisor.terminate_child(ref)
        del key, ref
        gc.collect()
        assert alive() is None


async def test_nothing_of_the_state_of_a_dropped_child_is_kept(autojump_clock: MockClock) -> None:
    class Big(Actor):
        def __init__(self) -> None:
            actors.append(weakref.ref(self))

        def bang(self) -> None:
            raise Bang

    actors: list[weakref.ref[Actor]] = []
    async with supervising([ChildSpec(Big, id="a", limit=RestartLimit(1))]) as supervisor:
        for _ in range(2):
            ref_of(supervisor, "a").cast_nowait(Big.bang)
            await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "ended"}
        gc.collect()
        assert [actor() for actor in actors] == [None, None]
