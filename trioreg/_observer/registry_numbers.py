"""What a table is called in an address: ``"3.k0"`` is ``KeyPartition0`` of registry 3, ``"3.p0"`` is ``PIDPartition0``.

Several registries may have one name, and a name may be any text. So each registry has a number: it is the order in
which this observer has seen them, those of one look by name.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from .._registry import Names

if TYPE_CHECKING:
    from .._runtime import Run

TableKind = Literal["k", "p"]
"""A table of keys, or a table of owners."""

_ID = re.compile(r"([0-9]{1,9})\.([kp])([0-9]{1,9})")

_NAMES = {"k": "KeyPartition", "p": "PIDPartition"}


class TableId(NamedTuple):
    """One table of a registry."""

    names: Names[Any, Any]
    kind: TableKind
    number: int

    @property
    def name(self) -> str:
        """What it is called, as in ``"KeyPartition0"``."""
        return table_name(self.kind, self.number)


def table_name(kind: TableKind, index: int) -> str:
    """What a table is called."""
    return f"{_NAMES[kind]}{index}"


class RegistryNumbers:
    """The numbers of the registries. It keeps no registry."""

    def __init__(self) -> None:
        self._numbers: WeakKeyDictionary[Names[Any, Any], int] = WeakKeyDictionary()
        self._next = count(1)

    def all(self, run: Run) -> list[Names[Any, Any]]:
        """The registries of a run, by name."""
        found: list[Names[Any, Any]] = [each for each in list(run.registries) if isinstance(each, Names)]
        found.sort(key=lambda names: (names.name, self._numbers.get(names, 2**62)))
        for names in found:
            if names not in self._numbers:
                self._numbers[names] = next(self._next)
        return found

    def id_of(self, names: Names[Any, Any], kind: TableKind, index: int) -> str:
        """What one of its tables is called in an address."""
        number = self._numbers.get(names)
        if number is None:
            number = self._numbers[names] = next(self._next)
        return f"{number}.{kind}{index}"

    def find(self, run: Run, id: str) -> TableId | None:
        """The table with that id. None if there is none in the run."""
        match = _ID.fullmatch(id)
        if match is None:
            return None
        number, kind, index = int(match[1]), match[2], int(match[3])
        for names in self.all(run):
            if self._numbers[names] == number:
                return TableId(names, "k" if kind == "k" else "p", index) if index < names.n else None
        return None
