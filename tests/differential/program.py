"""A program: a registry or a PubSub, things to ask it about, and operations as bytes.

Six bytes are one operation: which one, whose, and the numbers of a key, a value, a query and something extra. Each side
takes them modulo what it has. So any bytes are a program, and so is what is left when a part is taken away.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import attrs

from .queries import Query, Selection
from .terms import Term, random_key, random_value
from .wire import encode

Kind: TypeAlias = Literal["unique", "duplicate", "by key", "pubsub"]
T = TypeVar("T")

STEP = 6
"""The bytes of one operation."""

REGISTRY = {
    "register": 50,
    "unregister": 20,
    "unregister_match": 16,
    "update_value": 16,
    "lookup": 20,
    "whereis": 8,
    "keys": 12,
    "values": 12,
    "count": 6,
    "match": 20,
    "count_match": 8,
    "select": 20,
    "count_select": 8,
    "dispatch": 14,
    "put_meta": 6,
    "meta": 8,
    "delete_meta": 4,
    "end": 8,
}
PUBSUB = {
    "join": 50,
    "leave": 20,
    "members": 20,
    "subscriptions": 10,
    "publish": 70,
    "publish_from": 30,
    "publish_where": 22,
    "received": 26,
    "end_of_subscriber": 8,
}


@attrs.frozen
class Operation:
    name: str
    place: int
    key: Term
    value: Term
    query: int
    extra: int


@attrs.frozen
class Program:
    """What both sides do.

    Attributes:
        seed: What it was made from.
        kind: The kind of registry here; or a PubSub.
        partitions: How many there are here, and in Elixir.
        owners: How many owners there are at any moment.
        by_itself: Whether each owner makes its changes in its own task. Otherwise the registry is told whose they are.
        code: The operations.
    """

    seed: int
    kind: Kind
    partitions: tuple[int, int]
    owners: int
    by_itself: bool
    keys: Sequence[Term]
    values: Sequence[Term]
    queries: Sequence[Query]
    selections: Sequence[Selection]
    code: bytes

    @classmethod
    def random(cls, seed: int, operations: int) -> Program:
        rng = random.Random(seed)
        keys = _different(rng, random_key, rng.randrange(2, 10))
        values = _different(rng, random_value, rng.randrange(2, 12))
        owners = rng.randrange(1, 8)
        kinds: tuple[Kind, ...] = ("unique", "duplicate", "by key", "pubsub")
        return cls(
            seed=seed,
            kind=rng.choice(kinds),
            partitions=(rng.choice([1, 1, 2, 4]), rng.choice([1, 1, 2, 4])),
            owners=owners,
            by_itself=rng.randrange(8) == 0,
            keys=keys,
            values=values,
            queries=[Query.random(rng, values) for _ in range(10)],
            selections=[Selection.random(rng, keys, values, owners) for _ in range(10)],
            code=rng.randbytes(STEP * operations),
        )

    @property
    def operations(self) -> list[str]:
        """The operation for each value of its byte."""
        return _spread(PUBSUB if self.kind == "pubsub" else REGISTRY)

    @property
    def order(self) -> Literal["given", "by_owner"]:
        """In which order the entries of one key are compared: an owner's own entries have an order in any case."""
        here, there = self.partitions
        return "given" if there == 1 and (here == 1 or self.kind == "by key") else "by_owner"

    def __len__(self) -> int:
        return len(self.code) // STEP

    def steps(self) -> Iterator[Operation]:
        operations = self.operations
        for at in range(0, len(self.code), STEP):
            operation, owner, key, value, query, extra = self.code[at : at + STEP]
            yield Operation(
                operations[operation],
                owner % self.owners,
                self.keys[key % len(self.keys)],
                self.values[value % len(self.values)],
                query,
                extra,
            )

    def encoded(self) -> bytes:
        """The program for Elixir."""
        header = (
            b"unique" if self.kind == "unique" else b"duplicate",
            self.partitions[1],
            self.order.encode(),
            self.owners,
            [*self.keys],
            [*self.values],
            [(query.head, query.guards) for query in self.queries],
            [(selection.head, selection.guards, selection.body) for selection in self.selections],
            [name.encode() for name in self.operations],
        )
        return encode(header) + self.code


def _different(rng: random.Random, make: Callable[[random.Random], T], many: int) -> list[T]:
    found: dict[bytes, T] = {}
    while len(found) < many:
        term: Any = make(rng)
        found.setdefault(encode(term), term)
    return [*found.values()]


def _spread(weights: dict[str, int]) -> list[str]:
    operations = [name for name, weight in weights.items() for _ in range(weight)]
    assert len(operations) == 256, len(operations)
    return operations
