"""Which children of which supervisors are shown in the tree: at most some 200 of any number.

Must never happen: more boxes than that; a walk without a rest; a place that is shown twice.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Container, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Literal

import attrs

from .rows import has_words
from .survey import Seen, children_of, tops_of, walk
from .unfolded import above
from .words import matches, words_of

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

    def __init__(self, flashes: Mapping[int, str] = {}, gone: Mapping[str, int] = {}) -> None:  # both are only read
        self.flashes = flashes
        self.gone = dict(gone)

    def found(self, engine: Engine | None, supervisor: Engine | None = None, child: Child | None = None) -> None:
        """A supervisor is there, or at least a child that is to be one again."""
        if engine is not None:
            self.gone.pop(engine.label, None)
        else:
            assert supervisor is not None and child is not None
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


async def _open(branch: Branch, engine: Engine, pace: Pace, wanted: set[str], lately: Lately, room: int) -> int:
    """Put the children of a supervisor below it, or only the children that something happens to. Returns how many."""
    branch.is_open = True
    room = min(room, BROAD)
    best: list[tuple[tuple[bool, bool, bool, int, int], int, Seen]] = []
    count, is_full = 0, room == 0
    for seen in children_of(branch.node, engine):
        count += 1
        if pace.is_over():
            await pace.rest()
        child = seen.child
        cell = child.cell
        is_supervisor = child.spec.kind.is_supervisor
        if is_supervisor and lately.gone:
            lately.found(seen.below, engine, child)
        queued = 0 if cell is None else cell.queued
        is_wanted = bool(wanted) and seen.node in wanted
        flashes = bool(lately.flashes) and cell is not None and cell.ref._number in lately.flashes
        if is_full and not (queued or child.restarts or is_supervisor or flashes or is_wanted):
            continue  # nearly all, where there are many
        rank = is_wanted, flashes, is_supervisor, queued, child.restarts
        if not is_full:
            heapq.heappush(best, (rank, -count, seen))
            is_full = len(best) == room
        elif room and rank > best[0][0]:
            heapq.heapreplace(best, (rank, -count, seen))
    best.sort(key=lambda each: -each[1])  # in start order again
    branch.below = [Branch(seen.node, engine, seen.child, seen.below) for _, _, seen in best]
    branch.more = count - len(best)
    return len(best)


def _mark_gone(root: Branch, gone: Mapping[str, int]) -> None:
    """Put a box for each supervisor that is gone where it was, if the children of the one above it are shown."""
    by_path = {branch.engine.label: branch for _, branch in in_order(root) if branch.engine is not None}
    newest = heapq.nlargest(BROAD, gone.items(), key=lambda item: item[1])
    for path, number in sorted(newest, key=lambda item: len(item[0])):  # one above before those below it
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
    """The tree with a filter: what it lets through, as `has_words`, and the supervisors above that.

    Below a supervisor that the query opens are all its children. Returns the root, and how many are let through.
    """
    words = words_of(unfolded.q)
    opened, closed = set(unfolded.opened), set(unfolded.closed)
    root = Branch("", is_open=True)
    shown: dict[str, Branch] = {"": root}
    matched = 0
    tops = dict(tops_of(run))
    for node, engine in tops.items():
        if pace.is_over():
            await pace.rest()
        if matches(words, engine.label):
            matched += 1
            _show(shown, [Branch(node, engine=engine)], closed)
    on_the_way: list[Branch] = []  # the supervisors above the place where the walk is, from the top on
    async with aclosing(walk(run, pace)) as everyone:
        async for seen in everyone:
            level = seen.node.count(".")
            if level == 1 and (not on_the_way or on_the_way[0].engine is not seen.supervisor):
                on_the_way = [Branch(above(seen.node), engine=seen.supervisor)]
            del on_the_way[level:]
            branch = Branch(seen.node, seen.supervisor, seen.child, seen.below)
            is_match = has_words(words, seen, texts)
            matched += is_match
            if is_match or on_the_way[-1].node in opened:
                _show(shown, [*on_the_way, branch], closed)
            if seen.below is not None:
                on_the_way.append(branch)
            if texts.has_waited and pace.is_late():
                texts.has_waited = False
                await pace.rest()
    _mark_hidden(root)
    return root, matched


def _show(shown: dict[str, Branch], way: list[Branch], closed: Container[str]) -> None:
    """Show the last branch of a way from the top, and those above it; if there is no room for all of them, none."""
    for count, branch in enumerate(way):
        parent = shown[above(branch.node)]
        if parent.node in closed:
            return
        if branch.node in shown:
            continue
        is_broad = len(parent.below) >= (BROAD if parent.node else ENOUGH)
        if is_broad or len(shown) + len(way) - count > MOST + 1:  # the root has no box
            parent.more += 1
            parent.is_open = True
            return
        parent.below.append(branch)
        parent.is_open = True
        shown[branch.node] = branch


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
