"""Actor objects that no supervisor started: plain objects."""

from __future__ import annotations

import pytest
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor


def test_an_actor_object_that_no_supervisor_started_is_a_plain_object() -> None:
    agent = SecretAgent("plain")
    assert agent.echo("hi") == 'plain says: "hi"'
    with pytest.raises(RuntimeError, match="was not started by a supervisor"):
        print(agent.ref)
    with pytest.raises(RuntimeError, match="was not started by a supervisor"):
        agent.stop()


async def test_an_actor_object_that_a_handler_makes_is_a_plain_object(autojump_clock: MockClock) -> None:
    class Maker(Actor):
        def __init__(self) -> None:
            self.inner = SecretAgent("inner")

        def make(self) -> list[bool]:
            made: list[bool] = []
            for agent in (self.inner, SecretAgent("made")):
                try:
                    print(agent.ref)
                except RuntimeError:
                    made.append(True)
            return made

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Maker)
        assert await ref.call(Maker.make) == [True, True]
        assert repr(ref).startswith("<Maker #")
