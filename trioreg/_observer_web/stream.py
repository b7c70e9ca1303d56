"""A page that lives: a stream of server-sent events, one for each look that differs from the last.

A stream has at most one look on its way. The next look begins when the client has taken the last one, and the time of
the page is over. So a slow client gets fewer looks, and no queue grows. The guard drops a client that does not take a
look in time.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import trio

from .program_end import is_program_over

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from .._observer import Page, Watch
    from .state import State

SIGN_OF_LIFE_SECONDS = 15.0
"""How long a stream is silent at most. A client that is gone is noticed when something is sent."""

GOODBYE_SECONDS = 0.5
"""How long the last event may take when the program ends."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would wait until it has 4 kB
]


class Stream:
    """One stream.

    Args:
        look: Gives the HTML of the page as it is now.
        page: The page.
        watch: Says when it is time for a look.
        state: It has an event for the end of the server.
    """

    def __init__(self, look: Callable[[], Awaitable[str]], page: Page, watch: Watch, state: State) -> None:
        self._look = look
        self._page = page
        self._watch = watch
        self._state = state
        self._last: str | None = None
        self._silent_since = 0.0

    async def run(self, receive: Receive, send: Send) -> None:
        """Send looks until the client goes, or the server ends."""
        ending = self._state.ending
        # The first look comes before the headers: a page that is not there is an error with its status.
        first = await self._next_look()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        says_goodbye = True
        error: BaseException | None = None

        async def end_with_client() -> None:
            nonlocal says_goodbye
            while (await receive())["type"] != "http.disconnect":
                pass
            says_goodbye = False
            nursery.cancel_scope.cancel()

        async def end_with_server() -> None:
            await ending.wait()
            nursery.cancel_scope.cancel()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(end_with_client)
                nursery.start_soon(end_with_server)
                try:
                    await self._send_looks(first, send)
                except (trio.Cancelled, GeneratorExit):
                    raise
                except BaseException as raised:  # outside of the nursery, it is no group
                    error, says_goodbye = raised, False
                nursery.cancel_scope.cancel()
            if error is not None:
                raise error
        finally:
            error = None  # its traceback leads here: no cycle
            if says_goodbye and self._state.says_goodbye and is_program_over():
                # Also if this task is cancelled: the page shows that the program is over, and does not ask again.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE_SECONDS):
                    await send(_body(event_of("end", {}), more=False))

    async def _send_looks(self, html: str, send: Send) -> None:
        while True:
            began = trio.current_time()
            if html != self._last:
                self._last = html
                self._silent_since = began
                await send(_body(event_of("look", {"html": html})))
            elif began - self._silent_since >= SIGN_OF_LIFE_SECONDS:
                self._silent_since = began
                await send(_body(b":\n\n"))
            html = await self._next_look()

    async def _next_look(self) -> str:
        await self._watch.next_look(self._page)
        return await self._watch.look(self._look)


def event_of(name: str, data: Mapping[str, object]) -> bytes:
    """One event, as bytes. JSON in ASCII has no line break and no half of a surrogate pair in it."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _body(data: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more}
