"""The actors of a mailbox program: they do what their messages say."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias, cast

import pytest
import trio
from trio.testing import MockClock

from support.errors import Bang
from support.inside import tuned
from support.mailbox_programs import IDLE, START, STOP, Form, Life, Program, Step
from support.mailbox_world import Message, World
from support.secret_agent import Refused
from trioreg import Actor, ActorExited, Exit, Reply, current, raises, receive

StartSoon: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]
"""`Actor.start_soon`, for a function without arguments."""


def behave(
    world: World, life: Life, message: Message, stop: Callable[[], None], start_soon: StartSoon | None = None
) -> object:
    """Do what a message says, after the handler has waited; returns the answer."""
    answer = (message.key, life)
    for effect in message.step.effect.split():
        if effect == "refuse":
            raise Refused(message.key)
        if effect == "crash":
            world.cause(life, "crashed")
            raise Bang(message.key)
        if effect == "stop":
            world.cause(life, "normal")
            world.stopping.add(life)
            stop()
        elif effect == "cancel":
            world.cause(life, "shutdown")
            life.cancel()
        elif effect == "kill":
            world.cause(life, "killed")
            life.kill()
        elif effect == "note":
            note(world, life)
        elif effect == "background":
            if start_soon is not None:
                behind(world, life, message, start_soon)
            break
        elif effect in ("defer", "answered", "keep", "forget"):
            return deferred(world, message, answer)
    return answer


def behind(world: World, life: Life, message: Message, start_soon: StartSoon) -> None:
    """Start a background task that does later what the message says."""

    async def later() -> None:
        await trio.sleep(message.step.duration)
        if message.step.effect == "background crash":
            world.cause(life, "crashed")
            raise Bang(message.key)
        note(world, life)

    with suppress(ActorExited):  # the actor is ending
        start_soon(later)


def note(world: World, life: Life) -> None:
    """Send a message of the actor to itself."""
    is_function = world.program.kind == "function"
    step = Step(operation="send_nowait" if is_function else "cast_nowait", form="sync")
    message = Message((-1, len(world.messages)), step)
    message.led_to(life)
    message.is_left = life in world.stopping
    world.messages.append(message)
    try:
        world.send_nowait(message, life)
    except ActorExited as error:
        message.told, message.error = "exited", error
    world.check_told(message)


def deferred(world: World, message: Message, answer: object) -> Reply[object]:
    reply = Reply[object]()

    async def later(reply: Reply[object]) -> None:
        await trio.sleep(message.step.duration)
        if message.step.effect == "defer refusal":
            reply.fail(Refused(message.key))
        else:
            reply.send(answer)

    if message.step.effect == "answered":
        reply.send(answer)
    elif message.step.effect != "forget":
        world.nursery.start_soon(later, reply)
    return reply


class Box(Actor):
    """It does what its messages say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept: list[tuple[Message, Reply[object]]] = []
        world.born(self.ref)

    def begin(self, message: Message) -> None:
        self.world.begin(self.ref, message)
        for kept, reply in self.kept:
            kept.is_kept = False
            reply.send((kept.key, self.ref))
        self.kept.clear()

    def do(self, message: Message) -> object:
        try:
            if message.step.effect == "keep":
                reply = Reply[object]()
                self.kept.append((message, reply))
                message.is_kept = True
                return reply
            return behave(self.world, self.ref, message, self.stop, self.start_soon)
        finally:
            self.world.finish(self.ref, message)

    async def do_slowly(self, message: Message) -> object:
        if message.step.duration:
            await self.world.pass_time(message.step.duration)
        return self.do(message)

    @raises(Refused)
    def now(self, message: Message) -> object:
        self.begin(message)
        return self.do(message)

    @raises(Refused)
    async def later(self, message: Message) -> object:
        self.begin(message)
        return await self.do_slowly(message)

    @raises(Refused)
    def mixed(self, message: Message) -> Coroutine[Any, Any, object]:
        self.begin(message)
        if message.step.effect == "note":
            note(self.world, self.ref)  # it notes once more at the end of its coroutine
        return self.do_slowly(message)

    @raises(Refused)
    async def on_message(self, message: Message) -> None:
        await self.later(message)


METHODS: dict[Form, Callable[..., object]] = {"sync": Box.now, "async": Box.later, "mixed": Box.mixed}


class HookedBox(Box):
    """It overrides every hook; `on_start` and `on_stop` take some seconds."""

    idle_timeout = IDLE

    async def on_start(self) -> None:
        await trio.sleep(START)

    async def on_idle(self) -> None:
        self.world.require(self.ref not in self.world.running, "idle at work")
        self.world.running[self.ref] = "on_idle"
        await trio.lowlevel.checkpoint()
        self.world.finished[self.ref] += 1
        del self.world.running[self.ref]

    async def on_stop(self, exit: Exit) -> None:
        self.world.stopped.add(self.ref)
        self.world.require(self.world.names.whereis("box") is self.ref, "on_stop without its name")
        await trio.sleep(STOP)


async def function_box(world: World) -> None:
    """`Box` as a function."""
    life = current()
    world.born(life)
    is_stopped = False

    def stop() -> None:
        nonlocal is_stopped
        is_stopped = True

    while not is_stopped:
        message = None
        with trio.move_on_after(IDLE):
            message = cast("Message", await receive())
        if message is None:
            continue
        world.begin(life, message)
        try:
            if message.step.duration:
                await world.pass_time(message.step.duration)
            if message.step.effect != "keep":
                behave(world, life, message, stop)
        except Refused:
            pass
        finally:
            world.finish(life, message)


def sized(cls: type[Box], size: int | None) -> type[Box]:
    return type(f"{cls.__name__}{size or ''}", (cls,), {"mailbox_size": size})


KINDS: dict[tuple[str, int | None], Callable[..., Any]] = {
    (kind, size): function_box if kind == "function" else sized({"plain": Box, "hooked": HookedBox}[kind], size)
    for kind in ("plain", "hooked", "function")
    for size in (None, 1, 2, 3)
}


def problems_of(program: Program) -> list[str]:
    """Run a program. Returns everything that differs from the model."""
    world = World(program, KINDS[program.kind, program.mailbox_size], METHODS)
    logger = logging.getLogger("trioreg")
    with pytest.MonkeyPatch.context() as patch, tuned(batch=program.batch, compact_at=program.compact_at):
        patch.setattr(logger, "propagate", False)
        logger.addHandler(world)
        try:
            trio.run(world.run, clock=MockClock(autojump_threshold=0))
        finally:
            logger.removeHandler(world)
    return world.problems
