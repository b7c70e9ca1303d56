"""trioreg's side of a program over a PubSub: actors that have joined, and tasks that have subscribed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from support.owners import ENDS, Crash
from support.topics import messages

from trioreg import Actor, ActorRef, Feed, Owner, PubSub

from .places import OK, ROW, Answer, Places, rows
from .program import Program
from .terms import Term
from .wire import encode


class Subscriber(Actor):
    """It keeps what it gets, until it is asked."""

    def __init__(self) -> None:
        self.got: list[Term] = []

    def take(self, message: Term) -> None:
        self.got.append(message)

    async def on_message(self, message: Term) -> None:
        self.got.append(message)

    def received(self) -> list[Term]:
        got, self.got = self.got, []
        return got

    def run(self, function: Callable[[], object]) -> object:
        return function()

    def crash(self) -> None:
        raise Crash


class HerePubSub:
    """A PubSub, its subscribers and the operations on it. A message has the number of its operation in front."""

    def __init__(self, program: Program, places: Places, stack: AsyncExitStack) -> None:
        self.program = program
        self.places = places
        self.stack = stack
        self.pubsub: PubSub[Any, Any] = PubSub("here", partitions=program.partitions[0])
        self.feeds: dict[Owner, list[Feed[Any]]] = {}
        self.published = 0

    async def start(self, place: int, sort: int) -> None:
        stage = self.places.stage
        owner: Owner = await (
            stage.task() if sort % 2 else stage.supervisor.start_child(Subscriber, restart="temporary")
        )
        self.places.seat(place, owner)

    async def join(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        owner = self.places.owners[place]
        if not isinstance(owner, ActorRef):
            block = self.pubsub.subscribe(key, value=value, owner=owner)
            self.feeds.setdefault(owner, []).append(await self.stack.enter_async_context(block))
            return OK
        actor = cast("ActorRef[Subscriber]", owner)
        method = Subscriber.take if extra % 2 else None
        if self.program.by_itself:
            assert await actor.call(Subscriber.run, lambda: self.pubsub.join(key, method, value=value))
        else:
            assert self.pubsub.join(key, method, value=value, owner=actor)
        return OK

    def leave(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        return encode(self.pubsub.leave(key, owner=self.places.owners[place]))

    def members(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        members = self.pubsub.members(key)
        assert (key in self.pubsub) == bool(members)
        assert (key in self.pubsub.topics()) == bool(members)
        place_of = self.places.encoded
        return rows([ROW + place_of(entry.owner) + encode(entry.value) for entry in members], self.program.order)

    def subscriptions(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        return encode(len(self.pubsub))

    def _publish(
        self,
        key: Term,
        value: Term,
        extra: int,
        exclude: Owner | None = None,
        where: Callable[[object], bool] | None = None,
    ) -> Answer | Awaitable[Answer]:
        self.published += 1
        message = (self.published, key, value)

        async def wait() -> Answer:
            return encode(await self.pubsub.publish(key, message, exclude=exclude, where=where))

        if extra % 2:
            return wait()
        if exclude is None and where is None:
            return encode(self.pubsub.publish_nowait(key, message))
        return encode(self.pubsub.publish_nowait(key, message, exclude=exclude, where=where))

    def publish(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        return self._publish(key, value, extra)

    def publish_from(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        return self._publish(key, value, extra, exclude=self.places.owners[place])

    def publish_where(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        wanted = self.program.values[query % len(self.program.values)]
        return self._publish(key, value, extra, where=lambda value: value is wanted)

    async def received(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        owner = self.places.owners[place]
        if isinstance(owner, ActorRef):
            actor = cast("ActorRef[Subscriber]", owner)
            got = await actor.call(Subscriber.received)
        else:
            # Elixir has one mailbox for all topics, and here is a feed for each subscription.
            of_feeds = [messages(feed) for feed in self.feeds.get(owner, ())]
            assert all(got == sorted(got, key=lambda message: message[0]) for got in of_feeds)
            got = sorted([message for got in of_feeds for message in got], key=lambda message: message[0])
        return encode([message[1:] for message in got])

    async def end_of_subscriber(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        owner = self.places.owners[place]
        if isinstance(owner, ActorRef):
            actor = cast("ActorRef[Subscriber]", owner)
            await _end(actor, extra % 4)
        else:
            await self.places.stage.end(owner, ENDS[extra % 4])
            self.feeds.pop(owner, None)
        await self.start(place, extra // 8)
        return OK


async def _end(actor: ActorRef[Subscriber], how: int) -> None:
    if how == 0:
        await actor.stop()
    elif how == 1:
        actor.cast_nowait(Subscriber.crash)
    elif how == 2:
        actor.cancel()
    else:
        actor.kill()
    await actor.wait()


@asynccontextmanager
async def pubsub_here(program: Program, places: Places) -> AsyncGenerator[HerePubSub]:
    """A PubSub with its subscribers; the feeds that are left are closed."""
    async with AsyncExitStack() as stack:
        here = HerePubSub(program, places, stack)
        for place in range(program.owners):
            await here.start(place, place)
        yield here
