"""`who`: all that one actor can be asked."""

from __future__ import annotations

import pytest
import trio
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, Registry, Reply, Waiting, who

carts: Registry[str, None] = Registry("carts")


class Bank(Actor):
    def __init__(self) -> None:
        self.replies: list[Reply[None]] = []

    async def debit(self) -> None:
        await trio.sleep_forever()

    def debit_later(self) -> Reply[None]:
        self.replies.append(Reply())
        return self.replies[-1]


class Cart(Actor):
    async def pay(self, bank: ActorRef[Bank]) -> None:
        await bank.call(Bank.debit)

    async def pay_later(self, bank: ActorRef[Bank]) -> None:
        await bank.call(Bank.debit_later)


async def test_a_hanging_actor_shows_its_handler_since_when_and_whom_it_waits_for(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        bank = await supervisor.start_child(Bank, id="bank")
        cart = await supervisor.start_child(Cart, name=carts.via("a-17"))
        await trio.sleep(5)
        cart.cast_nowait(Cart.pay, bank)
        await trio.sleep(2)
        report = who(carts.via("a-17"))
        assert report.ref is cart
        assert (report.handling, report.handling_since, report.at) == ("Cart.pay", 5.0, 7.0)
        assert report.waits_for == (Waiting("call", "call Bank.debit", bank),)
        assert report.names == (("carts", "a-17"),)
        assert [frame.name for frame in report.stack] == ["pay"]
        (waiting,) = who(bank).waited_for_by
        assert (waiting.ref, waiting.what) == (cart, "call Bank.debit")
        bank.kill()
        await wait_all_tasks_blocked()


async def test_an_actor_that_waits_for_a_reply_shows_that() -> None:
    async with supervising() as supervisor:
        bank = await supervisor.start_child(Bank)
        cart = await supervisor.start_child(Cart)
        cart.cast_nowait(Cart.pay_later, bank)
        await wait_all_tasks_blocked()
        assert who(cart).waits_for == (Waiting("reply", "the Reply of Bank.debit_later", bank),)
        (waiting,) = who(bank).waited_for_by
        assert (waiting.kind, waiting.ref) == ("reply", cart)


async def test_an_actor_that_has_ended_is_known_by_its_reference() -> None:
    async with supervising() as supervisor:
        cart = await supervisor.start_child(Cart, name=carts.via("a-17"), restart="temporary")
        await cart.stop()
        report = who(cart)
        assert (report.state, report.names, report.supervisor) == ("ended", (), None)
        assert report.exit == cart.exit
        assert str(report).splitlines() == [f"{repr(cart)[1:-1]}  ended", "  exit           normal"]


async def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(TypeError, match=r"address must be an ActorRef, or a name from Registry\.via\(\), not 'a-17'"):
        trioreg.who("a-17")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(trioreg.NotRegistered):
        who(carts.via("a-17"))
