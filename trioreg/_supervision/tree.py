"""The supervision tree as data: what each supervisor and each child is at one moment.

It is made in one step and without recursion, from the records that the supervisors keep: `Engine` and `Child`. It
changes nothing and calls no code of the user's, so any thread can make one, and a signal handler too. How it is shown
to people is in `tree_text.py`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from .._actors import ENDED, ActorRef, handling
from .._runtime import Identity
from .child_spec import ChildSpec
from .engine import engine_of
from .strategy import Strategy

if TYPE_CHECKING:
    from .._runtime import Run
    from .child import Child
    from .engine import Engine

NodeState: TypeAlias = Literal["starting", "running", "stopping", "ending", "restarting", "ended"]


# They are compared by identity: to compare two trees with 1,000 levels would use up the stack.
@attrs.frozen(eq=False, repr=False)
class TreeChild(Identity):
    """One child in a `Tree`.

    Attributes:
        id: What the supervisor knows it by; None under a `DynamicSupervisor`.
        ref: The reference of its current life, or None while it has none.
        spec: How it is started.
        state: ``"starting"``, ``"running"``, ``"stopping"``, ``"ending"``, ``"ended"`` (as `ActorRef.state`), or
            ``"restarting"``: it waits for its restart.
        restarts: How often it has been restarted.
        queued: How many messages wait in its mailbox.
        handled: How many messages it has handled in this life.
        handling: The handler that it runs, as in ``"Cart.add"``, or None: as in `ActorStatistics`.
        handling_since: When that has begun, as `trio.current_time`; None if that is not known.
        below: The children that it has itself, if it is a supervisor; else None.
    """

    id: Hashable
    ref: ActorRef[Any] | None
    spec: ChildSpec
    state: NodeState
    restarts: int
    queued: int
    handled: int
    handling: str | None
    handling_since: float | None
    below: TreeSupervisor | None

    def __repr__(self) -> str:
        return f"<{self.kind}, {self.state}>" if self.ref is None else f"<{self.ref!r}, {self.state}>"

    @property
    def kind(self) -> str:
        """What it is: the name of its class or of its function."""
        return self.spec.kind.label

    @property
    def name(self) -> Hashable:
        """The name that it is started with, or None."""
        return None if self.spec.name is None else self.spec.name.key

    @property
    def is_supervisor(self) -> bool:
        """Whether it is a supervisor itself."""
        return self.spec.kind.is_supervisor


@attrs.frozen(eq=False, repr=False)
class TreeSupervisor(Identity):
    """One supervisor in a `Tree`.

    Attributes:
        path: What it is called in errors and in the log, as in ``"program/games"``.
        strategy: Which children it restarts when one needs it: ``"one_for_one"``, ``"one_for_all"`` or
            ``"rest_for_one"``.
        children: Its children, in start order.
        is_closing: Whether it is shutting down.
        inside: The actor whose code has opened it as a block; None if no actor has.
    """

    path: str
    strategy: Strategy
    children: tuple[TreeChild, ...]
    is_closing: bool
    inside: ActorRef[Any] | None = None

    def __repr__(self) -> str:
        return f"<{self.path}, {len(self.children)} {'child' if len(self.children) == 1 else 'children'}>"


def tops_of(run: Run) -> list[TreeSupervisor]:
    """The supervisors of a run that have no supervisor above them, each with all that is below it."""
    tops = cast("dict[Engine, ActorRef[Any] | None]", run.supervisors)
    return [node_of(engine, inside) for engine, inside in list(tops.items())]


class _Level:
    """A supervisor on the way down to where we are: the children that are done, and those that are to come."""

    __slots__ = ("child", "children", "engine", "rest")

    def __init__(self, engine: Engine, child: Child | None) -> None:
        self.engine = engine
        self.child = child
        self.rest = iter(list(engine.children.values()))
        self.children: list[TreeChild] = []


def node_of(top: Engine, inside: ActorRef[Any] | None = None) -> TreeSupervisor:
    """A supervisor with all that is below it. The cost grows with the number of children."""
    levels = [_Level(top, None)]
    while True:
        level = levels[-1]
        for child in level.rest:
            below = engine_of(child)
            if below is not None:
                levels.append(_Level(below, child))
                break
            level.children.append(_node_of_child(child, None))
        else:
            levels.pop()
            engine = level.engine
            node = TreeSupervisor(
                engine.label, engine.strategy, tuple(level.children), engine.is_closing(), None if levels else inside
            )
            if level.child is None:
                return node
            levels[-1].children.append(_node_of_child(level.child, node))


_STATES: tuple[NodeState, ...] = ("starting", "running", "stopping", "ending")


def _node_of_child(child: Child, below: TreeSupervisor | None) -> TreeChild:
    cell, spec = child.cell, child.spec
    if cell is None or (state := cell.state) == ENDED:
        return TreeChild(child.id, None, spec, child.state, child.restarts, 0, 0, None, None, below)
    ref = cast("ActorRef[Any]", cell.ref)
    name, since = handling(cell)
    return TreeChild(child.id, ref, spec, _STATES[state], child.restarts, cell.queued, cell.handled, name, since, below)


def walk(tops: tuple[TreeSupervisor, ...]) -> Iterator[tuple[TreeSupervisor, TreeChild]]:
    """Each child below some supervisors with its own supervisor, in start order, a child before those below it."""
    levels = [_with_supervisor(top) for top in reversed(tops)]
    while levels:
        for supervisor, child in levels[-1]:
            yield supervisor, child
            below = child.below
            if below is not None:
                levels.append(_with_supervisor(below))
                break
        else:
            levels.pop()


def _with_supervisor(supervisor: TreeSupervisor) -> Iterator[tuple[TreeSupervisor, TreeChild]]:
    return ((supervisor, child) for child in supervisor.children)
