"""Part ``readers``: threads read registries and topics while their run writes, and switch as often as Python can."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import Any

import trio
from support.inside import assert_no_subscription, assert_nothing_left_behind
from support.owners import SORTS, staged
from support.side_by_side import reading
from support.watcher import rows

from soak.exploring import no_log
from soak.parts import Figures, Part
from trioreg import ANY, Feed, Owner, PubSub, Registry, Var, Wildcard

KEYS = ["a", "b", ("tuple", 1), 7]
READS, WRITES = 300, 1_500


@contextmanager
def restless() -> Generator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Readers:
    """What the threads check: what stays is always there, whatever goes on beside it, and what has ended never is."""

    def __init__(self, draw: Random) -> None:
        self.is_unique = draw.random() < 0.5
        keys: Any = "unique" if self.is_unique else "duplicate"
        totals = draw.random() < 0.5
        self.registry: Registry[Any, int] = Registry(
            "read", keys=keys, partitions=draw.choice([1, 2, 5]), totals=totals
        )
        self.topics: PubSub[str, int] = PubSub("topics", partitions=draw.choice([1, 3]))
        self.has_totals = totals
        self.draw = draw
        self.stays: Owner
        self.ended: list[Owner] = []
        self.reads = 0

    def read(self) -> None:
        """One look at everything."""
        registry, stays = self.registry, self.stays
        known = set(self.ended)
        assert [entry.owner for entry in registry.lookup("stays")] == [stays]
        assert registry.values("stays", stays) == [1]
        assert "stays" in registry.keys(stays)
        assert registry.match("stays", int)
        assert registry.count_match("stays", ANY) == 1
        assert ("stays", stays, 1) in registry.select_nowait()
        assert registry.select_nowait("stays", into=Var("x"), value=Var("x")) == [1]
        assert registry.select_nowait("stays", ANY, int, where=lambda *_: True)
        assert registry.count() >= 1
        assert not {owner for _, owner in rows(registry)} & known
        for key in KEYS:
            found = registry.lookup(key)
            assert not {entry.owner for entry in found} & known
            if self.is_unique:
                assert len(found) <= 1
                registry.whereis(key)
                registry.via(key, 0).whereis()
            if self.has_totals:
                registry.total(key)
        assert all(registry.keys(owner) == [] for owner in known)
        assert registry.meta("fact", 1) >= 1
        assert "'stays'" in registry.dump()
        assert self.topics.members("a.stays")
        assert "a.stays" in self.topics.topics()
        assert len(self.topics) >= 1
        assert self.topics.retained("a.stays") in ([], [7])
        self.reads += 1

    def write(self, owner: Owner, other: Owner) -> None:
        """One random change."""
        registry, draw = self.registry, self.draw
        key = draw.choice(KEYS)
        what = draw.randrange(8)
        if what < 3:
            if not self.is_unique or registry.whereis(key) is None:
                registry.register(key, draw.randrange(9), owner=owner)
        elif what == 3:
            registry.unregister(key, owner=owner)
        elif what == 4:
            registry.unregister_match(key, int, owner=owner)
        elif what == 5 and self.is_unique:
            registry.take(key, 5, owner=owner)
            registry.update_value(key, lambda value: value + 1, owner=owner)
            registry.transfer(key, other, owner=owner)
        elif what == 6:
            registry.put_meta("fact", draw.randrange(1, 9))
        elif what == 7:
            self.topics.publish_nowait("a.stays", 7, retain=True)
            self.topics.forget("a.stays")

    async def work(self) -> None:
        async with (
            staged() as stage,
            self.topics.subscribe("a.stays", buffer=1, overflow="drop_oldest"),
        ):
            self.stays = await stage.actor()
            self.registry.register("stays", 1, owner=self.stays)
            owners = [await stage.start(sort) for sort in SORTS]
            async with reading(self.read, reads=READS, writes=WRITES) as rounds:
                for number in rounds:
                    if number % 25 == 24:
                        owner = owners.pop(0)
                        await stage.end(owner)
                        self.ended.append(owner)
                        del self.ended[:-3]
                        owners.append(await stage.start(SORTS[number % 2]))
                    elif number % 25 == 12:
                        async with self.topics.subscribe(Wildcard("a.*")) as feed:
                            assert isinstance(feed, Feed)
                    else:
                        self.write(*self.draw.sample(owners, 2))
                    if number % 4 == 0:
                        await trio.lowlevel.checkpoint()


def read_beside_writes(seed: int) -> Figures:
    readers = Readers(Random(seed))
    with restless(), no_log():
        trio.run(readers.work)
    assert_nothing_left_behind(readers.registry)
    assert_no_subscription(readers.topics)
    return Counter({"looks": readers.reads})


PART = Part("readers", "threads that read beside the run that writes", read_beside_writes)
