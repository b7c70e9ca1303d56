"""The owner of a registration: the one given, or the running actor, or else the current Trio task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.inside import is_instrument_installed, plain_holders
from support.owners import held_by, staged
from support.side_by_side import reading
from support.supervisors import supervised
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, Owner, Registry, TaskOwner, current_owner


class Registrar(Actor):
    """It registers names in every way that an actor can."""

    def __init__(self, registry: Registry[str, int]) -> None:
        self.registry = registry

    def sync(self, key: str) -> None:
        self.registry.register(key, 1)

    async def asynchronous(self, key: str) -> None:
        await trio.lowlevel.checkpoint()
        self.registry.register(key, 1)

    def background(self, key: str) -> None:
        self.start_soon(self.asynchronous, key)

    async def nursery_in_background(self, key: str) -> None:
        self.start_soon(self.nursery_inside, key)

    async def nursery_inside(self, key: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.asynchronous, key)

    def task_outside(self, nursery: trio.Nursery, key: str, done: trio.Event) -> None:
        async def plain() -> None:
            self.registry.register(key, 1)
            await done.wait()

        nursery.start_soon(plain)

    async def async_task_outside(self, nursery: trio.Nursery, key: str, done: trio.Event) -> None:
        self.task_outside(nursery, key, done)
        await trio.lowlevel.checkpoint()

    async def on_start(self) -> None:
        self.registry.register("on_start", 1)

    async def on_message(self, message: str) -> None:
        self.registry.register(message, 1)


# Which owner


async def test_a_plain_task_owns_what_it_registers(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    owner = registry.register("name", 1)
    assert isinstance(owner, TaskOwner)
    assert held_by(registry, "name") == [owner]
    assert registry.keys(current_owner()) == ["name"]
    assert registry.keys(owner) == ["name"]
    assert registry.values("name", current_owner()) == [1]
    assert registry.unregister("name") == 1
    assert registry.count() == 0


async def test_an_actors_sync_handler_that_runs_in_its_callers_turn_registers_for_the_actor(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Registrar, registry)
        await wait_all_tasks_blocked()
        await ref.call(Registrar.sync, "name")
        assert held_by(registry, "name") == [ref]
        assert registry.keys(current_owner()) == []
        assert plain_holders() == 0


@pytest.mark.parametrize("method", [Registrar.sync, Registrar.asynchronous, Registrar.background])
async def test_an_actors_handlers_and_background_tasks_register_for_the_actor(
    registry: Registry[str, int], method: Callable[[Registrar, str], Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Registrar, registry)
        ref.cast_nowait(method, "name")
        await wait_all_tasks_blocked()
        assert held_by(registry, "name") == [ref]
        assert plain_holders() == 0
        assert registry.count() == 2  # with the one of on_start


@pytest.mark.parametrize("method", [Registrar.nursery_inside, Registrar.nursery_in_background])
async def test_a_task_in_a_nursery_below_an_actors_code_registers_for_the_actor(
    registry: Registry[str, int], method: Callable[[Registrar, str], Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Registrar, registry)
        await ref.cast(method, "name")
        await wait_all_tasks_blocked()
        assert held_by(registry, "name") == [ref]
        assert ref.is_alive


async def test_init_and_hooks_register_for_the_actor(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Registrar, registry)
        await ref.send("on_message")
        await wait_all_tasks_blocked()
        assert sorted(registry.keys(ref)) == ["on_message", "on_start"]


@pytest.mark.parametrize("way", ["inline", "queued", "async"])
async def test_a_task_that_a_handler_starts_in_a_nursery_outside_registers_for_itself(
    registry: Registry[str, int], way: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Registrar, registry)
        done = trio.Event()
        if way == "inline":
            await wait_all_tasks_blocked()
            await ref.call(Registrar.task_outside, nursery, "name", done)
        elif way == "queued":
            ref.cast_nowait(Registrar.task_outside, nursery, "name", done)
        else:
            await ref.call(Registrar.async_task_outside, nursery, "name", done)
        await wait_all_tasks_blocked()
        (owner,) = held_by(registry, "name")
        assert isinstance(owner, TaskOwner)
        assert "plain" in owner.task_name
        ref.kill()
        await ref.wait()
        # The task outlives the actor, and so does its name. The name goes when the task ends.
        assert held_by(registry, "name") == [owner]
        done.set()
        await wait_all_tasks_blocked()
        assert held_by(registry, "name") == []


async def test_a_function_actor_and_the_tasks_below_it_register_for_the_actor(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def register(key: str) -> None:
        registry.register(key, 1)
        await trio.sleep_forever()

    async def worker() -> None:
        registry.register("own", 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(register, "below")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await wait_all_tasks_blocked()
        assert held_by(registry, "own") == held_by(registry, "below") == [ref]


async def test_a_child_of_a_supervisor_that_an_actor_started_registers_for_itself(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        registry.register("worker", 1)
        await trio.sleep_forever()

    class Parent(Actor):
        async def work(self) -> None:
            async with trioreg.open_dynamic_supervisor() as supervisor:
                await supervisor.start_child(worker)
                await trio.sleep_forever()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent)
        await ref.cast(Parent.work)
        await wait_all_tasks_blocked()
        (owner,) = held_by(registry, "worker")
        assert owner is not ref
        assert isinstance(owner, ActorRef)


async def test_an_owner_can_be_given(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Registrar, registry)
        assert registry.register("given", 5, owner=ref) is ref
        assert held_by(registry, "given") == [ref]
        assert registry.values("given", ref) == [5]
        assert registry.keys(current_owner()) == []
        assert registry.unregister("given") == 0  # not the caller's own
        assert registry.unregister("given", owner=ref) == 1
        registry.register("given again", 6, owner=ref)
        ref.kill()
        await ref.wait()
        assert held_by(registry, "given again") == []


async def test_a_plain_task_can_be_given_a_name_by_another(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    mine = registry.register("mine", 1)
    done = trio.Event()

    async def other(*, task_status: trio.TaskStatus[trioreg.Owner]) -> None:
        task_status.started(registry.register("theirs", 2))
        await done.wait()

    async with trio.open_nursery() as nursery:
        theirs = await nursery.start(other)
        assert theirs != mine
        registry.register("given", 3, owner=theirs)
        assert registry.keys(theirs) == ["theirs", "given"]
        done.set()
    assert [key for key, _ in rows(registry)] == ["mine", "mine"]
    registry.unregister("mine")


async def test_the_owners_of_one_task_are_equal_and_the_owners_of_two_tasks_are_not(autojump_clock: MockClock) -> None:
    registry: Registry[str, None] = Registry("names")
    first = registry.register("first")
    registry.unregister("first")
    second = registry.register("second")
    assert first == second
    assert hash(first) == hash(second)
    assert registry.keys(first) == ["second"]
    assert registry.unregister("second", owner=first) == 1

    async def other() -> None:
        assert registry.register("third") != first

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)


async def test_a_name_given_through_a_stale_owner_object_of_a_living_task_goes_with_the_task(
    autojump_clock: MockClock,
) -> None:
    registry: Registry[str, None] = Registry("names")
    done = trio.Event()

    async def other(*, task_status: trio.TaskStatus[trioreg.Owner]) -> None:
        owner = registry.register("first")
        registry.unregister("first")
        task_status.started(owner)
        registry.register("second")
        await done.wait()

    async with trio.open_nursery() as nursery:
        owner = await nursery.start(other)
        registry.register("third", owner=owner)
        assert registry.count() == 2
        done.set()
    assert registry.count() == 0


async def test_the_name_of_a_task_that_registers_again_and_again_goes_with_the_task(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def holder() -> None:
        for number in range(5):
            registry.register("name", number)
            registry.unregister("name")
            await trio.lowlevel.checkpoint()
        registry.register("name", 5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
    assert registry.count() == 0
    assert not is_instrument_installed()


# Refusals


async def test_an_actor_that_has_ended_cannot_be_given_a_name(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Registrar, registry, restart="temporary")
        ref.kill()
        await ref.wait()
        with pytest.raises(ActorExited) as caught:
            registry.register("name", 1, owner=ref)
        assert caught.value.ref is ref
        assert caught.value.exit.reason == "killed"
        with pytest.raises(ActorExited):
            registry.unregister("name", owner=ref)
        assert registry.count() == 0


async def test_a_task_that_has_ended_cannot_be_given_a_name(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    found: list[trioreg.Owner] = []

    async def holder() -> None:
        found.append(registry.register("name", 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
    (owner,) = found
    assert not owner.is_alive
    with pytest.raises(ActorExited):
        registry.register("name", 1, owner=owner)
    assert registry.count() == 0
    assert registry.keys(owner) == []


async def test_an_actor_that_is_ending_can_still_be_given_a_name_that_goes_with_it(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    class Last(Actor):
        async def on_stop(self, exit: trioreg.Exit) -> None:
            registry.register("by itself", 1)
            await trio.sleep(1)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        ref.cancel()
        await trio.sleep(0.5)
        registry.register("by another", 2, owner=ref)
        assert sorted(registry.keys(ref)) == ["by another", "by itself"]
        await ref.wait()
        assert registry.count() == 0


async def test_an_object_that_is_no_owner_is_refused(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    not_an_owner: Any = "James Bond"
    with pytest.raises(TypeError, match="owner must be an ActorRef or a TaskOwner, not 'James Bond'"):
        registry.register("name", 1, owner=not_an_owner)
    assert registry.count() == 0


# Threads and other runs


async def test_a_worker_thread_can_read_but_not_write(registry: Registry[str, int]) -> None:
    owner = registry.register("name", 1)
    before = rows(registry)

    def in_thread() -> None:
        assert held_by(registry, "name") == [owner]
        assert registry.count() == 1
        assert registry.keys(owner) == ["name"]
        for given in (None, owner):
            with pytest.raises(RuntimeError, match="can only be written from inside the Trio run"):
                registry.register("other", 2, owner=given)
            with pytest.raises(RuntimeError, match="can only be written from inside the Trio run"):
                registry.unregister("name", owner=given)
        with pytest.raises(RuntimeError), registry.hold("other", 2):
            pass

    await trio.to_thread.run_sync(in_thread)
    assert rows(registry) == before
    registry.unregister("name")


async def test_a_worker_thread_of_an_actor_cannot_write_either(registry: Registry[str, int]) -> None:
    class Threaded(Actor):
        async def work(self) -> None:
            def in_thread() -> None:
                with pytest.raises(RuntimeError, match="can only be written from inside the Trio run"):
                    registry.register("name", 1)

            await trio.to_thread.run_sync(in_thread)

        async def back_in_trio(self) -> None:
            def in_thread() -> None:
                trio.from_thread.run_sync(registry.register, "name", 1)

            await trio.to_thread.run_sync(in_thread)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Threaded)
        await ref.call(Threaded.work)
        assert registry.count() == 0
        await ref.call(Threaded.back_in_trio)
        assert held_by(registry, "name") == [ref]


async def test_another_trio_run_cannot_write_while_this_run_holds_names(registry: Registry[str, int]) -> None:
    owner = registry.register("name", 1)
    before = rows(registry)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            registry.register("other", 2)
        with pytest.raises(RuntimeError, match="lives in another one"):
            registry.register("other", 2, owner=owner)
        with pytest.raises(RuntimeError):
            registry.unregister("name", owner=owner)
        assert held_by(registry, "name") == [owner]

    await trio.to_thread.run_sync(trio.run, main)
    assert rows(registry) == before
    registry.unregister("name")


def test_a_registry_can_be_used_by_one_run_after_another(registry: Registry[str, int]) -> None:
    async def main() -> None:
        registry.register("name", 1)
        async with supervised() as supervisor:
            await supervisor.start_child(Registrar, registry)
            assert registry.count() == 2

    for _ in range(3):
        trio.run(main)
        assert registry.count() == 0


def test_outside_of_a_trio_run_nothing_can_be_written(registry: Registry[str, int]) -> None:
    with pytest.raises(RuntimeError, match="can only be written from inside the Trio run"):
        registry.register("name", 1)
    assert registry.count() == 0


async def test_reading_from_many_threads_while_names_come_and_go_never_fails(registry: Registry[str, int]) -> None:
    def read() -> None:
        registry.lookup("name 3")
        registry.tables()
        registry.count()

    async with reading(read, reads=500), reading(read, reads=500) as rounds:
        for _ in rounds:
            for number in range(50):
                registry.register(f"name {number}", number)
            await trio.lowlevel.checkpoint()
            for number in range(50):
                registry.unregister(f"name {number}")
    assert registry.count() == 0


async def test_keys_and_values_without_an_owner_say_what_to_write(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    careless: Any = registry
    registry.register("name", 1)
    with pytest.raises(TypeError, match=r"^keys\(\) needs an owner: write keys\(owner\).* trioreg\.current_owner\(\)$"):
        careless.keys()
    with pytest.raises(TypeError, match=r"^values\(\) needs an owner: write values\(key, owner\)"):
        careless.values("name")
    with pytest.raises(TypeError, match="needs an owner"):
        careless.values(key="name")
    assert registry.values(key="name", owner=current_owner()) == [1]
    assert registry.keys(owner=current_owner()) == ["name"]


async def test_the_current_owner_is_the_owner_that_a_registration_gets(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    def both() -> tuple[Owner, Owner]:
        return current_owner(), registry.register("by an actor", 1)

    assert current_owner() == registry.register("by a task", 1)
    assert isinstance(current_owner(), TaskOwner)
    async with staged() as stage:
        ref = await stage.actor()
        assert await stage.run(ref, both) == (ref, ref)


def test_there_is_no_current_owner_outside_of_a_trio_run() -> None:
    with pytest.raises(RuntimeError):
        current_owner()
