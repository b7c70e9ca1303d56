"""cast_all(): one cast to every actor under a key."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, DynamicSupervisor, MailboxFull, Registry, current_owner


class Session(Actor):
    """It keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str, *, mark: str = "") -> None:
        self.lines.append(line + mark)

    def read(self) -> list[str]:
        return self.lines

    async def pause(self, until: trio.Event) -> None:
        await until.wait()


class SmallSession(Session):
    """It takes one message at a time."""

    mailbox_size = 1


class Guest(Actor):
    """No session."""


async def join(
    registry: Registry[str, int], supervisor: DynamicSupervisor, *classes: type[Session]
) -> list[ActorRef[Session]]:
    refs = [await supervisor.start_child(cls, restart="temporary") for cls in classes]
    for ref in refs:
        registry.register("lobby", 1, owner=ref)
    return refs


async def said(refs: list[ActorRef[Session]]) -> list[list[str]]:
    return [await ref.call(Session.read) for ref in refs]


async def test_every_actor_under_the_key_gets_the_cast_once(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await join(topics, supervisor, Session, Session, Session, SmallSession)
        topics.register("lobby", 2, owner=refs[0])
        other = await supervisor.start_child(Session)
        topics.register("elsewhere", 1, owner=other)
        assert topics.cast_all("lobby", Session.write, "hello") == 4
        await wait_all_tasks_blocked()
        assert topics.cast_all("lobby", Session.write, "bye", mark="!") == 4
        await wait_all_tasks_blocked()
        assert await said([*refs, other]) == [["hello", "bye!"]] * 4 + [[]]
        assert topics.cast_all("nobody", Session.write, "hello") == 0


async def test_the_holder_of_a_unique_key_is_an_audience_of_one(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await join(names, supervisor, Session)
        assert names.cast_all("lobby", Session.write, "hello") == 1
        assert await said(refs) == [["hello"]]


async def test_a_full_mailbox_raises_before_any_actor_got_the_message(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await join(topics, supervisor, Session, SmallSession, Session)
        go_on = trio.Event()
        refs[1].cast_nowait(Session.pause, go_on)
        await wait_all_tasks_blocked()
        assert topics.cast_all("lobby", Session.write, "one") == 3
        options: list[Any] = [{}, {"on_full": "raise"}]
        for on_full in options:
            with pytest.raises(MailboxFull) as caught:
                topics.cast_all("lobby", Session.write, "two", **on_full)
            assert caught.value.ref is refs[1]
        go_on.set()
        await wait_all_tasks_blocked()
        assert await said(refs) == [["one"]] * 3


async def test_drop_leaves_the_full_ones_out_and_counts_the_others(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await join(topics, supervisor, Session, SmallSession, Session)
        go_on = trio.Event()
        refs[1].cast_nowait(Session.pause, go_on)
        await wait_all_tasks_blocked()
        assert topics.cast_all("lobby", Session.write, "one", on_full="drop") == 3
        assert topics.cast_all("lobby", Session.write, "two", on_full="drop") == 2
        go_on.set()
        await wait_all_tasks_blocked()
        assert await said(refs) == [["one", "two"], ["one"], ["one", "two"]]


async def test_a_stopping_actor_is_left_out(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = await join(topics, supervisor, Session, Session)
        go_on = trio.Event()
        refs[0].cast_nowait(Session.pause, go_on)
        await wait_all_tasks_blocked()
        nursery.start_soon(refs[0].stop)
        await wait_all_tasks_blocked()
        assert len(topics.lookup("lobby")) == 2
        assert topics.cast_all("lobby", Session.write, "hello") == 1
        go_on.set()


async def test_an_actor_may_cast_to_all_among_them_itself(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    class Host(Session):
        def greet(self) -> int:
            return topics.cast_all("lobby", Session.write, "welcome")

    async with supervised() as supervisor:
        host = await supervisor.start_child(Host)
        topics.register("lobby", 1, owner=host)
        refs = await join(topics, supervisor, Session)
        assert await host.call(Host.greet) == 2
        await wait_all_tasks_blocked()
        assert await said([host, *refs]) == [["welcome"], ["welcome"]]


async def listen() -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("factory", [Guest, listen], ids=["an actor without it", "a function actor"])
async def test_a_method_that_one_of_them_does_not_have_raises_before_any_got_it(
    topics: Registry[str, int], factory: Any, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await join(topics, supervisor, Session)
        topics.register("lobby", 1, owner=await supervisor.start_child(factory))
        refs += await join(topics, supervisor, Session)
        with pytest.raises(TypeError, match=r"Session\.write (is not a method of Guest|can't be called)"):
            topics.cast_all("lobby", Session.write, "hello")
        assert await said(refs) == [[], []]


async def test_a_plain_task_under_the_key_is_a_type_error(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await join(topics, supervisor, Session)
        topics.register("lobby", 1)
        with pytest.raises(TypeError, match=rf"^'lobby' in 'topics' is held by {current_owner()!r}, which is not"):
            topics.cast_all("lobby", Session.write, "hello")
        assert await said(refs) == [[]]


async def test_wrong_arguments_are_an_error_before_any_got_it(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    careless: Any = topics
    async with supervised() as supervisor:
        refs = await join(topics, supervisor, Session, Session)
        with pytest.raises(TypeError, match=r"^Session\.write\(\): missing a required argument: 'line'"):
            careless.cast_all("lobby", Session.write)
        with pytest.raises(TypeError, match=r"^Session\.write\(\): got an unexpected keyword argument 'loud'"):
            careless.cast_all("lobby", Session.write, "hello", loud=True)
        with pytest.raises(ValueError, match=r"^on_full must be 'raise' or 'drop', not 'wait'"):
            careless.cast_all("lobby", Session.write, "hello", on_full="wait")
        with pytest.raises(TypeError, match=r"^key must be hashable"):
            careless.cast_all(["lobby"], Session.write, "hello")
        await wait_all_tasks_blocked()
        assert await said(refs) == [[], []]
        assert all(ref.is_alive for ref in refs)
