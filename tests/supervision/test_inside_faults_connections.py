"""Tests the inside: a failure at any call within the handler of a connection leaves no actor behind it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.errors import leaves
from support.faults import AtCall, Fault, Stepped, fails_at_every_call
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from trioreg import Actor, connection_handler, open_dynamic_supervisor


class Session(Actor):
    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream

    async def on_start(self) -> None:
        await trio.sleep(1)
        self.start_soon(self.read)

    async def read(self) -> None:
        while await self.stream.receive_some():
            pass
        self.stop()


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no memory
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("end", ["closed", "cancelled while it starts", "cancelled"])
def test_a_connection_whose_handler_fails_leaves_no_actor_with_a_closed_stream(
    end: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fault: Fault) -> None:
        caplog.clear()
        raised: list[BaseException] = []
        server, client = memory_stream_pair()
        try:
            async with open_dynamic_supervisor() as supervisor:
                handle: Any = connection_handler(supervisor, Session)

                async def serve() -> None:
                    with trio.CancelScope() as scope:
                        scopes.append(scope)
                        await Stepped(handle(server), fault)

                scopes: list[trio.CancelScope] = []
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(serve)
                        await wait_all_tasks_blocked()
                        if end != "cancelled while it starts":
                            await trio.sleep(2)
                        if end == "closed":
                            await client.aclose()
                        else:
                            scopes[0].cancel()
                        await trio.sleep(10)
                except BaseExceptionGroup as group:
                    raised += leaves(group)
                # The handler is over: Trio closes the stream.
                assert supervisor.which_children() == []
                supervisor.stop()
        except BaseExceptionGroup as group:
            raised += leaves(group)
        assert {type(error) for error in raised} <= {MemoryError}, raised
        is_logging = any(part in fault.where for part in ("SafeLogger", "__str__", "__repr__", "shown_"))
        # To end a child begins once more when it has failed: then there is nothing to tell.
        if fault.is_reached and not raised and not is_logging and end != "cancelled":
            assert any(record.exc_info for record in caplog.records)

    fails_at_every_call(AtCall, scenario)
