"""A walk over the whole supervision tree, in slices.

`trioreg.tree` is all of one moment, and holds the loop while it is made. The observer must not do that. So this walk
lets the program run in between: what it sees of two children may be of two moments. A child that comes or goes
meanwhile is seen or not; each child is seen at most once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from itertools import count
from typing import TYPE_CHECKING, cast
from weakref import ReferenceType, WeakKeyDictionary

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


class _Top(ReferenceType[Engine]):
    """A supervisor at the top of a run, and its place in the tree."""

    __slots__ = ("node",)

    node: str


class _Tops:
    """The places of the supervisors at the top of a run. The place of one does not change when another one ends."""

    def __init__(self) -> None:
        # By the id of the supervisor. A `WeakKeyDictionary` takes five times as long, and there may be 10,000.
        self._tops: dict[int, _Top] = {}
        self._next = count()

    def node(self, engine: Engine) -> str:
        top = self._tops.get(id(engine))
        if top is None or top() is not engine:
            top = self._tops[id(engine)] = _Top(engine)
            top.node = str(next(self._next))
        return top.node

    def forget_ended(self, living: int) -> None:
        """Forget those that are gone, if there are many of them: so many supervisors are there."""
        if len(self._tops) > 2 * living + 100:
            self._tops = {key: top for key, top in self._tops.items() if top() is not None}


_tops: WeakKeyDictionary[Run, _Tops] = WeakKeyDictionary()


def tops_of(run: Run) -> list[tuple[str, Engine]]:
    """The supervisors that have none above them, each with its place in the tree. It has the same at each look."""
    tops, engines = _tops_of(run), list(cast("dict[Engine, object]", run.supervisors))
    tops.forget_ended(len(engines))
    return [(tops.node(engine), engine) for engine in engines]


def place_of_top(run: Run, engine: Engine) -> str:
    """The place of a supervisor that has none above it. A question mark if it does not run."""
    return _tops_of(run).node(engine) if engine in run.supervisors else "?"


def _tops_of(run: Run) -> _Tops:
    tops = _tops.get(run)
    if tops is None:
        tops = _tops[run] = _Tops()
    return tops


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
