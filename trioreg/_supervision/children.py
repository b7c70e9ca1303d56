"""The children of one supervisor: their ids, how a child is found, and when it is forgotten.

`Children` starts and ends no child. Must never happen: two children with one id.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, cast

from .._actors import Reference
from .._runtime import ChildNotEnded, ChildNotFound
from .child import Child, new_child

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from .._actors import ActorRef, Cell
    from .._runtime import Owner
    from .child import Parent
    from .child_spec import ChildSpec
    from .delayed_restart import DelayedRestarts


class Children:
    """The children of one supervisor, in start order.

    Attributes:
        by_id: The children by their ids. A dynamic supervisor has no ids: there each child is its own id.
        keeps_ended: Whether children have ids, and the spec of a child that has ended is kept.
    """

    __slots__ = (
        "_by_last_life",
        "_by_life",
        "_delayed",
        "_label",
        "_last_suffix",
        "_numbers",
        "_parent",
        "_reserved",
        "by_id",
        "keeps_ended",
    )

    def __init__(self, parent: Parent, label: str, delayed: DelayedRestarts, *, keeps_ended: bool) -> None:
        self.by_id: dict[Hashable, Child] = {}
        self.keeps_ended = keeps_ended
        self._parent = parent
        self._label = label
        self._delayed = delayed
        self._by_last_life: dict[Owner, Child] = {}
        self._by_life: dict[Owner, Child] = {}  # by the current or the last life, if children that have ended are kept
        self._numbers = count(1)
        self._last_suffix: dict[Hashable, int] = {}
        self._reserved: set[Hashable] = set()

    def reserve(self, specs: Iterable[ChildSpec]) -> None:
        """Give no child an id that one of these specs names, while they are started one after the other."""
        self._reserved = {spec.id for spec in specs if spec.id is not None}

    def end_reservation(self) -> None:
        """The reserved ids are taken."""
        self._reserved.clear()

    def add(self, spec: ChildSpec) -> Child:
        """A new child, as the last in start order. `ValueError` if its id is taken."""
        child = new_child(self._parent, next(self._numbers), spec)
        key: Hashable = child
        if self.keeps_ended:
            if spec.id is not None and spec.id in self.by_id:
                raise ValueError(f"id {spec.id!r} is taken: {self._label} has such a child already")
            key = child.id = self._make_id(spec) if spec.id is None else spec.id
        self.by_id[key] = child
        return child

    def blank(self, spec: ChildSpec) -> Child:
        """A child without an id, which is not among the children before `adopt`."""
        return new_child(self._parent, 0, spec)

    def adopt(self, child: Child, cell: Cell) -> None:
        """A blank child has its first life: it is the last in start order now."""
        child.number = next(self._numbers)
        child.cell = cell
        child.is_new = False  # a message has asked for it, and nobody waits for its start
        self.by_id[_key(child)] = child

    def _make_id(self, spec: ChildSpec) -> Hashable:
        wanted: Hashable = spec.name.key if spec.name is not None else spec.kind.label
        if self._is_free(wanted):
            return wanted
        # Go on from the last number: from 2 on each time, the thousandth child of a class would cost a thousand tries.
        number = self._last_suffix.get(wanted, 1) + 1
        while not self._is_free(f"{wanted} {number}"):
            number += 1
        self._last_suffix[wanted] = number
        return f"{wanted} {number}"

    def _is_free(self, id: Hashable) -> bool:
        return id not in self.by_id and id not in self._reserved

    def find(self, which: object) -> Child:
        """A child by its reference or its id. `ChildNotFound` if there is none. Constant time."""
        child: Child | None = None
        if isinstance(which, Reference):
            ref = cast("ActorRef[Any]", which)
            owner = None if ref._cell is None else ref._cell.life.child
            delayed = self._delayed.after(ref) or self._starting_after(ref)
            if isinstance(owner, Child) and owner.parent is self._parent:
                child = owner
            elif delayed is not None:
                child = delayed
            else:
                child = self._by_life.get(ref)
                if child is not None and (child.cell is None or child.cell.ref is not ref):
                    child = None  # a life that could not begin
        elif self.keeps_ended:
            try:
                child = self.by_id.get(which)
            except TypeError:
                raise TypeError(f"child must be an id or an ActorRef, not {which!r}") from None
        else:
            raise TypeError(f"child must be an ActorRef, not {which!r}")
        if child is None:
            raise ChildNotFound(self._label, which)
        return child

    def begin_life(self, child: Child, cell: Cell) -> None:
        """A child has a new life. Until that has started, the reference of the last one leads to the child too.

        So does the reference of the last life that had started: user code may not know the lives that failed since.
        """
        last = child.cell
        if last is not None:
            if self.keeps_ended:
                self._by_life.pop(last.ref, None)
            started = () if last.life.has_started else child.last_lives[:1]
            self._forget_last_lives(child)
            child.last_lives = (*started, last.ref)
            for ref in child.last_lives:
                self._by_last_life[ref] = child
        child.cell = cell
        if self.keeps_ended:
            self._by_life[cell.ref] = child

    def undo_life(self, child: Child, cell: Cell, last: Cell | None) -> None:
        """A life could not begin: its reference leads to no child."""
        child.cell = last
        if self.keeps_ended:
            self._by_life.pop(cell.ref, None)
            if last is not None:
                self._by_life[last.ref] = child

    def _starting_after(self, ref: Owner) -> Child | None:
        child = self._by_last_life.get(ref)
        if child is None or child.cell is None or child.cell.life.has_started or child.state == "ended":
            return None
        return child

    def _forget_last_lives(self, child: Child) -> None:
        for ref in child.last_lives:
            self._by_last_life.pop(ref, None)
        child.last_lives = ()

    def find_ended(self, which: object) -> Child:
        """Find a child that has to have ended. `ChildNotEnded` if it has not."""
        child = self.find(which)
        if child.state != "ended":
            raise ChildNotEnded(self._label, which, child.state)
        return child

    def forget(self, child: Child) -> None:
        """Keep nothing of a child."""
        if child.last_lives:
            self._forget_last_lives(child)
        if self.keeps_ended and child.cell is not None:
            self._by_life.pop(child.cell.ref, None)
        key = _key(child)
        if self.by_id.get(key) is child:
            del self.by_id[key]

    def forget_if_not_kept(self, child: Child) -> None:
        """A child has ended for good: forget it, unless its spec is kept."""
        if not self.keeps_ended or child.spec.restart == "temporary":
            self.forget(child)


def _key(child: Child) -> Hashable:
    # Without an id it is the child itself. That is not kept in it: a child would refer to itself, and so be garbage for
    # the collector.
    return child if child.id is None else child.id
