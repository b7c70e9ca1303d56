"""The terminal and a real program: what it reads is what the pages have."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from functools import partial
from typing import Any

import pytest
import trio
from support.children import ref_of
from support.observed import Plain, Stuck
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ChildSpec, PubSub, Registry, open_pool, open_supervisor
from trioreg._observer_terminal import once
from trioreg._observer_terminal.command import main
from trioreg._observer_terminal.pages import SHOWN
from trioreg._observer_terminal.record import Record
from trioreg.observer import serve


class Strict(dict[str, Any]):
    """A JSON object that has each field that is asked for."""

    def get(self, key: str, default: object = None) -> Any:
        return self[key]


class Breaking(Actor):
    async def fail(self) -> None:
        raise ValueError("shaken")


async def asked(*arguments: str) -> str:
    """What the command prints. It runs in a thread, as if it was another process."""
    out = io.StringIO()

    def run() -> int:
        with redirect_stdout(out):
            return main(arguments)

    assert await trio.to_thread.run_sync(run) == 0
    return out.getvalue()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "MOMENT", 0.0)


async def test_each_field_that_a_page_shows_is_in_the_data_of_a_real_program(
    nursery: trio.Nursery, at_once: None
) -> None:
    names: Registry[str, None] = Registry("agents", partitions=2)
    news: PubSub[str, int] = PubSub("news")
    children = [
        ChildSpec(Plain, name=names.via("James Bond")),
        ChildSpec(Stuck, id="stuck"),
        ChildSpec(Breaking, id="breaking"),
    ]
    async with open_pool(Plain, size=1), open_supervisor(children) as supervisor, news.subscribe("gold"):
        stuck = ref_of(supervisor, "stuck")
        stuck.cast_nowait(Stuck.hang)
        stuck.cast_nowait(Stuck.hang)
        url = await nursery.start(partial(serve, "127.0.0.1:0"))
        text = await asked(url, "--once")
        assert "James Bond" in text
        ref_of(supervisor, "breaking").cast_nowait(Breaking.fail)
        await wait_all_tasks_blocked()
        data = json.loads(await asked(url, "--json"), object_hook=Strict)
        for name, show in SHOWN.items():
            show(Record(data[name]), 200)
        assert [data[page][rows] != [] for page, rows in FILLED] == [True] * len(FILLED)
        nursery.cancel_scope.cancel()


FILLED = [
    ("overview", "longest_queues"),
    ("overview", "charts"),
    ("tree", "nodes"),
    ("actors", "rows"),
    ("registries", "tables"),
    ("topics", "topics"),
    ("topics", "pools"),
    ("log", "lines"),
]
