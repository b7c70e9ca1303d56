"""What once hung, or lost an error: one small test for each."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Awaitable, Callable

import pytest
import trio
from _helpers import leaves, supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ChildSpec, Exit, Registry, Supervisor, open_dynamic_supervisor, open_supervisor
from trioreg._supervision import Child, Engine


class Bang(Exception):
    pass


def test_ctrl_c_in_the_middle_of_start_soon_does_not_hang_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = Child.spawn

    def interrupted(self: Child, function: Callable[[], Awaitable[object]], name: str) -> None:
        signal.raise_signal(signal.SIGINT)
        spawn(self, function, name)

    class Busy(Actor):
        def begin(self) -> None:
            self.start_soon(trio.sleep_forever)

    async def main() -> None:
        with trio.move_on_after(5):
            async with open_dynamic_supervisor() as supervisor:
                ref = await supervisor.start_child(Busy)
                monkeypatch.setattr(Child, "spawn", interrupted)
                await ref.cast(Busy.begin)
                await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert {type(leaf) for leaf in leaves(caught.value)} == {KeyboardInterrupt}


def test_ctrl_c_where_a_supervisor_notices_its_cancellation_does_not_hang_it(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Engine.close

    def interrupted(self: Engine) -> None:
        signal.raise_signal(signal.SIGINT)
        close(self)

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with open_supervisor([ChildSpec(Actor)]):
                monkeypatch.setattr(Engine, "close", trio.lowlevel.enable_ki_protection(interrupted))
                scope.cancel()
                await trio.sleep_forever()
        monkeypatch.undo()
        await trio.lowlevel.checkpoint()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - alone or in a group, as it comes
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert {type(leaf) for leaf in leaves(caught.value)} == {KeyboardInterrupt}


@pytest.mark.parametrize("has_dict", [False, True])
async def test_a_crash_is_not_lost_where_the_state_can_not_be_shown(
    has_dict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Unshowable:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    class Slotted(Actor):
        __slots__ = ("x",)
        log_state = True

        def bang(self, argument: object) -> None:
            raise Bang

    class Open(Slotted):
        def __init__(self) -> None:
            self.y = Unshowable()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Open if has_dict else Slotted, restart="temporary")
        ref.cast_nowait(Slotted.bang, Unshowable())
        assert isinstance((await ref.wait()).error, Bang)
    assert [record for record in caplog.records if record.levelno == logging.ERROR and "bang" in record.getMessage()]


async def test_an_error_of_the_log_ends_the_supervisor_beside_the_crash_that_was_to_be_logged() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    class Fragile(Actor):
        def bang(self) -> None:
            raise Bang

    handler = Broken(logging.ERROR)
    logging.getLogger("trioreg").addHandler(handler)
    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with open_dynamic_supervisor() as supervisor:
                ref = await supervisor.start_child(Fragile)
                ref.cast_nowait(Fragile.bang)
                await trio.sleep_forever()
    finally:
        logging.getLogger("trioreg").removeHandler(handler)
    assert {type(leaf) for leaf in leaves(caught.value)} == {Bang, ZeroDivisionError}


async def test_a_shutdown_ends_a_supervisor_whose_child_can_not_have_its_name() -> None:
    names: Registry[str, None] = Registry("names")

    class Giving(Actor):
        def give(self) -> None:
            names.unregister("name")

        def bang(self) -> None:
            raise Bang

    async with open_supervisor([ChildSpec(Giving, name=names.via("name"))], max_restarts=math.inf) as supervisor:
        giving = names.via("name")
        ref = giving._resolve()
        await giving.call(Giving.give)
        with names.hold("name"):
            ref.cast_nowait(Giving.bang)
            for _ in range(20):  # it tries again and again: time does not go on by itself here
                await trio.lowlevel.checkpoint()
            supervisor.stop()
            await wait_all_tasks_blocked()
    assert names.count() == 0


async def test_a_callable_that_ends_its_own_actor_while_it_makes_the_coroutine_ends_it() -> None:
    class Factory:
        def __call__(self) -> Awaitable[None]:
            trioreg.current().cancel()
            return trio.sleep_forever()  # noqa: ASYNC105 - it is what the factory makes

    async with supervised() as supervisor:
        with pytest.raises(trioreg.ActorExited):
            await supervisor.start_child(Factory(), restart="temporary")
        assert supervisor.count_children().specs == 0


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_an_error_that_python_does_not_let_through_can_not_be_declared(error: type[Exception]) -> None:
    with pytest.raises(TypeError, match="RuntimeError"):
        trioreg.raises(error)


class Slow(Actor):
    async def on_start(self) -> None:
        await trio.sleep_forever()


class Hanging(Actor):
    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep_forever()


STARTING = ChildSpec(Supervisor, ([ChildSpec(Hanging, shutdown=math.inf), ChildSpec(Slow)],), shutdown=5)


async def test_a_supervisor_that_is_cancelled_while_a_subtree_starts_gives_it_its_shutdown_time(
    autojump_clock: MockClock,
) -> None:
    now = trio.current_time()
    with trio.move_on_after(1):
        async with open_supervisor([STARTING]):
            raise AssertionError("entered")
    assert trio.current_time() == now + 1 + 5


async def test_a_start_of_a_subtree_that_is_cancelled_ends_within_its_shutdown_time(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        now = trio.current_time()
        with trio.move_on_after(1):
            await supervisor.start_child(STARTING)
        assert trio.current_time() == now + 1 + 5
        assert supervisor.count_children().specs == 0


async def test_an_error_of_a_start_keeps_its_cause() -> None:
    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang from ZeroDivisionError()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_supervisor([ChildSpec(Fails)]):
            raise AssertionError("entered")
    (error,) = leaves(caught.value)
    assert isinstance(error, Bang)
    assert isinstance(error.__cause__, ZeroDivisionError)
