"""The picture of the house: each wing a box, its files and their imports inside, arrows from wing to wing.

Graphviz and Mermaid need a program or a browser on the machine. This drawing needs neither. It is an SVG in the page
itself, so it takes its colours from the page's theme, light or dark.

All lengths are in the SVG's own units, about one pixel each.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from house import Wing, levels, read, without_shortcuts
from layers import Node, arrange

WIDTH = 760
LANE = 26
"""The most room for one arrow past a floor; with many of them, they share a quarter of the width."""
MARGIN = 8
GAP = 44
"""Between two floors: room for an arrow and its number."""
PADDING = 12
CHIP = 22
CHIP_GAP = 10
ROW_GAP = 22
LINE = 16

STYLE = """
.house-frame { overflow-x: auto }
.house { width: 100%; min-width: 640px; height: auto; font: 12px var(--font-stack, sans-serif) }
.house text { fill: var(--color-foreground-primary, currentColor) }
.house .wing { fill: var(--color-background-secondary, none); stroke: var(--color-foreground-border, currentColor) }
.house .name { font: 600 14px var(--font-stack--monospace, monospace) }
.house .doc { fill: var(--color-foreground-secondary, currentColor) }
.house .chip { fill: var(--color-background-primary, none); stroke: var(--color-foreground-border, currentColor) }
.house .first .chip { stroke: var(--color-foreground-primary, currentColor); stroke-width: 2 }
.house .file { font: 11.5px var(--font-stack--monospace, monospace); text-anchor: middle }
.house .import { fill: none; stroke: var(--color-foreground-muted, currentColor); stroke-opacity: .75 }
.house .import path, .house .use path { fill: none; stroke: inherit }
.house .use { fill: none; stroke: var(--color-brand-content, currentColor); stroke-width: 2 }
.house .head { fill: var(--color-brand-content, currentColor); stroke: none }
.house .small { fill: var(--color-foreground-muted, currentColor); stroke: none }
.house .count { font-size: 11px; stroke: none; fill: var(--color-brand-content, currentColor) }
.house .behind { stroke: var(--color-background-primary, none); stroke-width: 4; paint-order: stroke }
"""


@dataclass
class Box:
    """Where a wing or a file is drawn."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def right(self) -> float:
        return self.x + self.width

    def rect(self, kind: str, rounded: int) -> str:
        return (
            f'<rect class="{kind}" x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}" '
            f'height="{self.height:.1f}" rx="{rounded}"/>'
        )


def draw(package: Path) -> str:
    """The house as an SVG."""
    wings = read(package)
    floors = levels({wing.name: set(wing.uses) for wing in wings}, "wings")
    by_floor = [[wing for wing in wings if floors[wing.name] == floor] for floor in range(max(floors.values()) + 1)]
    far = sum(floors[wing.name] - floors[used] > 1 for wing in wings for used in wing.uses)
    room = WIDTH - 2 * MARGIN - (_lane(far) * far + 8 if far else 0)

    boxes: dict[str, Box] = {}
    shown: list[str] = []
    roof, y = _roof(package, wings, room)
    shown += roof
    for floor in reversed(by_floor):
        y += GAP
        x = float(MARGIN)
        tallest = 0.0
        widths = _widths(floor, room)
        insides: list[tuple[Wing, list[str]]] = []
        for wing, width in zip(floor, widths, strict=True):
            inside, height = _inside(wing, x, y, width)
            boxes[wing.name] = Box(x, y, width, height)
            insides.append((wing, inside))
            tallest = max(tallest, height)
            x += width + CHIP_GAP * 2
        for wing, inside in insides:
            boxes[wing.name].height = tallest
            shown += [f'<g data-wing="{escape(wing.name)}">', boxes[wing.name].rect("wing", 8), *inside, "</g>"]
        y += tallest
    shown += _arrows(by_floor, floors, boxes, room)
    height = y + MARGIN
    return "\n".join(
        [
            '<div class="house-frame">',
            f'<svg xmlns="http://www.w3.org/2000/svg" class="house" viewBox="0 0 {WIDTH} {height:.0f}" role="img"',
            '     aria-label="The wings of trioreg, their files, and the imports between them">',
            f"<style>{STYLE}</style>",
            '<defs><marker id="house-use" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="4.5" markerHeight="4.5"',
            '  orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker>',
            '<marker id="house-import" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"',
            '  orient="auto"><path class="small" d="M0,1 L8,4 L0,7 z"/></marker></defs>',
            *shown,
            "</svg>",
            "</div>",
        ]
    )


def _lane(far: int) -> float:
    """How wide the lane of each arrow past a floor is, if there are ``far`` of these arrows."""
    return min(LANE, WIDTH / 4 / max(far, 1))


def _text(kind: str, x: float, y: float, text: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{escape(text, quote=False)}</text>'


def _roof(package: Path, wings: Sequence[Wing], room: float) -> tuple[list[str], float]:
    """The public modules, which import from all wings: said in words, not in arrows."""
    box = Box(MARGIN, MARGIN, room, PADDING * 2 + LINE * 1.6)
    files = ", ".join(sorted(path.name for path in package.glob("*.py")))
    names = ", ".join(wing.name for wing in reversed(wings))
    return [
        "<g>",
        box.rect("wing", 8),
        _text("name", box.x + PADDING, box.y + PADDING + 10, f"{package.name}/ {files}"),
        _text("doc", box.x + PADDING, box.y + PADDING + 10 + LINE, f"every public name, from {names}"),
        "</g>",
    ], box.bottom - GAP / 2


def _widths(floor: Sequence[Wing], room: float) -> list[float]:
    """Wings of one floor stand side by side, and share its width by how many files they have."""
    free = room - CHIP_GAP * 2 * (len(floor) - 1) - 150 * len(floor)
    total = max(1, sum(len(wing.files) for wing in floor))
    return [150 + free * len(wing.files) / total for wing in floor]


def _inside(wing: Wing, x: float, y: float, width: float) -> tuple[list[str], float]:
    """The text and the files of a wing, and how high it is with them."""
    words = wing.headline.translate({ord("`"): None, ord("*"): None})
    text = textwrap.wrap(words, int((width - 2 * PADDING) / 6.1))
    shown = [_text("name", x + PADDING, y + PADDING + 10, wing.name)]
    for number, part in enumerate(text, 1):
        shown.append(_text("doc", x + PADDING, y + PADDING + 10 + LINE * number, part))
    top = y + PADDING + 10 + LINE * len(text) + 12

    edges = without_shortcuts(wing.imports)
    rows, lines = arrange({file: _chip_width(file) for file in wing.files}, edges, width - 2 * PADDING, CHIP_GAP)
    left = x + PADDING

    def y_of(node: Node) -> float:
        return top + node.row * (CHIP + ROW_GAP)

    for line in lines:
        shown.append(_line(wing, line[0].name, line[-1].name, [(left + node.x, y_of(node)) for node in line]))
    for node in (node for places in rows for node in places if node.name):
        box = Box(left + node.x - node.width / 2, y_of(node), node.width, CHIP)
        label = _text("file", box.middle, box.y + 15, node.name)
        tip = f"<title>{escape(wing.files[node.name], quote=False)}</title>"
        kind = ' class="first"' if node.name == wing.first else ""
        shown += [
            f'<g{kind} data-file="{escape(wing.name)}/{escape(node.name)}">{tip}',
            box.rect("chip", 5),
            label,
            "</g>",
        ]
    return shown, top + len(rows) * (CHIP + ROW_GAP) - ROW_GAP + PADDING - y


def _chip_width(file: str) -> float:
    return 14 + 7.0 * len(file)


def _line(wing: Wing, file: str, other: str, points: Sequence[tuple[float, float]]) -> str:
    """From one file down to another. In each row on its way the line goes straight down, between the files."""
    x, y = points[0]
    path = f"M{x:.1f},{y + CHIP:.1f}"
    half = ROW_GAP / 2
    for index, (x_next, y_next) in enumerate(points[1:], 2):
        start, end = y + CHIP, y_next - (index == len(points))
        path += f" C{x:.1f},{start + half:.1f} {x_next:.1f},{end - half:.1f} {x_next:.1f},{end:.1f}"
        if index < len(points):
            path += f" v{CHIP}"
        x, y = x_next, y_next
    return (
        f'<g class="import" data-from="{escape(wing.name)}/{escape(file)}" '
        f'data-to="{escape(wing.name)}/{escape(other)}"><path d="{path}" marker-end="url(#house-import)"/></g>'
    )


def _arrows(
    by_floor: Sequence[Sequence[Wing]], floors: Mapping[str, int], boxes: Mapping[str, Box], room: float
) -> Iterator[str]:
    """One arrow from each wing to each wing that it uses, with how many names it takes from there.

    To the next floor it goes straight down. Further down it goes through a lane of its own beside the house.
    """
    wings = [wing for floor in by_floor for wing in floor]
    width = _lane(sum(floors[wing.name] - floors[used] > 1 for wing in wings for used in wing.uses))
    lane = MARGIN + room + 8.0 + width / 2
    ins: dict[str, int] = {}
    for floor in reversed(by_floor):
        for wing in floor:
            above = boxes[wing.name]
            # The longest arrow leaves highest, so that it does not cross the others.
            outs = sum(floors[wing.name] - floors[used] > 1 for used in wing.uses)
            for used in sorted(wing.uses, key=lambda name: -floors[name]):
                below = boxes[used]
                names = sorted(wing.uses[used])
                if floors[wing.name] - floors[used] == 1:
                    x = (max(above.x, below.x) + min(above.right, below.right)) / 2
                    if max(above.x, below.x) >= min(above.right, below.right):
                        x = below.middle  # not one above the other: along the gap between the floors
                        turn = above.bottom + GAP / 2
                        path = f"M{above.middle:.1f},{above.bottom:.1f} V{turn:.1f} H{x:.1f} V{below.y:.1f}"
                    else:
                        path = f"M{x:.1f},{above.bottom:.1f} V{below.y:.1f}"
                    label = _text("count", x + 8, below.y - GAP / 2 + 4, _names(names))
                else:
                    outs -= 1
                    out = above.y + 22 + 16 * outs
                    into = below.y + 22 + 16 * ins.setdefault(used, 0)
                    ins[used] += 1
                    # A wing with another one beside it is left and reached through the gap between the floors.
                    is_beside_lanes = above.right > MARGIN + room - 1
                    path = (
                        f"M{above.right:.1f},{out:.1f}"
                        if is_beside_lanes
                        else f"M{above.middle:.1f},{above.bottom:.1f} v{GAP / 4:.1f}"
                    )
                    path += (
                        f" H{lane:.1f} V{into:.1f} H{below.right:.1f}"
                        if below.right > MARGIN + room - 1
                        else f" H{lane:.1f} V{below.y - GAP / 4:.1f} H{below.middle:.1f} V{below.y:.1f}"
                    )
                    middle = out + 70  # near its beginning, where no other arrow crosses it
                    turned = f' text-anchor="middle" transform="rotate(90 {lane:.1f} {middle:.1f})"'
                    label = _text("count behind", lane, middle + 4, _names(names), turned)
                    lane += width
                yield (
                    f'<g class="use" data-from="{escape(wing.name)}" data-to="{escape(used)}">'
                    f"<title>{escape(wing.name)} imports from {escape(used)}: {', '.join(names)}</title>"
                    f'<path d="{path}" marker-end="url(#house-use)"/>{label}</g>'
                )


def _names(names: Sequence[str]) -> str:
    return f"imports {len(names)} name" + ("s" if len(names) != 1 else "")
