"""The registries of the whole run, as data: `registries`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs

from .._registry import Names, Registry, dump_of, holders_of, tables_of
from .._runtime import Identity, counted, current_run, require_count

if TYPE_CHECKING:
    from .._registry import Purpose, Table
    from .._runtime import Owner, Run

HOLDERS = 10
"""How many of the owners with the most names are kept."""


@attrs.frozen(eq=False, repr=False)
class RegistryInfo(Identity):
    """One registry of the run at one moment, from `registries`.

    Attributes:
        name: Its name.
        kind: ``"unique"`` or ``"duplicate"`` keys.
        purpose: ``"names"`` (a registry that the program has made), ``"topics"`` (the subscriptions of a `PubSub`),
            ``"pool"`` (the workers of a `Pool`), ``"partitions"`` (of `Partitions`) or ``"actors on demand"``.
        partitions: How many partitions it has.
        names: How many names are registered: all entries, where keys are duplicate.
        owners: How many owners hold them.
        top_holders: The ten owners that hold the most names, and how many each holds.
        registry: The registry itself. None if it is not the program's own (``purpose``), or if nothing keeps it.
    """

    name: str
    kind: Literal["unique", "duplicate"]
    purpose: Purpose
    partitions: int
    names: int
    owners: int
    top_holders: tuple[tuple[Owner, int], ...]
    registry: Registry[Any, Any] | None
    _names: Names[Any, Any] = attrs.field(alias="source")

    def __repr__(self) -> str:
        return f"<{self.name!r}, {self.kind} keys, {counted(self.names, 'name')} of {counted(self.owners, 'owner')}>"

    def tables(self) -> list[Table]:
        """The tables as they are now, as `Registry.tables`. Not a checkpoint; the cost grows with the entries."""
        return tables_of(self._names)

    def dump(self, *, limit: float = math.inf) -> str:
        """The tables as they are now, as `Registry.dump`. Not a checkpoint; the cost grows with the entries."""
        require_count("limit", limit, 0, infinite=True)
        return dump_of(self._names, limit)


def registries() -> list[RegistryInfo]:
    """Every registry of the current Trio run, by name: also those that a `PubSub` or a `Pool` has for itself.

    ::

        for info in trioreg.registries():
            print(info.name, info.names, info.top_holders[:3])

    A registry belongs to a run from the first name that is registered in it, until the run ends. Not a checkpoint. The
    cost grows with the names.

    Raises:
        RuntimeError: You are not inside of a Trio run.
    """
    return [info_of(names) for names in names_of(current_run())]


def names_of(run: Run) -> list[Names[Any, Any]]:
    """The names of each registry of a run, by the registry's name."""
    found: list[Names[Any, Any]] = [each for each in list(run.registries) if isinstance(each, Names)]
    return sorted(found, key=lambda names: names.name)


def info_of(names: Names[Any, Any]) -> RegistryInfo:
    """A registry as it is now."""
    holders = holders_of(names)
    registry = names.registry() if names.purpose == "names" else None
    return RegistryInfo(
        name=names.name,
        kind=names.kind,
        purpose=names.purpose,
        partitions=names.n,
        names=names.count(),
        owners=len(holders),
        top_holders=tuple(holders[:HOLDERS]),
        registry=cast("Registry[Any, Any] | None", registry),
        source=names,
    )
