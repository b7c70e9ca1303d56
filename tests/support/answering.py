"""A small HTTP server that answers as an observer does, or as one that means harm."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

TOKEN = "s3cret-token"


def row(label: str = "James Bond", number: int | None = 7, **more: object) -> dict[str, Any]:
    """An actor."""
    return {
        "number": number,
        "node": "0.1",
        "label": label,
        "kind": "SecretAgent",
        "path": "program/agents",
        "child_id": None,
        "state": "running",
        "is_supervisor": False,
        "queued": 3,
        "peak": 9,
        "handled": 12345,
        "restarts": 2,
        "handling": "SecretAgent.echo",
        "handling_seconds": 1.5,
        **more,
    }


def happening(label: str = "James Bond", text: str = "James Bond crashed: ValueError") -> dict[str, Any]:
    return {
        "number": 1,
        "clock": 1_700_000_000.0,
        "what": "crash",
        "path": "program/agents",
        "label": label,
        "kind": "SecretAgent",
        "actor": 7,
        "text": text,
    }


def node(id: str, parent: str | None, label: str, **more: object) -> dict[str, Any]:
    """A box of the tree."""
    return {
        "id": id,
        "parent": parent,
        "level": id.count("."),
        "kind": "actor",
        "label": label,
        "short": label[:24],
        "cls": "SecretAgent",
        "path": "program",
        "number": None,
        "state": "running",
        "restarts": 0,
        "queued": 0,
        "children": 0,
        "is_open": False,
        "flash": "",
        "toggle": "",
        **more,
    }


def pages(name: str = "James Bond") -> dict[str, dict[str, Any]]:
    """The data of all pages, of a program with one actor of that name."""
    part = {"total": 1, "matched": 1, "q": "", "page": 1, "pages": 1}
    return {
        "overview": {
            "clock": 1_700_000_000.0,
            "watched_seconds": 12.0,
            "supervisors": 2,
            "actors": 1234,
            "starting": 0,
            "restarting": 1,
            "ended": 0,
            "queued": 3,
            "registries": 1,
            "names": 1,
            "topics": 0,
            "pools": 0,
            "tasks": 5,
            "messages_per_second": 56.0,
            "loop_lag": 0.0012,
            "memory": 45_100_000,
            "crashes": 2,
            "restarts": 2,
            "given_up": 1,
            "look_seconds": 0.001,
            "longest_queues": [row(name)],
            "charts": [
                {
                    "name": "messages",
                    "title": "Messages",
                    "unit": "/s",
                    "points": [None, 0.0, 28.0, 56.0],
                    "latest": 56.0,
                    "highest": 56.0,
                }
            ],
            "happened": [happening(name, f"{name} crashed: ValueError")],
            "versions": {"python": "3.11.2", "trio": "0.30", "trioreg": "0.1.0", "pid": "4711"},
        },
        "tree": {
            "nodes": [
                node("0", None, "program", kind="supervisor", children=2, is_open=True, cls="Supervisor"),
                node("0.1", "0", "agents", kind="supervisor", children=21, is_open=True, cls="DynamicSupervisor"),
                node("0.1.7", "0.1", name, number=7, queued=3, restarts=2, flash="restart"),
                node("0.1.more", "0.1", "20 more", kind="more", children=20),
                node("0.2", "0", "games", kind="supervisor", children=4, state="restarting"),
                node("gone.5", "0", "casino", kind="gone", state="ended"),
            ],
            "edges": [],
            "width": 1.0,
            "height": 1.0,
            "q": "",
            "matched": 25,
            "shown": 4,
            "total": 25,
            "opened": "",
            "closed": "",
            "happened": [happening(name)],
        },
        "actors": {"rows": [row(name)], "sort": "queued", "down": True, **part},
        "registries": {
            "tables": [
                {
                    "registry": "agents",
                    "kind": "unique",
                    "purpose": "names",
                    "table": "agents.KeyPartition0",
                    "objects": 1,
                    "size": 2300,
                    "owner": name,
                    "id": "1",
                }
            ],
            **part,
        },
        "topics": {
            "topics": [
                {"pubsub": "news", "topic": name, "subscriptions": 2, "retained": 0, "waiting": 1, "dropped": 0}
            ],
            "pools": [
                {
                    "label": "workers",
                    "path": "program",
                    "number": 9,
                    "size": 4,
                    "idle": 3,
                    "busy": 1,
                    "waiting": 0,
                    "longest_wait": None,
                    "waits": 0,
                    "mean_wait": 0.25,
                    "crashes": 0,
                }
            ],
            "pools_total": 1,
            **part,
        },
        "log": {
            "lines": [
                {
                    "number": 1,
                    "clock": 1_700_000_000.0,
                    "level": "error",
                    "logger": "trioreg.supervisor",
                    "event": "crash",
                    "path": "program/agents",
                    "actor": 7,
                    "message": f"{name} crashed",
                    "details": "",
                }
            ],
            "level": "all",
            **part,
        },
    }


@attrs.define
class Request:
    """What was asked.

    Attributes:
        path: Without the query.
        params: The query.
        headers: With names in lower case.
        port: That of the client: one for each connection.
    """

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    port: int


@attrs.define
class Program:
    """The server.

    Attributes:
        url: What a program would print.
        requests: What it was asked, in order.
        data: The pages that it has.
        answer: Answers instead, if it is set: status, headers, body. None: it answers as usual.
    """

    url: str
    requests: list[Request] = attrs.field(factory=list[Request])
    data: dict[str, dict[str, Any]] = attrs.field(factory=pages)
    answer: Callable[[Request], tuple[int, dict[str, str], bytes] | None] = lambda request: None


@contextmanager
def answering(prefix: str = "") -> Generator[Program]:
    """A server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(parts.path, dict(parse_qsl(parts.query)), headers, self.client_address[1])
            program.requests.append(request)
            status, more, body = program.answer(request) or usual(request)
            self.send_response(status)
            for name, value in {"Content-Length": f"{len(body)}", **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def usual(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {}, b'{"error": "no"}'
        if request.path == f"{prefix}/live/overview":
            return 200, {"Content-Type": "text/event-stream"}, b"event: end\ndata: {}\n\n"
        name = request.path.removeprefix(f"{prefix}/api/")
        if name not in program.data:
            return 404, {}, b'{"error": "There is no such page."}'
        return 200, {"Content-Type": "application/json"}, json.dumps(program.data[name]).encode()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no error of ours."""

    server = Server(("127.0.0.1", 0), Handler)
    program = Program(f"http://127.0.0.1:{server.server_port}{prefix}/?token={TOKEN}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield program
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
