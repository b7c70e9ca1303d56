"""The supervision tree as text for people: one line for each child, the busiest first where there are too many.

Of a supervisor with more children than the limit, these are shown: those with the longest queues and those whose
handlers run the longest, in turn; then those that are not running. A supervisor counts as busy as the busiest actor
below it, so that a stuck actor shows however deep it is.
"""

from __future__ import annotations

import math
from collections import Counter
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from .._runtime import counted, duration, one_line, shown_safely
from .tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .tree import TreeChild, TreeSupervisor

LONGEST = 200
"""How many characters of a name are shown."""

Busy: TypeAlias = tuple[int, float]
"""The longest queue, and since when the oldest handler runs, of a child and all that is below it."""


T = TypeVar("T")


def format_trees(tops: Sequence[TreeSupervisor], *, now: float, limit: float = math.inf) -> str:
    """All supervisors that have none above them. Where there are more than the limit, the busiest are shown."""
    shown = tops
    if len(tops) > max(limit, 1):
        most = max(int(limit), 1)
        shown = _fill(_busiest_of({top: _busy_top(top) for top in tops}, most), tops, most)
    parts = [format_tree(top, now=now, limit=limit) for top in shown]
    if len(shown) < len(tops):
        others = set(tops).difference(shown)
        states = states_of(child for _, child in walk(tuple(top for top in tops if top in others)))
        parts.append(f"... {len(others):,} more, with {states or 'no children'}")
    return "\n".join(parts)


def format_tree(top: TreeSupervisor, *, now: float, limit: float = math.inf) -> str:
    """A supervisor with all that is below it, as indented lines. A deep tree does not use up the stack.

    Args:
        top: The supervisor.
        now: The time, as `trio.current_time`: how long a handler has run is shown as of then.
        limit: How many children of one supervisor are shown.
    """
    lines = [one_line(top.path) + ("" if top.inside is None else f"  in {top.inside!r}")]
    busy = _busy_below(top) if limit < math.inf else {}
    # The levels from the top down to where we are: what each line of a level begins with, and what is to come.
    levels = [("", _shown(top.children, limit, busy))]
    while levels:
        indent, rest = levels[-1]
        child, text, is_last = next(rest, (None, "", True))
        if not text and child is None:
            levels.pop()
            continue
        branch = indent + ("└── " if is_last else "├── ")
        lines.append(branch + (text if child is None else line_of(child, now)))
        if child is not None and child.below is not None:
            levels.append((indent + ("    " if is_last else "│   "), _shown(child.below.children, limit, busy)))
    return "\n".join(lines)


def _shown(
    children: Sequence[TreeChild], limit: float, below: Mapping[TreeChild, Busy]
) -> Iterator[tuple[TreeChild | None, str, bool]]:
    """What is shown of some children: each child, and a line for the others. And whether it is the last line."""
    if len(children) <= limit:
        for number, child in enumerate(children, 1):
            yield child, "", number == len(children)
        return
    chosen = _busiest(children, int(limit), below)
    for child in chosen:
        yield child, "", False
    yield None, _of_others(children, chosen), True


def _busiest(children: Sequence[TreeChild], limit: int, below: Mapping[TreeChild, Busy]) -> list[TreeChild]:
    """The children to show where not all can be: the longest queues and the oldest handlers, then the others."""
    busy = {child: below.get(child) or _busy(child) for child in children if child.below or _is_busy(child)}
    chosen = _fill(_busiest_of(busy, limit), (child for child in children if child.state != "running"), limit)
    return _fill(chosen, children, limit)


def _busiest_of(busy: Mapping[T, Busy], limit: int) -> list[T]:
    """The longest queues and the oldest handlers, in turn."""
    by_queue = nlargest(limit, (each for each in busy if busy[each][0]), lambda each: busy[each][0])
    by_handler = nsmallest(limit, (each for each in busy if busy[each][1] < math.inf), lambda each: busy[each][1])
    chosen: dict[T, None] = {}
    for number in range(limit):
        for some in (by_queue, by_handler):
            chosen.update(dict.fromkeys(some[number : number + 1]))
    return list(chosen)[:limit]


def _fill(chosen: Sequence[T], others: Iterable[T], limit: int) -> list[T]:
    found = dict.fromkeys(chosen)
    for each in others:
        if len(found) >= limit:
            break
        found[each] = None
    return list(found)


def _busy_top(top: TreeSupervisor) -> Busy:
    queued, since = 0, math.inf
    for _, child in walk((top,)):
        if _is_busy(child):
            other = _busy(child)
            queued, since = max(queued, other[0]), min(since, other[1])
    return queued, since


def _of_others(children: Sequence[TreeChild], chosen: Sequence[TreeChild]) -> str:
    """The line for the children that are not shown: "... 9,980 more: 9,970 running, 10 starting"."""
    shown = set(chosen)
    others = [child for child in children if child not in shown]
    return f"... {len(others):,} more: {states_of(others)}"


def _is_busy(child: TreeChild) -> bool:
    return bool(child.queued) or child.handling is not None


def _busy(child: TreeChild) -> Busy:
    # A sync handler has no time: it blocks the loop, so it counts as the oldest of all.
    since = -math.inf if child.handling_since is None else child.handling_since
    return child.queued, math.inf if child.handling is None else since


def _busy_below(top: TreeSupervisor) -> dict[TreeChild, Busy]:
    """How busy each supervisor below is, all that is below it included. The cost grows with the number of children."""
    busy: dict[TreeChild, Busy] = {}
    supervisors = [child for _, child in walk((top,)) if child.below is not None]
    for child in reversed(supervisors):  # so those below come before those above
        queued, since = _busy(child)
        for each in () if child.below is None else child.below.children:
            if each.below is not None or _is_busy(each):
                other = busy.get(each) or _busy(each)
                queued, since = max(queued, other[0]), min(since, other[1])
        busy[child] = queued, since
    return busy


def line_of(child: TreeChild, now: float) -> str:
    """The line of one child: what it is called, and all that is not as usual."""
    title = title_of(child)
    parts = [] if child.ref is not None and title == child.kind else [title]  # the reference shows that too
    parts.append(f"({child.state})" if child.ref is None else repr(child.ref))
    if child.ref is not None and child.state != "running":
        parts.append(child.state)
    if child.restarts:
        parts.append(f"restarted {counted(child.restarts, 'time')}")
    if child.queued:
        parts.append(f"{child.queued:,} queued")
    if child.handling is not None:
        since = child.handling_since
        parts.append(f"in {child.handling}" + ("" if since is None else f" for {duration(now - since)}"))
    return one_line("  ".join(parts))


def title_of(child: TreeChild) -> str:
    """Its name, or else its id, or else what it is: as a `Child` is called, and not very long. Never raises."""
    try:
        if child.spec.name is not None:
            text = repr(child.spec.name.key)
        else:
            text = child.kind if child.id is None else str(child.id)
    except Exception:
        text = shown_safely(child.id if child.spec.name is None else child.spec.name.key)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def states_of(children: Iterable[TreeChild]) -> str:
    """How many are in which state: "12 running, 1 starting"."""
    return ", ".join(f"{count:,} {state}" for state, count in Counter(child.state for child in children).most_common())
