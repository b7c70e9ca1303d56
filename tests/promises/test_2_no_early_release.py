"""Promise 2, no early release: a name stays with its owner until the owner has really ended."""

from __future__ import annotations

import pytest
import trio
from support.cancellation import settle
from support.promises import Agent, End, StopsSlowly, actor_ends, kill
from support.supervisors import supervised
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    AlreadyRegistered,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    OnDemand,
    PubSub,
    Registry,
    open_on_demand,
    open_pool,
)


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


async def test_a_name_comes_to_the_next_that_waits_when_its_holder_has_ended(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        holder = await supervisor.start_child(StopsSlowly, name=names.via("James Bond"), restart="temporary")
        alive: list[bool] = []

        async def wait_for_it() -> None:
            await names.acquire("James Bond")
            alive.append(holder.is_alive)

        with watching(names):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait_for_it)
                nursery.start_soon(wait_for_it)
                await wait_all_tasks_blocked()
                assert names.whereis("James Bond") is holder
                holder.cancel()
        assert alive == [False, False]


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


async def test_a_next_life_on_demand_begins_when_the_one_before_it_has_ended(autojump_clock: MockClock) -> None:
    living: list[str] = []
    most: list[int] = []

    class Keyed(Agent):
        def __init__(self, key: str) -> None:
            self.key = key
            living.append(key)
            most.append(living.count(key))

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            living.remove(self.key)

    keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed)
    async with open_on_demand(keyed) as supervisor:
        for _ in range(3):
            assert await keyed.via("key").call(Agent.ping) == "pong"
            ref = keyed.whereis("key")
            assert ref is not None
            ref.cancel()
        supervisor.stop()
    assert living == []
    assert most == [1, 1, 1]


@pytest.mark.parametrize("how", ["call", "claim"])
async def test_a_worker_whose_caller_has_given_up_has_no_other_one_before_it_is_done(
    how: str, autojump_clock: MockClock
) -> None:
    at_work: list[int] = []

    class Slow(Agent):
        async def work(self, number: int) -> None:
            at_work.append(number)
            await trio.sleep(10)
            at_work.remove(number)

    async with open_pool(Slow, size=1) as pool:
        with trio.move_on_after(1) as scope:
            if how == "call":
                await pool.call(Slow.work, 1)
            else:
                async with pool.claim() as worker:
                    await worker.call(Slow.work, 1)
        assert scope.cancelled_caught
        assert at_work == [1]
        async with pool.claim():
            assert at_work == []
