"""A line of callers that wait for a worker: first come, first served.

Each caller has a number. It keeps the number if the worker that it gets ends before the caller has its turn, and so it
keeps its place in front of all that came after it.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

numbers = count()


class Numbered(Protocol):
    """What stands in a line."""

    number: int
    line: Any


T = TypeVar("T", bound=Numbered)


class Line(Generic[T]):
    """Callers in the order in which they came. Any of them may leave, in constant time.

    Attributes:
        tickets: The callers, by number.
    """

    __slots__ = ("tickets",)

    def __init__(self) -> None:
        self.tickets: OrderedDict[int, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self.tickets)

    def __iter__(self) -> Iterator[T]:
        return iter(self.tickets.values())

    @property
    def first(self) -> T | None:
        for ticket in self.tickets.values():
            return ticket
        return None

    def add(self, ticket: T) -> None:
        """A new caller: the last in line."""
        self.tickets[ticket.number] = ticket
        ticket.line = self

    def put_back(self, ticket: T) -> None:
        """A caller that stood in line before: behind those that came before it, which have been put back too."""
        tickets = self.tickets
        before: list[int] = []
        for number in tickets:
            if number > ticket.number:
                break
            before.append(number)
        tickets[ticket.number] = ticket
        ticket.line = self
        tickets.move_to_end(ticket.number, last=False)
        for number in reversed(before):
            tickets.move_to_end(number, last=False)

    def merge(self, others: Iterable[T]) -> None:
        """Callers come over from other lines, each to the place of its number. The cost grows with the whole line."""
        others = list(others)
        merged = OrderedDict(sorted([*self.tickets.items(), *((ticket.number, ticket) for ticket in others)]))
        for ticket in others:
            del ticket.line.tickets[ticket.number]
            ticket.line = self
        self.tickets = merged

    def remove(self, ticket: T) -> None:
        del self.tickets[ticket.number]
        ticket.line = None
