"""Messages to an actor by its name: the same operations, and what a name adds to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, CallCycle, Exit, NotRegistered, Registry


async def test_all_kinds_of_messages_can_be_sent_by_name(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    async with supervised() as supervisor:
        await supervisor.start_child(SecretAgent, name=agents.via("James Bond"))
        assert await agents.via("James Bond").call(SecretAgent.echo, "hi") == 'James Bond says: "hi"'
        await agents.via("James Bond").cast(SecretAgent.note, 1)
        agents.via("James Bond").cast_nowait(SecretAgent.note, 2)
        await agents.via("James Bond").send(3)
        agents.via("James Bond").send_nowait(4)
        assert await agents.via("James Bond").call(SecretAgent.read) == [1, 2, 3, 4]


async def test_operations_on_a_free_name_raise_not_registered(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    via = agents.via("James Bond")
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: via.call(SecretAgent.read),
        lambda: via.cast(SecretAgent.note, 1),
        lambda: via.send(1),
        via.wait,
        via.stop,
    ]
    for operation in operations:
        with pytest.raises(NotRegistered) as caught:
            await operation()
        assert caught.value.key == "James Bond"
    at_once: list[Callable[[], None]] = [
        lambda: via.cast_nowait(SecretAgent.note, 1),
        lambda: via.send_nowait(1),
        via.cancel,
        via.kill,
    ]
    for now in at_once:
        with pytest.raises(NotRegistered):
            now()


async def test_a_call_by_the_name_of_a_plain_task_is_refused(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    with agents.hold("James Bond"), pytest.raises(TypeError, match="which is not an actor"):
        await agents.via("James Bond").call(SecretAgent.read)


# A name that is waited for: `via(key, wait=True)`


class Killing(trio.abc.Instrument):
    """Kills an actor at the n-th checkpoint of the task that makes this."""

    def __init__(self, n: int, ref: ActorRef[Any]) -> None:
        self.left = n
        self.ref = ref
        self.task = trio.lowlevel.current_task()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.ref.kill()


@pytest.mark.parametrize("operation", ["cast", "send"])
@pytest.mark.parametrize("checkpoint", [1, 2])
async def test_a_message_by_a_waiting_name_outlasts_an_end_during_its_checkpoint(
    checkpoint: int, operation: str, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    waiting = names.via("agent", wait=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, name=names.via("agent"), restart="permanent")
        await wait_all_tasks_blocked()
        killing = Killing(checkpoint, ref)  # at this checkpoint the message is not sent yet
        trio.lowlevel.add_instrument(killing)
        await (waiting.cast(SecretAgent.note, "message") if operation == "cast" else waiting.send("message"))
        assert not ref.is_alive
        await wait_all_tasks_blocked()
        assert await waiting.call(SecretAgent.read) == ["message"]


async def test_waiting_for_the_next_holder_of_a_name_can_close_a_cycle(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Heir(Actor):
        async def ask(self) -> None:
            await trio.sleep(1)
            await names.via("agent", wait=True).call(Heir.nothing)

        def nothing(self) -> None:
            pass

    class Ending(Actor):
        async def on_stop(self, exit: Exit) -> None:
            with pytest.raises(ActorExited) as caught:
                await heir.call(Heir.ask)
            cycles.append(caught.value.__cause__)

    cycles: list[object] = []
    async with supervised() as supervisor:
        heir = await supervisor.start_child(Heir, restart="temporary")
        ref = await supervisor.start_child(Ending, name=names.via("agent"), restart="temporary")
        ref.cancel()
        await ref.wait()
    (cycle,) = cycles
    assert isinstance(cycle, CallCycle)
    assert cycle.path == (heir, ref, heir)
