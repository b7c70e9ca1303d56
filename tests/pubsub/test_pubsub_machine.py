"""Subscribers of all kinds and publications, in any order, against a naive model: `Subscribed`.

Trio runs as a guest of hypothesis's state machine. Each rule does one thing in Trio, and then waits until all tasks are
blocked again.
"""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.inside import assert_no_subscription, patterns_in, slices_of
from support.owners import ENDS, SORTS, Crash, End, Sort
from support.patterns_of_topics import matches_naively
from support.pubsub_model import Publication, Receiving, Subscribed
from support.registry_model import Guest
from support.topics import GAP, Reader, messages
from trio.testing import wait_all_tasks_blocked

from trioreg import ANY, ActorRef, Overflow, Owner, PubSub, Registered, Wildcard

TOPICS: list[Any] = ["a", "a.b", 7]
PATTERNS = [Wildcard(pattern) for pattern in ("a.*", "a.#", "#")]

F = TypeVar("F", bound=Callable[..., Any])

some = st.integers(0, 15)
counts = st.integers(1, 3)
topics = st.sampled_from(["a", "a", *TOPICS])
subscribed_topics = st.sampled_from(["a", "a", *TOPICS, *PATTERNS])
rules = st.sampled_from(["error", "drop_oldest", "drop_newest", "wait", "wait"])
# Most publications go to all.
chosen_values = st.sampled_from([None, None, None, 0, 1])
excluded_owners = st.sampled_from([99, 99, 99, 0, 1])
kept = st.sampled_from([False, False, True])


def has(**having: bool) -> Callable[[F], F]:
    """A precondition: there is a subscription of this kind."""
    return precondition(lambda self: self.pick(0, **having) is not None)


class Kept(Reader):
    def __init__(self, got: list[Any]) -> None:
        super().__init__()
        self.got = got

    def crash(self) -> None:
        raise Crash


class PubSubMachine(RuleBasedStateMachine):
    @initialize(
        partitions=st.integers(1, 3),
        slices=st.sampled_from([1, 2, 500]),
        sorts=st.lists(st.sampled_from(SORTS), min_size=1, max_size=3),
    )
    def set_up(self, partitions: int, slices: int, sorts: list[Sort]) -> None:
        self.patch = pytest.MonkeyPatch()
        slices_of(self.patch, slices)
        self.pubsub: PubSub[Any, int] = PubSub("tested", partitions=partitions)
        self.guest = Guest()
        self.watching = self.pubsub.watch(ANY)
        self.events = self.do_now(self.watching.__enter__)
        self.present: list[tuple[Any, int, Any]] = []
        self.late_watch: Any = None
        self.stage = self.guest.stage
        self.subscribed: list[Subscribed] = []
        self.publications: list[Publication] = []
        self.received: list[Receiving] = []
        self.retained: dict[Any, int] = {}
        self.owners: list[Owner] = []
        self.message = 0
        for sort in sorts:
            self.start(sort)

    def teardown(self) -> None:
        if hasattr(self, "guest"):
            self.do_now(lambda: self.watching.__exit__(None, None, None))
            if self.late_watch is not None:
                self.watch_to_the_end()
            self.guest.close()
            self.patch.undo()
            assert_no_subscription(self.pubsub)

    def do_now(self, function: Any) -> Any:
        async def do() -> Any:
            return function()

        return self.guest.do(do)

    @rule(sort=st.sampled_from(SORTS))
    def start(self, sort: Sort) -> None:
        self.owners.append(self.guest.do(lambda: self.stage.start(sort)))

    # Subscribe

    def greeting(self, topic: Any) -> list[int]:
        if isinstance(topic, Wildcard):
            return [
                message
                for kept, message in self.retained.items()
                if isinstance(kept, str) and matches_naively(topic.pattern, kept)
            ]
        return [self.retained[topic]] if topic in self.retained else []

    @precondition(lambda self: self.owners and self.has_place())
    @rule(
        topic=subscribed_topics,
        number=some,
        buffer=st.sampled_from([0, 1, 2, math.inf]),
        overflow=rules,
        value=st.integers(0, 1),
        once=kept,
    )
    def subscribe(self, topic: Any, number: int, buffer: float, overflow: Any, value: int, once: bool) -> None:
        owner = self.owners[number % len(self.owners)]
        block = self.pubsub.subscribe(topic, buffer=buffer, overflow=overflow, value=value, once=once, owner=owner)
        feed = self.guest.do(block.__aenter__)
        is_there = any(sub.is_open and sub.owner is owner and sub.topic == topic for sub in self.subscribed)
        assert (feed is None) is (once and is_there)
        if feed is None:
            self.guest.do(lambda: block.__aexit__(None, None, None))
            return
        self.subscribed.append(
            Subscribed(topic, owner, buffer, overflow, value, self.greeting(topic), feed=feed, block=block)
        )

    @precondition(lambda self: self.has_place())
    @rule(
        topic=subscribed_topics,
        buffer=st.sampled_from([1, 2, math.inf]),
        overflow=rules,
        value=st.integers(0, 1),
    )
    def join(self, topic: Any, buffer: float, overflow: Any, value: int) -> None:
        got: list[int] = []

        async def start() -> ActorRef[Kept]:
            ref = await self.stage.supervisor.start_child(Kept, got, restart="temporary")
            ref.cast_nowait(Reader.hold, until)
            await wait_all_tasks_blocked()
            self.pubsub.join(topic, Reader.take, buffer=buffer, overflow=overflow, value=value, owner=ref)
            return ref

        until = trio.Event()
        ref = self.guest.do(start)
        sub = Subscribed(topic, ref, buffer, overflow, value, self.greeting(topic), actor=ref, until=until, got=got)
        self.subscribed.append(sub)

    def has_place(self) -> bool:
        return sum(sub.is_open for sub in self.subscribed) < 5

    def pick(self, number: int, **having: Any) -> Subscribed | None:
        found = [
            sub
            for sub in self.subscribed
            if not sub.is_dead and all((getattr(sub, name) is not None) is wanted for name, wanted in having.items())
        ]
        return found[number % len(found)] if found else None

    @has()
    @rule(number=some, how=st.sampled_from(["leave", "leave", "leave block", "close", "kill", "cancel", "crash"]))
    def end_one(self, number: int, how: str) -> None:
        if how == "leave":
            self.leave(number)
        elif how in ("leave block", "close"):
            self.leave_block(number, closes_first=how == "close")
        elif how == "crash":
            self.crash(number)
        else:
            self.kill(number, how)

    def leave(self, number: int) -> None:
        sub = self.pick(number)
        if sub is None or not sub.owner.is_alive:
            return
        ended = [
            other
            for other in self.subscribed
            if other.is_open and other.owner is sub.owner and other.topic == sub.topic
        ]
        assert self.do_now(lambda: self.pubsub.leave(sub.topic, owner=sub.owner)) == len(ended)
        for other in ended:
            other.end()

    def leave_block(self, number: int, *, closes_first: bool) -> None:
        sub = self.pick(number, feed=True)
        if sub is not None:
            if closes_first:
                self.do_now(lambda: sub.feed.close())
                sub.die()
                self.subscriptions_agree_with_the_model()
            self.guest.do(lambda: sub.block.__aexit__(None, None, None))
            sub.die()

    @precondition(lambda self: len(self.owners) > 2)
    @rule(number=some, how=st.sampled_from(ENDS))
    def end_owner(self, number: int, how: End) -> None:
        owner = self.owners.pop(number % len(self.owners))
        subs = [sub for sub in self.subscribed if sub.owner is owner and sub.is_open]
        self.guest.do(lambda: self.stage.end(owner, how))
        for sub in subs:
            sub.end()

    # Presence

    @has()
    @rule(number=some)
    def update_value(self, number: int) -> None:
        sub = self.pick(number)
        if sub is None or not sub.owner.is_alive:
            return
        updated = [
            other
            for other in self.subscribed
            if other.is_open and other.owner is sub.owner and other.topic == sub.topic
        ]
        update = lambda: self.pubsub.update_value(sub.topic, lambda value: 1 - value, owner=sub.owner)  # noqa: E731
        assert self.do_now(update) == len(updated)
        for other in updated:
            other.value = 1 - other.value

    @precondition(lambda self: self.late_watch is None)
    @rule()
    def watch_from_now(self) -> None:
        """Nothing is received yet."""
        watch = self.pubsub.watch(ANY, initial=True)
        self.late_watch = watch, self.do_now(watch.__enter__)

    @precondition(lambda self: self.late_watch is not None)
    @rule()
    def watch_to_the_end(self) -> None:
        watch, events = self.late_watch
        self.late_watch = None
        present: list[tuple[Any, int, Any]] = []
        self.follow(events, present)
        self.do_now(lambda: watch.__exit__(None, None, None))

    # Actors

    @has(actor=True)
    @rule(number=some, then=st.sampled_from(["hold", "hold", "stop"]))
    def go_on(self, number: int, then: str) -> None:
        """An actor handles the messages that it has. Then it is held up again, or it stops."""
        sub = self.pick(number, actor=True)
        if sub is None:
            return
        before, until = sub.until, trio.Event()
        assert before is not None

        async def go_on() -> None:
            if then == "stop":
                self.guest.nursery.start_soon(sub.actor.stop)
                await wait_all_tasks_blocked()
            before.set()
            await wait_all_tasks_blocked()
            if sub.actor.is_alive:
                sub.actor.cast_nowait(Reader.hold, until)

        self.guest.do(go_on)
        sub.until = until
        crashes = sub.handle()
        assert sub.actor.is_alive is not (crashes or then == "stop")
        if crashes or then == "stop":
            sub.die()

    def kill(self, number: int, how: str) -> None:
        sub = self.pick(number, actor=True)
        if sub is not None:
            self.do_now(lambda: getattr(sub.actor, how)())
            sub.die()

    def crash(self, number: int) -> None:
        """An actor crashes in the handler of a message that was sent to it behind what it has."""
        sub = self.pick(number, actor=True)
        if sub is None:
            return
        until = sub.until
        assert until is not None

        async def crash() -> None:
            sub.actor.cast_nowait(Kept.crash)
            until.set()
            await wait_all_tasks_blocked()

        self.guest.do(crash)
        # With a buffer, only one of its messages is in the mailbox at a time: the next comes behind the crash.
        sub.handle(at_most=None if sub.buffer == math.inf else 1)
        sub.die()
        assert not sub.actor.is_alive

    @has(actor=True)
    @rule(number=some)
    def join_once(self, number: int) -> None:
        sub = self.pick(number, actor=True)
        if sub is not None and sub.is_open:
            assert self.do_now(lambda: self.pubsub.join(sub.topic, owner=sub.actor, once=True)) is False

    # Publish

    def audience(self, topic: Any, value: int | None, exclude: Owner | None) -> list[Subscribed]:
        return [
            sub
            for sub in self.subscribed
            if sub.is_open
            and sub.owner is not exclude
            and (value is None or sub.value == value)
            and (
                isinstance(topic, str) and matches_naively(sub.topic.pattern, topic)
                if isinstance(sub.topic, Wildcard)
                else sub.topic == topic
            )
        ]

    def options(self, value: int | None, number: int, retain: bool) -> tuple[dict[str, Any], Owner | None]:
        exclude = self.owners[number] if number < len(self.owners) else None
        options: dict[str, Any] = {"exclude": exclude, "retain": retain}
        if value is not None:
            options["where"] = lambda given: given == value
        return options, exclude

    @has()
    @rule(topic=topics, value=chosen_values, excluded=excluded_owners, retain=kept, count=counts)
    def publish_nowait(self, topic: Any, value: int | None, excluded: int, retain: bool, count: int) -> None:
        for _ in range(count):
            self.publish_one_nowait(topic, value, excluded, retain)

    def publish_one_nowait(self, topic: Any, value: int | None, excluded: int, retain: bool) -> None:
        self.message += 1
        message = self.message
        options, exclude = self.options(value, excluded, retain)
        audience = self.audience(topic, value, exclude)

        def publish() -> int | None:
            try:
                return self.pubsub.publish_nowait(topic, message, **options)
            except trio.WouldBlock:
                return None

        reached = self.do_now(publish)
        if any(sub.holds_up for sub in audience):
            assert reached is None
        else:
            assert reached == sum([sub.tell(message) for sub in audience])
            if retain:
                self.retained[topic] = message

    @has()
    @rule(topic=topics, value=chosen_values, excluded=excluded_owners, retain=kept, count=counts)
    def publish(self, topic: Any, value: int | None, excluded: int, retain: bool, count: int) -> None:
        for _ in range(count):
            self.publish_one(topic, value, excluded, retain)

    def publish_one(self, topic: Any, value: int | None, excluded: int, retain: bool) -> None:
        self.message += 1
        publication = Publication(self.message)
        options, exclude = self.options(value, excluded, retain)
        audience = self.audience(topic, value, exclude)

        async def publish() -> None:
            with publication.scope:
                publication.result = await self.pubsub.publish(topic, publication.message, **options)

        self.do_now(lambda: self.guest.nursery.start_soon(publish))
        for sub in audience:
            sub.publish(publication)
        if retain:
            self.retained[topic] = publication.message
        self.publications.append(publication)

    @rule(topic=topics)
    def forget(self, topic: Any) -> None:
        assert self.do_now(lambda: self.pubsub.forget(topic)) is (self.retained.pop(topic, None) is not None)

    @precondition(lambda self: any(publication.waiting_in for publication in self.publications))
    @rule(number=some, then=some)
    def cancel_publication(self, number: int, then: int) -> None:
        """A publication that waits for room is cancelled. Before its task runs, a subscriber may make room."""
        waiting = [publication for publication in self.publications if publication.waiting_in]
        if not waiting:
            return
        publication = waiting[number % len(waiting)]
        # It sleeps in the first line that is not done; in the others the message may still get in.
        sub = publication.waiting_in[0]
        receive = sub.feed is not None and then % 2
        got: list[Any] = []

        def cancel() -> None:
            publication.scope.cancel()
            if receive:
                try:
                    got.append(sub.feed.receive_nowait())
                except Overflow as overflow:
                    got.append((GAP, overflow.count))
                except (trio.WouldBlock, trio.EndOfChannel):
                    got.append(None)

        self.do_now(cancel)
        for line in [*publication.waiting_in]:
            line.senders.remove(publication)
        publication.waiting_in = []
        self.publications.remove(publication)
        assert publication.scope.cancelled_caught
        if receive:
            assert got == [sub.take()]

    # Receive

    @has(feed=True)
    @rule(number=some, count=counts, how=st.sampled_from(["receive", "a loop", "loops over one iterator"]))
    def receive(self, number: int, count: int, how: str) -> None:
        for _ in range(count):
            self.receive_one(number, how)

    def receive_one(self, number: int, how: str) -> None:
        sub = self.pick(number, feed=True)
        assert sub is not None
        receiving = Receiving()

        async def receive() -> None:
            with receiving.scope:
                try:
                    if how == "receive":
                        receiving.got = await sub.feed.receive()
                        return
                    async for item in sub.feed if how == "a loop" else sub.iterator():
                        receiving.got = item
                        return
                    receiving.got = "end"
                except Overflow as overflow:
                    receiving.got = (GAP, overflow.count)
                except trio.EndOfChannel:
                    receiving.got = "end"

        self.do_now(lambda: self.guest.nursery.start_soon(receive))
        sub.receive(receiving)
        self.received.append(receiving)

    @precondition(lambda self: any(sub.receivers for sub in self.subscribed))
    @rule(number=some, topic=topics)
    def cancel_receive(self, number: int, topic: Any) -> None:
        """A receive is cancelled. Before its task runs, a message is published."""
        waiting = [(sub, receiving) for sub in self.subscribed for receiving in sub.receivers]
        if not waiting:
            return
        sub, receiving = waiting[number % len(waiting)]
        self.message += 1
        sub.receivers.remove(receiving)
        self.received.remove(receiving)
        audience = self.audience(topic, None, None)
        blocked = any(other.holds_up for other in audience)

        def cancel() -> int | None:
            receiving.scope.cancel()
            try:
                return self.pubsub.publish_nowait(topic, self.message)
            except trio.WouldBlock:
                return None

        reached = self.do_now(cancel)
        assert reached == (None if blocked else sum([other.tell(self.message) for other in audience]))
        assert receiving.got is None

    # What must hold

    @invariant()
    def publications_have_come_as_far_as_they_should(self) -> None:
        for publication in list(self.publications):
            assert publication.result == (None if publication.waiting_in else publication.reached)
            if not publication.waiting_in:
                self.publications.remove(publication)

    @invariant()
    def receivers_have_what_they_should(self) -> None:
        for receiving in self.received:
            assert receiving.got == receiving.expected
        self.received = [receiving for receiving in self.received if receiving.expected is None]

    @invariant()
    def subscriptions_agree_with_the_model(self) -> None:
        is_open = [sub for sub in self.subscribed if sub.is_open]
        assert len(self.pubsub) == len(is_open)
        assert set(self.pubsub.topics()) == {sub.topic for sub in is_open}
        assert patterns_in(self.pubsub) == len({sub.topic for sub in is_open if isinstance(sub.topic, Wildcard)})
        for topic in TOPICS + PATTERNS:
            members = [(id(owner), value) for owner, value in self.pubsub.members(topic)]
            assert sorted(members) == sorted((id(sub.owner), sub.value) for sub in is_open if sub.topic == topic)
            assert self.pubsub.count(topic) == len(members)
        for owner in {*self.owners, *(sub.owner for sub in self.subscribed)}:
            its_own = [sub for sub in is_open if sub.owner is owner]
            assert sorted(map(str, self.pubsub.topics_of(owner))) == sorted({str(sub.topic) for sub in its_own})
            for topic in TOPICS + PATTERNS:
                dropped = sum(sub.dropped for sub in its_own if sub.topic == topic)
                assert self.pubsub.dropped(topic, owner) == dropped
        for sub in self.subscribed:
            assert sub.got == sub.handled
            if sub.feed is not None and not sub.is_dead:
                statistics = sub.feed.statistics()
                assert statistics.buffered == sub.buffered
                assert statistics.dropped == sub.feed.dropped == sub.dropped
                assert statistics.tasks_waiting_receive == len(sub.receivers)
                assert statistics.tasks_waiting_send == len(sub.senders)

    @invariant()
    def events_agree_with_the_model(self) -> None:
        self.follow(self.events, self.present)

    def follow(self, events: Any, present: list[tuple[Any, int, Any]]) -> None:
        """Do to a list what the events say. Then it has what there is."""
        for event in messages(events):
            row = event.key, id(event.owner), event.value
            if isinstance(event, Registered):
                present.append(row)
            else:
                present.remove(row)
        is_open = [(sub.topic, id(sub.owner), sub.value) for sub in self.subscribed if sub.is_open]
        assert sorted(present, key=str) == sorted(is_open, key=str)

    @invariant()
    def retained_messages_agree_with_the_model(self) -> None:
        kept = self.do_now(lambda: [self.pubsub.retained(topic) for topic in TOPICS])
        assert kept == [[self.retained[topic]] if topic in self.retained else [] for topic in TOPICS]


TestPubSubMachine = PubSubMachine.TestCase
TestPubSubMachine.settings = settings(stateful_step_count=50)
