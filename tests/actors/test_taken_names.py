"""Names that an Actor needs itself: a class that uses one for something else is refused when it is made."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, DynamicSupervisor, Exit, Supervisor


def method(self: Any) -> None: ...


async def amethod(self: Any) -> None: ...


PUBLIC = [name for name in dir(Actor) if not name.startswith(("_", "on_"))]
METHODS = [name for name in PUBLIC if callable(getattr(Actor, name)) or isinstance(getattr(Actor, name), property)]
SETTINGS = [name for name in PUBLIC if name not in METHODS]


def test_actor_has_these_public_names() -> None:
    assert {"stop", "ref", "start_soon", "send_after", "send_every"} <= set(METHODS)
    assert {"mailbox_size", "idle_timeout", "log_state"} <= set(SETTINGS)


@pytest.mark.parametrize("value", [method, amethod, property(method), staticmethod(method), True])
@pytest.mark.parametrize("name", METHODS)
def test_a_class_that_takes_a_name_of_the_actors_own_is_refused(name: str, value: object) -> None:
    with pytest.raises(
        TypeError, match=rf"^Player\.{name} would take the place of Actor\.{name}: give it another name"
    ):
        type("Player", (Actor,), {name: value})


def test_the_refusal_of_stop_says_what_to_do_instead() -> None:
    with pytest.raises(TypeError, match=r"give it another name, or override on_stop\(\)$"):
        type("Player", (Actor,), {"stop": method})


@pytest.mark.parametrize("name", SETTINGS)
def test_a_method_with_the_name_of_a_setting_is_refused_and_a_property_is_not(name: str) -> None:
    words = re.escape(f"Player.{name} would be taken for the setting {name}: give it another name")
    with pytest.raises(TypeError, match=words):
        type("Player", (Actor,), {name: method})
    type("Player", (Actor,), {name: property(method)})


def test_the_name_may_come_from_a_base_too() -> None:
    mixin = type("Stoppable", (), {"stop": method})
    with pytest.raises(TypeError, match=r"^Player\.stop would take the place of Actor\.stop"):
        type("Player", (mixin, Actor), {})
    type("Player", (Actor, mixin), {})  # here the name is the actor's


@pytest.mark.parametrize("base", [Supervisor, DynamicSupervisor])
def test_a_supervisor_of_ones_own_may_not_take_it_either(base: type[Actor]) -> None:
    type("Mine", (base,), {})
    with pytest.raises(TypeError, match=r"^Mine\.stop would take the place of Actor\.stop"):
        type("Mine", (base,), {"stop": method})


async def test_names_of_a_reference_are_free_for_methods_and_hooks_can_be_overridden(autojump_clock: MockClock) -> None:
    class Phone(Actor):
        def __init__(self) -> None:
            self.log: list[str] = []

        def call(self, number: str) -> str:
            self.log.append(number)
            return f"calling {number}"

        def send(self, text: str) -> str:
            return f"sending {text}"

        def wait(self) -> str:
            return "waiting"

        def kill(self) -> str:
            return "killing"

        async def on_stop(self, exit: Exit) -> None:
            self.log.append(str(exit))

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Phone)
        assert await ref.call(Phone.call, "007") == "calling 007"
        assert await ref.call(Phone.send, "text") == "sending text"
        assert await ref.call(Phone.wait) == "waiting"
        assert await ref.call(Phone.kill) == "killing"
        assert ref.is_alive


async def test_private_names_are_free(autojump_clock: MockClock) -> None:
    own = {name for name in vars(Actor) if name.startswith("_") and not name.startswith(("__", "_trioreg_"))}
    assert own <= {"_abc_impl"}

    class Zombie(Actor):
        _is_supervisor = True

        def __init__(self) -> None:
            self._killed = False
            self._cell = "a cell of a grid"

        def read(self) -> str:
            assert self.ref.is_alive
            return self._cell

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Zombie)
        assert await ref.call(Zombie.read) == "a cell of a grid"
        assert not supervisor.which_children()[0].is_supervisor
        ref.kill()
        assert (await ref.wait()).reason == "killed"
