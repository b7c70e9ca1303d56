"""A client of the observer over a real socket."""

from __future__ import annotations

import trio

from support.web import TOKEN


class Client:
    """A client that sends bytes, and reads them only when the test says so."""

    def __init__(self, stream: trio.SocketStream, port: int, token: str = TOKEN) -> None:
        self.stream = stream
        self.port = port
        self.token = token

    async def send(self, text: str) -> None:
        await self.stream.send_all(text.encode("latin-1"))

    async def get(self, target: str, *lines: str) -> None:
        head = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Authorization: Bearer {self.token}", *lines]
        await self.send("\r\n".join([*head, "", ""]))

    async def read_until(self, text: str) -> str:
        found = b""
        while text.encode() not in found:
            piece = await self.stream.receive_some()
            if not piece:
                raise EOFError(found.decode())
            found += piece
        return found.decode("utf-8", "replace")

    async def read_all(self) -> str:
        """Up to the end of the connection."""
        found = b""
        try:
            async for piece in self.stream:
                found += piece
        except trio.BrokenResourceError:
            pass
        return found.decode("utf-8", "replace")
