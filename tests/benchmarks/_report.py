"""Makes the tables of the benchmarks, and writes them into the docs page."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "performance.md"
PICTURE = DOCS / "performance.svg"

NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is easy to read in a terminal. All columns but the first are aligned to the right."""
    widths = [max(3, *map(len, column)) for column in zip(headers, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(headers), line(rule), *map(line, rows)])


def amount(value: float | None, unit: str) -> str:
    """A number of nanoseconds or bytes, with only the digits that mean something."""
    if value is None:
        return NOTHING
    if unit == "B":
        return f"{value:,.0f} B"
    if value >= 1e6:
        return f"{value / 1e6:,.1f} ms"
    if value >= 100e3:
        return f"{value / 1e3:,.0f} µs"
    return f"{value:,.0f} ns" if value < 1e3 else f"{float(f'{value:.3g}'):,.0f} ns"


def median(samples: Sequence[float]) -> float | None:
    return statistics.median(samples) if samples else None


def machine() -> str:
    """The machine that was measured, without its name or its user's."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def write_into_docs(part: str, text: str) -> None:
    """Put ``text`` between the markers ``part: begin`` and ``part: end`` of the docs page."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    page = PAGE.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    _, found_too, after = rest.partition(end)
    if not (found and found_too):
        raise SystemExit(f"{PAGE.name} has no {begin} ... {end}")
    PAGE.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")
