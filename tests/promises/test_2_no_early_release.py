"""Promise 2, no early release: a name stays with its owner until the owner has really ended."""

from __future__ import annotations

import pytest
import trio
from support.cancellation import settle
from support.promises import Agent, End, StopsSlowly, actor_ends, kill
from support.supervisors import supervised
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import AlreadyRegistered, ChildSpec, DynamicSupervisor, Exit, PubSub, Registry


@pytest.fixture
def names() -> Registry[str, None]:
    return Registry("names", keys="unique", partitions=2)


@actor_ends
async def test_on_stop_still_has_the_name(names: Registry[str, None], end: End, autojump_clock: MockClock) -> None:
    held: list[object] = []

    class Last(Agent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            held.append((names.whereis("James Bond"), self.ref.is_alive))

    with watching(names):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Last, name=names.via("James Bond"), restart="temporary")
            await end(ref)
            await ref.wait()
    assert held == ([] if end is kill else [(ref, True)])


@actor_ends
async def test_background_tasks_still_have_the_name(
    names: Registry[str, None], end: End, autojump_clock: MockClock
) -> None:
    held: list[object] = []

    class Busy(Agent):
        def __init__(self) -> None:
            self.start_soon(self._work)

        async def _work(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(2)
                held.append((names.whereis("James Bond"), self.ref.is_alive))

    with watching(names):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Busy, name=names.via("James Bond"), restart="temporary")
            await wait_all_tasks_blocked()
            await end(ref)
            await ref.wait()
            assert names.whereis("James Bond") is None
    assert held == [(ref, True)]


async def test_a_handler_shielded_from_a_kill_still_has_the_name(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    class Stubborn(Agent):
        async def work(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Stubborn, name=names.via("James Bond"), restart="temporary")
        await ref.cast(Stubborn.work)
        await settle()
        ref.kill()
        await trio.sleep(2)
        assert names.whereis("James Bond") is ref
        await ref.wait()
        assert names.whereis("James Bond") is None


async def test_a_unique_key_never_has_two_live_holders(names: Registry[str, None], autojump_clock: MockClock) -> None:
    """All tasks try to get the name all the time, while holders of both kinds come and go."""
    holding: list[str] = []
    refused_by: list[bool] = []
    most = 0

    async def hold(holder: str) -> None:
        nonlocal most
        holding.append(holder)
        most = max(most, len(holding))
        await trio.sleep(0.5)

    async def plain(holder: str) -> None:
        for _ in range(50):
            try:
                names.register("one")
            except AlreadyRegistered as error:
                refused_by.append(error.holder.is_alive)
                await trio.sleep(0.1)
            else:
                await hold(holder)
                holding.remove(holder)
                names.unregister("one")
                await trio.sleep(0.1)

    class Holder(Agent):
        async def on_start(self) -> None:
            await hold("actor")

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(0.5)
            holding.remove("actor")

    async with supervised(max_restarts=1000) as supervisor, trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(plain, f"task {number}")
        for _ in range(50):
            try:
                ref = await supervisor.start_child(Holder, name=names.via("one"), restart="temporary")
            except AlreadyRegistered:
                await trio.sleep(0.07)
            else:
                ref.cancel()
                with pytest.raises(AlreadyRegistered):
                    names.register("one")
    assert most == 1
    assert refused_by
    assert all(refused_by)


async def test_a_start_under_a_name_is_refused_while_its_holder_is_still_ending(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        first = await supervisor.start_child(StopsSlowly, name=names.via("James Bond"), restart="temporary")
        first.cancel()
        await trio.sleep(0.5)
        with pytest.raises(AlreadyRegistered) as caught:
            await supervisor.start_child(Agent, name=names.via("James Bond"))
        assert caught.value.holder is first
        await first.wait()
        second = await supervisor.start_child(Agent, name=names.via("James Bond"))
        assert names.whereis("James Bond") is second


@pytest.mark.parametrize("how", ["stop", "cancel", "kill"])
async def test_a_supervisor_has_its_name_until_its_last_child_has_ended(
    names: Registry[str, None], how: str, autojump_clock: MockClock
) -> None:
    held: list[object] = []

    class Last(Agent):
        async def on_stop(self, exit: Exit) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            held.append(names.whereis("storage"))

    with watching(names):
        async with supervised() as outer:
            ref = await outer.start_child(DynamicSupervisor, name=names.via("storage"), restart="temporary")
            await ref.call(DynamicSupervisor.start_child, ChildSpec(Last))
            if how == "stop":
                await ref.stop()
            else:
                getattr(ref, how)()
            await ref.wait()
            assert names.whereis("storage") is None
    assert held in ([ref], [] if how == "kill" else [ref])


async def test_an_actor_is_a_subscriber_until_its_on_stop_is_over(autojump_clock: MockClock) -> None:
    topics: PubSub[str, str] = PubSub("topics")
    members: list[int] = []

    class Last(Agent):
        def __init__(self) -> None:
            topics.join("topic")

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            members.append(len(topics.members("topic")))

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        await ref.stop()
        await ref.wait()
        assert topics.members("topic") == []
    assert members == [1]
