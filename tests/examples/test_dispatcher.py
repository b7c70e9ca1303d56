"""The dispatcher: which handlers an event calls, what a mistake in one of them does, and when they are gone."""

from __future__ import annotations

import logging
import sys
from functools import partial

import dispatcher
import pytest
import trio
from dispatcher import Invoices, Order, Warehouse, dispatch, handlers, keep_journal

from trioreg import Registry, open_supervisor

ORDER = Order(1, "tea", 3)


async def test_event_calls_each_of_its_handlers_in_the_order_of_their_registration() -> None:
    called: list[tuple[str, Order]] = []

    def handle(name: str, order: Order) -> None:
        called.append((name, order))

    for event, name in [("placed", "first"), ("cancelled", "other"), ("placed", "second")]:
        handlers.register(event, partial(handle, name))
    assert dispatch("placed", ORDER) == 2
    assert called == [("first", ORDER), ("second", ORDER)]
    assert dispatch("paid", ORDER) == 0


async def test_handler_that_raises_is_reported_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    called: list[Order] = []

    def fail(order: Order) -> None:
        raise ValueError(order.thing)

    for handler in (called.append, fail, called.append):
        handlers.register("placed", handler)
    assert dispatch("placed", ORDER) == 2
    assert called == [ORDER, ORDER]
    (record,) = caplog.records
    assert record.getMessage().startswith("a handler of 'placed' failed: it belongs to <task ")
    assert record.exc_info is not None
    assert repr(record.exc_info[1]) == "ValueError('tea')"


async def test_ctrl_c_in_a_handler_is_not_held_back() -> None:
    def interrupt(order: Order) -> None:
        raise KeyboardInterrupt

    handlers.register("placed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dispatch("placed", ORDER)


async def test_handler_of_an_actor_runs_in_the_actor() -> None:
    async with open_supervisor() as supervisor:
        warehouse = await supervisor.start_child(Warehouse, id="warehouse")
        assert dispatch("order placed", ORDER) == 1
        assert await warehouse.call(Warehouse.stock) == {"tea": 7, "milk": 10}
        assert dispatch("order cancelled", ORDER) == 1
        assert await warehouse.call(Warehouse.stock) == {"tea": 10, "milk": 10}
        supervisor.stop()


async def test_actor_that_its_handler_has_crashed_is_restarted_and_registers_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names: Registry[str, None] = Registry("names")
    invoices = names.via("invoices", of=Invoices)
    async with open_supervisor() as supervisor:
        await supervisor.start_child(Invoices, name=invoices)
        assert dispatch("order placed", Order(1, "tea", 0)) == 1
        assert (await invoices.wait()).reason == "crashed"
        assert await invoices.call(Invoices.count) == 0
        assert dispatch("order placed", ORDER) == 1
        assert await invoices.call(Invoices.count) == 1
        supervisor.stop()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_handlers_are_gone_when_their_actor_has_ended() -> None:
    async with open_supervisor() as supervisor:
        warehouse = await supervisor.start_child(Warehouse, id="warehouse", restart="transient")
        await warehouse.stop()
        assert (dispatch("order placed", ORDER), handlers.count()) == (0, 0)
        supervisor.stop()


async def test_handlers_are_gone_when_their_task_has_ended() -> None:
    journal: list[str] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_journal, journal)
        assert (dispatch("order placed", ORDER), dispatch("order cancelled", ORDER)) == (1, 1)
        nursery.cancel_scope.cancel()
    assert (dispatch("order placed", ORDER), handlers.count()) == (0, 0)
    assert journal == ["order placed: 1", "order cancelled: 1"]


def test_help_says_what_it_shows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dispatcher.py", "--help"])
    with pytest.raises(SystemExit) as exit:
        dispatcher.main()
    assert exit.value.code == 0
    assert "an event goes to each handler" in capsys.readouterr().out


def test_line_of_the_log_that_can_not_be_printed_does_not_disturb_the_story(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(text: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(sys.stdout, "write", write)
    dispatcher.Log().handle(logging.makeLogRecord({"msg": "a line"}))
    assert capsys.readouterr().err == ""
