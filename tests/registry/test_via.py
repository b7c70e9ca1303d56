"""via(): an address by name, waiting or not."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.owners import Crash
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    Exit,
    NotRegistered,
    Registry,
)


class Echo(Actor):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def echo(self, text: str) -> str:
        self.heard.append(text)
        return text

    def history(self) -> list[object]:
        return self.heard

    async def on_message(self, message: Any) -> None:
        self.heard.append(message)

    def crash(self) -> None:
        raise Crash


@pytest.mark.parametrize("form", ["call", "cast", "send"])
async def test_a_waiting_via_waits_for_a_holder_that_is_not_there_yet(
    names: Registry[str, None], form: str, autojump_clock: MockClock
) -> None:
    done: list[object] = []
    via = names.via("echo", wait=True)

    async def client() -> None:
        if form == "call":
            done.append(await via.call(Echo.echo, "hello"))
        elif form == "cast":
            await via.cast(Echo.echo, "hello")
            done.append("cast")
        else:
            await via.send("hello")
            done.append("sent")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(client)
        await wait_all_tasks_blocked()
        assert done == []
        ref = await supervisor.start_child(Echo, name=names.via("echo"))
        await wait_all_tasks_blocked()
        assert done == [{"call": "hello", "cast": "cast", "send": "sent"}[form]]
        assert await ref.call(Echo.history) == ["hello"]


async def test_a_waiting_via_waits_through_the_end_of_one_life_for_the_next(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    class Slow(Echo):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(3)

    async with supervised() as supervisor:
        first = await supervisor.start_child(Slow, name=names.via("echo"), restart="permanent")
        first.cancel()
        await wait_all_tasks_blocked()
        assert first.is_alive
        began = trio.current_time()
        assert await names.via("echo", wait=True).call(Echo.echo, "hello") == "hello"
        assert trio.current_time() - began == pytest.approx(3)
        assert names.whereis("echo") is not first


async def test_a_waiting_via_finds_the_owner_that_is_given_the_name_while_its_holder_still_ends(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Heir(Actor):
        def ping(self) -> str:
            return "heir"

    class Old(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            names.transfer("James Bond", heir)
            await trio.sleep(3)

    async with supervised() as supervisor:
        heir = await supervisor.start_child(Heir, restart="temporary")
        holder = await supervisor.start_child(Old, name=names.via("James Bond"), restart="temporary")
        holder.cancel()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert await names.via("James Bond", wait=True).call(Heir.ping) == "heir"
        assert trio.current_time() == began + 1


async def test_a_waiting_via_does_not_send_a_message_again_that_ended_its_receiver(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    crashes = 0

    class Fragile(Echo):
        def crash(self) -> None:
            nonlocal crashes
            crashes += 1
            raise Crash

    async with supervised() as supervisor:
        await supervisor.start_child(Fragile, name=names.via("echo"), restart="permanent")
        with pytest.raises(ActorExited) as caught:
            await names.via("echo", wait=True).call(Echo.crash)
        assert isinstance(caught.value.__cause__, Crash)
        await wait_all_tasks_blocked()
        assert crashes == 1


async def test_a_cancelled_wait_for_a_via_sends_nothing(names: Registry[str, None], autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        await names.via("echo", wait=True).cast(Echo.echo, "hello")
    assert scope.cancelled_caught
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Echo, name=names.via("echo"))
        assert await ref.call(Echo.history) == []


async def test_the_nowait_forms_of_a_waiting_via_do_not_wait(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    via = names.via("echo", wait=True)
    with pytest.raises(NotRegistered, match="'echo' is not registered in 'names'"):
        via.send_nowait("hello")
    with pytest.raises(NotRegistered):
        via.cast_nowait(Echo.echo, "hello")


async def test_a_via_to_a_plain_task_is_a_type_error(names: Registry[str, None], autojump_clock: MockClock) -> None:
    names.register("echo")
    for wait in (False, True):
        with pytest.raises(TypeError, match=r"'echo' in 'names' is held by <task .*>, which is not an actor"):
            await names.via("echo", wait=wait).send("hello")


async def test_a_via_says_which_name_it_is_and_whether_it_waits(names: Registry[str, None]) -> None:
    assert repr(names.via("echo")) == "<via names 'echo'>"
    assert repr(names.via("echo", wait=True)) == "<via names 'echo', waiting>"


async def test_a_via_is_equal_to_a_via_of_the_same_name_only(names: Registry[str, None]) -> None:
    assert names.via("echo") == names.via("echo", of=Echo)
    assert names.via("echo") != names.via("other")
    assert names.via("echo") != "echo"


async def test_a_via_is_made_although_another_thread_forgets_those_that_are_kept(names: Registry[str, None]) -> None:
    class Emptied(dict[Any, Any]):
        """As if another thread emptied it after each look."""

        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            self.clear()
            return found

    names.register("echo")
    kept = names.via("echo")
    names._kept_vias = Emptied(names._kept_vias)
    assert names.via("echo") == kept


async def test_a_class_with_a_metaclass_of_its_own_can_be_asked_for_again_and_again(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    class Meta(type):
        pass

    class Loud(Echo, metaclass=Meta):
        pass

    async with supervised() as supervisor:
        await supervisor.start_child(Loud, name=names.via("echo"))
        for _ in range(2):
            assert await names.via("echo", of=Loud).call(Loud.echo, "hello") == "hello"
