"""What a whole screen is made of: the head line, a page or the dashboard, and the line with the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs
from rich.text import Text

from .arguments import PAGES
from .client import Answer
from .lines import GAP, RULE, beside, cut, packed, shares, top_of
from .look import DASHBOARD, Look
from .pages import SHOWN, TITLE, actors, actors_title, happened, registries, table_title, tree_title
from .plain import count, rate, seconds, size
from .record import Record
from .tree import tree_lines

TOP_ROWS = 10
"""How many rows of a table the dashboard has if the screen has no end."""

WIDE = 140
"""From this width on, the dashboard has two columns."""

SLOW_LAG = 0.05
"""A loop lag from which on it is marked, in seconds."""


def head(data: Record, width: int) -> list[Text]:
    """The program in one line, or in some lines if they are short."""
    longest = data.records("longest_queues")
    queue = longest[0].whole("queued") if longest else 0
    lag, crashes, actors = data.number("loop_lag"), data.whole("crashes"), data.whole("actors")
    parts = [
        Text.assemble((count(actors), "bold"), " actor" if actors == 1 else " actors"),
        Text.assemble((rate(data.number("messages_per_second")), "bold"), " messages"),
        Text.assemble((count(crashes), "bold red" if crashes else "bold"), " crash" if crashes == 1 else " crashes"),
        Text.assemble("longest queue ", (count(queue), "bold yellow" if queue else "bold")),
        Text.assemble("lag ", (seconds(lag), "bold red" if lag is not None and lag >= SLOW_LAG else "bold")),
    ]
    if data.number("memory") is not None:
        parts.append(Text(size(data.number("memory")), "bold"))
    return packed(parts, width)


def whole(name: str | None, looked: Look, width: int) -> list[Text]:
    """The head and a page, or the dashboard (None), as long as it is."""
    records = {name: Record(data) for name, data in looked.items()}
    lines = [*head(records["overview"], width), Text()]
    lines += _dashboard(records, width, None) if name is None else SHOWN[name](records[name], width)
    return [cut(line, width) for line in lines]


@attrs.frozen
class Showing:
    """What is on the screen.

    Attributes:
        name: One of `PAGES`, or None for the dashboard.
        looked: The last answers, for other pages too.
        offset: How many lines of it are scrolled away.
        trouble: Why there is no newer answer; ``""`` if all is well.
    """

    name: str | None
    looked: Look = attrs.field(factory=dict[str, Answer])
    offset: int = 0
    trouble: str = ""


def fitted(showing: Showing, width: int, height: int) -> tuple[list[Text], int]:
    """The lines of a screen of this size, and the offset: it is smaller if the page is not that long."""
    above: list[Text] = []
    if showing.trouble:
        above.append(cut(Text(showing.trouble, "bold red"), width))
    records = {name: Record(data) for name, data in showing.looked.items()}
    if "overview" in records:
        above += [*head(records["overview"], width), Text()]
    room = height - len(above) - 1
    offset = 0
    if not all(name in records for name in (DASHBOARD if showing.name is None else (showing.name,))):
        body = [] if showing.trouble else [Text("Waiting for the first answer …", "dim")]
    elif showing.name is None:
        body = _dashboard(records, width, room)
    else:
        body = SHOWN[showing.name](records[showing.name], width)
        offset = max(0, min(showing.offset, len(body) - room))
        if offset:  # the title stays
            body = [body[0], *body[offset + 1 :]]
    body = top_of(body, room)
    lines = [cut(line, width) for line in [*above, *body][: max(0, height - 1)]]
    lines += [Text()] * (height - 1 - len(lines))
    return [*lines, _keys(showing.name, width)], offset


def _keys(name: str | None, width: int) -> Text:
    """The line with the keys: all pages if there is room, else only the one that is shown."""
    tabs = [(f"{index} {page or 'dashboard'}", name == page) for index, page in enumerate((None, *PAGES))]
    more = "q leave"
    if len(GAP.join([*(title for title, _ in tabs), more])) > width:
        tabs, more = [tab for tab in tabs if tab[1]], "tab next page  q leave"
    line = Text()
    for title, is_shown in tabs:
        line.append(title, "bold reverse" if is_shown else "dim").append(GAP)
    return cut(line.append(more, "dim"), width)


@attrs.frozen
class _Section:
    """A part of the dashboard.

    Attributes:
        title: Its title. It says how many rows there are.
        lines: What is below it.
        is_tree: Whether it is the tree: it says how many lines are left out, and the tables do not.
    """

    title: Text
    lines: list[Text]
    is_tree: bool = False


_Part: TypeAlias = Callable[[Mapping[str, Record], int], _Section]


def _dashboard(records: Mapping[str, Record], width: int, height: int | None) -> list[Text]:
    """Of each page the most important. ``height``: how many lines there are; None if the screen has no end."""
    if width < WIDE:
        return _stacked([_tree, _actors, _registries, _happened], records, width, height)
    left = min(width * 2 // 5, 90)
    return beside(
        _stacked([_tree], records, left, height),
        _stacked([_actors, _registries, _happened], records, width - left - len(RULE), height),
        left,
    )


def _stacked(parts: Sequence[_Part], records: Mapping[str, Record], width: int, height: int | None) -> list[Text]:
    """Sections under each other. They share the height; each has a title, and an empty line above the next one."""
    if height is not None:
        parts = _that_fit(parts, height)
    made = [part(records, width) for part in parts]
    if height is None:
        heights = [len(one.lines) if one.is_tree else TOP_ROWS + 1 for one in made]
    else:
        heights = shares([len(one.lines) for one in made], height - 2 * len(made) + 1)
    lines: list[Text] = []
    for one, high in zip(made, heights, strict=True):
        shown = top_of(one.lines, high) if one.is_tree else one.lines[:high]
        lines += [*([Text()] if lines else []), one.title, *shown]
    return lines


def _that_fit(parts: Sequence[_Part], height: int) -> list[_Part]:
    """Leave out sections until there are at least three lines for each one."""
    fit = [*parts]
    for part in (_registries, _happened, _actors):
        if part in fit and len(fit) > 1 and height - 2 * len(fit) + 1 < 3 * len(fit):
            fit.remove(part)
    return fit


def _tree(records: Mapping[str, Record], width: int) -> _Section:
    return _Section(cut(tree_title(records["tree"]), width), tree_lines(records["tree"], width), is_tree=True)


def _actors(records: Mapping[str, Record], width: int) -> _Section:
    return _Section(cut(actors_title(records["actors"]), width), actors(records["actors"], width)[1:])


def _registries(records: Mapping[str, Record], width: int) -> _Section:
    title = cut(table_title("Registries", records["registries"]), width)
    return _Section(title, registries(records["registries"], width)[1:])


def _happened(records: Mapping[str, Record], width: int) -> _Section:
    return _Section(Text("What happened last", TITLE), happened(records["overview"], width))
