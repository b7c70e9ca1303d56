"""Each event of the log: its record has the logger, the level and exactly the fields that docs/logs.md says."""

from __future__ import annotations

import logging
import signal
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest
import trio
from opentelemetry.sdk.trace import TracerProvider
from support.children import ref_of
from support.errors import Bang, gives_up
from support.log_events import CHILD, Records, fields_of, recorded, table
from support.supervisors import supervised, supervising
from support.web import app_of, ask, page_of
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    Backoff,
    ChildSpec,
    Exit,
    Instrument,
    OnDemand,
    Owner,
    Registry,
    RestartLimit,
    RestartLimitExceeded,
    open_dynamic_supervisor,
    open_stream,
    open_supervisor,
    raises,
)
from trioreg._actors import post
from trioreg._observer import Observation
from trioreg._observer.actions import act
from trioreg._observer_web import Opened
from trioreg._runtime import current_run, do_later
from trioreg.telemetry import Telemetry

TABLE = table()
names: Registry[str, None] = Registry("names")


class Till(Actor):
    mailbox_size = 3

    def bang(self) -> None:
        raise Bang

    @raises(Bang)
    def declare(self) -> None:
        raise Bang

    async def hang(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    def answer(self) -> int:
        return 7


def till(**options: Any) -> ChildSpec:
    return ChildSpec(Till, id="till", name=names.via("front"), **options)


class BadKey:
    """A key that raises once it is told to."""

    error: BaseException | None = None

    def __hash__(self) -> int:
        if self.error is not None:
            raise self.error
        return 7


# What makes each event happen


async def start() -> None:
    async with supervising([till()], name="shop"):
        pass


async def kill(**options: Any) -> None:
    async with supervising([till(**options)], name="shop") as shop:
        ref_of(shop, "till").kill()
        await trio.sleep(20)


async def be_dropped() -> None:
    await kill(limit=RestartLimit(0, 5, then="drop"))


async def be_delayed() -> None:
    await kill(backoff=Backoff(initial=2))


async def give_up() -> None:
    with gives_up():
        async with open_supervisor([till()], name="shop", max_restarts=0) as shop:
            ref_of(shop, "till").cast_nowait(Till.bang)
            await trio.sleep_forever()


async def fail_while_cancelled() -> None:
    class Sore(Actor):
        async def on_start(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Bang

    async with supervising(name="shop") as shop:
        with trio.move_on_after(1):
            await shop.start_child(ChildSpec(Sore, id="sore", name=names.via("sore")))


async def take_too_long() -> None:
    async with supervising([till(shutdown=2)], name="shop") as shop:
        ref_of(shop, "till").cast_nowait(Till.hang)
        await wait_all_tasks_blocked()
        await shop.terminate_child("till")


async def wait_at_the_end() -> None:
    with trio.move_on_after(1):
        async with open_supervisor([till()], name="shop"):
            pass


async def refuse_a_connection() -> None:
    async def stay(stream: object) -> None:
        await trio.sleep_forever()

    async with open_dynamic_supervisor(name="shop", max_children=0) as shop:
        await trioreg.connection_handler(shop, stay)(None)
        shop.stop()


async def close_a_connection() -> None:
    class Fails(Actor):
        def __init__(self, stream: object) -> None:
            raise Bang

    async with open_dynamic_supervisor(name="shop") as shop:
        await trioreg.connection_handler(shop, Fails)(None)
        shop.stop()


async def leave_messages() -> None:
    async with supervising([till()], name="shop") as shop:
        ref = ref_of(shop, "till")
        ref.cast_nowait(Till.answer)
        ref.cast_nowait(Till.answer)
        ref.kill()
        await ref.wait()


async def declare() -> None:
    async with supervising([till()], name="shop") as shop:
        ref_of(shop, "till").cast_nowait(Till.declare)
        await wait_all_tasks_blocked()


async def declare_asynchronously() -> None:
    class Slow(Actor):
        @raises(Bang)
        async def declare(self) -> None:
            await trio.sleep(1)
            raise Bang

    async with supervising([ChildSpec(Slow, id="slow", name=names.via("slow"))], name="shop") as shop:
        ref_of(shop, "slow").cast_nowait(Slow.declare)
        await trio.sleep(2)


async def send() -> None:
    async with supervising([till()], name="shop") as shop:
        ref_of(shop, "till").send_nowait("hello")
        await wait_all_tasks_blocked()


async def answer_badly() -> None:
    def fail(value: object, error: BaseException | None) -> None:
        raise Bang

    async with supervising([till()], name="shop") as shop:
        post(ref_of(shop, "till"), fail, Till.answer)
        await wait_all_tasks_blocked()


async def leave_failures() -> None:
    async def fail(item: int) -> None:
        raise Bang

    async with open_stream(fail, [1, 2], max_concurrency=2, on_error="return"):
        await wait_all_tasks_blocked()


async def fill_a_listener() -> None:
    heard: Registry[str, None] = Registry("heard", listeners=[names.via("front")])
    async with supervising([till()], name="shop"):
        for number in range(4):
            heard.register(f"key {number}")


async def hear_badly() -> None:
    def fail(event: object) -> None:
        raise Bang

    Registry[str, None]("heard", listeners=[fail]).register("key")


async def end_with_a_bad_key(error: BaseException) -> None:
    key = BadKey()
    registry: Registry[BadKey, None] = Registry("bad")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(ChildSpec(Till, restart="temporary"))
        other = await supervisor.start_child(ChildSpec(Till, restart="temporary"))
        registry.register(key, owner=ref)
        registry.register(BadKey(), owner=other)
        BadKey.error = error
        try:
            await ref.stop()
        finally:
            BadKey.error = None


class Lessor:
    def _reclaim(self, owner: Owner, keys: Collection[tuple[Any, Any]], exit: Exit | None) -> None:
        raise Bang


async def release_badly() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(ChildSpec(Till, restart="temporary"))
        ref._take(Lessor(), "key", 1)
        await ref.stop()


async def watch_badly() -> None:
    class Broken(Instrument):
        def message_sent(self, message: trioreg.Message, /) -> None:
            raise Bang

    trioreg.add_instrument(Broken())
    await send()


async def measure_badly() -> None:
    def describe(message: trioreg.Message) -> dict[str, str]:
        raise Bang

    trioreg.add_instrument(Telemetry(tracer_provider=TracerProvider(), attributes=describe))
    await send()


async def log_badly() -> None:
    class Exits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit

    logger, handler = logging.getLogger("trioreg.supervision"), Exits(logging.ERROR)
    logger.addHandler(handler)
    try:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(ChildSpec(Till, restart="temporary"))
            ref.cast_nowait(Till.bang)
            await ref.wait()
    finally:
        logger.removeHandler(handler)


async def be_late() -> None:
    do_later(current_run().token, names.unregister, [])
    await trio.sleep(1)


async def look_badly() -> None:
    def fail(params: object) -> dict[str, object]:
        raise Bang

    await ask(app_of(page_of(fail)))


async def serve_badly() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener.socket.close()
    await Opened(app_of(), [listener], "").run_beside()


async def kill_with_the_observer() -> None:
    async with supervising([till()], name="shop") as shop:
        await act(Observation(current_run()), "kill", ref_of(shop, "till")._number)


EVENTS: dict[str, Callable[[], Awaitable[None]]] = {
    "actor_starting": start,
    "actor_exited": start,
    "restarted": kill,
    "restarting": be_delayed,
    "child_dropped": be_dropped,
    "gave_up": give_up,
    "start_failed": fail_while_cancelled,
    "shutdown_timed_out": take_too_long,
    "block_waits": wait_at_the_end,
    "connection_refused": refuse_a_connection,
    "connection_closed": close_a_connection,
    "message_left": leave_messages,
    "handler_failed": declare,
    "unexpected_message": send,
    "callback_failed": answer_badly,
    "failures_left": leave_failures,
    "event_lost": fill_a_listener,
    "listener_failed": hear_badly,
    "key_failed": lambda: end_with_a_bad_key(SystemExit()),
    "entry_lost": lambda: end_with_a_bad_key(Bang()),
    "release_failed": release_badly,
    "instrument_removed": watch_badly,
    "log_handler_failed": log_badly,
    "late_call_failed": be_late,
    "telemetry_failed": measure_badly,
    "request_failed": look_badly,
    "observer_failed": serve_badly,
    "observer_acted": kill_with_the_observer,
}


def happened(event: str) -> Records:
    with recorded() as log:
        trio.run(EVENTS[event], clock=MockClock(autojump_threshold=0))
    return log


@pytest.mark.parametrize("event", EVENTS)
def test_the_record_of_an_event_is_as_the_docs_say(event: str) -> None:
    row = TABLE[event]
    records = happened(event).of(event)
    assert records
    for record in records:
        assert record.name == row.logger
        assert record.levelname in row.levels
        assert fields_of(record).keys() == row.fields | {"event_name"}


def test_all_events_of_the_docs_are_tested() -> None:
    assert EVENTS.keys() | {"shutting_down"} == TABLE.keys()


def test_the_fields_of_a_restart() -> None:
    (record,) = happened("restarted").of("restarted")
    fields = fields_of(record)
    assert str(fields.pop("actor")) in record.getMessage()
    assert fields == {
        "event_name": "restarted",
        "supervisor": "shop",
        "child_id": "till",
        "actor_name": "front",
        "restarts": 1,
        "exit": "killed",
    }
    assert all(type(value) in (str, int) for value in fields.values())


def test_a_restart_after_a_wait_says_for_how_long() -> None:
    (record,) = happened("restarting").of("restarting")
    assert fields_of(record)["seconds"] == 2
    first, second = happened("restarting").of("actor_starting")
    assert [fields_of(each)["restarts"] for each in (first, second)] == [0, 1]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_each_restart_of_a_group_is_one_line(strategy: Any, autojump_clock: MockClock) -> None:
    children = [till(), ChildSpec(Actor, id="b", name=names.via("b"))]
    with recorded(logging.INFO) as log:
        async with supervising(children, name="shop", strategy=strategy) as shop:
            ref_of(shop, "till").kill()
            await wait_all_tasks_blocked()
    lines = [fields_of(record) for record in log.records]
    assert [(line["event_name"], line["child_id"], line["exit"], line["restarts"]) for line in lines] == [
        ("restarting", "till", "killed", 1),
        ("restarted", "b", "shutdown", 1),
    ]
    assert {"event_name", "exit"} | CHILD == lines[0].keys() == lines[1].keys()


async def test_a_crash_has_its_error_and_its_fields(autojump_clock: MockClock) -> None:
    with recorded() as log:
        async with supervising([till()], name="shop") as shop:
            ref_of(shop, "till").cast_nowait(Till.bang)
            await wait_all_tasks_blocked()
    (record,) = log.of("restarted")
    assert record.levelname == "ERROR"
    assert fields_of(record)["exit"] == "crashed"
    assert record.exc_info is not None
    assert record.exc_info[0] is Bang


async def test_a_supervisor_below_another_is_its_path(autojump_clock: MockClock) -> None:
    below = ChildSpec(trioreg.Supervisor, args=([till()],), id="storage")
    with recorded() as log:
        async with supervising([below], name="program"):
            pass
    assert [(fields_of(each)["supervisor"], fields_of(each)["child_id"]) for each in log.of("actor_starting")] == [
        ("program", "storage"),
        ("program/storage", "till"),
    ]


async def test_a_child_without_a_name_and_an_id_has_neither(autojump_clock: MockClock) -> None:
    with recorded() as log:
        async with supervised() as supervisor:
            await supervisor.start_child(Till)
    (record,) = log.of("actor_starting")
    assert fields_of(record).keys() == {"event_name", "supervisor", "actor", "restarts"}


async def test_ids_and_names_that_are_no_texts_are_shown(autojump_clock: MockClock) -> None:
    rooms: Registry[Any, None] = Registry("rooms")
    long = "x" * 10_000
    children = [ChildSpec(Till, id=("room", 7), name=rooms.via(3)), ChildSpec(Till, id=long, name=rooms.via("a\nb"))]
    with recorded() as log:
        async with supervising(children):
            pass
    first, second = map(fields_of, log.of("actor_starting"))
    assert (first["child_id"], first["actor_name"]) == ("('room', 7)", "3")
    assert (second["child_id"], second["actor_name"]) == (f"{'x' * 197}...", "a\\nb")


async def test_the_workers_of_a_pool_are_in_the_log_of_pools(autojump_clock: MockClock) -> None:
    with recorded() as log:
        async with trioreg.open_pool(Till, size=1, name="tills"):
            pass
    (record,) = log.of("actor_starting")
    assert record.name == "trioreg.pool"
    assert fields_of(record)["supervisor"] == "tills"


async def test_an_async_handler_that_fails_has_the_same_fields(autojump_clock: MockClock) -> None:
    with recorded() as log:
        await declare_asynchronously()
    (record,) = log.of("handler_failed")
    assert fields_of(record).keys() == {"event_name", "method"} | CHILD
    assert str(fields_of(record)["method"]).endswith("Slow.declare")


def test_a_start_that_fails_after_a_signal_has_the_supervisor_only() -> None:
    class Slow(Actor):
        async def on_start(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            try:
                await trio.sleep_forever()
            finally:
                raise Bang

    with recorded() as log:
        trioreg.run([ChildSpec(Slow)], name="shop", clock=MockClock(autojump_threshold=0))
    (record,) = log.of("start_failed")
    assert fields_of(record) == {"event_name": "start_failed", "supervisor": "shop"}


def test_a_signal_that_ends_a_program_is_an_event_of_the_program() -> None:
    async def end() -> None:
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep_forever()

    with recorded() as log:
        trioreg.run([ChildSpec(end)], name="shop", clock=MockClock(autojump_threshold=0))
    (record,) = log.of("shutting_down")
    row = TABLE["shutting_down"]
    assert (record.name, [record.levelname]) == (row.logger, row.levels)
    assert fields_of(record) == {"event_name": "shutting_down", "supervisor": "shop"}


# At the same moment as instruments


class GiveUps(Instrument):
    """Notes which supervisors give up."""

    def __init__(self) -> None:
        self.supervisors: list[str] = []

    def gave_up(self, supervisor: str, error: RestartLimitExceeded, /) -> None:
        self.supervisors.append(supervisor)


async def test_a_restart_is_told_to_instruments_in_the_step_in_which_it_is_logged(autojump_clock: MockClock) -> None:
    steps: list[int] = []
    step = 0

    class Steps(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            nonlocal step
            step += 1

    class Noted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if fields_of(record)["event_name"] == "restarted":
                steps.append(step)

    class Restarts(Instrument):
        def restarted(self, ref: trioreg.ActorRef[Any], restarts: int, /) -> None:
            steps.append(step)

    logger, handler, instrument = logging.getLogger("trioreg"), Noted(), Steps()
    logger.addHandler(handler)
    trio.lowlevel.add_instrument(instrument)
    trioreg.add_instrument(Restarts())
    try:
        async with supervising([till()], name="shop") as shop:
            for _ in range(2):
                ref_of(shop, "till").cast_nowait(Till.bang)
                await wait_all_tasks_blocked()
    finally:
        trio.lowlevel.remove_instrument(instrument)
        logger.removeHandler(handler)
    first, also_first, second, also_second = steps
    assert first == also_first
    assert second == also_second
    assert first < second


async def test_a_give_up_of_actors_on_demand_is_logged_and_told_to_instruments(autojump_clock: MockClock) -> None:
    class Keyed(Till):
        def __init__(self, key: str) -> None:
            self.key = key

    tills: OnDemand[str, Keyed] = OnDemand("shop", Keyed, limit=RestartLimit(0, 5, then="escalate"))
    with recorded() as log:
        told = GiveUps()
        trioreg.add_instrument(told)
        with gives_up():
            async with trioreg.open_on_demand(tills):
                tills.via("front").cast_nowait(Till.bang)
                await trio.sleep_forever()
    (record,) = log.of("gave_up")
    fields = fields_of(record)
    assert fields.keys() == {"event_name", "supervisor", "actor", "actor_name", "restarts", "exit"}
    assert (fields["supervisor"], fields["actor_name"], fields["exit"]) == ("shop", "front", "crashed")
    assert told.supervisors == ["shop"]
