"""A chat server: one actor for each connection, ended in order when the server shuts down.

python chat_server.py                two people chat over real sockets, then the server shuts down
python chat_server.py --serve PORT   serves until Ctrl-C: connect with "nc 127.0.0.1 PORT", the first line is your name

When the server shuts down, it takes no new connections, each session says goodbye, and only then its stream is closed.
"""

import argparse
import logging
import math
from collections.abc import AsyncIterator
from contextlib import suppress

import trio

import trioreg
from trioreg import Actor, ActorExited, AlreadyRegistered, ChildSpec, DynamicSupervisor, Exit, Registry

people: Registry[str, None] = Registry("people")
services: Registry[str, int] = Registry("services")
sessions = services.via("sessions", 0)


class Session(Actor):
    """One person. It ends when the connection does."""

    handler_timeout = 10  # a client that reads nothing makes `send_all` wait

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.name = ""

    async def on_started(self) -> None:
        await self.tell("Who are you?")
        self.start_soon(self.read)

    async def read(self) -> None:
        with suppress(trio.BrokenResourceError):  # the client is gone: that is no crash
            async for line in lines_of(self.stream):
                await self.ref.cast(Session.hear, line)
        self.stop()

    async def hear(self, line: str) -> None:
        if self.name:
            tell_all(f"{self.name}: {line}")
        else:
            await self.enter(line)

    async def enter(self, name: str) -> None:
        try:
            people.register(name)  # gone in the step in which this actor ends
        except AlreadyRegistered:
            await self.tell(f"{name} is here already. Who are you?")
        else:
            self.name = name
            tell_all(f"{name} has come")

    async def tell(self, text: str) -> None:
        with suppress(trio.BrokenResourceError):
            await self.stream.send_all(f"{text}\n".encode())

    async def on_stop(self, exit: Exit) -> None:
        if exit.reason == "normal":
            if self.name:
                tell_all(f"{self.name} has left")
        else:
            await self.tell("The chat closes. Goodbye.")  # the stream is still open


def tell_all(text: str) -> None:
    for name, _ in people.items():
        with suppress(ActorExited):
            people.via(name).cast_nowait(Session.tell, text)


async def lines_of(stream: trio.abc.ReceiveStream) -> AsyncIterator[str]:
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").strip()


async def serve(port: int) -> None:
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    services.register("chat", listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(trioreg.connection_handler(sessions, Session), listeners)


async def announce() -> None:
    await services.wait_for("chat")
    ((_, port),) = services.lookup("chat")
    print(f"the chat is open on port {port}", flush=True)


def tree(port: int) -> list[ChildSpec]:
    """The sessions come first, so they end last: the server ends its connections, each in its own time."""
    return [ChildSpec(DynamicSupervisor, name=sessions), ChildSpec(serve, (port,), shutdown=math.inf)]


# The story: two clients in the same program.


class Client:
    def __init__(self, name: str, stream: trio.SocketStream) -> None:
        self.name = name
        self.stream = stream
        self.lines = lines_of(stream)

    async def say(self, line: str) -> None:
        await self.stream.send_all(f"{line}\n".encode())

    async def show(self, count: int) -> None:
        for _ in range(count):
            print(f"{self.name} reads: {await anext(self.lines, 'the end')}")


async def connect(name: str) -> Client:
    ((_, port),) = services.lookup("chat")
    client = Client(name, await trio.open_tcp_stream("127.0.0.1", port))
    await client.show(1)
    await client.say(name)
    await client.show(1)
    return client


async def story() -> None:
    async with trioreg.open_supervisor(tree(0)) as supervisor:
        await services.wait_for("chat")
        ann = await connect("Ann")
        bob = await connect("Bob")
        await ann.show(1)
        await ann.say("Hello, Bob.")
        await bob.show(1)
        await ann.show(1)
        await ann.stream.aclose()
        await bob.show(1)
        print("people:", [name for name, _ in people.items()])
        supervisor.stop()
    await bob.show(2)  # what was sent before the stream was closed
    await bob.stream.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description="A chat server with an actor for each connection.")
    parser.add_argument("--serve", metavar="PORT", type=int, help="serve until Ctrl-C or SIGTERM; 0: any free port")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.serve is None:
        trio.run(story)
    else:
        trioreg.run([*tree(arguments.serve), ChildSpec(announce)], name="chat")


if __name__ == "__main__":
    main()
