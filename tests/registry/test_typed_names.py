"""``of=``: names that say the class of their actor."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, NotRegistered, Registry


class Clerk(Actor):
    """It counts."""

    def __init__(self) -> None:
        self.served = 0
        self.heard: list[object] = []

    def serve(self) -> int:
        self.served += 1
        return self.served

    async def on_message(self, message: object) -> None:
        self.heard.append(message)


class HeadClerk(Clerk):
    """A clerk, too."""


class Screen(Actor):
    """No clerk, but it has a method of the same name, and takes any message."""

    def serve(self) -> int:
        return 0

    async def on_message(self, message: object) -> None:
        raise AssertionError(message)


async def worker() -> None:
    await trio.sleep_forever()


NOT_A_CLERK = r"^'desk' in 'names' is held by .*, which is not of class Clerk$"


async def test_a_typed_address_leads_to_an_actor_of_its_class(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        via = names.via("desk", of=Clerk)
        ref = await supervisor.start_child(Clerk, name=via)
        assert via.whereis() is ref
        for address in (via, names.via("desk", of=Clerk, wait=True), names.via("desk", of=Clerk)):
            before = await ref.call(Clerk.serve)
            assert await address.call(Clerk.serve) == before + 1
            await address.cast(Clerk.serve)
            address.cast_nowait(Clerk.serve)
            await address.send("a message")
            address.send_nowait("another")
            assert await ref.call(Clerk.serve) == before + 4
        await via.stop()
        assert ref.exit is not None


async def test_a_typed_address_leads_to_an_actor_of_a_subclass(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        via = names.via("desk", of=Clerk)
        ref = await supervisor.start_child(HeadClerk, name=via)
        assert await via.call(Clerk.serve) == 1
        assert names.whereis("desk", of=Clerk) is ref
        names.via("desk", of=HeadClerk).cast_nowait(Clerk.serve)
        await supervisor.start_child(Clerk, name=names.via("another desk"))
        with pytest.raises(TypeError, match="is not of class HeadClerk"):
            names.via("another desk", of=HeadClerk).cast_nowait(Clerk.serve)


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("factory", [Screen, worker], ids=["another class", "a function actor"])
async def test_a_message_to_a_holder_of_another_class_is_a_type_error(
    names: Registry[str, None], factory: Any, wait: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(factory, name=names.via("desk"))
        via = names.via("desk", of=Clerk, wait=wait)
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            await via.call(Clerk.serve)
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            await via.cast(Clerk.serve)
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            await via.send("a message")
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            via.cast_nowait(Clerk.serve)
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            via.send_nowait("a message")
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            via.kill()
        assert ref.is_alive
        assert ref.statistics().queued == 0


async def test_a_typed_address_notices_that_the_name_has_gone_to_another_class(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        via = names.via("desk", of=Clerk)
        clerk = await supervisor.start_child(Clerk, name=via)
        screen = await supervisor.start_child(Screen)
        via.cast_nowait(Clerk.serve)
        names.transfer("desk", screen, owner=clerk)
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            via.cast_nowait(Clerk.serve)
        names.transfer("desk", clerk, owner=screen)
        assert await via.call(Clerk.serve) == 2


async def test_a_typed_address_to_a_free_name_or_a_plain_task_is_as_any_address(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    via = names.via("desk", of=Clerk)
    with pytest.raises(NotRegistered):
        via.cast_nowait(Clerk.serve)
    with pytest.raises(NotRegistered):
        await via.call(Clerk.serve)
    names.register("desk")
    with pytest.raises(TypeError, match=r"which is not an actor$"):
        via.cast_nowait(Clerk.serve)
    assert via == names.via("desk")
    assert hash(via) == hash(names.via("desk"))
    assert repr(via) == repr(names.via("desk"))


async def test_a_typed_waiting_address_waits_for_the_next_holder(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        answers: list[int] = []

        async def ask() -> None:
            answers.append(await names.via("desk", wait=True, of=Clerk).call(Clerk.serve))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await supervisor.start_child(Clerk, name=names.via("desk", of=Clerk))
        await wait_all_tasks_blocked()
        assert answers == [1]


async def test_a_typed_name_refuses_the_start_of_another_class(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        for factory in (Screen, worker):
            with pytest.raises(TypeError, match=r"^the name 'desk' is for an actor of class Clerk, not for <"):
                await supervisor.start_child(factory, name=names.via("desk", of=Clerk))
        assert names.items() == []
        assert supervisor.which_children() == []
        await supervisor.start_child(Screen, name=names.via("desk"))
        with pytest.raises(TypeError, match=NOT_A_CLERK):
            await supervisor.start_or_get(Clerk, name=names.via("desk", of=Clerk))


async def test_a_typed_name_goes_through_a_restart(names: Registry[str, None], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        via = names.via("desk", of=Clerk)
        first = await supervisor.start_child(Clerk, name=via)
        first.kill()
        with pytest.raises(ActorExited):
            via.cast_nowait(Clerk.serve)
        await first.wait()
        assert await names.via("desk", wait=True, of=Clerk).call(Clerk.serve) == 1
        assert via.whereis() is not first


async def test_whereis_of_a_class_gives_an_actor_of_that_class(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    assert names.whereis("desk", of=Clerk) is None
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk, name=names.via("desk"))
        await supervisor.start_child(worker, name=names.via("worker"))
        assert names.whereis("desk", of=Clerk) is ref
        assert names.whereis("worker", of=trioreg.Function) is names.whereis("worker")
        names.register("task")
        for key in ("worker", "task"):
            with pytest.raises(TypeError, match=f"^'{key}' in 'names' is held by <"):
                names.whereis(key, of=Clerk)
    assert names.whereis("desk", of=Clerk) is None


async def test_refs_are_the_actors_of_a_key_each_once(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Clerk, restart="temporary") for _ in range(3)]
        is_unique = "unique" in repr(registry)
        for ref in refs[:1] if is_unique else [*refs, *refs]:
            registry.register("desk", 1, owner=ref)
        registry.register("elsewhere", 1, owner=refs[1])
        found = registry.refs("desk", of=Clerk)
        assert len(found) == len(set(found)) == (1 if is_unique else 3)
        assert set(found) == set(registry.refs("desk")) == {entry.owner for entry in registry.lookup("desk")}
        assert registry.refs("nobody", of=Clerk) == []
        refs[0].kill()
        await refs[0].wait()
        assert refs[0] not in registry.refs("desk", of=Clerk)


async def test_refs_refuse_a_holder_that_is_no_such_actor(
    topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        topics.register("desk", 1, owner=await supervisor.start_child(Clerk))
        screen = await supervisor.start_child(Screen)
        topics.register("desk", 1, owner=screen)
        assert len(topics.refs("desk")) == 2
        with pytest.raises(TypeError, match=r"^'desk' in 'topics' is held by <Screen #.* which is not of class Clerk$"):
            topics.refs("desk", of=Clerk)
        topics.register("desk", 1)
        with pytest.raises(TypeError, match=r"which is not an actor$"):
            topics.refs("desk")


async def test_take_of_a_class_gives_the_former_owner_as_an_actor_of_that_class(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        first, second = [await supervisor.start_child(HeadClerk) for _ in range(2)]
        assert names.take("desk", owner=first, of=Clerk) is None  # it was free
        assert names.take("desk", owner=first, of=Screen) is None  # it was the taker's own
        assert names.take("desk", owner=second, of=Clerk) is first
        assert names.whereis("desk") is second


async def test_take_of_a_class_leaves_the_name_with_a_holder_of_another_class(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        screen = await supervisor.start_child(Screen, name=names.via("desk"))
        clerk = await supervisor.start_child(Clerk)
        with names.watch() as events:
            with pytest.raises(TypeError, match=NOT_A_CLERK):
                names.take("desk", owner=clerk, of=Clerk)
            assert events.statistics().buffered == 0
        assert names.whereis("desk") is screen
        assert names.keys(clerk) == []
        task = names.register("task")
        with pytest.raises(TypeError, match=r"^'task' in 'names' is held by .*, which is not an actor$"):
            names.take("task", owner=clerk, of=Clerk)
        assert names.whereis("task") is task


@pytest.mark.parametrize("of", ["Clerk", 7, len, Clerk | Screen, Clerk | None, Annotated[Clerk, 1]], ids=str)
async def test_of_has_to_be_a_class(registry: Registry[str, int], of: Any, autojump_clock: MockClock) -> None:
    with pytest.raises(TypeError, match=r"^of must be the class of an actor, not "):
        registry.refs("desk", of=of)
    if "unique" in repr(registry):
        with pytest.raises(TypeError, match=r"^of must be the class of an actor, not "):
            registry.via("desk", 1, of=of)
        with pytest.raises(TypeError, match=r"^of must be the class of an actor, not "):
            registry.whereis("desk", of=of)
        with pytest.raises(TypeError, match=r"^of must be the class of an actor, not "):
            registry.take("desk", 1, of=of)
        assert registry.count() == 0


async def test_a_class_with_type_arguments_is_that_class(names: Registry[str, None], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        via = names.via("counter", of=trioreg.Agent[int])
        await supervisor.start_child(trioreg.Agent[int], lambda: 5, name=via)
        assert await via.call(trioreg.Agent[int].get, lambda value: value) == 5
        assert names.whereis("counter", of=trioreg.Agent[int]) is via.whereis()


async def test_an_address_made_inline_is_the_same_for_the_same_text_only(autojump_clock: MockClock) -> None:
    class Text(str):
        __slots__ = ()

    names: Registry[Any, int | None] = Registry("names")
    names.register("key", 7)
    assert names.via("key") == names.via("key") == names.via("key", None)
    assert names.via("key") is names.via("key")
    assert type(names.via(Text("other")).key) is type(names.via(Text("key")).key) is Text
    assert names.via("key", of=Clerk) is names.via("key", of=Clerk)
    assert type(names.via(Text("key"), of=Clerk).key) is Text
    assert [names.via(key).key for key in (1, True, 1.0)] == [1, True, 1.0]
    assert [type(names.via(key).key) for key in (1, True, 1.0)] == [int, bool, float]
    assert names.via("key", 7).value == 7
    assert names.via("key").value is None
    assert names.via("key").whereis() is names.via("key", wait=True).whereis() is not None


async def test_a_registry_keeps_a_limited_number_of_addresses() -> None:
    names: Registry[str, None] = Registry("names")
    for number in range(5_000):
        names.via(f"name {number}")
    assert len(names._kept_vias) == 0  # a name that is not in use
    for number in range(5_000):
        names.register(f"name {number}")
        names.via(f"name {number}")
        names.via(f"name {number}", of=Clerk)
    assert len(names._kept_vias) + len(names._kept_typed_vias) <= 4096
