"""Draws the picture of the ratios: ``python tests/benchmarks/picture.py results.json > docs/performance.svg``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from _report import TIMES

WIDTH, LABELS, NUMBERS, ROW, TOP, BOTTOM = 840, 300, 120, 34, 56, 44
MOST = 1.75
"""Where the scale ends. A longer bar is cut off; its number says how long it is."""

STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2937 }
    .small { font-size: 11px; fill: #6b7280 }
    .title { font-size: 15px; font-weight: 600 }
    .met { fill: #2f855a } .missed { fill: #c05621 }
    .line { stroke: #1f2937; stroke-width: 1.5 }
    rect.page { fill: #ffffff }
"""


def draw(data: Mapping[str, Any]) -> str:
    """Draw each ratio that has a bar: its length is the ratio as a part of that bar."""
    titles = {operation["name"]: operation["title"] for operation in data["operations"]}
    ratios = [ratio for ratio in data["ratios"] if ratio["bar"] is not None]
    height = TOP + ROW * len(ratios) + BOTTOM
    room = WIDTH - LABELS - NUMBERS
    limit = LABELS + room / MOST
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        '     aria-label="trioreg\'s ratios, each as a part of its bar">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LABELS}" y="24">Ratios: shorter is better, the line is the bar</text>',
        f'<text class="small" x="{limit:.0f}" y="44" text-anchor="middle">the bar</text>',
    ]
    for index, ratio in enumerate(ratios):
        y = TOP + ROW * index
        length = min(ratio["ratio"] / ratio["bar"], MOST) * room / MOST
        kind = "met" if ratio["is_met"] else "missed"
        number = f"{ratio['ratio']:.2f} {TIMES} {ratio['than']}, bar {ratio['bar']:g}"
        is_inside = length > room * 0.6
        x, anchor, fill = (
            (LABELS + length - 8, "end", ' style="fill:#fff"')
            if is_inside
            else (max(LABELS + length, limit) + 8, "start", "")  # behind the line, which would cross it out
        )
        parts += [
            f'<text x="{LABELS - 10}" y="{y + 18}" text-anchor="end">{escape(titles[ratio["operation"]])}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{y + 4}" width="{length:.1f}" height="{ROW - 12}" rx="2"/>',
            f'<text x="{x:.1f}" y="{y + 18}" text-anchor="{anchor}"{fill}>{escape(number)}</text>',
        ]
    below = TOP + ROW * len(ratios)
    parts += [
        f'<line class="line" x1="{limit:.1f}" y1="{TOP - 6}" x2="{limit:.1f}" y2="{below}"/>',
        f'<text class="small" x="{LABELS}" y="{below + 24}">{escape(data["machine"])}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), end="")
