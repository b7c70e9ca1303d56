"""What a table is called in an address: ``"3.k0"`` is ``KeyPartition0`` of registry 3, ``"3.p0"`` is ``PIDPartition0``.

Several registries may have one name, and a name may be any text. So each registry has a number: the order in
which this observer has seen them. Registries that it has seen in one look are in the order of their names.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from .._registry import Names
from .ranking import Ranking

if TYPE_CHECKING:
    from .._runtime import Run
    from .pace import Pace

TableKind = Literal["k", "p"]
"""A table of keys, or a table of owners."""

_ID = re.compile(r"([0-9]{1,9})\.([kp])([0-9]{1,9})")

_NAMES = {"k": "KeyPartition", "p": "PIDPartition"}


class TableId(NamedTuple):
    """One table of a registry."""

    names: Names[Any, Any]
    kind: TableKind
    number: int


def table_name(kind: TableKind, index: int) -> str:
    """What a table is called."""
    return f"{_NAMES[kind]}{index}"


class RegistryNumbers:
    """The numbers of the registries. It keeps no registry."""

    def __init__(self) -> None:
        self._numbers: WeakKeyDictionary[Names[Any, Any], int] = WeakKeyDictionary()
        self._by_number: WeakValueDictionary[int, Names[Any, Any]] = WeakValueDictionary()
        self._next = count(1)

    async def all(self, run: Run, pace: Pace) -> list[Names[Any, Any]]:
        """The registries of a run, by name. In slices."""
        found: list[Names[Any, Any]] = [each for each in list(run.registries) if isinstance(each, Names)]
        ranking = Ranking(len(found), down=False, texts=True)
        for names in found:
            if pace.is_over():
                await pace.rest()
            ranking.add(f"{names.name}\0{self._numbers.get(names, 2**62):020}", names)
        found = [names for (names,) in await ranking.part(0, len(found), pace)]
        for names in found:
            if pace.is_over():
                await pace.rest()
            self._number_of(names)
        return found

    def _number_of(self, names: Names[Any, Any]) -> int:
        number = self._numbers.get(names)
        if number is None:
            number = self._numbers[names] = next(self._next)
            self._by_number[number] = names
        return number

    def id_of(self, names: Names[Any, Any], kind: TableKind, index: int) -> str:
        """What one of its tables is called in an address."""
        return f"{self._number_of(names)}.{kind}{index}"

    async def find(self, run: Run, id: str, pace: Pace) -> TableId | None:
        """The table with that id. None if there is none in the run. In slices."""
        match = _ID.fullmatch(id)
        if match is None:
            return None
        number, kind, index = int(match[1]), match[2], int(match[3])
        if number not in self._by_number:
            await self.all(run, pace)
        names = self._by_number.get(number)
        if names is None or names not in run.registries or index >= names.n:
            return None
        return TableId(names, "k" if kind == "k" else "p", index)
