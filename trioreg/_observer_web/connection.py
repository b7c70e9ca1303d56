"""One connection: bytes from and to a client, with a bound on each send.

Hypercorn shields each send from cancellation (`TCPServer.protocol_send`), and sets no bound to it. A client that opens
a page and does not read would hold the task of its connection for ever: a shutdown would wait for it, too. So each
connection is given to Hypercorn as a stream of ours. When a send takes too long, or when the server ends, the socket is
closed under it, and everything that belongs to the connection is cancelled.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import trio

SEND_SECONDS = 5.0
"""How long a client may take to read what is sent in one piece."""

MOST_AT_ONCE = 1024
"""How many bytes are taken from a client at once. Hypercorn goes through all of them without a break: with 64 kB of the
frames of HTTP/2, each of a few bytes, a client without the token would hold the loop for some tenths of a second."""


class Connection(trio.abc.HalfCloseableStream):
    """A `trio.SocketStream` that is closed when its client does not read.

    Attributes:
        socket: Hypercorn asks it for the addresses of both sides.
        scope: Everything that is done for this connection.
        exit: Ctrl-C or `SystemExit`, raised in a page. It goes around Hypercorn, and ends the program.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket = stream.socket
        self.scope = trio.CancelScope()
        self.exit: BaseException | None = None
        self._requests = 0
        self._is_at_end = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            with trio.fail_after(SEND_SECONDS):
                await self._stream.send_all(data)
        except trio.TooSlowError:
            self.end()
            raise trio.BrokenResourceError("the client does not read") from None
        except trio.BrokenResourceError:
            # Hypercorn does not always end what it does for a client that is gone, if that has sent more requests.
            self.end()
            raise

    async def wait_send_all_might_not_block(self) -> None:  # pragma: no cover  # a stream has it, Hypercorn never asks
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(min(max_bytes or MOST_AT_ONCE, MOST_AT_ONCE))
        except trio.BrokenResourceError:
            self.end()
            raise
        if not data:
            self._is_at_end = True
            self._end_if_unused()
        return data

    # Hypercorn closes in a ``finally``. There, `trio.Cancelled` would take the place of a Ctrl-C on its way out.

    async def send_eof(self) -> None:
        with trio.CancelScope(shield=True):  # it waits for nothing
            await self._stream.send_eof()

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._stream.aclose()

    @contextmanager
    def one_request(self) -> Generator[None]:
        """A request is answered in the block."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            self._end_if_unused()

    def _end_if_unused(self) -> None:
        # Hypercorn would keep the connection of a client that is gone as long as one that may still send a request.
        if self._is_at_end and not self._requests:
            self.scope.cancel()

    def end(self) -> None:
        """Close the socket at once, also while something is being sent. Not a checkpoint."""
        self.socket.close()
        self.scope.cancel()
