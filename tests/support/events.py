"""What a watcher of a registry was sent."""

from __future__ import annotations

from typing import Any

import trio

from trioreg import Event, Feed


def received(events: Feed[Event[Any, Any]]) -> list[Event[Any, Any]]:
    """The events that have come so far."""
    found: list[Event[Any, Any]] = []
    while True:
        try:
            found.append(events.receive_nowait())
        except trio.WouldBlock:
            return found
