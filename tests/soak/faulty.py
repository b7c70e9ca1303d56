"""Part ``faults``: no memory, or a full stack, at each call of a random change of a random state.

A round draws a registry with its owners, waiters and topics, and makes each kind of change in it. The change fails at
its first call, then at its second one, and so on. Afterwards each name has its lease and each lease its name. The
change can be made again, each waiter is served, and nothing is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from random import Random
from typing import Any

import trio
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from soak.exploring import no_log
from soak.parts import Figures, Part
from trioreg import (
    Actor,
    ActorRef,
    AlreadyRegistered,
    NotRegistered,
    Owner,
    PubSub,
    Registry,
    Wildcard,
)

REFUSED = (AlreadyRegistered, NotRegistered, trio.WouldBlock, ValueError)
"""What a change may say that does not fit the state."""

KINDS = 15
"""How many kinds of changes there are."""


class Holder(Actor):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def hear(self, message: object) -> None:
        self.heard.append(message)


class State:
    """What a round changes: a registry, topics, and actors that own what is in them."""

    def __init__(self, draw: Random) -> None:
        self.is_unique = draw.random() < 0.6
        keys: Any = "unique" if self.is_unique else "duplicate"
        self.names: Registry[Any, int] = Registry(
            "names", keys=keys, partitions=draw.choice([1, 3]), totals=draw.random() < 0.3
        )
        self.topics: PubSub[str, object] = PubSub("topics", partitions=draw.choice([1, 3]))
        self.owners: list[ActorRef[Holder]] = []

    def changes(self, draw: Random) -> list[Callable[[], object]]:
        """One change of each kind, with all that it needs drawn already."""
        names, topics = self.names, self.topics
        a, b = draw.sample(range(len(self.owners)), 2)
        owner, other = self.owners[a], self.owners[b]
        key, value = draw.choice("abc"), draw.randrange(5)
        topic: Any = draw.choice(["t.1", "t.2", Wildcard("t.*"), Wildcard("#")])
        plain = draw.choice(["t.1", "t.2"])
        bounds: Any = draw.choice([(1, "drop_oldest"), (1, "wait"), (2, "error")])
        return [
            lambda: names.register(key, value, owner=owner),
            lambda: names.unregister(key, owner=owner),
            lambda: names.unregister_match(key, value, owner=owner),
            lambda: names.put_meta(key, value),
            lambda: topics.join(topic, Holder.hear, owner=owner),
            lambda: topics.join(topic, Holder.hear, owner=owner, buffer=bounds[0], overflow=bounds[1]),
            lambda: topics.leave(topic, owner=owner),
            lambda: topics.publish_nowait(plain, value),
            lambda: topics.publish_nowait(plain, value, retain=True),
            lambda: topics.forget(plain),
            lambda: owner.cast_nowait(Holder.hear, value),
            lambda: names.select_nowait(key),
            lambda: names.take(key, value, owner=owner),
            lambda: names.transfer(key, other, owner=owner),
            lambda: names.update_value(key, lambda old: old + 1, owner=owner),
        ]

    def assert_consistent(self, *others: Owner) -> None:
        """Each name has a lease, and each lease a name; what can be looked up is in the tables, and in the counts."""
        held = Counter((key, owner) for owner in (*self.owners, *others) for key in self.names.keys(owner))
        shown = Counter((key, owner) for key, owner, _ in self.names.select_nowait())
        assert held == shown, (held, shown)
        assert self.names.count() == sum(shown.values())
        for key, owner in shown:
            assert owner in [entry.owner for entry in self.names.lookup(key)]
        members = sum(len(self.topics.members(topic)) for topic in self.topics.topics())
        assert len(self.topics) == members


def rows(state: State) -> list[Any]:
    found = [("name", key, id(owner), value) for key, owner, value in state.names.select_nowait()]
    for topic in state.topics.topics():
        found += [("topic", str(topic), id(entry.owner), 0) for entry in state.topics.members(topic)]
    return sorted(found, key=str)


def attempt(change: Callable[[], object]) -> None:
    with suppress(*REFUSED):
        change()


def fail_everywhere(seed: int) -> Figures:
    figures: Figures = Counter()
    for which in range(KINDS):
        figures += fail_at_each_call(seed, which)
    return figures


def fail_at_each_call(seed: int, which: int) -> Figures:
    """The ``which``-th kind of change fails, at one call after the other."""
    figures: Figures = Counter()

    async def scenario(fault: Fault) -> None:
        figures["faults"] += 1
        draw = Random(seed)
        state = State(draw)
        watches, waits = draw.random() < 0.4, draw.random() < 0.5
        begins = [draw.randrange(10**6) for _ in range(draw.randint(0, 8))]
        served: list[str] = []

        async def candidate(key: str) -> None:
            try:
                await state.names.acquire(key, 0)
            except (MemoryError, RecursionError):  # the step that gave it the name has failed
                served.append(key)
                return
            served.append(key)
            state.names.unregister(key)

        watching = ExitStack()
        async with supervised(max_restarts=0) as supervisor, trio.open_nursery() as nursery:
            for _ in range(3):
                state.owners.append(await supervisor.start_child(Holder, restart="temporary"))
            for number in begins:
                attempt(Random(number).choice(state.changes(Random(number))))
            await wait_all_tasks_blocked()
            if watches:
                watching.enter_context(state.names.watch())
            waited = [key for key in "ab" if waits and state.is_unique and state.names.whereis(key) is not None]
            for key in waited:
                nursery.start_soon(candidate, key)
            await wait_all_tasks_blocked()
            before, change = rows(state), state.changes(draw)[which]
            done = fault(lambda: attempt(change))
            if not waited:
                state.assert_consistent()
            # A change is done before its events are told. So it stays if there is no memory to tell them.
            is_untold = "_deliver_events" in fault.where
            if not done and not watches and not waited and not is_untold:
                assert rows(state) == before, "a change that failed has left something"
            await wait_all_tasks_blocked()
            attempt(change)
            with trio.fail_after(10):
                for owner in state.owners:
                    await owner.stop()
                await wait_all_tasks_blocked()
                assert sorted(served) == waited, "a candidate waits for ever"
            nursery.cancel_scope.cancel()
        watching.close()
        assert state.names.count() == 0
        assert rows(state) == []
        assert len(state.topics) == 0

    with no_log():
        try:
            fails_at_every_call(AtCall if seed % 2 else WithRoom, scenario)
        except BaseException as error:
            error.add_note(f"in change {which}")
            raise
    figures["changes"] += 1
    return figures


PART = Part("faults", "no memory, or a full stack, at each call of a random change", fail_everywhere, least=2)
