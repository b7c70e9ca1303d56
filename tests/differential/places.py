"""The owners of a program on trioreg's side, each in its place, and answers as bytes."""

from __future__ import annotations

from typing import Literal, TypeAlias

from support.owners import Sort, Stage

from trioreg import Owner

from .wire import encode

Answer: TypeAlias = bytes
"""What an operation gives, encoded."""

Order: TypeAlias = Literal["given", "by_owner", "sorted"]

OK, REFUSED, MISSING, NIL = map(encode, (b"ok", b"refused", b"missing", None))
ROW = b"t\0\2"


class Places:
    """The owner in each place, and the last owner before it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.owners: list[Owner] = []
        self.former: dict[int, Owner] = {}
        self.numbers: dict[object, int] = {}

    async def fill(self, many: int) -> None:
        for number in range(many):
            self.seat(number, await self.stage.start(sort_of(number)))

    def seat(self, number: int, owner: Owner) -> None:
        if number == len(self.owners):
            self.owners.append(owner)
        else:
            former = self.owners[number]
            self.numbers.pop(former, None)
            self.former[number] = former
            self.owners[number] = owner
        self.numbers[owner] = number

    def encoded(self, owner: object) -> bytes:
        return encode(owner, self.numbers)


def sort_of(number: int) -> Sort:
    return "task" if number % 2 else "actor"


def rows(encoded: list[bytes], order: Order) -> Answer:
    """Rows as one answer. The third byte after the tag of a {owner, value} row is the owner's place."""
    if order == "sorted":
        encoded.sort()
    elif order == "by_owner":
        encoded.sort(key=lambda row: row[4])
    return b"l" + len(encoded).to_bytes(2, "big") + b"".join(encoded)
