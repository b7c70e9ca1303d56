"""Makes a program that differs as short and as plain as it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from .comparing import Mismatch
from .program import STEP, Program
from .terms import Term

Differs = Callable[[Program], Mismatch | None]


def shrink(program: Program, differs: Differs) -> tuple[Program, Mismatch]:
    """The program with as few operations as it takes, with the lowest numbers in them, and with plain keys and values.

    Args:
        program: One that differs.
        differs: Runs a program on both sides.
    """
    found = differs(program)
    assert found is not None, "it does not differ any more"
    search = _Search(program, found, differs)
    search.take_parts_away()
    search.lower_numbers()
    search.make_terms_plain()
    return search.program, search.found


class _Search:
    """The best program so far, and how it differs."""

    def __init__(self, program: Program, found: Mismatch, differs: Differs) -> None:
        self.differs = differs
        self.program = _cut(program, found)
        self.found = found

    def try_this(self, program: Program) -> bool:
        """Whether this program differs as well: then it is the best so far."""
        found = self.differs(program)
        if found is None:
            return False
        self.program, self.found = _cut(program, found), found
        return True

    def take_parts_away(self) -> None:
        """First halves, then quarters, down to single operations; from the end, where the difference is."""
        size = len(self.program)
        while size:
            begin = len(self.program) - size
            while begin > -size:
                at, end = max(begin, 0) * STEP, (begin + size) * STEP
                code = self.program.code
                self.try_this(attrs.evolve(self.program, code=code[:at] + code[end:]))
                begin = min(begin, len(self.program)) - size
            size //= 2

    def lower_numbers(self) -> None:
        """Each number of an operation, but for the operation itself: first wherever it stands, then in one place."""
        self.try_this(_reduced(self.program))
        for column in range(1, STEP):
            for number in sorted(set(self.program.code[column::STEP])):
                places = [at for at in range(column, len(self.program.code), STEP) if self.program.code[at] == number]
                self._lower(places, number)
        for at in range(len(self.program.code)):
            if at % STEP and at < len(self.program.code):
                self._lower([at], self.program.code[at])

    def _lower(self, places: Sequence[int], number: int) -> None:
        for low in range(min(number, 2)):
            code = bytearray(self.program.code)
            for at in places:
                code[at] = low
            if self.try_this(attrs.evolve(self.program, code=bytes(code))):
                break

    def make_terms_plain(self) -> None:
        for number in range(len(self.program.keys)):
            self.try_this(attrs.evolve(self.program, keys=_with_plain(self.program.keys, number, "key")))
        for number in range(len(self.program.values)):
            self.try_this(attrs.evolve(self.program, values=_with_plain(self.program.values, number, "value")))


def _reduced(program: Program) -> Program:
    """The same operations, with the numbers that both sides take them for."""
    size = (256, program.owners, len(program.keys), len(program.values), len(program.queries), 256)
    return attrs.evolve(program, code=bytes([number % size[at % STEP] for at, number in enumerate(program.code)]))


def _with_plain(terms: Sequence[Term], number: int, name: str) -> list[Term]:
    return [*terms[:number], f"{name} {number}", *terms[number + 1 :]]


def _cut(program: Program, found: Mismatch) -> Program:
    """Without what comes after the difference."""
    return attrs.evolve(program, code=program.code[: (found.number + 1) * STEP])
