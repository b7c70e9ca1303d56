"""A walk over the whole supervision tree, in slices.

`trioreg.tree` is all of one moment, and holds the loop while it is made. The observer must not do that. So this walk
lets the program run in between: what it sees of two children may be of two moments. A child that comes or goes
meanwhile is seen or not; each child is seen at most once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from itertools import count
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import attrs

from .._supervision import Child, Engine, engine_of

if TYPE_CHECKING:
    from .._runtime import Run
    from .pace import Pace


@attrs.define  # not frozen: that takes longer than all else in a walk
class Seen:
    """One child, at the moment in which the walk is there. Do not keep it, and do not change it.

    Attributes:
        supervisor: The supervisor whose child it is.
        child: The child.
        below: The supervisor that it is itself, or None.
        node: Its place in the tree, as in ``"0.3.17"``: see `tops_of`.
    """

    supervisor: Engine
    child: Child
    below: Engine | None
    node: str


class _Tops:
    """The numbers of the supervisors at the top of a run. The place of one does not change when another one ends."""

    def __init__(self) -> None:
        self._numbers: WeakKeyDictionary[Engine, int] = WeakKeyDictionary()
        self._next = count()

    def number(self, engine: Engine) -> int:
        number = self._numbers.get(engine)
        if number is None:
            number = self._numbers[engine] = next(self._next)
        return number


_tops: WeakKeyDictionary[Run, _Tops] = WeakKeyDictionary()


def tops_of(run: Run) -> list[tuple[str, Engine]]:
    """The supervisors that have none above them, each with its place in the tree. It has the same at each look."""
    tops = _tops.get(run)
    if tops is None:
        tops = _tops[run] = _Tops()
    return [(str(tops.number(engine)), engine) for engine in list(cast("dict[Engine, object]", run.supervisors))]


def children_of(node: str, engine: Engine) -> Iterator[Seen]:
    """The children of a supervisor, in start order. It may change while you go through them."""
    for child in list(engine.children.values()):
        yield Seen(engine, child, engine_of(child), f"{node}.{child.number}")


async def walk(run: Run, pace: Pace) -> AsyncGenerator[Seen, None]:
    """Each child of the run: a supervisor before what is below it, and all in start order."""
    for node, top in tops_of(run):
        levels = [children_of(node, top)]
        while levels:
            seen = next(levels[-1], None)
            if pace.is_over():
                await pace.rest()
            if seen is None:
                levels.pop()
                continue
            yield seen
            if seen.below is not None:
                levels.append(children_of(seen.node, seen.below))
