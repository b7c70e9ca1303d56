"""What once hung, or lost an error: one small test for each."""

from __future__ import annotations

import logging
import math
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest
import trio
from support.errors import leaves
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    CallCycle,
    ChildSpec,
    Exit,
    Registry,
    Reply,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)
from trioreg._actors import mailbox
from trioreg._actors.call import Call
from trioreg._actors.cell import Cell
from trioreg._actors.deadlock import Waiting
from trioreg._runtime.sleeping import wake
from trioreg._supervision.child import Child
from trioreg._supervision.engine import Engine


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


class Busy(Actor):
    def me(self) -> Busy:
        return self

    async def block(self, event: trio.Event) -> None:
        await event.wait()


@pytest.mark.parametrize("is_idle", [True, False])
@pytest.mark.parametrize("operation", ["start_soon", "send_after", "send_every", "stop"])
async def test_an_actors_own_methods_are_refused_in_a_worker_thread(operation: str, is_idle: bool) -> None:
    operations: dict[str, Callable[[Busy], object]] = {
        "start_soon": lambda busy: busy.start_soon(trio.sleep_forever),
        "send_after": lambda busy: busy.send_after(1, "message"),
        "send_every": lambda busy: busy.send_every(1, "message"),
        "stop": lambda busy: busy.stop(),
    }
    error: Exception | None = None
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Busy, restart="temporary")
        await wait_all_tasks_blocked()
        busy = await ref.call(Busy.me)
        event = trio.Event()
        if not is_idle:
            ref.cast_nowait(Busy.block, event)
            await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        before = cell.state, cell.is_idle, cell.queued
        try:
            await trio.to_thread.run_sync(operations[operation], busy)
        except Exception as caught:
            error = caught
        after = cell.state, cell.is_idle, cell.queued
        left = 0 if cell._background is None else len(cell._background.scopes)
        # Where it fails, it fails here, and not by waiting forever.
        cell.state = before[0]
        if cell._background is not None:
            cell._background.scopes.clear()
        ref.kill()
    assert isinstance(error, RuntimeError)
    assert after == before
    assert left == 0


async def test_a_start_or_get_of_a_child_whose_start_waits_for_the_asker_is_refused_as_a_cycle(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Asker(Actor):
        async def ask(self) -> None:
            await supervisor.start_or_get(Child, name=names.via("child"))

        def ping(self) -> None: ...

    class Child(Actor):
        async def on_start(self) -> None:
            await trio.sleep(1)
            await asker.call(Asker.ping)

    async def start() -> None:
        with pytest.raises(CallCycle):
            await supervisor.start_child(Child, name=names.via("child"))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        asker = await supervisor.start_child(Asker, restart="temporary")
        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        with trio.fail_after(5), pytest.raises(ActorExited):
            await asker.call(Asker.ask)


def test_ctrl_c_in_the_middle_of_an_answer_does_not_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Call._done
    answers: list[str] = []

    def interrupted(self: Call) -> None:
        signal.raise_signal(signal.SIGINT)
        done(self)

    class Lobby(Actor):
        def join(self, reply: Reply[str]) -> Reply[str]:
            return reply

    async def main() -> None:
        reply = Reply[str]()

        async def join() -> None:
            answers.append(await ref.call(Lobby.join, reply))

        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Lobby)
            await wait_all_tasks_blocked()
            nursery.start_soon(join)
            await wait_all_tasks_blocked()
            monkeypatch.setattr(Call, "_done", interrupted)
            with suppress(KeyboardInterrupt):
                reply.send("welcome")
            monkeypatch.undo()
            with suppress(KeyboardInterrupt):
                await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert answers == ["welcome"]


def test_ctrl_c_in_the_middle_of_a_stop_still_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    put = Cell.put

    def interrupted(self: Cell, kind: object, payload: object) -> None:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)
        put(self, kind, payload)

    class Stopping(Actor):
        def end(self) -> None:
            monkeypatch.setattr(Cell, "put", interrupted)
            with suppress(KeyboardInterrupt):
                self.stop()

    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Stopping, restart="temporary")
            await wait_all_tasks_blocked()
            with suppress(KeyboardInterrupt):
                await ref.cast(Stopping.end)
                await trio.sleep(1)
            with trio.fail_after(1):
                assert (await ref.wait()).reason == "normal"

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_ctrl_c_in_the_middle_of_receive_does_not_lose_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    note_peak = Cell.note_peak
    received: list[object] = []

    def interrupted(self: Cell) -> None:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)
        note_peak(self)

    async def function() -> None:
        received.append(await trioreg.receive())

    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(function, restart="temporary")
            await wait_all_tasks_blocked()
            monkeypatch.setattr(Cell, "note_peak", interrupted)
            ref.send_nowait("message")
            with suppress(KeyboardInterrupt):
                await wait_all_tasks_blocked()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert received == ["message"]


def test_ctrl_c_in_the_middle_of_a_timers_message_does_not_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[object] = []

    def interrupted(task: trio.lowlevel.Task) -> None:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)
        wake(task)

    class Alarm(Actor):
        async def on_start(self) -> None:
            self.send_after(1, "now")

        async def on_message(self, message: object) -> None:
            received.append(message)

    async def main() -> None:
        with trio.fail_after(10):
            async with supervised() as supervisor:
                await supervisor.start_child(Alarm, restart="temporary")
                await wait_all_tasks_blocked()
                monkeypatch.setattr(mailbox, "wake", interrupted)
                with suppress(KeyboardInterrupt):
                    await trio.sleep(2)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert received == ["now"]


def test_ctrl_c_at_the_beginning_of_a_wait_leaves_no_wait_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Waiting.__init__

    def interrupted(self: Waiting, target: ActorRef[Any], waits: dict[Waiting, None] | None) -> None:
        monkeypatch.undo()
        begin(self, target, waits)
        signal.raise_signal(signal.SIGINT)

    class Watcher(Actor):
        async def watch(self, other: ActorRef[Any]) -> None:
            monkeypatch.setattr(Waiting, "__init__", interrupted)
            with suppress(KeyboardInterrupt), trio.move_on_after(1):
                await other.wait()

        async def ask(self, other: ActorRef[Watcher]) -> str:
            return await other.call(Watcher.answer)

        async def answer(self) -> str:
            return "no cycle"

    async def main() -> None:
        async with supervised() as supervisor:
            ann = await supervisor.start_child(Watcher)
            bob = await supervisor.start_child(Watcher)
            await wait_all_tasks_blocked()
            await ann.cast(Watcher.watch, bob)
            with suppress(KeyboardInterrupt):
                await trio.sleep(1)
            await trio.sleep(2)
            assert await bob.call(Watcher.ask, ann) == "no cycle"

    trio.run(main, clock=MockClock(autojump_threshold=0))


# Where a supervisor opens and closes its block, Ctrl-C left its tasks behind: Trio itself broke down.


def test_ctrl_c_at_any_line_where_a_supervisor_opens_and_closes_its_block_breaks_nothing() -> None:
    ended: list[bool] = []
    lines = 0
    at = 0

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if frame.f_code.co_name != "open_block":
            return None
        if event == "line":
            lines += 1
            if lines == at:
                signal.raise_signal(signal.SIGINT)
        return interrupt

    async def main() -> None:
        async with open_supervisor([ChildSpec(Actor)]):
            raise Bang

    before = sys.gettrace()
    while at <= lines:
        at += 1
        lines = 0
        sys.settrace(interrupt)
        try:
            trio.run(main, clock=MockClock(autojump_threshold=0))
        except BaseException as error:
            ended.append({type(leaf) for leaf in leaves(error)} <= {KeyboardInterrupt, Bang})
        finally:
            sys.settrace(before)
    assert len(ended) > 5
    assert all(ended)
