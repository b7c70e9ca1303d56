"""Draws the picture of the ratios: ``python tests/benchmarks/picture.py results.json > docs/performance.svg``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from _report import TIMES

WIDTH, MARGIN, ROW, TOP, BOTTOM = 480, 8, 38, 52, 30
"""In units of the SVG. A phone shows one as three quarters of a pixel: the letters are still large enough."""

MOST = 1.75
"""Where the scale ends. A longer bar is cut off; its number says how long it is."""

# The page of the docs has the picture in itself, with the colours of its theme, light or dark. Elsewhere the picture is
# a light one.
STYLE = """
    .ratios { display: block; width: 100%; max-width: 40rem; margin: 1rem auto }
    .ratios text { font: 12px var(--font-stack, system-ui, sans-serif); fill: var(--color-foreground-primary, #1f2937) }
    .ratios .small { fill: var(--color-foreground-secondary, #5b6270) }
    .ratios .title { font-size: 14px; font-weight: 600 }
    .ratios .met { fill: #2f855a } .ratios .missed { fill: #c05621 }
    .ratios .line { stroke: var(--color-foreground-primary, #1f2937); stroke-width: 1.5 }
    .ratios .page { fill: var(--color-background-primary, #ffffff) }
"""


def draw(data: Mapping[str, Any]) -> str:
    """Draw each ratio that has a bar: its length is the ratio as a part of that bar."""
    titles = {operation["name"]: operation["title"] for operation in data["operations"]}
    ratios = [ratio for ratio in data["ratios"] if ratio["bar"] is not None]
    below = TOP + ROW * len(ratios)
    scale = (WIDTH - 2 * MARGIN) / MOST
    limit = MARGIN + scale
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ratios" viewBox="0 0 {WIDTH} {below + BOTTOM}" role="img"',
        '     aria-label="trioreg\'s ratios, each as a part of its bar">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{below + BOTTOM}"/>',
        f'<text class="title" x="{MARGIN}" y="20">Ratios: shorter is better, the line is the bar</text>',
        f'<text class="small" x="{limit:.0f}" y="40" text-anchor="middle">the bar</text>',
    ]
    for index, ratio in enumerate(ratios):
        y = TOP + ROW * index
        length = min(ratio["ratio"] / ratio["bar"], MOST) * scale
        kind = "met" if ratio["is_met"] else "missed"
        number = f"{ratio['ratio']:.2f} {TIMES} {ratio['than']}, bar {ratio['bar']:g}"
        parts += [
            f'<text x="{MARGIN}" y="{y + 12}">{escape(titles[ratio["operation"]])}</text>',
            f'<text class="small" x="{WIDTH - MARGIN}" y="{y + 12}" text-anchor="end">{escape(number)}</text>',
            f'<rect class="{kind}" x="{MARGIN}" y="{y + 17}" width="{length:.1f}" height="12" rx="2"/>',
            f'<line class="line" x1="{limit:.1f}" y1="{y + 15}" x2="{limit:.1f}" y2="{y + 31}"/>',
        ]
    parts += [
        f'<text class="small" x="{MARGIN}" y="{below + 16}">{escape(data["machine"])}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), end="")
