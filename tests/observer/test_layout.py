"""Where the boxes of the tree are drawn."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trioreg._observer.layout import BETWEEN, HEIGHT, LOWEST, WIDTH, Layout, lay_out

Boxes = list[tuple[str, str | None]]


@st.composite
def forests(draw: st.DrawFn) -> Boxes:
    """Boxes as `lay_out` wants them: each one hangs on one of those that are still open, or on none."""
    boxes: Boxes = []
    open_now: list[str] = []
    for number in range(draw(st.integers(0, 40))):
        depth = draw(st.integers(0, len(open_now)))
        del open_now[depth:]
        boxes.append((str(number), open_now[-1] if open_now else None))
        open_now.append(str(number))
    return boxes


def naive(boxes: Boxes) -> dict[str, tuple[int, float]]:
    """The level and the row of each box, by recursion: leaves below each other, a parent between its outer ones."""
    places: dict[str, tuple[int, float]] = {}
    row = 0

    def put(id: str, level: int) -> float:
        nonlocal row
        rows = [put(child, level + 1) for child, parent in boxes if parent == id]
        if not rows:
            rows, row = [float(row)], row + 1
        places[id] = level, min((rows[0] + rows[-1]) / 2, rows[0] + LOWEST)
        return places[id][1]

    for id, parent in boxes:
        if parent is None:
            put(id, 0)
    return places


def do_overlap(layout: Layout, one: str, other: str) -> bool:
    a, b = layout.places[one], layout.places[other]
    return abs(a.x - b.x) < WIDTH and abs(a.y - b.y) < HEIGHT + BETWEEN - 1e-6


@given(forests())
def test_no_two_boxes_overlap_and_all_are_in_the_picture(boxes: Boxes) -> None:
    layout = lay_out(boxes)
    ids = [id for id, _ in boxes]
    assert [*layout.places] == ids
    for number, one in enumerate(ids):
        assert not any(do_overlap(layout, one, other) for other in ids[:number])
        place = layout.places[one]
        assert 0 < place.x < place.x + WIDTH < layout.width
        assert 0 < place.y < place.y + HEIGHT < layout.height


@given(forests())
def test_the_places_are_those_of_a_naive_layout(boxes: Boxes) -> None:
    layout, expected = lay_out(boxes), naive(boxes)
    step = HEIGHT + BETWEEN
    top = min((place.y for place in layout.places.values()), default=0.0)
    found = {id: (place.level, round((place.y - top) / step, 6)) for id, place in layout.places.items()}
    least = min((row for _, row in expected.values()), default=0.0)
    assert found == {id: (level, round(row - least, 6)) for id, (level, row) in expected.items()}


@given(forests())
def test_each_child_has_one_line_from_the_right_side_of_its_parent_to_its_own_left_side(boxes: Boxes) -> None:
    layout = lay_out(boxes)
    assert [(edge["child"], edge["parent"]) for edge in layout.edges] == [
        (id, on) for id, on in boxes if on is not None
    ]
    for edge in layout.edges:
        parent, child = layout.places[edge["parent"]], layout.places[edge["child"]]
        assert (edge["x1"], edge["y1"]) == (parent.x + WIDTH, parent.y + HEIGHT / 2)
        assert (edge["x2"], edge["y2"]) == (child.x, child.y + HEIGHT / 2)
        assert edge["x1"] < edge["x2"]


@given(forests())
def test_children_are_drawn_from_top_to_bottom_in_their_order(boxes: Boxes) -> None:
    layout = lay_out(boxes)
    for parent in {on for _, on in boxes}:
        children = [layout.places[id].y for id, on in boxes if on == parent]
        assert all(first < second for first, second in pairwise(children))


def test_an_empty_tree_is_a_small_picture() -> None:
    layout = lay_out([])
    assert (layout.places, layout.edges) == ({}, [])
    assert layout.width > 0 and layout.height > 0


def test_a_very_deep_tree_needs_no_recursion() -> None:
    boxes: Boxes = [(str(number), str(number - 1) if number else None) for number in range(5000)]
    layout = lay_out(boxes)
    assert {place.y for place in layout.places.values()} == {layout.places["0"].y}
