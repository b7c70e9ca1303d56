"""Promise 5: no error is lost."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.errors import Bang, gives_up, leaves
from support.promises import (
    Agent,
    BadInit,
    End,
    assert_empty,
    crash_async,
    crash_in_background,
    crash_inline,
    crash_queued,
    went_on,
)
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ChildSpec,
    Exit,
    OnDemand,
    PubSub,
    Registry,
    RestartLimit,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_on_demand,
    open_pool,
    open_stream,
    open_supervisor,
)
from trioreg.testing import explore


def logged_errors(caplog: pytest.LogCaptureFixture) -> list[BaseException]:
    """The exceptions that were logged with their tracebacks, in order."""
    errors: list[BaseException] = []
    for record in caplog.records:
        if record.levelno >= logging.ERROR and record.exc_info is not None and record.exc_info[1] is not None:
            assert record.exc_info[2] is not None, "logged without its traceback"
            errors.append(record.exc_info[1])
    return errors


@pytest.mark.parametrize(
    "end",
    [crash_inline, crash_queued, crash_async, crash_in_background],
    ids=["inline", "queued", "async", "background"],
)
async def test_a_crash_is_logged_with_its_traceback_and_restarted(
    end: End, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        names: Registry[str, None] = Registry("names")
        ref = await supervisor.start_child(Agent, name=names.via("James Bond"))
        await end(ref)
        exit = await ref.wait()
        assert exit.reason == "crashed"
        assert isinstance(exit.error, Bang)
        assert await names.via("James Bond").call(Agent.ping) == "pong"
        assert logged_errors(caplog) == [exit.error]


async def test_a_function_that_raises_in_its_first_step_is_restarted(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    lives: list[int] = []

    async def worker() -> None:
        lives.append(len(lives))
        if len(lives) == 1:
            raise Bang
        await trio.sleep_forever()

    async with supervised() as supervisor:
        await supervisor.start_child(worker)
        await wait_all_tasks_blocked()
        assert lives == [0, 1]
        assert [type(error) for error in logged_errors(caplog)] == [Bang]


async def test_an_actor_that_crashes_right_after_its_start_is_restarted(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    lives: list[int] = []

    class Hasty(Agent):
        def __init__(self) -> None:
            lives.append(len(lives))
            if len(lives) == 1:
                self.ref.cast_nowait(Agent.bang)

    async with supervised() as supervisor:
        names: Registry[str, None] = Registry("names")
        await supervisor.start_child(Hasty, name=names.via("hasty"))
        await wait_all_tasks_blocked()
        assert lives == [0, 1]
        assert [type(error) for error in logged_errors(caplog)] == [Bang]
        assert await names.via("hasty").call(Agent.ping) == "pong"


async def test_the_errors_of_giving_up_can_be_caught_with_except_star(autojump_clock: MockClock) -> None:
    caught: list[BaseException] = []
    limits: list[BaseException] = []
    try:
        async with open_dynamic_supervisor(max_restarts=2) as supervisor:
            names: Registry[str, None] = Registry("names")
            await supervisor.start_child(Agent, name=names.via("James Bond"))
            for _ in range(3):
                names.via("James Bond").cast_nowait(Agent.bang)
                await wait_all_tasks_blocked()
            await went_on()
    except* Bang as group:
        caught = leaves(group)
    except* RestartLimitExceeded as group:
        limits = leaves(group)
    assert [type(error) for error in caught] == [Bang, Bang, Bang]
    assert len(limits) == 1
    assert len(set(caught)) == 3


async def test_giving_up_leaves_as_a_restart_limit_with_the_original_errors(
    autojump_clock: MockClock,
) -> None:
    with gives_up("more than 1 restart in 5 seconds") as caught:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            names: Registry[str, None] = Registry("names")
            await supervisor.start_child(Agent, name=names.via("James Bond"))
            for _ in range(2):
                names.via("James Bond").cast_nowait(Agent.bang)
                await wait_all_tasks_blocked()
            await went_on()
    assert [type(error) for error in caught.errors] == [Bang, Bang]
    assert len({id(error) for error in caught.errors}) == 2
    assert all(error.__traceback__ is not None for error in caught.errors)


async def test_giving_up_reaches_the_originals_through_nested_supervisors(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    inner = ChildSpec(crash, restart="permanent")
    middle = ChildSpec(Supervisor, args=([inner],), id="inner", restart="permanent")
    outer = ChildSpec(Supervisor, args=([middle],), id="middle", restart="permanent")
    reached: list[BaseException] = []
    limits: list[BaseException] = []
    try:
        async with open_supervisor([outer], max_restarts=1):
            await went_on()
    except* Bang as group:
        reached = leaves(group)
    except* RestartLimitExceeded as group:
        limits = leaves(group)
    assert "supervisor" in [error.supervisor for error in limits if isinstance(error, RestartLimitExceeded)]
    assert len(limits) == 1 + 2 + 2 * 4
    assert reached
    assert {type(error) for error in reached} == {Bang}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("path", ["inline", "queued", "async", "background", "function", "init", "on_start", "on_stop"])
async def test_ctrl_c_and_exit_leave_the_block_and_are_never_restarted(
    error: type[BaseException], path: str, autojump_clock: MockClock
) -> None:
    lives: list[str] = []
    left: set[type[BaseException]] = set()

    class Worker(Actor):
        def __init__(self) -> None:
            lives.append("life")
            if path == "init":
                raise error

        async def on_start(self) -> None:
            if path == "on_start":
                raise error

        async def on_stop(self, exit: Exit) -> None:
            if path == "on_stop":
                raise error

        def leave(self) -> None:
            raise error

        async def aleave(self) -> None:
            await trio.lowlevel.checkpoint()
            raise error

        def leave_behind(self) -> None:
            self.start_soon(self.aleave)

    async def function() -> None:
        lives.append("life")
        await trio.lowlevel.checkpoint()
        raise error

    try:
        async with open_dynamic_supervisor() as supervisor:
            if path == "function":
                await supervisor.start_child(function, restart="permanent")
            else:
                ref = await supervisor.start_child(Worker)
                if path == "inline":
                    with pytest.raises(ActorExited) as caught:
                        await ref.call(Worker.leave)
                    assert isinstance(caught.value.__cause__, error)
                elif path == "queued":
                    ref.cast_nowait(Worker.leave)
                elif path == "async":
                    ref.cast_nowait(Worker.aleave)
                elif path == "background":
                    ref.cast_nowait(Worker.leave_behind)
                elif path == "on_stop":
                    ref.cancel()
            await went_on()
    except BaseException as group:
        left = {type(leaf) for leaf in leaves(group)}
    assert left == {error}
    assert lives == ["life"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_ctrl_c_leaves_nested_supervisors(error: type[BaseException], autojump_clock: MockClock) -> None:
    lives: list[str] = []
    left: set[type[BaseException]] = set()

    async def function() -> None:
        lives.append("life")
        await trio.lowlevel.checkpoint()
        raise error

    inner = ChildSpec(Supervisor, args=([ChildSpec(function, restart="permanent")],), id="inner")
    try:
        async with open_supervisor([ChildSpec(Supervisor, args=([inner],), id="outer")]):
            await went_on()
    except BaseException as group:
        left = {type(leaf) for leaf in leaves(group)}
    assert left == {error}
    assert lives == ["life"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_it_leaves_nested_supervisors_once_in_whatever_order_their_tasks_end(error: type[BaseException]) -> None:
    async def function() -> None:
        raise error

    async def scenario() -> None:
        inner = ChildSpec(Supervisor, args=([ChildSpec(function)],), id="inner")
        with pytest.raises(BaseExceptionGroup) as left:
            async with open_supervisor([ChildSpec(Supervisor, args=([inner],), id="outer")]):
                await trio.sleep_forever()
        assert len(leaves(left.value)) == 1

    explore(scenario, runs=30, seed=0)


async def test_a_transient_child_is_restarted_after_a_crash_and_not_after_its_return(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    lives: list[str] = []

    async def worker() -> str:
        lives.append("life")
        if await trioreg.receive() == "crash":
            raise Bang
        return "done"

    async with open_dynamic_supervisor() as supervisor:
        names: Registry[str, None] = Registry("names")
        await supervisor.start_child(worker, name=names.via("worker"), restart="transient")
        await names.via("worker").send("crash")
        await wait_all_tasks_blocked()
        assert lives == ["life", "life"]
        await names.via("worker").send("return")
    assert lives == ["life", "life"]
    assert [type(error) for error in logged_errors(caplog)] == [Bang]
    assert_empty(names)


async def test_a_temporary_child_is_never_restarted_and_its_crash_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, restart="temporary")
        ref.cast_nowait(Agent.bang)
    exit = await ref.wait()
    assert exit.reason == "crashed"
    assert logged_errors(caplog) == [exit.error]


async def test_a_child_that_its_own_limit_drops_is_logged_with_its_last_crash_too(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    async with open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(worker, restart="permanent", limit=RestartLimit(2, 60))
    assert [type(error) for error in logged_errors(caplog)] == [Bang] * 3


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
@pytest.mark.parametrize("error", [Bang, SystemExit])
async def test_an_error_of_a_child_that_is_being_shut_down_leaves_a_cancelled_block(
    opener: Callable[[], Any], error: type[BaseException], autojump_clock: MockClock
) -> None:
    class Fragile(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise error

    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        try:
            async with opener() as supervisor:
                await supervisor.start_child(Fragile)
                scope.cancel()
        except* error as group:
            caught = leaves(group)
    assert [type(leaf) for leaf in caught] == [error]


async def test_an_error_of_a_nested_child_that_is_being_shut_down_leaves_a_cancelled_block(
    autojump_clock: MockClock,
) -> None:
    class Fragile(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    inner = ChildSpec(Supervisor, args=([ChildSpec(Fragile)],), id="inner")
    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        try:
            async with open_supervisor([inner]):
                scope.cancel()
                await trio.lowlevel.checkpoint()
        except* Bang as group:
            caught = leaves(group)
    assert [type(leaf) for leaf in caught] == [Bang]


async def test_an_error_of_a_restart_that_the_shutdown_interrupts_is_not_lost(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    lives: list[str] = []

    class Slow(Actor):
        async def on_start(self) -> None:
            lives.append("life")
            if len(lives) > 1:
                try:
                    await trio.sleep_forever()
                finally:
                    raise Bang

    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        try:
            async with open_supervisor([ChildSpec(Slow, id="slow")]) as supervisor:
                (child,) = supervisor.which_children()
                assert child.ref is not None
                child.ref.kill()
                await trio.sleep(1)
                assert lives == ["life", "life"]
                scope.cancel()
        except* Bang as group:
            caught = leaves(group)
    assert [type(leaf) for leaf in caught] == [Bang]


async def test_an_error_of_the_block_and_one_of_a_child_both_leave(autojump_clock: MockClock) -> None:
    class Fragile(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang, ZeroDivisionError, flatten_subgroups=True):
        async with open_dynamic_supervisor() as supervisor:
            await supervisor.start_child(Fragile)
            raise ZeroDivisionError


async def test_a_start_that_fails_raises_in_its_caller_and_nowhere_else(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    registry: Registry[str, int] = Registry("names")
    async with open_dynamic_supervisor() as supervisor:
        with pytest.raises(Bang):
            await supervisor.start_child(BadInit, registry)
    assert logged_errors(caplog) == []


async def test_errors_of_an_actor_and_of_its_end_are_both_in_its_exit(autojump_clock: MockClock) -> None:
    class Fragile(Agent):
        async def on_stop(self, exit: Exit) -> None:
            raise ZeroDivisionError

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        ref.cast_nowait(Agent.bang)
        exit = await ref.wait()
    assert exit.error is not None
    assert [type(leaf) for leaf in leaves(exit.error)] == [Bang, ZeroDivisionError]


def test_no_task_is_left_behind_that_complains_when_collected() -> None:
    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Agent)
            assert await ref.call(Agent.aping) == "pong"

    trio.run(main)
    gc.collect()


class Keyed(Agent):
    def __init__(self, key: str) -> None:
        super().__init__()


async def test_a_crash_of_an_actor_on_demand_is_logged_and_the_next_message_starts_it_again(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed)
    async with open_on_demand(keyed) as supervisor:
        with pytest.raises(ActorExited) as caught:
            await keyed.via("key").call(Agent.bang)
        assert logged_errors(caplog) == [caught.value.__cause__]
        assert await keyed.via("key").call(Agent.ping) == "pong"
        supervisor.stop()


async def test_a_crash_of_a_worker_is_logged_and_restarted_and_its_caller_learns_of_it(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with open_pool(Agent, size=1) as pool:
        with pytest.raises(ActorExited) as caught:
            await pool.call(Agent.bang)
        await wait_all_tasks_blocked()
        assert logged_errors(caplog) == [caught.value.__cause__]
        assert await pool.call(Agent.ping) == "pong"


async def test_a_pool_that_gives_up_ends_its_block_with_the_errors_of_its_workers(autojump_clock: MockClock) -> None:
    with gives_up("more than 1 restart in 5 seconds") as caught:
        async with open_pool(Agent, size=1, max_restarts=1) as pool:
            for _ in range(2):
                await pool.cast(Agent.bang)
                await wait_all_tasks_blocked()
            await went_on()
    assert [type(error) for error in caught.errors] == [Bang, Bang]


async def test_an_error_of_a_subscriber_is_its_own_and_no_publisher_has_it(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    topics: PubSub[str, None] = PubSub("topics")

    class Fragile(Agent):
        def hear(self, message: None) -> None:
            raise Bang

    async with supervised() as supervisor:
        topics.join("topic", Fragile.hear, owner=await supervisor.start_child(Fragile))
        assert await topics.publish("topic", None) == 1
        await wait_all_tasks_blocked()
        assert [type(error) for error in logged_errors(caplog)] == [Bang]


async def test_an_error_of_a_stream_leaves_its_block(autojump_clock: MockClock) -> None:
    async def fails(item: int) -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    with pytest.RaisesGroup(Bang, flatten_subgroups=True, allow_unwrapped=True):
        async with open_stream(fails, [1, 2, 3], max_concurrency=1) as results:
            async for _ in results:
                pass
