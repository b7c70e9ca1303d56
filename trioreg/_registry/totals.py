"""The sum of the values of each key, kept up to date. `counters.py` has the public methods."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import inf, isfinite
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from .._runtime import SafeLogger
from .entry import Entry
from .tables import Tables

logger = SafeLogger("trioreg.registry")

K = TypeVar("K", bound=Hashable)

Total: TypeAlias = tuple[int, int, int]
"""The exact sum of the values of a key: of the ints, of the floats in units of ``1 / _UNITS``, and how many floats."""

_NOTHING: Total = (0, 0, 0)
_FLOAT_BITS = 1074
_UNITS = 1 << _FLOAT_BITS
"""Every finite float is a whole number of ``1 / _UNITS``, the smallest float above 0."""


class Totals(Generic[K]):
    """The totals of one registry. They are exact: a running sum of floats would drift as values come and go.

    Attributes:
        by_key: The total of each key that has entries.
        is_whole: Whether all of them are there. It is False after a key has raised when it was hashed or compared.
    """

    __slots__ = ("by_key", "is_whole")

    def __init__(self) -> None:
        self.by_key: dict[K, Total] = {}
        self.is_whole: bool = True

    def total(self, tables: Tables[K, Any], key: K) -> int | float:
        """The total of a key as a number: rounded once if there are floats in it."""
        ints, units, floats = self.by_key.get(key, _NOTHING)
        if not self.is_whole:
            ints, units, floats = _NOTHING
            for entry in [entry for group in tables.groups(key) for entry in group]:
                ints, units, floats = _plus((ints, units, floats), entry.value)
        if not floats:
            return int(ints)
        units += ints << _FLOAT_BITS
        try:
            return units / _UNITS
        except OverflowError:
            return inf if units > 0 else -inf

    def add(self, tables: Tables[K, Any], key: K, value: Any, instead_of: Entry[Any] | None = None) -> None:
        """Add the value of an entry that is in the tables now, and maybe subtract the entry that it replaces."""
        if not self.is_whole:
            self.recount(tables)
            return
        try:
            total = _plus(self.by_key.get(key, _NOTHING), value)
            self.by_key[key] = total if instead_of is None else _plus(total, instead_of.value, -1)
        except BaseException as error:
            self._recover(tables, error)

    def subtract(self, tables: Tables[K, Any], key: K, gone: Iterable[Entry[Any]]) -> None:
        """Subtract the values of entries that are no longer in the tables."""
        if not self.is_whole:
            self.recount(tables)
            return
        try:
            if any(key in tables.partitions[number].table for number in tables.partitions_with(key)):
                total = self.by_key[key]
                for entry in gone:
                    total = _plus(total, entry.value, -1)
                self.by_key[key] = total
            else:
                del self.by_key[key]
        except BaseException as error:
            self._recover(tables, error)

    def _recover(self, tables: Tables[K, Any], error: BaseException) -> None:
        """A key could not be compared. The change itself is done, so the error can't leave."""
        self.recount(tables)
        if not isinstance(error, Exception):
            logger.report(error, "key_failed", "a key raised when its total was looked up")

    def recount(self, tables: Tables[K, Any]) -> None:
        """Add up all values anew. As long as a key raises, that is tried at each change."""
        totals: dict[K, Total] = {}
        is_whole = True
        for partition in tables.partitions:
            for key, entry in partition.rows():
                try:
                    totals[key] = _plus(totals.get(key, _NOTHING), entry.value)
                except BaseException:
                    is_whole = False
        self.by_key = totals
        self.is_whole = is_whole


def _plus(total: Total, value: float, sign: Literal[1, -1] = 1) -> Total:
    ints, units, floats = total
    if isinstance(value, float):
        numerator, denominator = float.as_integer_ratio(value)  # the denominator is a power of two
        return ints, units + sign * (numerator * (_UNITS // denominator)), floats + sign
    return ints + sign * value, units, floats


def require_summand(argument: str, value: object) -> None:
    """`TypeError` or `ValueError` unless a value can be added up: an int, or a finite float."""
    if not isinstance(value, int | float):
        raise TypeError(f"{argument} must be a number in a registry with totals, not {value!r}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{argument} must be a finite number in a registry with totals, not {value!r}")
