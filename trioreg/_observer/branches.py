"""Which children of which supervisors are shown in the tree: at most some 200 of any number.

Must never happen: more boxes than that; a walk without a rest; a place that is shown twice.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import attrs

from .._runtime import text_of
from .rows import label_of
from .survey import Seen, children_of, tops_of, walk
from .unfolded import above

if TYPE_CHECKING:
    from .._runtime import Run
    from .._supervision import Child, Engine
    from .pace import Pace
    from .texts import Texts
    from .unfolded import Unfolded

MOST = 200
"""How many are shown in all."""

ENOUGH = 100
"""From how many on no supervisor is opened that the query does not name."""

BROAD = 20
"""How many children of one supervisor are shown."""


@attrs.define(eq=False)
class Branch:
    """One box, and those below it.

    Attributes:
        node: Its place; empty for the root, which has all tops below it and no box.
        supervisor: The supervisor whose child it is; None for a top.
        child: The child; None for a top.
        engine: The supervisor that it is itself; None if it is none, or has no life.
        below: What is shown below it.
        more: How many are not shown. In the end, a box of its own says that.
        hidden: Of such a box: that number. Else 0.
        is_open: Whether its children are shown, as far as there is room.
        gone: The path of a supervisor that gave up and is gone: this box says where it was. Else empty.
    """

    node: str
    supervisor: Engine | None = None
    child: Child | None = None
    engine: Engine | None = None
    below: list[Branch] = attrs.field(factory=list["Branch"])
    more: int = 0
    hidden: int = 0
    is_open: bool = False
    gone: str = ""

    @property
    def kind(self) -> Literal["supervisor", "actor", "more", "gone"]:
        """As in `TreeNode`."""
        if self.hidden:
            return "more"
        if self.gone:
            return "gone"
        if self.child is None:
            return "supervisor"
        return "supervisor" if self.child.spec.kind.is_supervisor else "actor"


class Lately:
    """What happened a moment ago, as far as it decides what is shown.

    Attributes:
        flashes: The numbers of the actors that something has happened to.
        gone: The supervisors that gave up, by their paths, with the number of the happening. Those that a walk finds
            are taken out.
    """

    __slots__ = ("flashes", "gone")

    def __init__(self, flashes: Container[int] = (), gone: Mapping[str, int] = {}) -> None:  # it is only read
        self.flashes = flashes
        self.gone = dict(gone)

    def found(self, engine: Engine | None, supervisor: Engine | None = None, child: Child | None = None) -> None:
        """A supervisor is there, or at least a child that is to be one again."""
        if engine is not None:
            self.gone.pop(engine.label, None)
        elif supervisor is not None and child is not None:
            with suppress(Exception):  # the `str` of a user's key may raise
                self.gone.pop(f"{supervisor.label}/{child.plain_title}", None)


async def grow(run: Run, pace: Pace, unfolded: Unfolded, lately: Lately) -> Branch:
    """The tree without a filter: what the query opens, and then all from the top on, while there is room.

    Returns the root, which has the tops below it.
    """
    tops = tops_of(run)
    root = Branch("", below=[Branch(node, engine=engine) for node, engine in tops[:ENOUGH]], is_open=True)
    root.more = len(tops) - len(root.below)
    count = len(root.below)
    for _, engine in tops:
        lately.found(engine)
    wanted, closed = unfolded.wanted(), set(unfolded.closed)
    others: list[Branch] = []
    # First what is asked for, as far as there is room at all: the level of a branch is of no account.
    todo = deque(root.below)
    while todo:
        branch = todo.popleft()
        if branch.engine is None or branch.node in closed:
            continue
        if branch.node in wanted and count < MOST:
            count += await _open(branch, branch.engine, pace, wanted, lately, MOST - count)
            todo += branch.below
        else:
            others.append(branch)
    todo = deque(sorted(others, key=lambda branch: branch.node.count(".")))
    while todo:
        branch = todo.popleft()
        if branch.engine is None or branch.node in closed:
            continue
        if count + min(len(branch.engine.children), BROAD) <= ENOUGH:
            count += await _open(branch, branch.engine, pace, wanted, lately, BROAD)
            todo += branch.below
    _mark_gone(root, lately.gone)
    _mark_hidden(root)
    return root


async def _open(branch: Branch, engine: Engine, pace: Pace, wanted: Container[str], lately: Lately, room: int) -> int:
    """Put the children of a supervisor below it, or those of them that something happens to. Returns how many."""
    branch.is_open = True
    room = min(room, BROAD)
    best: list[tuple[tuple[bool, bool, bool, int, int], int, Seen]] = []
    count = 0
    for seen in children_of(branch.node, engine):
        count += 1
        if pace.is_over():
            await pace.rest()
        child = seen.child
        cell = child.cell
        is_supervisor = child.spec.kind.is_supervisor
        if is_supervisor and lately.gone:
            lately.found(seen.below, engine, child)
        rank = (
            seen.node in wanted,
            cell is not None and cell.ref._number in lately.flashes,
            is_supervisor,
            0 if cell is None else cell.queued,
            child.restarts,
        )
        if len(best) < room:
            heapq.heappush(best, (rank, -count, seen))
        elif rank > best[0][0]:
            heapq.heapreplace(best, (rank, -count, seen))
    best.sort(key=lambda each: -each[1])  # in start order again
    branch.below = [Branch(seen.node, engine, seen.child, seen.below) for _, _, seen in best]
    branch.more = count - len(best)
    return len(best)


def _mark_gone(root: Branch, gone: Mapping[str, int]) -> None:
    """Put a box for each supervisor that is gone where it was, if the children of the one above it are shown."""
    by_path = {branch.engine.label: branch for _, branch in in_order(root) if branch.engine is not None}
    for path, number in sorted(gone.items(), key=lambda item: len(item[0])):  # one above before those below it
        parent, above_it = root, path
        while parent is root and "/" in above_it:
            above_it = above_it.rpartition("/")[0]
            parent = by_path.get(above_it, root)
        if parent.is_open or parent.gone:
            branch = by_path[path] = Branch(f"gone.{number}", gone=path)
            parent.below.append(branch)


def _mark_hidden(root: Branch) -> None:
    for branch in [root, *(branch for _, branch in in_order(root))]:
        if branch.more:
            branch.below.append(Branch(f"{branch.node}.more".lstrip("."), supervisor=branch.engine, hidden=branch.more))


async def find(run: Run, pace: Pace, unfolded: Unfolded, texts: Texts) -> tuple[Branch, int]:
    """The tree with a filter: what has the text in its name, class, number or path, and the supervisors above.

    Below a supervisor that the query opens are all its children. Returns the root, and how many have the text.
    """
    needle = unfolded.q.casefold()
    opened, closed = set(unfolded.opened), set(unfolded.closed)
    root = Branch("", is_open=True)
    shown: dict[str, Branch] = {"": root}
    matched = 0
    on_the_way: list[Branch] = []  # the supervisors above the place where the walk is, from the top on
    tops = dict(tops_of(run))
    for node, engine in tops.items():
        if needle in _folded(engine.label):
            matched += 1
            _show(shown, [Branch(node, engine=engine)], closed)
    paths: dict[Engine, bool] = {}
    async for seen in walk(run, pace):
        level = seen.node.count(".")
        if level == 1 and (not on_the_way or on_the_way[0].node != above(seen.node)):
            top = above(seen.node)
            on_the_way = [Branch(top, engine=tops.get(top, seen.supervisor))]
        del on_the_way[level:]
        branch = Branch(seen.node, seen.supervisor, seen.child, seen.below)
        in_path = paths.get(seen.supervisor)
        if in_path is None:
            in_path = paths[seen.supervisor] = needle in _folded(seen.supervisor.label)
        if in_path or needle in _text(seen.child, texts):
            matched += 1
            _show(shown, [*on_the_way, branch], closed)
        elif on_the_way[-1].node in opened:
            _show(shown, [*on_the_way, branch], closed)
        if seen.below is not None:
            on_the_way.append(branch)
    _mark_hidden(root)
    return root, matched


def _show(shown: dict[str, Branch], way: list[Branch], closed: Container[str]) -> None:
    """Show the last branch of a way from the top, and those above it, if there is room for all of them."""
    new = [branch for branch in way if branch.node not in shown]
    if len(shown) + len(new) > MOST:
        shown[""].more += 1
        return
    for branch in way:
        parent = shown[above(branch.node)]
        if parent.node in closed:
            return
        if branch.node not in shown:
            if parent.node and len(parent.below) >= BROAD:
                parent.more += 1
                return
            parent.below.append(branch)
            parent.is_open = True
            shown[branch.node] = branch


def _text(child: Child, texts: Texts) -> str:
    life = child.life
    number = "" if life is None else f" #{life.ref._number}"
    return _folded(f"{label_of(child, texts)} {child.spec.kind.label}{number}")


def _folded(text: str) -> str:
    return (text_of(text) or "").casefold()


def in_order(root: Branch) -> Iterator[tuple[Branch, Branch]]:
    """Each branch with the one above it: from top to bottom, as they are drawn. Without recursion."""
    levels = [iter([(root, branch) for branch in root.below])]
    while levels:
        pair = next(levels[-1], None)
        if pair is None:
            levels.pop()
            continue
        yield pair
        branch = pair[1]
        levels.append(iter([(branch, each) for each in branch.below]))
