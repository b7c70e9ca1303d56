"""Data for each page of the observer, made up, to try the templates on.

`CASES` has the data of each page in several kinds: some of everything, nothing at all, as much as a page can have, and
texts that are long, odd or dangerous.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
CLOCK = 1_764_241_353.25

CLASSES = ("SecretAgent", "Quartermaster", "Villain", "Cart", "Lobby", "PriceList", "Käsetheke")
STATES = ("running", "running", "running", "starting", "restarting", "stopping", "ending", "ended")
NAMES = ("James Bond", "Mr. White", "Vesper Lynd", "Felix Leiter", "Ernst Stavro Blofeld", "Jürgen Müßiggang", "Q")

WAVES = (
    (1200, 900, 30, 30),
    (0.002, 0.001, 9, 0.0004),
    (70e6, 9e6, 80, 1e5),
    (20, 20, 12, 1),
    (3, 2, 20, 0),
    (1, 1, 5, 0),
)

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ODD = ("ÄÖÜäöüß " * 1250)[:10_000]
"""A name of 10,000 characters."""


def chart(name: str, title: str, unit: str, points: list[float | None]) -> Data:
    known = [point for point in points if point is not None]
    return {
        "name": name,
        "title": title,
        "unit": unit,
        "points": points,
        "latest": points[-1] if points else None,
        "highest": max(known, default=None),
    }


class Maker:
    """Makes data of one kind.

    Args:
        text: Makes a text from a plain one.
        many: How many rows there are.
    """

    def __init__(self, text: Callable[[str], str] = str, many: int = 5, big: int = 1) -> None:
        self.text = text
        self.many = many
        self.big = big

    def row(self, i: int, **more: object) -> Data:
        text = self.text
        state = STATES[i % len(STATES)]
        kind = CLASSES[i % len(CLASSES)]
        return {
            "number": None if state in ("restarting", "ended") else i + 5,
            "node": f"0.{i}",
            "label": text(NAMES[i % len(NAMES)] if i % 3 else f"{kind} #{i + 5}"),
            "kind": text(kind),
            "path": text(f"program/{('games', 'agents', 'shop/carts')[i % 3]}"),
            "child_id": text(f"child-{i}"),
            "state": state,
            "is_supervisor": i % 7 == 6,
            "queued": i * 37 % 11 * self.big,
            "peak": 40 * self.big,
            "handled": i * 7919 % 100_000 * self.big,
            "restarts": i % 4 * self.big,
            "handling": text(f"{kind}.echo") if i % 2 else None,
            "handling_seconds": 0.004 * 4**i if i % 2 and i < 12 else None,
            **more,
        }

    def rows(self, many: int | None = None) -> list[Data]:
        return [self.row(i) for i in range(self.many if many is None else min(many, self.many))]

    def happened(self, many: int) -> list[Data]:
        kinds = ("crash", "restart", "exit", "start", "give_up")
        says = (
            "ValueError: no such game",
            "SecretAgent #7 under the same name",
            "killed",
            "first start",
            "4 restarts in 5 s",
        )
        return [
            {
                "number": 900 - i,
                "clock": CLOCK - i * 1.7,
                "what": kinds[i % 5],
                "path": self.text("program/agents"),
                "label": self.text(NAMES[i % 7]),
                "kind": self.text("SecretAgent"),
                "actor": None if i % 2 else i + 5,
                "text": self.text(says[i % 5]),
            }
            for i in range(min(many, self.many * 2))
        ]

    def pages(self, **more: object) -> Data:
        total = self.many * 1000 * self.big
        return {
            "q": self.text("bond") if self.text is not str else "",
            "total": total,
            "matched": total if self.text is str else self.many,
            "page": 2 if self.many > 20 else 1,
            "pages": max(1, total // 50),
            **more,
        }

    def wave(self, middle: float, height: float, length: float, noise: float) -> list[float | None]:
        points = [middle + height * math.sin(i / length) + noise * (i % 7) for i in range(140)]
        return [*[None] * 40, *points] if self.many else []

    def overview(self) -> Data:
        waves = [self.wave(*it) for it in WAVES]
        titles = (
            ("messages", "Messages", "/s"),
            ("lag", "Loop lag", "s"),
            ("memory", "Memory", "B"),
            ("queued", "Queued", ""),
            ("actors", "Actors", ""),
            ("crashes", "Crashes", "/s"),
        )
        n = self.many * self.big
        return {
            "clock": CLOCK,
            "watched_seconds": 130.4,
            "supervisors": n,
            "actors": n * 100,
            "starting": n % 3,
            "restarting": n % 5,
            "ended": n % 7,
            "queued": n * 30,
            "registries": n,
            "names": n * 91,
            "topics": n * 4,
            "pools": n % 4,
            "tasks": n * 120,
            "messages_per_second": 1204.3 if n else None,
            "loop_lag": 0.0021 if n else None,
            "memory": 71_303_168 if n else None,
            "crashes": n,
            "restarts": n,
            "given_up": n % 2,
            "look_seconds": 0.0041,
            "longest_queues": self.rows(5),
            "charts": [chart(*title, points) for title, points in zip(titles, waves, strict=True)],
            "happened": self.happened(10),
            "versions": {"python": "3.13.1", "trio": "0.30.0", "trioreg": "0.1.0", "pid": "4711"},
        }

    def tree(self) -> Data:
        nodes: list[Data] = []
        edges: list[Data] = []
        text = self.text

        def short(words: str) -> str:
            return text(words)[:24]

        def add(
            parent: str | None, level: int, i: int, y: float, kind: str = "actor", label: str = "", flash: str = ""
        ) -> str:
            node = f"{parent}.{i}" if parent is not None else str(i)
            label = text(label or NAMES[i % 7])
            state = STATES[i % 8] if kind == "actor" else "running"
            nodes.append(
                {
                    "id": node,
                    "parent": parent,
                    "level": level,
                    "kind": kind,
                    "label": label,
                    "short": short(label),
                    "cls": short(CLASSES[i % 7]),
                    "path": text("program/agents"),
                    "number": None if kind in ("more", "gone") or state in ("restarting", "ended") else i + 5,
                    "state": "ended" if kind == "gone" else state,
                    "restarts": i % 3 * self.big,
                    "queued": i % 5 * self.big,
                    "children": 4 if kind == "supervisor" else 0,
                    "is_open": level < 2,
                    "flash": flash,
                    "toggle": f"closed={node}" if kind == "supervisor" else "",
                    "x": 10 + level * 250.0,
                    "y": y,
                    "width": 190.0,
                    "height": 56.0,
                }
            )
            if parent is not None:
                above = next(it for it in nodes if it["id"] == parent)
                edges.append(
                    {
                        "parent": parent,
                        "child": node,
                        "x1": above["x"] + 190,
                        "y1": above["y"] + 28,
                        "x2": 10 + level * 250.0,
                        "y2": y + 28,
                    }
                )
            return node

        y = 10.0
        if self.many:
            top = add(None, 0, 0, 10.0, "supervisor", "program")
            for i in range(self.many):
                branch = add(
                    top,
                    1,
                    i,
                    y,
                    "gone" if i == 3 else "supervisor",
                    ("games", "agents", "shop", "lost")[i % 4],
                    "give_up" if i == 3 else "",
                )
                for j in range(0 if i == 3 else 4):
                    add(
                        branch,
                        2,
                        i * 4 + j,
                        y,
                        "more" if j == 3 and i == 2 else "actor",
                        "9,990 more" if j == 3 and i == 2 else "",
                        ("", "crash", "restart", "")[j] if i == 1 else "",
                    )
                    y += 66
                y += 66 if i == 3 else 10
        return {
            "nodes": nodes,
            "edges": edges,
            "width": 720.0,
            "height": max(y, 76.0),
            "q": text("bond") if text is not str else "",
            "matched": 3,
            "shown": len(nodes),
            "total": len(nodes) * 100,
            "opened": "",
            "closed": "",
            "happened": self.happened(20),
        }

    def actors(self) -> Data:
        return {"rows": self.rows(), "sort": "queued", "down": True, **self.pages()}

    def actor(self) -> Data:
        text, some = self.text, range(min(self.many, 6))
        return {
            "row": self.row(1, number=5),
            "is_alive": bool(self.many),
            "exit": None if self.many else "crashed: ValueError('no such game')",
            "next_number": None if self.many else 6,
            "started_seconds": 4000.0 if self.many else None,
            "supervisor_number": 3 if self.many else None,
            "facts": [
                (title, text(said))
                for title, said in (
                    ("Mailbox", "at most 100 messages"),
                    ("Calls in flight", "2"),
                    ("restart", "transient"),
                    ("shutdown", "5 s"),
                )
            ],
            "names": [
                {"registry": text("agents"), "key": text(NAMES[i]), "table": f"agents-{i}", "purpose": text("names")}
                for i in some
            ],
            "children": self.rows(20),
            "children_total": self.many * 10,
            "waits_for": [text("<Quartermaster #9>")][: self.many],
            "waited_for_by": [text("<Lobby #2>"), text("<Cart #3>")][: self.many],
            "stack": text('  File "agents.py", line 40, in echo\n    await trio.sleep(3)\n') if self.many else "",
            "tasks": [
                {
                    "name": text(f"timer {i}"),
                    "waits_for": text("trio.sleep"),
                    "stack": text('  File "timers.py", line 4, in tick\n'),
                }
                for i in some
            ],
            "may_show_state": self.many != 1,
            "state": [(f"codename{i}", text(f"'{NAMES[i]}'")) for i in some],
            "is_traced": self.many != 1,
            "messages": [
                {"clock": CLOCK - i, "text": text(f"echo({i})"), "outcome": text("returned"), "seconds": 0.0003 * 9**i}
                for i in some
            ],
            "actions": [
                {"name": name, "title": name.capitalize(), "sentence": text(f"It will {name}.")}
                for name in ("kill", "stop", "restart", "terminate")
            ]
            if self.many
            else [],
        }

    def registries(self) -> Data:
        text = self.text
        tables = [
            {
                "registry": text(("agents", "carts", "locks")[i % 3]),
                "kind": ("unique", "duplicate")[i % 2],
                "purpose": text("names"),
                "table": text(f"{('KeyPartition', 'PIDPartition')[i % 2]}{i // 2}"),
                "objects": i * 131 * self.big,
                "size": i * 40_000 * self.big,
                "owner": text("agents"),
                "id": f"{i}:{text('x')[:20]}",
            }
            for i in range(self.many)
        ]
        return {"tables": tables, **self.pages()}

    def table(self) -> Data:
        text = self.text
        rows = [
            [
                {"text": text(NAMES[i % 7]), "actor": None, "table": None},
                {"text": text(f"SecretAgent #{i}"), "actor": i, "table": None},
                {"text": text("PIDPartition0"), "actor": None, "table": "agents-1"},
            ]
            for i in range(self.many)
        ]
        return {
            "registry": text("agents"),
            "table": text("KeyPartition0"),
            "columns": ["Key", "Owner", "Table"],
            "objects": 2 * self.big,
            "size": 40_000 * self.big,
            "rows": rows,
            **self.pages(),
        }

    def topics(self) -> Data:
        text = self.text
        topics = [
            {
                "pubsub": text("prices"),
                "topic": text(f"stock.{NAMES[i % 7]}"),
                "subscriptions": i * 3,
                "retained": i % 2,
                "waiting": i * 11 * self.big,
                "dropped": i % 3,
            }
            for i in range(self.many)
        ]
        pools = [
            {
                "label": text("printers"),
                "path": text("program/pools"),
                "number": None if i else 8,
                "size": 10,
                "idle": 4,
                "busy": 6,
                "waiting": i,
                "longest_wait": 0.3 * i,
                "waits": 3 * i,
                "mean_wait": 0.1 if i else None,
                "crashes": i,
            }
            for i in range(self.many)
        ]
        return {"topics": topics, "pools": pools, "pools_total": len(pools), **self.pages()}

    def log(self) -> Data:
        text = self.text
        levels = ("ERROR", "INFO", "WARNING", "info")
        lines = [
            {
                "number": 400 - i,
                "clock": CLOCK - i * 3,
                "level": levels[i % 4],
                "logger": "trioreg.supervisor",
                "event": text(("crash", "restart", "", "gave_up")[i % 4]),
                "path": text("program/agents") if i % 3 else "",
                "actor": i if i % 2 else None,
                "message": text("<SecretAgent #5 'James Bond'> crashed (restart 1 of 3 in 5 s)"),
                "details": text('Traceback:\n  File "agents.py", line 40, in echo\nValueError: no such game\n')
                if i % 4 == 0
                else "",
            }
            for i in range(self.many)
        ]
        return {"lines": lines, "level": "all", **self.pages()}


PAGES = ("overview", "tree", "actors", "actor", "registries", "table", "topics", "log")
KINDS = {
    "some": Maker(),
    "one": Maker(many=1),
    "none": Maker(many=0),
    "many": Maker(many=50, big=1_234_567),
    "script": Maker(lambda text: text + SCRIPT, many=8),
    "long": Maker(lambda text: ODD + text, many=8),
}


def made_up(page: str, kind: str) -> Data:
    """The data of that page, of that kind."""
    return dict(getattr(KINDS[kind], page)())
