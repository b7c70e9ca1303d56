"""Lines that fit: tables whose columns give way, lists that share a height, and blocks beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from rich.cells import cell_len
from rich.text import Text

from .record import Record

GAP = "  "
RULE = " │ "


def shares(wants: Sequence[int], space: int) -> list[int]:
    """Share a space fairly: none gets more than it wants, and what one leaves is for the others."""
    given = [0] * len(wants)
    order = sorted(range(len(wants)), key=lambda index: wants[index])
    for place, index in enumerate(order):
        given[index] = min(wants[index], max(0, space) // (len(order) - place))
        space -= given[index]
    return given


def cut(line: Text, width: int, *, pad: bool = False) -> Text:
    """A line that is at most that wide. ``pad``: exactly that wide. A wide character is never cut in two."""
    line = line.copy()
    line.truncate(max(0, width), overflow="ellipsis", pad=pad)
    return line


def top_of(lines: Sequence[Text], height: int) -> list[Text]:
    """The first lines. If some are left out, the last line says how many."""
    if len(lines) <= height:
        return list(lines)
    if height <= 0:
        return []
    return [*lines[: height - 1], Text(f"… {len(lines) - height + 1:,} more lines", "dim")]


def packed(parts: Sequence[Text], width: int) -> list[Text]:
    """Parts beside each other, in as many lines as they need. No part is broken, but one that is too long is cut."""
    lines: list[Text] = []
    for part in parts:
        part = cut(part, width)
        if lines and lines[-1].cell_len + len(GAP) + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], GAP, part)
        else:
            lines.append(part)
    return lines


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Two blocks beside each other. The left one is ``width`` wide."""
    lines: list[Text] = []
    for index in range(max(len(left), len(right))):
        line = cut(left[index] if index < len(left) else Text(), width, pad=True)
        lines.append(Text.assemble(line, (RULE, "dim"), right[index] if index < len(right) else Text()))
    return lines


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        title: What stands above it.
        cell: The text of a row.
        rank: Columns with the highest rank give way first, all together, if there is no room. With rank 0 they stay.
        least: The fewest cells that it can be shown in.
        is_number: Whether it is set to the right, and never cut.
    """

    title: str
    cell: Callable[[Record], Text]
    rank: int = 0
    least: int = 10
    is_number: bool = False


def table(columns: Sequence[Column], rows: Sequence[Record], width: int, none: str) -> list[Text]:
    """A line with the titles, and one for each row. ``none`` is what is said if there is no row."""
    if not rows:
        return [Text(none, "dim")]
    cells = [[column.cell(row) for row in rows] for column in columns]
    widest = [
        max(cell_len(column.title), *(cell.cell_len for cell in cells[index])) for index, column in enumerate(columns)
    ]
    least = [wide if columns[index].is_number else min(wide, columns[index].least) for index, wide in enumerate(widest)]
    shown = list(range(len(columns)))
    while sum(least[index] for index in shown) + len(GAP) * (len(shown) - 1) > width:
        rank = max(columns[index].rank for index in shown)
        if rank == 0:
            break
        shown = [index for index in shown if columns[index].rank < rank]
    # What is left beyond the least is shared among those that want more.
    space = width - len(GAP) * (len(shown) - 1) - sum(least[index] for index in shown)
    more = shares([widest[index] - least[index] for index in shown], space)
    widths = [least[index] + extra for index, extra in zip(shown, more, strict=True)]

    lines: list[Text] = []
    for row in range(-1, len(rows)):
        line = Text()
        for index, wide in zip(shown, widths, strict=True):
            cell = cells[index][row] if row >= 0 else Text(columns[index].title, "dim")
            cell = cut(cell, wide)
            room = Text(" " * (wide - cell.cell_len))
            line.append(GAP if line else "")
            line += room + cell if columns[index].is_number else cell + room
        lines.append(cut(line, width))
    return lines
