"""What a reference says of its actor: `ActorRef.state`, `exit` and `is_alive`, at each step of a life."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.secret_agent import SecretAgent
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, ChildSpec, Exit, Owner, Registry


class Slow(SecretAgent):
    """Each step of its life takes a second."""

    async def on_start(self) -> None:
        await trio.sleep(1)

    async def work(self) -> None:
        await trio.sleep(1)

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)


async def test_the_state_of_a_reference_follows_the_life_of_its_actor(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: supervisor.start_child(Slow, name=names.via("slow"), restart="temporary"))
        ref: Any = await names.wait_for("slow")
        seen = [(ref.state, ref.exit)]
        await trio.sleep(1.5)
        seen.append((ref.state, ref.exit))
        ref.cast_nowait(Slow.work)
        nursery.start_soon(ref.stop)
        for seconds in (0.5, 1, 1):
            await trio.sleep(seconds)
            seen.append((ref.state, ref.exit))
        assert not ref.is_alive
    assert seen == [
        ("starting", None),
        ("running", None),
        ("stopping", None),
        ("ending", Exit("normal")),
        ("ended", Exit("normal")),
    ]


@pytest.mark.parametrize("method", [SecretAgent.bang, SecretAgent.abang])
async def test_the_exit_of_a_crash_is_known_as_soon_as_its_caller_has_actor_exited(
    method: Any, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary")
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited) as caught:
            await ref.call(method)
        assert (ref.state, ref.exit, ref.is_alive) == ("ending", caught.value.exit, True)
        exit = ref.exit
        assert await ref.wait() is exit
        assert ref.exit is exit


@pytest.mark.parametrize("end", ["cancel", "kill"])
async def test_the_exit_of_a_cancelled_or_killed_actor_is_known_at_once(end: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary")
        getattr(ref, end)()
        assert ref.state == "ending"
        assert ref.exit == Exit("shutdown" if end == "cancel" else "killed")
        assert ref.is_alive


async def test_an_error_in_on_stop_outweighs_the_exit_that_was_known_before(autojump_clock: MockClock) -> None:
    class Sore(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sore, restart="temporary")
        ref.cancel()
        assert ref.exit == Exit("shutdown")
        assert (await ref.wait()).reason == "crashed"


# The end and the names


class Looking(logging.Handler):
    """A log handler that looks at a name when it is told of an end."""

    def __init__(self, look: Callable[[], object]) -> None:
        super().__init__(logging.DEBUG)
        self.look = look
        self.seen: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        if " ended (" in record.getMessage():
            self.seen.append(self.look())


@pytest.mark.parametrize("restart", ["temporary", "permanent"])
@pytest.mark.parametrize("end", ["crash", "cancel"])
async def test_a_log_handler_that_is_told_of_an_end_does_not_find_the_name_of_the_actor_that_has_ended(
    end: str, restart: Any, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "trioreg")
    names: Registry[str, None] = Registry("names")
    refs: list[ActorRef[Any]] = []
    looking = Looking(lambda: (refs[0].is_alive, names.whereis("agent")))
    logging.getLogger("trioreg").addHandler(looking)
    try:
        async with supervising([ChildSpec(SecretAgent, name=names.via("agent"), restart=restart)]) as supervisor:
            ref = supervisor.which_children()[0].ref
            assert ref is not None
            refs.append(ref)
            ref.cancel() if end == "cancel" else ref.cast_nowait(SecretAgent.bang)
            await ref.wait()
            successor = names.whereis("agent")
            assert looking.seen == [(False, successor)]
            assert (successor is None) == (restart == "temporary")
    finally:
        logging.getLogger("trioreg").removeHandler(looking)


async def test_a_listener_that_is_told_of_a_crash_does_not_find_any_name_of_the_actor(
    autojump_clock: MockClock,
) -> None:
    seen: list[object] = []

    def listen(event: object) -> None:
        if ref is not None and not ref.is_alive:
            seen.append([names.whereis(key) for key in ("agent", "other")])

    class Named(Actor):
        async def on_start(self) -> None:
            names.register("other")

        def bang(self) -> None:
            raise Bang

    names: Registry[str, None] = Registry("names", listeners=[listen])
    ref: ActorRef[Named] | None = None
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Named, name=names.via("agent"), restart="temporary")
        ref.cast_nowait(Named.bang)
        await ref.wait()
    assert seen == [[None, None]] * 2


def in_a_thread(look: Callable[[], object]) -> None:
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()


class Argument:
    """Its `repr` is asked for in the last step of an actor, for the log."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.look = look

    def __repr__(self) -> str:
        in_a_thread(self.look)
        return "argument"


class AtEnd(trio.abc.Instrument):
    """It is told of the end of a task before trioreg is."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.look = look

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        if task.name == "holder":
            in_a_thread(self.look)


@pytest.mark.parametrize("kind", ["actor", "task"])
async def test_another_thread_does_not_see_an_end_before_the_names_are_gone(
    kind: str, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    owners: list[Owner] = []
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        is_alive = owners[0].is_alive
        seen.append((is_alive, names.whereis("name") is not None))

    async def hold() -> None:
        names.register("name")
        owners.extend(entry.owner for entry in names.lookup("name"))

    if kind == "actor":

        class Crashing(Actor):
            def bang(self, argument: Argument) -> None:
                raise Bang

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Crashing, name=names.via("name"), restart="temporary")
            owners.append(ref)
            ref.cast_nowait(Crashing.bang, Argument(look))
            await ref.wait()
    else:
        trio.lowlevel.add_instrument(instrument := AtEnd(look))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, name="holder")
        trio.lowlevel.remove_instrument(instrument)
    assert seen
    assert set(seen) == {(True, True)}
    in_a_thread(look)
    assert seen[-1] == (False, False)
