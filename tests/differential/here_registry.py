"""trioreg's side of a program over a registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from support.owners import ENDS, Holder

from trioreg import AlreadyRegistered, Entry, NotRegistered, Owner, Registry

from .places import MISSING, NIL, OK, REFUSED, ROW, Answer, Places, rows, sort_of
from .program import Program
from .queries import Query, Selection
from .terms import Term
from .wire import Slot, encode


class HereRegistry:
    """A registry, its owners and the operations on it."""

    def __init__(self, program: Program, places: Places) -> None:
        self.program = program
        self.places = places
        self.registry: Registry[Any, Any] = Registry(
            "here",
            keys=("duplicate", "key") if program.kind == "by key" else cast("Any", program.kind),
            partitions=program.partitions[0],
        )
        self.encoded_values = {id(value): encode(value) for value in program.values}
        self.numbers = {id(value): number for number, value in enumerate(program.values)}

    def owner(self, place: int) -> Owner:
        return self.places.owners[place]

    def changed(self, place: int, change: Callable[[Owner | None], Answer]) -> Answer | Awaitable[Answer]:
        """The answer of a change. It is made for its owner, or by it: then it gets None."""
        if not self.program.by_itself:
            return change(self.owner(place))
        return self.places.stage.run(self.owner(place), lambda: change(None))

    def entries(self, entries: Sequence[Entry[Any]]) -> Answer:
        place, value = self.places.encoded, self.encoded_values
        encoded = [ROW + place(entry.owner) + value[id(entry.value)] for entry in entries]
        return rows(encoded, self.program.order)

    def query(self, number: int) -> Query:
        return self.program.queries[number % len(self.program.queries)]

    def selection(self, number: int) -> tuple[Selection, Term]:
        selection = self.program.selections[number % len(self.program.selections)]
        owner = selection.owner
        return selection, self.owner(owner.number) if isinstance(owner, Slot) else owner

    def register(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        def change(owner: Owner | None) -> Answer:
            try:
                self.registry.register(key, value, owner=owner)
            except AlreadyRegistered as error:
                return self.places.encoded(error.holder)
            return OK

        return self.changed(place, change)

    def unregister(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        return self.changed(place, lambda owner: encode(self.registry.unregister(key, owner=owner)))

    def unregister_match(
        self, place: int, key: Term, value: Term, query: int, extra: int
    ) -> Answer | Awaitable[Answer]:
        asked = self.query(query)

        def change(owner: Owner | None) -> Answer:
            return encode(self.registry.unregister_match(key, asked.pattern, where=asked.where, owner=owner))

        return self.changed(place, change)

    def update_value(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        values = self.program.values

        def change(owner: Owner | None) -> Answer:
            try:
                found = self.registry.update_value(
                    key, lambda old: values[(self.numbers[id(old)] + 1 + extra) % len(values)], owner=owner
                )
            except NotRegistered:
                return encode(b"error")
            except ValueError:
                return REFUSED
            return encode(found)

        return self.changed(place, change)

    def lookup(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        return self.entries(self.registry.lookup(key))

    def whereis(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        try:
            owner = self.registry.whereis(key)
        except ValueError:
            return REFUSED
        return NIL if owner is None else self.places.encoded(owner)

    def whose(self, place: int, extra: int) -> Owner:
        """The owner in this place now, or the last owner in it."""
        return self.places.former.get(place, self.owner(place)) if extra % 2 else self.owner(place)

    def keys(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        return rows([*map(encode, self.registry.keys(self.whose(place, extra)))], "sorted")

    def values(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        return encode(self.registry.values(key, self.whose(place, extra)))

    def count(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        assert len(self.registry) == self.registry.count() == len(self.registry.items())
        return encode(self.registry.count())

    def match(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        asked = self.query(query)
        return self.entries(self.registry.match(key, asked.pattern, where=asked.where))

    def count_match(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        asked = self.query(query)
        return encode(self.registry.count_match(key, asked.pattern, where=asked.where))

    def select(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        asked, owner = self.selection(query)

        def answer(found: Any) -> Answer:
            return rows([encode(row, self.places.numbers) for row in found], "sorted")

        async def later() -> Answer:
            return answer(await self.registry.select(asked.key, owner, asked.value, where=asked.where, into=asked.into))

        if extra % 2:
            return later()
        return answer(self.registry.select_nowait(asked.key, owner, asked.value, where=asked.where, into=asked.into))

    async def count_select(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        asked, owner = self.selection(query)
        return encode(await self.registry.count_select(asked.key, owner, asked.value, where=asked.where))

    def dispatch(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer | Awaitable[Answer]:
        groups: list[list[Entry[Any]]] = []

        def answer(count: int) -> Answer:
            entries = [entry for group in groups for entry in group]
            assert all(groups)
            assert count == len(entries)
            assert len(groups) <= self.program.partitions[0]
            return self.entries(entries)

        async def parallel() -> Answer:
            async def tell(entries: list[Entry[Any]]) -> None:
                groups.append(entries)

            return answer(await self.registry.dispatch_parallel(key, tell))

        return parallel() if extra % 2 else answer(self.registry.dispatch(key, groups.append))

    def put_meta(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        self.registry.put_meta(("fact", key), value)
        return OK

    def meta(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        try:
            return encode((b"ok", self.registry.meta(("fact", key))))
        except KeyError:
            return MISSING

    def delete_meta(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        self.registry.delete_meta(("fact", key))
        return OK

    async def end(self, place: int, key: Term, value: Term, query: int, extra: int) -> Answer:
        stage, owner = self.places.stage, self.owner(place)
        await stage.end(owner, ENDS[extra % 4])
        answer = OK
        if extra // 4 % 2:
            try:
                name = self.registry.via(key, value)
                self.places.seat(place, await stage.supervisor.start_child(Holder, name=name, restart="temporary"))
                return answer
            except AlreadyRegistered as error:
                answer = self.places.encoded(error.holder)
            except ValueError:
                answer = REFUSED
        self.places.seat(place, await stage.start(sort_of(extra // 8)))
        return answer
