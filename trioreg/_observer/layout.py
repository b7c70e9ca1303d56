"""Where the boxes of a tree are drawn: plain numbers. A parent is left of its children, and in the middle of them.

A parent of many children is near the first ones: else you would see neither the top of a large tree nor its first
branch when the page opens.

All boxes have one size. So a parent is never higher than its children together, and each branch has its own rows.

Must never happen: two boxes on one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import attrs

WIDTH, HEIGHT = 200.0, 56.0
"""The size of each box, in the units of the picture."""

BESIDE = 64.0
"""How much room is between a parent and its children."""

BETWEEN = 14.0
"""How much room is between two boxes that are one above the other."""

LOWEST = 3.0
"""How many rows a parent is below its first child, at most."""

MARGIN = 14.0
"""How much room is around the picture."""


class Edge(TypedDict):
    """The line from a parent to one of its children."""

    parent: str
    child: str
    x1: float
    y1: float
    x2: float
    y2: float


@attrs.define
class Place:
    """Where one box is: its level, counted from the left, and its upper left corner."""

    level: int
    x: float
    y: float


@attrs.frozen
class Layout:
    """A picture: the places of its boxes by their ids, its lines, and its size."""

    places: dict[str, Place]
    edges: list[Edge]
    width: float
    height: float


def lay_out(boxes: Sequence[tuple[str, str | None]]) -> Layout:
    """Give each box its place. The cost grows with the number of boxes, however deep the tree is.

    Args:
        boxes: The id of each box, and of its parent, or None. Each comes behind its parent. All that is below a box
            comes before the next box that is not.
    """
    places: dict[str, Place] = {}
    outer: dict[str, tuple[Place, Place]] = {}  # the first and the last child
    parents = {parent for _, parent in boxes}
    y = MARGIN
    for id, parent in boxes:
        level = 0 if parent is None else places[parent].level + 1
        place = places[id] = Place(level, MARGIN + level * (WIDTH + BESIDE), y)
        if parent is not None:
            outer[parent] = (outer[parent][0] if parent in outer else place, place)
        if id not in parents:
            y += HEIGHT + BETWEEN
    for id, _ in reversed(boxes):  # children before their parents
        if id in outer:
            first, last = outer[id]
            places[id].y = min((first.y + last.y) / 2, first.y + LOWEST * (HEIGHT + BETWEEN))
    right = max((place.x for place in places.values()), default=MARGIN - WIDTH)
    return Layout(
        places,
        [_edge(places, parent, id) for id, parent in boxes if parent is not None],
        right + WIDTH + MARGIN,
        max(y - BETWEEN, MARGIN) + MARGIN,
    )


def _edge(places: dict[str, Place], parent: str, child: str) -> Edge:
    left, right = places[parent], places[child]
    middle = HEIGHT / 2
    return Edge(parent=parent, child=child, x1=left.x + WIDTH, y1=left.y + middle, x2=right.x, y2=right.y + middle)
