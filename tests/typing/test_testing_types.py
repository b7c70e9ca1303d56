"""The types of `trioreg.testing`: a stand-in has the type of what it stands in for, and so have its answers."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import assert_type, cast

import trioreg
from trioreg import Actor, ActorRef, ChildSpec, DynamicSupervisor, OnDemand, PubSub, Registry, Reply
from trioreg.testing import (
    Crash,
    Recorder,
    Sent,
    assert_empty,
    checked,
    crash,
    expect_crash,
    hang,
    replace_state,
    sent,
    settled,
    slow,
    state,
)


class Mailer(Actor):
    def __init__(self, host: str) -> None:
        self.host = host

    def send(self, to: str, text: str = "", *, urgent: bool = False) -> str:
        return to

    async def connect(self) -> int:
        return 1

    def later(self) -> Reply[bytes]:
        return Reply[bytes]()

    async def much_later(self) -> Reply[bytes]:
        return Reply[bytes]()

    async def on_message(self, message: object) -> None:
        pass


class Other(Actor):
    def other(self) -> None:
        pass


names: Registry[str, None] = Registry("names")


async def function() -> None:
    await trioreg.receive()


def answer(to: str, text: str = "", *, urgent: bool = False) -> str:
    return to


def answer_number(to: str, text: str = "", *, urgent: bool = False) -> int:
    return 1


def answer_less(to: str) -> str:
    return to


async def right(supervisor: DynamicSupervisor) -> None:
    mailer = Recorder(Mailer)
    assert_type(mailer, Recorder[Mailer])
    ref = await supervisor.start_child(mailer.actor, name=names.via("mailer"))
    assert_type(ref, ActorRef[Mailer])
    assert_type(await supervisor.start_child(mailer.actor, "smtp.example.org"), ActorRef[Mailer])
    ChildSpec(mailer.actor, id="mailer")
    mailers: OnDemand[str, Mailer] = OnDemand("mailers", cast("type[Mailer]", mailer.actor))
    mailers.via("a-17").cast_nowait(Mailer.send, "Ann")
    mailer.on(Mailer.send).answer("queued")
    mailer.on(Mailer.send).answer("queued", after=1)
    mailer.on(Mailer.send).fail(OSError())
    mailer.on(Mailer.send).answer_with(answer)
    mailer.on(Mailer.send).answer_each("one", OSError())
    mailer.on(Mailer.send).never()
    assert_type(mailer.on(Mailer.send).release("late"), int)
    mailer.on(Mailer.connect).answer(1)
    mailer.on(Mailer.later).answer(b"")
    mailer.on(Mailer.much_later).answer(b"")
    mailer.on(Mailer.send).assert_sent("bob", urgent=True)
    mailer.assert_messages(sent(Mailer.send, "bob", text="hi"), sent(Mailer.on_message, 7))
    assert_type(sent(Mailer.connect), Sent)
    assert_type(hang(ref), AbstractContextManager[None])
    assert_type(slow(names.via("mailer", of=Mailer), 3), AbstractContextManager[None])
    crash(ref, OSError())
    crash(await supervisor.start_child(function), OSError())
    wait: Awaitable[None] = settled()
    await wait
    assert_type(state(ref), dict[str, object])
    await replace_state(ref, lambda actor: setattr(actor, "host", ""))


async def right_checks(registry: Registry[str, int], pubsub: PubSub[str, int]) -> None:
    assert_empty(registry, pubsub)
    async with checked() as nothing, expect_crash((KeyError, OSError), match="disk") as crashes:
        assert_type(nothing, None)
    assert_type(crashes, list[Crash])


async def wrong_checks() -> None:
    assert_empty({})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with expect_crash("KeyError"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    expect_crash(KeyError, match=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def wrong(supervisor: DynamicSupervisor, ref: ActorRef[Mailer]) -> None:
    mailer = Recorder(Mailer)
    mailer.on(Mailer.send).answer(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.connect).answer("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.later).answer("late")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.much_later).answer("late")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.send).answer_each("one", 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.send).release(2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.send).answer_with(answer_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.send).answer_with(answer_less)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.send).fail("no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Mailer.send).assert_sent(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.on(Other.other)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sent(Mailer.send)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    sent(Mailer.send, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    mailer.assert_messages("send")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Recorder(Registry)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    crash(ref, OSError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    crash("a", OSError())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    hang(await supervisor.start_child(function))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    slow(ref, "3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_type_checkers_read_this() -> None:
    """The lines above are for them."""
    assert all(map(callable, (right, right_checks, wrong, wrong_checks)))
