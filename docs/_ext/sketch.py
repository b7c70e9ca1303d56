"""What a diagram is drawn with: boxes, arrows and words, on a sheet as wide as a phone.

A `Sketch` is an SVG in the page itself, so it takes its colours from the page's theme, light or dark. All lengths are
in the SVG's own units. On a phone one unit is about one pixel; on a larger screen it is a little more. A word that does
not fit into its box is an error, and fails the docs build.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 360
LINE = 16
SANS, MONO = 6.3, 6.9
"""About how wide a letter is."""

STYLE = """
.sketch { display: block; width: 100%; max-width: 30rem; height: auto; margin: 1rem auto }
.sketch text { font: 12px var(--font-stack, sans-serif); fill: var(--color-foreground-primary, currentColor) }
.sketch .code { font: 11.5px var(--font-stack--monospace, monospace) }
.sketch .strong { font-weight: 600 }
.sketch .quiet { fill: var(--color-foreground-secondary, currentColor) }
.sketch .box { fill: var(--color-background-secondary, none); stroke: var(--color-foreground-border, currentColor) }
.sketch .new { stroke: var(--color-brand-content, currentColor); stroke-width: 2 }
.sketch .gone { stroke-dasharray: 4 3; fill: none }
.sketch .line { fill: none; stroke: var(--color-brand-content, currentColor); stroke-width: 1.5 }
.sketch .wait { stroke-dasharray: 4 3 }
.sketch .head { fill: var(--color-brand-content, currentColor); stroke: none }
"""


class SketchError(Exception):
    """Something does not fit."""


class Sketch:
    """A drawing that grows with each call. ``y`` is how far down it goes."""

    def __init__(self, name: str, alt: str) -> None:
        self.name = name
        self.alt = alt
        self.y = 0.0
        self._shown: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", *, anchor: str = "middle") -> None:
        """Words on one line, in the middle of ``x``, or beginning or ending there."""
        width = len(words) * (MONO if "code" in kind else SANS)
        left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
        if left < 0 or left + width > WIDTH:
            raise SketchError(f"{self.name}: {words!r} is wider than the sheet")
        self._reach(y + 4)
        self._shown.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words, quote=False)}</text>'
        )

    def box(
        self, x: float, y: float, width: float, lines: Sequence[str], kind: str = "", *, height: float = 0
    ) -> float:
        """A box with lines of words in it, the first one strong. Returns where it ends."""
        height = height or 14 + LINE * len(lines)
        self._reach(y + height)
        self._shown.append(
            f'<rect class="box {kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'
        )
        first = y + height / 2 - LINE * (len(lines) - 1) / 2 + 4
        for number, line in enumerate(lines):
            look = "strong" if number == 0 else "quiet"
            if line.startswith("`"):
                line, look = line.strip("`"), look + " code"
            if len(line) * (MONO if "code" in look else SANS) > width - 6:
                raise SketchError(f"{self.name}: {line!r} is wider than its box")
            self.text(x + width / 2, first + LINE * number, line, look)
        return y + height

    def arrow(self, points: Sequence[tuple[float, float]], kind: str = "") -> None:
        """An arrow through some points."""
        path = " L".join(f"{x:g},{y:g}" for x, y in points)
        self._reach(max(y for _, y in points))
        self._shown.append(f'<path class="line {kind}" d="M{path}" marker-end="url(#{self.name}-head)"/>')

    def svg(self) -> str:
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" class="sketch" viewBox="0 0 {WIDTH} {self.y + 6:g}"',
                f'  role="img" aria-label="{escape(self.alt)}">',
                f"<style>{STYLE}</style>",
                f'<defs><marker id="{self.name}-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6"',
                '  markerHeight="6" orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
                *self._shown,
                "</svg>",
            ]
        )

    def _reach(self, y: float) -> None:
        self.y = max(self.y, y)
