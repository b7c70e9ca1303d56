"""The data of a page as lines: one function for each page. No line is wider than it is told.

The lines are rich's `Text`, made of plain strings and styles: nothing in a name is read as markup.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text

from .lines import Column, cut, table
from .plain import UNKNOWN, count, in_unit, seconds, size, sparkline, time_of_day
from .record import Record
from .tree import tree_lines

TITLE = "bold cyan"

_HAPPENED = {"crash": "red", "give_up": "bold red", "restart": "yellow", "start": "green"}
_ORDERS = {
    "queued": "the longest queue first",
    "handled": "the most handled first",
    "restarts": "the most restarts first",
    "handling_seconds": "the longest at work first",
    "label": "by name",
    "kind": "by class",
    "path": "by supervisor",
}
_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


def overview(data: Record, width: int) -> list[Text]:
    """The program in numbers, the charts, the longest queues, and what happened last."""
    lines = [cut(Text(_versions(data), "dim"), width), Text()]
    for name, text in (
        ("actors", _actors(data)),
        ("supervisors", count(data.number("supervisors"))),
        ("queued messages", count(data.number("queued"))),
        ("registries", f"{count(data.number('registries'))} with {_many(data.whole('names'), 'name')}"),
        ("topics", count(data.number("topics"))),
        ("pools", count(data.number("pools"))),
        ("Trio tasks", count(data.number("tasks"))),
        ("watched for", seconds(data.number("watched_seconds"))),
        ("since then", _since(data)),
    ):
        lines.append(cut(Text.assemble((f"{name:<16}", "dim"), text), width))
    charts = data.records("charts")
    if charts:
        lines += [Text(), *_charts(charts, width)]
    lines += [Text(), Text("Longest queues", TITLE)]
    lines += table(ACTOR_COLUMNS, data.records("longest_queues"), width, "No actor has messages in its queue.")
    lines += [Text(), Text("What happened last", TITLE), *happened(data, width)]
    return lines


def happened(data: Record, width: int) -> list[Text]:
    """What happened last, one line each."""
    lines: list[Text] = []
    for row in data.records("happened"):
        what = row.text("what")
        style = _HAPPENED.get(what, "")
        line = Text.assemble(
            (time_of_day(row.number("clock")), "dim"),
            "  ",
            (f"{what.replace('_', ' '):<7}", style),
            "  ",
            row.text("text") or row.text("label"),
        )
        lines.append(cut(line, width))
    if not lines:
        watched = data.number("watched_seconds")
        lines.append(cut(Text(f"Nothing in the last {seconds(watched)}." if watched else "Nothing yet.", "dim"), width))
    return lines


def tree(data: Record, width: int) -> list[Text]:
    """The supervision tree, and what happened to it last."""
    lines = [cut(tree_title(data), width), *tree_lines(data, width)]
    if data.records("happened"):
        lines += [Text(), Text("What happened last", TITLE), *happened(data, width)]
    return lines


def tree_title(data: Record) -> Text:
    """How much of the tree is shown."""
    shown, total = data.whole("shown"), data.whole("total")
    text = f"  {count(shown)} of {count(total)} shown" if shown < total else ""
    if data.text("q"):
        text += f', {count(data.number("matched"))} with "{data.text("q")}"'
    return Text.assemble(("Tree", TITLE), (text, "dim"))


def actors(data: Record, width: int) -> list[Text]:
    """The table of actors."""
    return [
        cut(actors_title(data) + _part(data), width),
        *table(ACTOR_COLUMNS, data.records("rows"), width, _none("actors", data)),
    ]


def actors_title(data: Record) -> Text:
    """How many actors there are, and how they are sorted."""
    return table_title("Actors", data) + Text(f", {_ORDERS.get(data.text('sort'), 'in start order')}", "dim")


def registries(data: Record, width: int) -> list[Text]:
    """The talk's table viewer."""
    return [
        cut(table_title("Registries", data) + _part(data), width),
        *table(TABLE_COLUMNS, data.records("tables"), width, _none("registries", data)),
    ]


def topics(data: Record, width: int) -> list[Text]:
    """Topics, and pools."""
    return [
        cut(table_title("Topics", data) + _part(data), width),
        *table(TOPIC_COLUMNS, data.records("topics"), width, _none("topics", data)),
        Text(),
        Text.assemble(("Pools", TITLE), (f"  {count(data.number('pools_total'))}", "dim")),
        *table(POOL_COLUMNS, data.records("pools"), width, _none("pools", data)),
    ]


def log(data: Record, width: int) -> list[Text]:
    """The log of the supervisors."""
    columns = [
        _time("Time", "clock"),
        Column("Level", lambda row: Text(row.text("level").lower(), _LEVELS.get(row.text("level").upper(), "")), 1, 7),
        _text("Path", "path", 2, style="dim"),
        _text("Message", "message", least=60),
    ]
    title = cut(table_title("Log", data) + _part(data), width)
    return [title, *table(columns, data.records("lines"), width, _none("lines", data))]


SHOWN: dict[str, Callable[[Record, int], list[Text]]] = {
    "overview": overview,
    "tree": tree,
    "actors": actors,
    "registries": registries,
    "topics": topics,
    "log": log,
}


def _text(title: str, field: str, rank: int = 0, least: int = 10, style: str = "") -> Column:
    return Column(title, lambda row: Text(row.text(field), style), rank, least)


def _count(title: str, field: str, rank: int = 0, style: str = "") -> Column:
    def cell(row: Record) -> Text:
        number = row.number(field)
        return Text(count(number), style if number else "dim")

    return Column(title, cell, rank, is_number=True)


def _time(title: str, field: str, rank: int = 0) -> Column:
    return Column(title, lambda row: Text(time_of_day(row.number(field)), "dim"), rank, is_number=True)


def _seconds(title: str, field: str, rank: int = 0) -> Column:
    def cell(row: Record) -> Text:
        number = row.number(field)
        return Text("" if number is None else seconds(number))

    return Column(title, cell, rank, is_number=True)


def _actor(row: Record) -> Text:
    """An actor, a supervisor in bold."""
    return _numbered(row, "bold" if row.flag("is_supervisor") else "")


def _numbered(row: Record, style: str = "") -> Text:
    """A label, and the number of the actor if the label does not tell it."""
    label, number = row.text("label"), row.number("number")
    shown = Text(label, style)
    if number is not None and not label.endswith(f"#{number:.0f}"):
        shown.append(f" #{number:.0f}", "dim")
    return shown


def _state(row: Record) -> Text:
    state = row.text("state")
    return Text(state, "dim" if state == "running" else "yellow")


ACTOR_COLUMNS = (
    Column("Actor", _actor, least=24),
    _text("Class", "kind", 7, least=12, style="dim"),
    _text("Supervisor", "path", 6, least=16, style="dim"),
    Column("State", _state, 4, 10),
    _count("Queue", "queued", style="bold yellow"),
    _count("Peak", "peak", 8),
    _count("Handled", "handled", 2),
    _count("Restarts", "restarts", 3, "yellow"),
    _text("Handles now", "handling", 5, least=16),
    _seconds("For", "handling_seconds", 5),
)

TABLE_COLUMNS = (
    _text("Table Name", "table", least=16),
    _count("Objects", "objects"),
    Column("Size", lambda row: Text(size(row.number("size"))), 2, is_number=True),
    _text("Owner", "owner", 3),
    _text("Registry", "registry", 1, style="dim"),
    _text("Purpose", "purpose", 4, style="dim"),
)

TOPIC_COLUMNS = (
    _text("Topic", "topic", least=20),
    _text("PubSub", "pubsub", 2, style="dim"),
    _count("Subscriptions", "subscriptions", 1),
    _count("Waiting", "waiting", 3, "yellow"),
    _count("Dropped", "dropped", 4, "red"),
    _count("Retained", "retained", 5),
)

POOL_COLUMNS = (
    Column("Pool", _numbered, least=20),
    _count("Size", "size", 1),
    _count("Idle", "idle", 2),
    _count("Busy", "busy", 1),
    _count("Waiting", "waiting", style="yellow"),
    _seconds("Longest wait", "longest_wait", 4),
    _seconds("Mean wait", "mean_wait", 5),
    _count("Crashes", "crashes", 3, "red"),
)


def table_title(name: str, data: Record) -> Text:
    """A title, and how many rows there are."""
    matched, total = data.whole("matched"), data.whole("total")
    text = f"  {count(total)}" if matched == total else f"  {count(matched)} of {count(total)}"
    if data.text("q"):
        text += f' with "{data.text("q")}"'
    return Text.assemble((name, TITLE), (text, "dim"))


def _none(what: str, data: Record) -> str:
    """Why a table has no rows."""
    return f'There are no {what} with "{data.text("q")}".' if data.text("q") else f"There are no {what}."


def _part(data: Record) -> Text:
    """Which part of a long table this is."""
    parts = data.whole("pages")
    return Text(f", part {count(data.number('page'))} of {count(parts)}" if parts > 1 else "", "dim")


def _versions(data: Record) -> str:
    return "  ".join(f"{name} {version}" for name, version in data.record("versions").texts().items())


def _actors(data: Record) -> str:
    states = (f"{count(data.number(name))} {name}" for name in ("starting", "restarting", "ended") if data.whole(name))
    return ", ".join([count(data.number("actors")), *states])


def _since(data: Record) -> str:
    crashes, restarts, given_up = data.whole("crashes"), data.whole("restarts"), data.whole("given_up")
    shown = f"{_many(crashes, 'crash', 'crashes')}, {_many(restarts, 'restart')}"
    return f"{shown}, {_many(given_up, 'supervisor')} gave up" if given_up else shown


def _many(number: int, one: str, more: str = "") -> str:
    return f"{count(number)} {one if number == 1 else more or one + 's'}"


def _charts(charts: list[Record], width: int) -> list[Text]:
    rows: list[tuple[str, Record, str]] = []
    for chart in charts:
        unit = chart.text("unit")
        latest, highest = (in_unit(chart.number(name), unit) for name in ("latest", "highest"))
        rows.append((chart.text("title"), chart, latest if highest == UNKNOWN else f"{latest} (highest {highest})"))
    names = min(20, max(len(name) for name, _, _ in rows))
    numbers = min(30, max(len(text) for _, _, text in rows))
    lines: list[Text] = []
    for name, chart, text in rows:
        bars = sparkline(chart.numbers("points"), width - names - numbers - 4)
        line = Text.assemble(cut(Text(name, "dim"), names, pad=True), "  ", f"{text:<{numbers}}", "  ", (bars, "green"))
        lines.append(cut(line, width))
    return lines
