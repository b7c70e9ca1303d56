"""Every operation of a registry, in any order, against a naive model of it: a list of rows.

Trio runs as a guest of hypothesis's state machine: each rule has it do something, and waits until all its tasks are
blocked again.
"""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar, cast

import outcome
import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.inside import assert_nothing_waits
from support.owners import ENDS, SORTS, Crash, End, Holder, Sort
from support.registry_kinds import KeysKind
from support.registry_model import KEYS, Guest, Hold, Model, Wait
from support.watcher import rows

from trioreg import (
    ANY,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    Entry,
    Event,
    NotRegistered,
    Owner,
    Registry,
    Var,
)

T = TypeVar("T")
keys = st.sampled_from(KEYS)
values = st.integers(-3, 3)
some = st.integers(0, 15)


class RegistryMachine(RuleBasedStateMachine):
    @initialize(
        kind=st.sampled_from(cast("list[KeysKind]", ["unique", "duplicate", ("duplicate", "key")])),
        partitions=st.integers(1, 8),
        totals=st.booleans(),
        sorts=st.lists(st.sampled_from(SORTS), min_size=1, max_size=3),
    )
    def set_up(self, kind: KeysKind, partitions: int, totals: bool, sorts: list[Sort]) -> None:
        self.heard: list[Event[Any, int]] = []
        self.registry: Registry[Any, int] = Registry(
            "tested", keys=kind, partitions=partitions, totals=totals, listeners=[self.heard.append]
        )
        self.is_unique = kind == "unique"
        self.totals = totals
        self.is_by_owner = kind == "duplicate" and partitions > 1
        self.model = Model(self.is_unique)
        self.owners: list[Owner] = []
        self.ended: list[Owner] = []
        self.named: dict[Owner, tuple[Any, int]] = {}
        self.holds: list[Hold] = []
        self.turns: list[Wait] = []
        self.waits: list[Wait] = []
        self.locks: list[Wait] = []
        self.meta: dict[Any, int] = {}
        self.watched: dict[object, list[Event[Any, int]]] = {ANY: [], 1: []}
        self.guest = Guest()
        self.stage = self.guest.stage
        for key, events in self.watched.items():
            self.guest.do(lambda key=key, events=events: self.begin(self.watch, key, events))  # type: ignore[misc]
        for sort in sorts:
            self.start(sort)

    def teardown(self) -> None:
        if hasattr(self, "guest"):
            self.guest.close()
            assert self.registry.count() == 0
            assert rows(self.registry) == []
            assert_nothing_waits(self.registry)

    async def begin(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        self.guest.nursery.start_soon(async_fn, *args)

    async def watch(self, key: Any, events: list[Event[Any, int]]) -> None:
        with self.registry.watch(key) as channel:
            async for event in channel:
                events.append(event)

    def write(self, owner: Owner, by_itself: bool, operation: Callable[..., T]) -> T:
        """Write for an owner: in its own code, or in this task with ``owner=``."""

        async def do() -> T:
            if by_itself:
                # An error is a value here: in the owner's own code it would end the owner.
                result = await self.stage.run(owner, lambda: outcome.capture(operation))
                return cast("outcome.Outcome[T]", result).unwrap()
            return operation(owner=owner)

        return self.guest.do(do)

    def owner(self, number: int) -> Owner:
        return self.owners[number % len(self.owners)]

    def target(self, number: int, key: Any) -> tuple[Owner, Any]:
        """An owner and a key; each second time an owner that has the key."""
        if number % 2 and self.model.rows:
            row = self.model.rows[number // 2 % len(self.model.rows)]
            return row.owner, row.key
        return self.owner(number // 2), key

    def in_order(self, entries: Iterable[Entry[int]]) -> list[Entry[int]]:
        """Where keys are partitioned by owner, the entries of two owners come in any order."""
        return sorted(entries, key=lambda entry: self.owners.index(entry.owner)) if self.is_by_owner else list(entries)

    # Owners

    @precondition(lambda self: len(self.owners) < 6)
    @rule(sort=st.sampled_from(SORTS))
    def start(self, sort: Sort) -> None:
        self.owners.append(self.guest.do(lambda: self.stage.start(sort)))

    @precondition(lambda self: self.is_unique and len(self.owners) < 6)
    @rule(key=keys, value=values)
    def start_named(self, key: Any, value: int) -> None:
        async def start() -> ActorRef[Any]:
            name = self.registry.via(key, value)
            return await self.stage.supervisor.start_child(Holder, name=name, restart="permanent")

        if self.model.of(key):
            with pytest.raises(AlreadyRegistered):
                self.guest.do(start)
        else:
            ref = self.guest.do(start)
            self.owners.append(ref)
            self.named[ref] = (key, value)
            self.model.add(key, ref, value)

    @precondition(lambda self: self.owners)
    @rule(number=some, how=st.sampled_from(ENDS))
    def end(self, number: int, how: End) -> None:
        owner = self.owner(number)
        if owner not in self.named:
            self.guest.do(lambda: self.stage.end(owner, how))
            self.owners.remove(owner)
            self.model.end(owner, getattr(owner, "exit", None))
        else:
            key, value = self.named[owner]
            held = self.model.of(key)
            if held and held[0].owner != owner:
                return  # another owner has its name: it could not be restarted
            self.guest.do(lambda: self.stage.end(owner, how))
            heir = self.registry.whereis(key)
            assert heir is not None
            assert heir not in self.owners
            self.owners[self.owners.index(owner)] = heir
            self.named[heir] = self.named.pop(owner)
            exit = cast("ActorRef[Any]", owner).exit
            if held:
                self.model.hand_over(held[0], heir, value, exit)
            else:
                self.model.add(key, heir, value)
            self.model.end(owner, exit)
        self.ended.append(owner)

    @precondition(lambda self: self.ended)
    @rule(number=some, key=keys)
    def write_for_who_has_ended(self, number: int, key: Any) -> None:
        owner = self.ended[number % len(self.ended)]
        operations: list[Callable[..., object]] = [
            lambda owner: self.registry.register(key, 1, owner=owner),
            lambda owner: self.registry.unregister(key, owner=owner),
            lambda owner: self.registry.hold(key, 1, owner=owner).__enter__(),
        ]
        for operation in operations:
            with pytest.raises(ActorExited):
                self.write(owner, False, operation)

    # Names

    @precondition(lambda self: self.owners)
    @rule(number=some, key=keys, value=values, by_itself=st.booleans())
    def register(self, number: int, key: Any, value: int, by_itself: bool) -> None:
        owner = self.owner(number)

        def operation(**owner: Owner) -> Owner:
            return self.registry.register(key, value, **owner)

        if self.is_unique and self.model.of(key):
            with pytest.raises(AlreadyRegistered) as caught:
                self.write(owner, by_itself, operation)
            assert caught.value.holder == self.model.of(key)[0].owner
        else:
            assert self.write(owner, by_itself, operation) == owner
            self.model.add(key, owner, value)

    @precondition(lambda self: self.owners)
    @rule(number=some, key=keys, by_itself=st.booleans())
    def unregister(self, number: int, key: Any, by_itself: bool) -> None:
        owner, key = self.target(number, key)

        def operation(**owner: Owner) -> int:
            return self.registry.unregister(key, **owner)

        gone = self.model.of(key, owner)
        assert self.write(owner, by_itself, operation) == len(gone)
        for row in gone:
            self.model.remove(row)

    @precondition(lambda self: self.owners)
    @rule(number=some, key=keys, value=values, by_itself=st.booleans())
    def unregister_match(self, number: int, key: Any, value: int, by_itself: bool) -> None:
        owner, key = self.target(number, key)

        def operation(**owner: Owner) -> int:
            return self.registry.unregister_match(key, Var("x"), where=lambda x: cast("int", x) >= value, **owner)

        gone = [row for row in self.model.of(key, owner) if row.value >= value]
        assert self.write(owner, by_itself, operation) == len(gone)
        for row in gone:
            self.model.remove(row)

    @precondition(lambda self: self.is_unique and self.owners)
    @rule(number=some, key=keys, value=values, way=st.sampled_from(["returns", "raises", "unregisters"]))
    def update_value(self, number: int, key: Any, value: int, way: str) -> None:
        owner, key = self.target(number, key)

        def fn(old: int) -> int:
            if way == "raises":
                raise Crash
            if way == "unregisters":
                assert self.registry.unregister(key, owner=owner) == 1
            return old + value

        def operation(**owner: Owner) -> tuple[int, int]:
            return self.registry.update_value(key, fn, **owner)

        held = self.model.of(key, owner)
        if not held:
            with pytest.raises(NotRegistered):
                self.write(owner, False, operation)
        elif way == "returns":
            old = held[0].value
            assert self.write(owner, True, operation) == (old + value, old)
            held[0].value += value
        elif way == "raises":
            with pytest.raises(Crash):
                self.write(owner, True, operation)
        else:
            with pytest.raises(NotRegistered):
                self.write(owner, False, operation)
            self.model.remove(held[0])

    @precondition(lambda self: self.totals and self.owners)
    @rule(number=some, key=keys, amount=values, by_itself=st.booleans())
    def add(self, number: int, key: Any, amount: int, by_itself: bool) -> None:
        owner, key = self.target(number, key)

        def operation(**owner: Owner) -> int:
            return self.registry.add(key, amount, **owner)

        held = self.model.of(key, owner)
        if held:
            assert self.write(owner, by_itself, operation) == held[0].value + amount
            held[0].value += amount
        else:
            with pytest.raises(NotRegistered):
                self.write(owner, by_itself, operation)

    @precondition(lambda self: self.is_unique and self.owners)
    @rule(number=some, to=some, key=keys, by_itself=st.booleans())
    def transfer(self, number: int, to: int, key: Any, by_itself: bool) -> None:
        owner, key = self.target(number, key)
        heir = self.owner(to)

        def operation(**owner: Owner) -> None:
            self.registry.transfer(key, heir, **owner)

        held = self.model.of(key, owner)
        if not held:
            with pytest.raises(NotRegistered):
                self.write(owner, by_itself, operation)
        else:
            self.write(owner, by_itself, operation)
            if heir != owner:
                self.model.hand_over(held[0], heir, held[0].value)

    @precondition(lambda self: self.is_unique and self.owners)
    @rule(number=some, key=keys, value=values, by_itself=st.booleans())
    def take(self, number: int, key: Any, value: int, by_itself: bool) -> None:
        owner = self.owner(number)

        def operation(**owner: Owner) -> Owner | None:
            return self.registry.take(key, value, **owner)

        held = self.model.of(key)
        former = self.write(owner, by_itself, operation)
        if not held:
            assert former is None
            self.model.add(key, owner, value)
        elif held[0].owner == owner:
            assert former is None
            held[0].value = value
        else:
            assert former == held[0].owner
            self.model.hand_over(held[0], owner, value)

    @precondition(lambda self: self.owners)
    @rule(number=some, key=keys, value=values)
    def enter_hold(self, number: int, key: Any, value: int) -> None:
        owner = self.owner(number)
        context = self.registry.hold(key, value, owner=owner)
        if self.is_unique and self.model.of(key):
            with pytest.raises(AlreadyRegistered):
                self.write(owner, False, lambda owner: context.__enter__())
        else:
            self.write(owner, False, lambda owner: context.__enter__())
            self.holds.append(Hold(context, self.model.add(key, owner, value)))

    @precondition(lambda self: self.holds)
    @rule(number=some)
    def leave_hold(self, number: int) -> None:
        hold = self.holds.pop(number % len(self.holds))
        self.write(hold.row.owner, False, lambda owner: hold.context.__exit__(None, None, None))
        if hold.row in self.model.rows:
            self.model.remove(hold.row)

    # Waiting

    @precondition(lambda self: self.is_unique and self.owners)
    @rule(number=some, key=keys, value=values, by=some)
    def acquire(self, number: int, key: Any, value: int, by: int) -> None:
        _, key = self.target(number, key)
        owner = self.owner(by)
        turn = Wait(key, owner, value)
        self.turns.append(turn)
        held = self.model.of(key)
        if not held:
            turn.expected = owner
            self.model.add(key, owner, value)
        elif held[0].owner == owner:
            turn.expected = RuntimeError
        else:
            self.model.queue.append(turn)

        async def wait() -> None:
            with turn.scope:
                try:
                    turn.result = await self.registry.acquire(key, value, owner=owner)
                except (ActorExited, RuntimeError) as error:
                    turn.result = type(error)
            if turn.scope.cancelled_caught:
                turn.result = trio.Cancelled

        self.guest.do(lambda: self.begin(wait))

    @precondition(lambda self: self.model.queue)
    @rule(number=some)
    def cancel_acquire(self, number: int) -> None:
        turn = self.model.queue.pop(number % len(self.model.queue))
        turn.expected = trio.Cancelled
        self.guest.do(lambda: self.cancel(turn))

    async def cancel(self, wait: Wait) -> None:
        wait.scope.cancel()

    @rule(key=keys)
    def wait_for(self, key: Any) -> None:
        wait = Wait(key)
        self.waits.append(wait)

        async def wait_for() -> None:
            with wait.scope:
                owner = await self.registry.wait_for(key)
                assert owner.is_alive
                assert owner in [entry.owner for entry in self.registry.lookup(key)]
                wait.result = True

        self.guest.do(lambda: self.begin(wait_for))

    @precondition(lambda self: self.waits)
    @rule(number=some)
    def cancel_wait_for(self, number: int) -> None:
        wait = self.waits.pop(number % len(self.waits))
        self.guest.do(lambda: self.cancel(wait))

    # Locks

    @rule(key=keys)
    def lock(self, key: Any) -> None:
        wait = Wait(key)
        self.locks.append(wait)

        async def use() -> None:
            with wait.scope, suppress(Crash):
                async with self.registry.lock(key):
                    wait.result = "in"
                    await wait.release.wait()
                    if wait.crashes:
                        raise Crash

        self.guest.do(lambda: self.begin(use))

    @precondition(lambda self: self.locks)
    @rule(number=some, how=st.sampled_from(["returns", "crashes", "is cancelled"]))
    def end_lock(self, number: int, how: str) -> None:
        wait = self.locks[number % len(self.locks)]
        if wait.result != "in":
            how = "is cancelled"

        async def end() -> None:
            if how == "is cancelled":
                wait.scope.cancel()
            else:
                wait.crashes = how == "crashes"
                wait.release.set()

        self.guest.do(end)
        self.locks.remove(wait)

    # Facts

    @rule(key=keys, value=st.none() | values)
    def change_meta(self, key: Any, value: int | None) -> None:
        if value is None:
            self.registry.delete_meta(key)
            self.meta.pop(key, None)
        else:
            self.registry.put_meta(key, value)
            self.meta[key] = value

    # What must be true after each step

    @invariant()
    def tables_and_model_agree(self) -> None:
        expected = Counter((row.key, row.owner, row.value) for row in self.model.rows)
        tables = self.registry.tables()
        n = self.registry.partitions
        assert [table.objects for table in tables[:n]] == [len(table.rows) for table in tables[:n]]
        assert Counter(cast("Any", row) for table in tables[:n] for row in table.rows) == expected
        leases = Counter({(owner, key): 0 for key, owner, _ in expected})
        for table in tables[n:]:
            for owner, key, _, number in table.rows:
                leases[cast("Any", (owner, key))] += cast("int", number)
        assert leases == Counter((row.owner, row.key) for row in self.model.rows)
        assert self.registry.count() == len(self.model.rows)

    @invariant()
    def no_table_has_a_row_of_an_ended_owner(self) -> None:
        shown = {owner for _, owner in rows(self.registry)}
        assert all(owner.is_alive for owner in shown)
        assert not shown.intersection(self.ended)
        assert all(self.registry.keys(owner) == [] for owner in self.ended)

    @invariant()
    def looking_up_agrees_with_the_model(self) -> None:
        for key in KEYS:
            of_key = self.model.of(key)
            assert self.in_order(self.registry.lookup(key)) == self.in_order(
                Entry(row.owner, row.value) for row in of_key
            )
            if self.is_unique:
                assert self.registry.whereis(key) == (of_key[0].owner if of_key else None)
                assert self.registry.via(key, 0).whereis() is self.registry.whereis(key)
            assert self.registry.match(key, int) == self.registry.lookup(key)
            assert self.registry.count_match(key, ANY, where=lambda value: cast("int", value) > 0) == len(
                [row for row in of_key if row.value > 0]
            )
            seen: list[Entry[int]] = []
            assert self.registry.dispatch(key, seen.extend) == len(of_key)
            assert seen == self.registry.lookup(key)
            for owner in self.owners:
                assert self.registry.values(key, owner) == [row.value for row in self.model.of(key, owner)]
            if self.totals:
                assert self.registry.total(key) == sum(row.value for row in of_key)
        for owner in self.owners:
            assert Counter(self.registry.keys(owner)) == Counter(
                row.key for row in self.model.rows if row.owner == owner
            )

    @invariant()
    def selecting_agrees_with_the_model(self) -> None:
        async def select() -> tuple[list[Any], int, int]:
            seen: list[Entry[int]] = []

            async def see(entries: list[Entry[int]]) -> None:
                seen.extend(entries)

            assert await self.registry.dispatch_parallel("a", see) == len(seen)
            return await self.registry.select(), await self.registry.count_select(str), len(seen)

        everything, strings, seen = self.guest.do(select)
        assert Counter(everything) == Counter((row.key, row.owner, row.value) for row in self.model.rows)
        assert strings == len([row for row in self.model.rows if isinstance(row.key, str)])
        assert seen == len(self.model.of("a"))

    @invariant()
    def events_agree_with_the_model(self) -> None:
        # When an owner ends, the events of its keys come in one step, in any order of the keys.
        for key in KEYS:
            expected = [event for event in self.model.events if event.key == key]
            assert [event for event in self.heard if event.key == key] == expected
            assert [event for event in self.watched[ANY] if event.key == key] == expected
        assert self.heard == self.watched[ANY]
        assert self.watched[1] == [event for event in self.heard if event.key == 1]

    @invariant()
    def those_who_wait_have_what_they_should(self) -> None:
        assert [turn.result for turn in self.turns] == [turn.expected for turn in self.turns]
        for wait in list(self.waits):
            assert (wait.result is True) == bool(self.model.of(wait.key))
            if wait.result is True:
                self.waits.remove(wait)
        for number, wait in enumerate(self.locks):
            is_first = not any(other.key == wait.key for other in self.locks[:number])
            assert wait.result == ("in" if is_first else None)

    @invariant()
    def facts_agree_with_the_model(self) -> None:
        assert [self.registry.meta(key, None) for key in KEYS] == [self.meta.get(key) for key in KEYS]


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(stateful_step_count=40)
