"""All that a program can be asked, as one text for people in a hurry: `dump`. What explains a hang stands at the top.

It only reads. A signal handler may make it in the middle of anything, so a part that can't be shown says so, and the
other parts are shown all the same.
"""

from __future__ import annotations

import math
import os
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING, Any

from .._pool import claims_of, pools_of
from .._registry import keys_of
from .._runtime import counted, current_run, duration, frames_of, one_line, require_count, shown_safely, users_part
from .._supervision import line_of
from .registries import info_of, names_of
from .tree import tree_of_run
from .wait_chains import WaitGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from traceback import FrameSummary

    from trio.lowlevel import Task

    from .._actors import ActorRef
    from .._runtime import Run
    from .._supervision import TreeChild, TreeSupervisor
    from .tree import Tree
    from .wait_chains import Blocker

    Found = tuple[TreeSupervisor, TreeChild]

SHOWN = 10
"""How many lines of each kind are shown, unless you say otherwise."""

FRAMES = 4
"""How many lines of a stack are shown of each actor, the innermost ones."""


def dump(*, limit: float = SHOWN) -> str:
    """All that the current Trio run can be asked, as text: who waits for whom, queues, handlers, crashes, names, tree.

    ::

        print(trioreg.dump())

    It is laid out for people in a hurry: what explains a hang stands at the top. A part that has nothing to say is left
    out. `run` prints the same at a signal (``dump_on=``), also while a handler blocks the loop.

    It changes nothing, and is made in one step. Not a checkpoint. The cost grows with the actors and the names:
    100,000 of them take about a second.

    Args:
        limit: How many of each kind are shown: actors, registries, topics, pools, claims, supervisors that have none
            above them, children of one supervisor. ``math.inf`` shows all.

    Raises:
        RuntimeError: You are not inside of a Trio run.
        TypeError, ValueError: ``limit`` is not a whole number, at least 0, or ``math.inf``.
    """
    require_count("limit", limit, 0, infinite=True)
    return dump_of_run(current_run(), limit)


def dump_of_run(run: Run, limit: float, *, loop: Callable[[], list[str]] | None = None) -> str:
    """The text for a run. Raises nothing that comes from a part.

    Args:
        run: The run.
        limit: How many of each kind are shown.
        loop: Says what the loop does now; None if that is the caller itself.
    """
    parts: list[str] = []
    most = 10**9 if limit == math.inf else int(limit)

    def add(title: str, make: Callable[[], list[str]]) -> None:
        try:
            lines = make()
        except Exception as error:
            lines = [f"could not be shown: {shown_safely(error)}"]
        if lines:
            parts.append("\n".join([title, *(f"  {one_line(line)}" for line in lines)]))

    if loop is not None:
        add("The loop", loop)
    try:
        tree = tree_of_run(run)
        found = list(tree.walk())
    except Exception as error:
        parts.append(f"The tree could not be shown: {shown_safely(error)}")
    else:
        add("Who waits for whom", lambda: _waits(run, tree, found, most))
        add("The handlers that run the longest", lambda: _oldest_handlers(tree, found, most))
        add("The longest queues", lambda: _longest_queues(tree, found, most))
        add("The most restarts", lambda: _most_restarts(tree, found, most))
        add("Pools", lambda: _pools(run, most))
        add("Registries", lambda: _registries(run, most))
        add("Topics", lambda: _topics(run, most))
        add("The tree", lambda: tree.format(limit=limit).splitlines())
        tops = ", ".join([*(top.path for top in tree.supervisors[:5]), *(["..."] if len(tree.supervisors) > 5 else [])])
        head = f"trioreg, process {os.getpid()}: {counted(len(found), 'actor')} under {tops or 'no supervisor'}"
        parts.insert(0, one_line(head))
    return "\n\n".join(parts)


def _waits(run: Run, tree: Tree, found: Iterable[Found], most: int) -> list[str]:
    by_ref = {child.ref: (supervisor, child) for supervisor, child in found if child.ref is not None}
    graph = WaitGraph(by_ref)
    claims = dict(claim for pool in pools_of(run) for claim in claims_of(pool))
    lines: list[str] = []
    for cycle in _some(graph.cycles, most, lines):
        beside = any(ref in graph.beside for ref, _ in cycle)
        condition = ", if each waits for its background tasks" if beside else ""
        lines.append(f"A cycle: none of {len(cycle)} can go on{condition}")
        lines.append("  " + _way([(repr(ref), what) for ref, what in cycle], repr(cycle[0][0])))
        for ref, _ in cycle:
            lines += [f"  {_described(by_ref.get(ref), ref, tree.taken_at)}", *_stack(ref, "    ")]
    blockers = graph.blockers()
    for blocker in blockers[:most]:
        lines += _of_blocker(blocker, by_ref, claims, tree.taken_at)
    if len(blockers) > most:
        lines.append(f"... {len(blockers) - most:,} more that others wait for")
    if graph.unseen:
        lines.append(f"... {counted(graph.unseen, 'actor')} could not be looked at in the middle of a change")
    return lines


def _some(cycles: list[Any], most: int, lines: list[str]) -> list[Any]:
    if len(cycles) > most:
        lines.append(f"{len(cycles):,} cycles, of these {most:,}:")
    return cycles[:most]


def _of_blocker(
    blocker: Blocker, by_ref: dict[ActorRef[Any], Found], claims: dict[ActorRef[Any], Task], now: float
) -> list[str]:
    number = f"{blocker.waiting:,} {'waits' if blocker.waiting == 1 else 'wait'}"
    ref = blocker.ref
    if ref is None:
        where = f" under {by_ref[blocker.worker][0].path}" if blocker.worker in by_ref else ""
        return [f"{number} for {blocker.what}{where}", "  " + _way(blocker.chain, blocker.end)]
    return [
        f"{number} for {_described(by_ref.get(ref), ref, now)}",
        *_stack(ref, "  "),
        *([f"  claimed by task {claims[ref].name}"] if ref in claims else []),
        "  " + _way(blocker.chain, repr(ref)),
    ]


def _way(chain: Sequence[tuple[str, str]], end: str) -> str:
    """A chain of waits: "<Web #1> -(call Cart.pay)-> <Cart #2> -(call Stock.reserve)-> <Stock #3>"."""
    steps = [f"{who} -({what})->" for who, what in chain]
    if len(steps) > 8:
        steps[4:-3] = [f"... {len(steps) - 7} more ..."]
    return " ".join([*steps, end])


def _described(found: Found | None, ref: ActorRef[Any], now: float) -> str:
    """The line of an actor in a list: what the tree says of it, and where it is in the tree."""
    if found is None:
        return repr(ref)  # no supervisor of this run has it
    return f"{line_of(found[1], now)}  under {found[0].path}"


def _stack(ref: ActorRef[Any], indent: str) -> list[str]:
    """Where an actor stands: the innermost lines of the user's code."""
    try:
        stack = ref.stack()
    except Exception:
        return []
    return [f"{indent}{line}" for line in lines_of(stack[-FRAMES:])]


def lines_of(stack: Sequence[FrameSummary]) -> list[str]:
    """A line for each frame of a stack."""
    return [f"at {each.filename}:{each.lineno}, in {each.name}: {each.line}" for each in stack]


def _oldest_handlers(tree: Tree, found: Iterable[Found], most: int) -> list[str]:
    busy = [each for each in found if each[1].handling_since is not None]
    lines: list[str] = []
    for supervisor, child in nsmallest(most, busy, lambda each: each[1].handling_since or 0.0):
        lines.append(f"{line_of(child, tree.taken_at)}  under {supervisor.path}")
        lines += [] if child.ref is None else _stack(child.ref, "  ")
    return [*lines, *_rest(len(busy), most)]


def _longest_queues(tree: Tree, found: Iterable[Found], most: int) -> list[str]:
    queues = [each for each in found if each[1].queued]
    top = nlargest(most, queues, lambda each: each[1].queued)
    return [
        *(f"{line_of(child, tree.taken_at)}  under {above.path}" for above, child in top),
        *_rest(len(queues), most),
    ]


def _most_restarts(tree: Tree, found: Iterable[Found], most: int) -> list[str]:
    some = [each for each in found if each[1].restarts]
    top = nlargest(most, some, lambda each: each[1].restarts)
    return [*(f"{line_of(child, tree.taken_at)}  under {above.path}" for above, child in top), *_rest(len(some), most)]


def _pools(run: Run, most: int) -> list[str]:
    lines: list[str] = []
    pools = pools_of(run)
    for pool in pools[:most]:
        now = pool.statistics()
        waits = f", {now.waiting:,} waiting, the first for {duration(now.longest_wait)}" if now.waiting else ""
        crashes = f", crashes: {now.crashes:,}" if now.crashes else ""
        lines.append(f"{pool.name}: {counted(now.size, 'worker')}, {now.busy} busy, {now.idle} free{waits}{crashes}")
        claims = claims_of(pool)
        for worker, task in claims[:most]:
            lines.append(f"  {worker!r} is claimed by task {task.name}")
            stack = users_part(frames_of(task, run.thread))
            lines += [f"    {line}" for line in lines_of(stack[-FRAMES:])]
        lines += [f"  ... {len(claims) - most:,} more claims"] if len(claims) > most else []
    return [*lines, *_rest(len(pools), most)]


def _registries(run: Run, most: int) -> list[str]:
    lines: list[str] = []
    names = sorted(names_of(run), key=lambda each: -each.count())
    for each in names[:most]:
        info = info_of(each)
        purpose = "" if info.purpose == "names" else f" of {info.purpose}" if info.purpose != "pool" else " of a pool"
        holders = ", ".join(f"{owner!r} {count:,}" for owner, count in info.top_holders[:3] if count > 1)
        top = f"; the most: {holders}" if holders else ""
        lines.append(f"{info.name}{purpose}: {counted(info.names, 'name')} of {counted(info.owners, 'owner')}{top}")
    return [*lines, *_rest(len(names), most)]


def _topics(run: Run, most: int) -> list[str]:
    topics = [(each.name, topic, n) for each in names_of(run) if each.purpose == "topics" for topic, n in keys_of(each)]
    top = nlargest(most, topics, lambda each: each[2])
    lines = [f"{name} {shown_safely(topic)}: {counted(number, 'subscription')}" for name, topic, number in top]
    return [*lines, *_rest(len(topics), most)]


def _rest(count: int, most: int) -> list[str]:
    return [f"... {count - most:,} more"] if count > most else []
