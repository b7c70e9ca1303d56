"""The supervision tree of the whole run: `tree`. What the nodes are, and how they are drawn, is in `_supervision`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._runtime import Identity, current_run, require_count
from .._supervision import TreeSupervisor, format_trees, tops_of, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._runtime import Run
    from .._supervision import TreeChild

SHOWN = 20
"""How many children of one supervisor are shown, unless you say otherwise."""


@attrs.frozen(eq=False, repr=False)
class Tree(Identity):
    """The supervision tree of a whole run at one moment, from `tree`. ``print`` shows it as text.

    Attributes:
        supervisors: The supervisors that have none above them, in the order of their starts.
        taken_at: When it was made, as `trio.current_time`, in seconds.
    """

    supervisors: tuple[TreeSupervisor, ...]
    taken_at: float

    def walk(self) -> Iterator[tuple[TreeSupervisor, TreeChild]]:
        """Each child in the tree with its supervisor: in start order, a supervisor before what is below it.

        ::

            stuck = [child for _, child in trioreg.tree().walk() if child.queued > 1000]

        Not a checkpoint; the cost grows with the tree.
        """
        return walk(self.supervisors)

    def format(self, *, limit: float = SHOWN) -> str:
        """The tree as text for people. ``str(tree)`` is the same, with the usual limit.

        A line shows what a child is called, its reference, and what is not as usual: its state, its restarts, how many
        messages it has, and which handler it runs for how long. Not a checkpoint; the cost grows with the tree.

        Args:
            limit: How many children of one supervisor are shown, and how many of the supervisors that have none above
                them: the longest queues and the oldest handlers first.
                ``math.inf`` shows all, in start order.

        Raises:
            TypeError, ValueError: ``limit`` is not a whole number, at least 0, or ``math.inf``.
        """
        require_count("limit", limit, 0, infinite=True)
        return format_trees(self.supervisors, now=self.taken_at, limit=limit) or "no supervisor runs"

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        children = sum(1 for _ in self.walk())
        return f"<Tree, {len(self.supervisors)} at the top, {children:,} {'child' if children == 1 else 'children'}>"


def tree() -> Tree:
    """The supervision tree of the current Trio run, all of it, as data.

    ::

        print(trioreg.tree())

    It is made in one step: all that is in it is of the same moment. Not a checkpoint. The cost grows with the number of
    children: 100,000 take a part of a second. It keeps what it shows, so do not keep it for long.

    Raises:
        RuntimeError: You are not inside of a Trio run.
    """
    return tree_of_run(current_run())


def tree_of_run(run: Run) -> Tree:
    """The tree of a run, which is in this thread."""
    return Tree(tuple(tops_of(run)), run.now())
