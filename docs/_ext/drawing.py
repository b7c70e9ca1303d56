"""The pictures of the house: its wings and what they import from each other, and the same for the files of a wing.

Graphviz and Mermaid need a program or a browser on the machine. This drawing needs neither. Each picture is an SVG in
the page itself, so it takes its colours from the page's theme, light or dark.

All lengths are in the SVG's own units. The picture of the wings is as wide as a phone. A picture of files may be twice
as wide; on a phone it scrolls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from house import Graph, HouseError, Wing, read, without_shortcuts
from layers import Node, arrange

WINGS_WIDTH = 360
FILES_WIDTH = 720
MARGIN = 4
GAP = 10

STYLE = """
.house-frame { overflow-x: auto }
.house { display: block; width: 100%; height: auto; margin: 1rem auto }
.house-wings { max-width: 30rem }
.house-files { min-width: calc(var(--wide) * 0.85px); max-width: calc(var(--wide) * 1px) }
.house text { font: 11.5px var(--font-stack--monospace, monospace); text-anchor: middle }
.house text { fill: var(--color-foreground-primary, currentColor) }
.house .count { font: 11px var(--font-stack, sans-serif); fill: var(--color-foreground-secondary, currentColor) }
.house .box { fill: var(--color-background-secondary, none); stroke: var(--color-foreground-border, currentColor) }
.house .first .box { stroke: var(--color-foreground-primary, currentColor); stroke-width: 2 }
.house .arrow { fill: none; stroke: var(--color-foreground-muted, currentColor) }
.house-wings .arrow { stroke: var(--color-brand-content, currentColor); stroke-width: 1.5 }
.house .head { fill: var(--color-foreground-muted, currentColor); stroke: none }
.house-wings .head { fill: var(--color-brand-content, currentColor) }
"""


@dataclass
class Box:
    """What is drawn for a wing or a file.

    Attributes:
        lines: The words in it: the name, and below it what else there is to say.
        tip: What a pointer on it shows.
        kind: ``"wing"`` or ``"file"``.
        address: Which one, for those who read the SVG.
        is_first: Whether to read this file first.
    """

    lines: Sequence[str]
    tip: str
    kind: str
    address: str
    is_first: bool = False

    @property
    def width(self) -> float:
        return 14 + 7.0 * max(map(len, self.lines))

    def draw(self, x: float, y: float, height: float) -> str:
        name, *more = self.lines
        first = y + height / 2 + 4 - 7 * len(more)
        words = [f'<text x="{x:.1f}" y="{first:.1f}">{escape(name)}</text>']
        words += [f'<text class="count" x="{x:.1f}" y="{first + 15:.1f}">{escape(line)}</text>' for line in more]
        kind = ' class="first"' if self.is_first else ""
        return (
            f'<g{kind} data-{self.kind}="{escape(self.address)}">'
            f"<title>{escape(self.tip, quote=False)}</title>"
            f'<rect class="box" x="{x - self.width / 2:.1f}" y="{y:.1f}" width="{self.width:.1f}" '
            f'height="{height:g}" rx="5"/>{"".join(words)}</g>'
        )


def draw(package: Path) -> str:
    """The wings of the house, the top one first."""
    wings = read(package)
    boxes = {
        wing.name: Box([wing.name, _count(len(wing.files), "file")], wing.headline, "wing", wing.name)
        for wing in reversed(wings)
    }
    tips = {
        (wing.name, used): f"{wing.name} imports from {used}: {', '.join(sorted(names))}"
        for wing in wings
        for used, names in wing.uses.items()
    }
    edges = {wing.name: set(wing.uses) for wing in reversed(wings)}
    label = "The wings of trioreg, and which of them import from which"
    return _picture("wings", label, boxes, edges, tips, room=WINGS_WIDTH, height=38, between=30)


def draw_files(wing: Wing) -> str:
    """The files of one wing."""
    boxes = {
        file: Box([file], sentence, "file", f"{wing.name}/{file}", is_first=file == wing.first)
        for file, sentence in wing.files.items()
    }
    tips = {(file, used): f"{file} imports {used}" for file, uses in wing.imports.items() for used in uses}
    label = f"The files of {wing.name}, and which of them import which"
    return _picture("files", label, boxes, wing.imports, tips, room=FILES_WIDTH, height=22, between=22)


def _picture(
    kind: str,
    label: str,
    boxes: Mapping[str, Box],
    imports: Graph,
    tips: Mapping[tuple[str, str], str],
    *,
    room: float,
    height: float,
    between: float,
) -> str:
    """Boxes in rows, each above all that it imports, and arrows between them. It is as wide as it has to be."""
    widths = {name: box.width for name, box in boxes.items()}
    rows, lines = arrange(widths, without_shortcuts(imports), room - 2 * MARGIN, GAP)
    places = [node for row in rows for node in row]
    left = min((node.x - node.width / 2 for node in places), default=0)
    right = max((node.x + node.width / 2 for node in places), default=0)
    if right - left > room:
        raise HouseError(f"{label}: the picture does not fit into {room:g}")

    def at(node: Node) -> tuple[float, float]:
        return node.x - left + MARGIN, MARGIN + node.row * (height + between)

    wide = right - left + 2 * MARGIN
    tall = len(rows) * (height + between) - between + 2 * MARGIN
    shown: list[str] = []
    for line in lines:
        name, used = line[0].name, line[-1].name
        path = _path([at(node) for node in line], height, between)
        shown.append(
            f'<g data-from="{escape(boxes[name].address)}" data-to="{escape(boxes[used].address)}">'
            f"<title>{escape(tips[name, used], quote=False)}</title>"
            f'<path class="arrow" d="{path}" marker-end="url(#house-{kind})"/></g>'
        )
    shown += [boxes[node.name].draw(*at(node), height) for node in places if node.name]
    return "\n".join(
        [
            '<div class="house-frame">',
            f'<svg xmlns="http://www.w3.org/2000/svg" class="house house-{kind}" style="--wide: {wide:.0f}"',
            f'     viewBox="0 0 {wide:.0f} {tall:.0f}" role="img" aria-label="{escape(label)}">',
            f"<style>{STYLE}</style>",
            f'<defs><marker id="house-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"',
            '  orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
            *shown,
            "</svg>",
            "</div>",
        ]
    )


def _path(points: Sequence[tuple[float, float]], height: float, between: float) -> str:
    """From one box down to another. In each row on its way the line goes straight down, between the boxes."""

    def steps() -> Iterator[str]:
        x, y = points[0]
        yield f"M{x:.1f},{y + height:.1f}"
        half = between / 2
        for index, (x_next, y_next) in enumerate(points[1:], 2):
            start, end = y + height, y_next - (index == len(points))
            yield f"C{x:.1f},{start + half:.1f} {x_next:.1f},{end - half:.1f} {x_next:.1f},{end:.1f}"
            if index < len(points):
                yield f"v{height:g}"
            x, y = x_next, y_next

    return " ".join(steps())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
