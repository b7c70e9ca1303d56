"""Eight small programs, as their users write them: a chat server, a web shop, a device gateway, a ticker, a pool, a
service, its tests, and a debugging session.

Each is written with what trioreg has for it, and without the code that its user would have to write otherwise. The
examples `chat_server.py`, `carts.py` and `program.py` are larger programs of these kinds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    HandlerTimeout,
    OnDemand,
    OnDemandSupervisor,
    Registered,
    Registry,
    Reply,
    RestartLimit,
    Supervisor,
    await_many,
    child,
    connection_handler,
    open_dynamic_supervisor,
    open_supervisor,
    race,
)

# A chat server


class Member(Actor):
    """One connection. The rooms are the keys of a registry, so leaving a room is the end of the actor."""

    def __init__(self, stream: trio.abc.Stream, rooms: Registry[str, None], room: str) -> None:
        self.stream = stream
        self.rooms = rooms
        self.room = room

    async def on_started(self) -> None:
        self.rooms.register(self.room)
        self.start_soon(self.read)

    async def read(self) -> None:
        with suppress(trio.BrokenResourceError):
            while line := await self.stream.receive_some():
                self.rooms.cast_all(self.room, Member.hear, bytes(line), on_full="drop")
        self.stop()

    async def hear(self, line: bytes) -> None:
        await self.stream.send_all(line)

    async def on_stop(self, exit: Exit) -> None:
        if exit.reason == "shutdown":
            await self.stream.send_all(b"the chat closes")


async def test_chat_server(autojump_clock: MockClock) -> None:
    rooms: Registry[str, None] = Registry("rooms", keys="duplicate")
    (ann, anns), (bob, bobs) = memory_stream_pair(), memory_stream_pair()

    async def serve(stream: trio.abc.Stream) -> None:  # as `trio.serve_tcp` does
        async with stream:
            await handler(stream)

    async with open_dynamic_supervisor(at_end="stop") as sessions, trio.open_nursery() as server:
        handler = connection_handler(sessions, Member, rooms, "lobby")
        server.start_soon(serve, anns)
        server.start_soon(serve, bobs)
        await wait_all_tasks_blocked()
        await ann.send_all(b"hello")
        assert [await ann.receive_some(), await bob.receive_some()] == [b"hello", b"hello"]
        await ann.send_eof()
        assert await ann.receive_some() == b""
        assert len(rooms.refs("lobby", of=Member)) == 1
        server.cancel_scope.cancel()
    assert [await bob.receive_some(), await bob.receive_some()] == [b"the chat closes", b""]


# A web shop


class OutOfStock(Exception):
    pass


class Stock(Actor):
    def __init__(self, **things: int) -> None:
        self.things = things

    @trioreg.raises(OutOfStock)
    def reserve(self, thing: str) -> int:
        if not self.things.get(thing):
            raise OutOfStock(thing)
        self.things[thing] -= 1
        return self.things[thing]


class Cart(Actor):
    """A cart for each customer, from the first request on until it has been idle."""

    def __init__(self, customer: str, stock: trioreg.Address[Stock], saved: dict[str, list[str]]) -> None:
        self.customer = customer
        self.stock = stock
        self.saved = saved
        self.things = saved.get(customer, [])

    @trioreg.raises(OutOfStock)
    async def add(self, thing: str) -> list[str]:
        await self.stock.call(Stock.reserve, thing)
        self.things.append(thing)
        return list(self.things)

    async def on_stop(self, exit: Exit) -> None:
        self.saved[self.customer] = self.things


async def test_web_shop(autojump_clock: MockClock) -> None:
    parts: Registry[str, None] = Registry("parts")
    saved: dict[str, list[str]] = {}
    stock = parts.via("stock", of=Stock)
    carts: OnDemand[str, Cart] = OnDemand("carts", Cart, stock, saved, retire_after=300)
    shop = [child(Stock, tea=2, milk=1).named(stock), child(OnDemandSupervisor, carts)]
    async with open_supervisor(shop, at_end="stop"):
        assert await carts.via("ann").call(Cart.add, "tea") == ["tea"]
        await trio.sleep(400)
        assert len(carts) == 0  # the cart was idle
        assert await carts.via("ann").call(Cart.add, "milk") == ["tea", "milk"]
        with pytest.raises(OutOfStock, match="milk"):
            await carts.via("bob").call(Cart.add, "milk")
        assert sorted(key for key, _ in carts.items()) == ["ann", "bob"]
    assert saved == {"ann": ["tea", "milk"], "bob": []}


# A device gateway


class Device(Actor):
    """The session of one device. A device that connects again takes its name over from the session before."""

    def __init__(self, devices: Registry[str, int], serial: str, port: int) -> None:
        self.devices = devices
        self.serial = serial
        self.port = port

    async def on_start(self) -> None:
        former = self.devices.whereis(self.serial, of=Device)
        assert self.devices.take(self.serial, self.port) is former
        if former is not None:
            former.cast_nowait(Device.is_replaced)
        if self.serial == "sick":
            self.start_soon(self.fail)

    async def fail(self) -> None:
        raise ValueError("what a sick device sends")

    def is_replaced(self) -> None:
        self.stop("replaced")


async def test_device_gateway(autojump_clock: MockClock) -> None:
    devices: Registry[str, int] = Registry("devices")
    limit = RestartLimit(3, 60, then="drop")  # one sick device does not end the others
    async with open_dynamic_supervisor(at_end="stop") as sessions:
        old, *_ = [
            await sessions.start_child(Device, devices, serial, port, restart="transient", limit=limit)
            for port, serial in enumerate(["lamp", "door", "sick"], 8000)
        ]
        await trio.sleep(1)
        with devices.watch("lamp", initial=True) as events:
            await sessions.start_child(Device, devices, "lamp", 9000, restart="transient", limit=limit)
            seen = [await events.receive() for _ in range(3)]
        assert [(type(event), event.value) for event in seen] == [
            (Registered, 8000),
            (trioreg.Unregistered, 8000),
            (Registered, 9000),
        ]
        assert str((await old.wait()).value) == "replaced"
        assert sorted((key, port) for key, (_, port) in devices.items()) == [("door", 8001), ("lamp", 9000)]


# A ticker


class Ticker(Actor):
    """It tells all screens the price, once a second, and ends itself when the market closes."""

    def __init__(self, screens: Registry[str, None], prices: list[int]) -> None:
        self.screens = screens
        self.prices = iter(prices)

    async def on_started(self) -> None:
        self.cast_every(1, Ticker.tick)
        self.cast_after(3.5, Ticker.close, "the market is closed")

    def tick(self) -> None:
        self.screens.cast_all("IBM", Screen.show, next(self.prices), on_full="drop")

    def close(self, why: str) -> None:
        self.stop(why)


class Screen(Actor):
    mailbox_size = 10

    def __init__(self, screens: Registry[str, None]) -> None:
        self.shown: list[int] = []
        screens.register("IBM")

    def show(self, price: int) -> None:
        self.shown.append(price)

    def read(self) -> list[int]:
        return list(self.shown)


async def test_ticker(autojump_clock: MockClock) -> None:
    screens: Registry[str, None] = Registry("screens", keys="duplicate")
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        early = await supervisor.start_child(Screen, screens)
        ticker = await supervisor.start_child(Ticker, screens, [101, 102, 103], restart="transient")
        await trio.sleep(1.5)
        late = await supervisor.start_child(Screen, screens)
        assert (await ticker.wait()).value == "the market is closed"
        assert await early.call(Screen.read) == [101, 102, 103]
        assert await late.call(Screen.read) == [102, 103]


# A pool


class Pool(Actor):
    """At most so many jobs at once. A job that waits has its answer later, and the pool takes the next message."""

    def __init__(self, size: int) -> None:
        self.free = trio.Semaphore(size)

    def run(self, seconds: float) -> Reply[str]:
        reply = Reply[str]()
        self.start_soon(self.work, seconds, reply)
        return reply

    async def work(self, seconds: float, reply: Reply[str]) -> None:
        async with self.free:
            await trio.sleep(seconds)
            reply.send(f"{seconds} s of work")


async def fetch(seconds: float) -> float:
    await trio.sleep(seconds)
    if seconds == 3:
        raise OSError("no answer")
    return seconds


async def test_pool(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        pool = await supervisor.start_child(Pool, 2)
        began = trio.current_time()
        async with trio.open_nursery() as clients:
            for _ in range(4):
                clients.start_soon(pool.call, Pool.run, 5)
        assert trio.current_time() - began == 10

        once = partial(supervisor.start_child, restart="temporary")
        assert await await_many([await once(fetch, seconds) for seconds in (2, 1)]) == [2, 1]
        mirrors = [await once(fetch, seconds) for seconds in (10, 4, 20)]
        assert await race(mirrors) == 4
        for mirror in mirrors:
            mirror.cancel()

        began = trio.current_time()
        with pytest.raises(ActorExited) as caught:
            await await_many([await once(fetch, seconds) for seconds in (60, 3)])
        assert isinstance(caught.value.__cause__, OSError)
        assert trio.current_time() - began == 3  # not after a minute


# A service


class Store(Actor):
    handler_timeout = 5

    def __init__(self, *, url: str) -> None:
        self.url = url
        self.rows: dict[str, str] = {}

    async def on_started(self) -> None:
        await trio.sleep(30)  # it loads its rows, and its supervisor goes on meanwhile
        self.rows["motd"] = "hello"

    async def get(self, key: str) -> str:
        if key == "hang":
            await trio.sleep_forever()
        return self.rows[key]


class Web(Actor):
    def __init__(self, store: trioreg.Address[Store]) -> None:
        self.store = store

    async def page(self) -> str:
        return f"<p>{await self.store.call(Store.get, 'motd')}</p>"


def service(parts: Registry[str, None]) -> list[ChildSpec]:
    store = parts.via("store", of=Store)
    return [
        child(Store, url="db://").named(store).within(10),
        child(Web, store).named(parts.via("web", of=Web)).restarted("permanent", limit=RestartLimit(10, 60)),
    ]


async def test_service(autojump_clock: MockClock) -> None:
    parts: Registry[str, None] = Registry("parts")
    began = trio.current_time()
    async with open_supervisor(service(parts), at_end="stop", name="service"):
        assert trio.current_time() == began
        assert await parts.via("web", of=Web).call(Web.page) == "<p>hello</p>"
        store = parts.whereis("store", of=Store)
        assert store is not None
        with pytest.raises(ActorExited):
            await store.call(Store.get, "hang")
        await store.wait()
        assert await parts.via("web", of=Web).call(Web.page) == "<p>hello</p>"  # the next life has loaded its rows


# The service's tests


class FakeStore(Store):
    """A `Store` as far as typed names are concerned, with what a test wants in it."""

    async def on_started(self) -> None:
        self.rows["motd"] = "a test"


@asynccontextmanager
async def web_with(store: type[Store]) -> AsyncGenerator[trioreg.Address[Web]]:
    parts: Registry[str, None] = Registry("parts")
    _, web = service(parts)
    async with open_supervisor([child(store, url="fake://").named(parts.via("store")), web], at_end="stop"):
        yield parts.via("web", of=Web)
    assert len(parts) == 0


async def test_page_of_the_service_with_a_fake_store(autojump_clock: MockClock) -> None:
    async with web_with(FakeStore) as web:
        assert await web.call(Web.page) == "<p>a test</p>"


async def test_the_service_does_not_take_a_store_that_is_none(autojump_clock: MockClock) -> None:
    parts: Registry[str, None] = Registry("parts")
    spec = child(Screen, Registry("screens")).named(parts.via("store", of=Store))
    with pytest.RaisesGroup(TypeError):
        async with open_supervisor([spec]):
            pass


# A debugging session


class Rooms(DynamicSupervisor):
    def open(self, topic: str, names: Registry[str, None]) -> Awaitable[ActorRef[Room]]:
        return self.start_child(child(Room, topic).named(names.via(topic)))


class Room(Actor):
    handler_timeout = 2

    def __init__(self, topic: str) -> None:
        if not topic:
            raise ValueError("a room needs a topic")

    async def load(self) -> None:
        await trio.sleep_forever()


async def test_debugging_session(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    rooms = names.via("rooms", of=Rooms)
    chat = child(Supervisor, [child(Rooms).named(rooms)]).with_id("chat")
    async with open_supervisor([chat], at_end="stop", name="program") as program:
        room = await rooms.call(Rooms.open, "cats", names)
        # What is there?
        assert [line.split("  <")[0] for line in program.tree().splitlines()] == [
            "program",
            "└── chat",
            "    └── 'rooms'",
            "        └── 'cats'",
        ]
        assert program.which_child("chat").restarts == 0
        assert [(key, owner) for key, (owner, _) in names.items()] == [
            ("rooms", names.whereis("rooms")),
            ("cats", room),
        ]
        # Which start was it that failed?
        with pytest.raises(ValueError, match="topic") as caught:
            await rooms.call(Rooms.open, "", names)
        assert caught.value.__notes__ == ["starting child Room named '' of program/chat/rooms"]
        # Where does a handler hang?
        room.cast_nowait(Room.load)
        await trio.sleep(1)
        assert room.statistics().queued == 0
        error = (await room.wait()).error
        assert isinstance(error, HandlerTimeout)
        assert [frame.name for frame in error.stack] == ["load"]
        assert names.whereis("cats") is not room
