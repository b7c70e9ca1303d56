"""A graph in layers: each node in a row above all that it uses, and lines that pass between the nodes.

This is Sugiyama's method, as Graphviz' ``dot`` has it, in its plainest form: find rows, give each long edge a place in
every row that it passes, order the rows so that few lines cross, then move the nodes to the middle of their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from house import Graph

PASSING = 12.0
"""How much room a line takes in a row that it passes."""


@dataclass(eq=False)
class Node:
    """A place in a row: of a node of the graph, or of a line that passes.

    Attributes:
        name: The node's name; empty for a line that passes.
        row: The row, 0 at the top.
        width: How wide the place is.
        x: The middle of it.
        above: The places that it has a line to in the row above.
        below: The places that it has a line to in the row below.
    """

    name: str
    row: int
    width: float
    x: float = 0.0
    above: list[Node] = field(default_factory=lambda: list[Node]())
    below: list[Node] = field(default_factory=lambda: list[Node]())


Line = list[Node]
"""From a node down to one that it uses, with its place in each row between."""


def arrange(widths: Mapping[str, float], edges: Graph, room: float, gap: float) -> tuple[list[list[Node]], list[Line]]:
    """Places for all nodes and lines, in rows; ``x`` is between 0 and ``room``. The graph must have no circle."""
    depth = _rows(widths, edges, room, gap)
    nodes = {name: Node(name, depth[name], width) for name, width in widths.items()}
    rows: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes.values():
        rows[node.row].append(node)
    lines: list[Line] = []
    for name in edges:
        for used in sorted(edges[name]):
            line = [nodes[name]]
            for row in range(depth[name] + 1, depth[used]):
                line.append(Node("", row, PASSING))
                rows[row].append(line[-1])
            line.append(nodes[used])
            for upper, lower in pairwise(line):
                upper.below.append(lower)
                lower.above.append(upper)
            lines.append(line)
    _order(rows)
    _place(rows, room, gap)
    return rows, lines


def _rows(widths: Mapping[str, float], edges: Graph, room: float, gap: float) -> dict[str, int]:
    """The row of each node: right below the lowest that uses it, or further down where a row would be too wide."""
    users: dict[str, set[str]] = {name: set() for name in widths}
    for name, used in edges.items():
        for other in used:
            users[other].add(name)
    least = dict.fromkeys(widths, 0)
    while True:
        depth: dict[str, int] = {}

        def find(name: str, depth: dict[str, int] = depth) -> int:
            if name not in depth:
                depth[name] = max(least[name], *(1 + find(user) for user in users[name]), 0)
            return depth[name]

        for name in widths:
            find(name)
        last = max(depth.values(), default=-1) + 1
        for row in range(last):
            here = sorted(name for name in widths if depth[name] == row)
            passing = sum(depth[name] < row < depth[used] for name in edges for used in edges[name])
            if len(here) > 1 and sum(widths[name] + gap for name in here) + passing * (PASSING + gap) > room:
                # The node that can go furthest down without pushing what it uses.
                pushed = max(here, key=lambda name: (min([last, *(depth[used] for used in edges[name])]), name))
                least[pushed] = row + 1
                break
        else:
            return depth


def _crossings(rows: Sequence[Sequence[Node]]) -> int:
    """How many pairs of lines cross."""
    found = 0
    for row, below in pairwise(rows):
        place = {id(node): index for index, node in enumerate(below)}
        ends = [sorted(place[id(lower)] for lower in node.below) for node in row]
        flat = [end for group in ends for end in group]
        found += sum(a > b for index, a in enumerate(flat) for b in flat[index + 1 :])
    return found


def _by(middles: Mapping[int, float]) -> Callable[[Node], float]:
    return lambda node: middles[id(node)]


def _order(rows: list[list[Node]]) -> None:
    """Order each row by the middle of its neighbours, downwards and upwards in turns; keep the best."""
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for number in range(24):
        downwards = number % 2 == 0
        place = {id(node): (index + 0.5) / len(row) for row in rows for index, node in enumerate(row)}
        for row in rows if downwards else reversed(rows):
            middles = {
                id(node): sum(place[id(other)] for other in near) / len(near)
                if (near := node.above if downwards else node.below)
                else place[id(node)]
                for node in row
            }
            row.sort(key=_by(middles))
            place |= {id(node): (index + 0.5) / len(row) for index, node in enumerate(row)}
        if (crossings := _crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _place(rows: Sequence[Sequence[Node]], room: float, gap: float) -> None:
    """Give each node its ``x``: as near as possible to the middle of its neighbours, in the order of its row."""
    for row in rows:
        _settle(row, [room / 2] * len(row), room, gap)
    for number in range(60):
        for row in rows if number % 2 == 0 else reversed(rows):
            wanted: list[float] = []
            for node in row:
                near = [*node.above, *node.below]
                if not node.name:  # a line that passes several rows goes straight through them
                    near = [other for other in near if not other.name] or near
                wanted.append(sum(other.x for other in near) / len(near) if near else node.x)
            _settle(row, wanted, room, gap)
    nodes = [node for row in rows for node in row]
    left = min((node.x - node.width / 2 for node in nodes), default=0.0)
    right = max((node.x + node.width / 2 for node in nodes), default=0.0)
    for node in nodes:
        node.x += (room - left - right) / 2  # all of it in the middle


def _settle(row: Sequence[Node], wanted: Sequence[float], room: float, gap: float) -> None:
    """Put each node where it wants to be; nodes that would overlap share the middle (pool adjacent violators)."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + left.width / 2 + gap + right.width / 2)
    blocks: list[tuple[float, float]] = []  # the sum of wishes, and their weight
    sizes: list[int] = []
    for node, wish, offset in zip(row, wanted, offsets, strict=True):
        weight = 1.0 if node.name else 2.0  # a line that passes is better straight
        block, size = ((wish - offset) * weight, weight), 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            block = (blocks[-1][0] + block[0], blocks[-1][1] + block[1])
            size += sizes.pop()
            blocks.pop()
        blocks.append(block)
        sizes.append(size)
    at = [total / weight for (total, weight), size in zip(blocks, sizes, strict=True) for _ in range(size)]
    low, high = row[0].width / 2, room - row[-1].width / 2 - offsets[-1]
    for node, place, offset in zip(row, at, offsets, strict=True):
        node.x = max(low, min(high, place)) + offset
