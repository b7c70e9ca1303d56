"""`raises`: a declared error goes to the caller, and the actor lives on."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support.secret_agent import Refused, RefusedPolitely, SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock

import trioreg
from trioreg import Actor, ActorExited, raises


@pytest.mark.parametrize("method", [SecretAgent.refuse, SecretAgent.arefuse])
@pytest.mark.parametrize("error", [Refused, RefusedPolitely, KeyError])
async def test_a_declared_error_goes_to_the_caller_and_the_actor_lives_on(
    method: Any, error: type[Exception], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        for _ in range(2):
            with pytest.raises(error) as caught:
                await ref.call(method, error)
            assert type(caught.value) is error
            await idle(ref)
        assert await ref.call(SecretAgent.read) == []


@pytest.mark.parametrize("method", [SecretAgent.refuse, SecretAgent.arefuse])
async def test_an_undeclared_error_crashes_an_actor_that_declares_others(
    method: Any, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await ref.call(method, ValueError)
        assert isinstance(caught.value.__cause__, ValueError)
        assert (await ref.wait()).error is caught.value.__cause__


async def test_an_override_inherits_the_declared_errors(autojump_clock: MockClock) -> None:
    class Sub(SecretAgent):
        def refuse(self, error: type[Exception] = Refused) -> None:
            raise error("still no")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sub)
        with pytest.raises(Refused, match="still no"):
            await ref.call(SecretAgent.refuse)
        assert ref.is_alive


async def test_a_declared_error_of_a_cast_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        await ref.cast(SecretAgent.refuse)
        assert await ref.call(SecretAgent.read) == []
        (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
        assert record.exc_info is not None
        assert record.exc_info[0] is Refused


def test_only_exception_classes_can_be_declared() -> None:
    for wrong in (BaseException, KeyboardInterrupt, "KeyError", ValueError("an instance")):
        argument: Any = wrong
        with pytest.raises(TypeError, match="raises"):
            raises(argument)


class Picky(Actor):
    @raises(KeyError)
    @raises(ValueError, IndexError)
    def refuse(self, error: Exception) -> None:
        raise error


@pytest.mark.parametrize("error", [KeyError, ValueError, IndexError])
async def test_errors_declared_by_several_decorators_are_all_declared(
    error: type[Exception], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Picky, restart="temporary")
        with pytest.raises(error):
            await ref.call(Picky.refuse, error())
        with pytest.raises(ActorExited):
            await ref.call(Picky.refuse, OSError())
        await ref.wait()


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_stop_iteration_cannot_be_declared(error: type[Exception]) -> None:
    with pytest.raises(TypeError, match="RuntimeError"):
        trioreg.raises(error)
