"""This file tests the inside: what `hot_paths` writes out by hand does what the plain functions do.

A program runs twice in virtual time, with the same schedule: once as it is, and once with the plain functions in place
of the paths that are written out. Everything that can be seen must be the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, cast

import attrs
import pytest
import trio
from hypothesis import event, given
from hypothesis import strategies as st
from support.supervisors import supervised
from trio.lowlevel import checkpoint, checkpoint_if_cancelled
from trio.testing import MockClock

from trioreg import Actor, ActorExited, ActorRef, Address, MailboxFull, Registry, Reply, TrioregError, raises
from trioreg._actors import (
    ENDING,
    STOPPING,
    Cell,
    PassingCell,
    hot_paths,
    life,
    new_life,
    new_passing_life,
    type_of,
)
from trioreg._actors.answers import (
    answer_in_callers_turn,
    answer_later,
    ask,
    go_on,
    wait_answer,
)
from trioreg._actors.call import Call
from trioreg._actors.handler import Handler
from trioreg._actors.hot_paths import MessagePaths
from trioreg._actors.idle import idle_deadline
from trioreg._actors.message import CALL, CAST, INFO, STOP, TICK, Tick
from trioreg._actors.observed import COROUTINE
from trioreg._registry.key_cast import KeyCast
from trioreg._runtime import current_run

Operation = Literal["call", "cast_nowait", "cast by keyword", "send_nowait", "look", "stop", "cancel", "kill"]
Form = Literal["sync", "async", "mixed"]
Way = Literal["reference", "name", "key"]
Effect = Literal["answer", "refuse", "defer", "note", "crash", "stop", "cancel", "kill"]


# The plain functions


def plain_find(address: Address[Any]) -> Cell | None:
    return address._resolve()._cell


async def plain_call(address: Address[Any], method: Callable[..., Any], /, *args: object, **kwargs: object) -> object:
    try:
        cell = plain_find(address)
        if cell is None or cell.state >= STOPPING:
            raise address._exited(cell)
    except TrioregError:
        await checkpoint_if_cancelled()
        raise
    cell.ref._require_thread()
    handler = cell.handlers.find(method, args, kwargs)
    if cell.is_idle and not handler.has_own_turn:
        await checkpoint()
        if cell.is_idle:
            result = answer_in_callers_turn(cell, handler, args, kwargs)
            return await wait_answer(result) if isinstance(result, Call) else result
        if cell.state >= STOPPING:
            raise address._exited(cell)
    return await wait_answer(ask(cell, handler, args, kwargs))


def plain_put(address: Address[Any], cell: Cell, kind: object, payload: object) -> None:
    if cell.is_full and cell.is_open:
        assert cell.limit is not None
        raise MailboxFull(cell.ref, cell.limit)
    cell.put(kind, payload)


def plain_cast_nowait(address: Address[Any], method: Callable[..., Any], /, *args: object, **kwargs: object) -> None:
    cell = address._accepting()
    handler = cell.handlers.find(method, args, kwargs)
    if kwargs:
        plain_put(address, cell, CAST, (handler, args, kwargs))
    else:
        plain_put(address, cell, handler, args)


def plain_cast_by_key(
    registry: Registry[str, None], key: str, method: Callable[..., Any], /, *args: object, **kwargs: object
) -> None:
    plain_cast_nowait(registry.via(key), method, *args, **kwargs)


def plain_send_nowait(address: Address[Any], message: object) -> None:
    plain_put(address, address._accepting(), INFO, message)


async def plain_serve(cell: Cell) -> bool:
    # With a scope from the first message on.
    if cell.scope is not None:
        return await plain_loop(cell)
    with trio.CancelScope() as cell.scope:
        return await plain_loop(cell)
    return False


async def plain_loop(cell: Cell) -> bool:
    assert cell.hooks is not None
    cell.taker = cell.task
    budget = hot_paths.BATCH
    is_first_async = True
    while True:
        if cell.kind is None and cell.queue:
            if not budget:
                await checkpoint()
                budget = hot_paths.BATCH
                continue
            budget -= 1
        elif cell.state == ENDING:
            return False
        message = cell.take()
        if message is not None:
            kind, payload = message
            if kind is STOP:
                return False
            handler = handler_of(cell, kind, payload)
            if handler.is_async and is_first_async:
                # `serve` returns here, to be called again with a scope: a new batch begins.
                is_first_async = False
                budget = hot_paths.BATCH
            await plain_handle(cell, handler, kind, payload)
        else:
            await plain_wait(cell)
            budget = hot_paths.BATCH


async def plain_wait(cell: Cell) -> None:
    assert cell.hooks is not None
    if not cell.hooks.has_on_idle:
        if cell.state != ENDING:
            await cell.wait_for_message()
        return
    with trio.CancelScope(deadline=idle_deadline(cell)) as cell.idle_scope:
        try:
            await cell.wait_for_message()
        finally:
            cell.idle_scope = None
        return
    if not cell.queued:
        cell.put_first(cell.hooks.on_idle, ())


def handler_of(cell: Cell, kind: object, payload: Any) -> Handler:
    assert cell.hooks is not None
    if isinstance(kind, Handler):
        return kind
    if kind is CALL:
        return cast("Handler", payload.handler)
    return cast("Handler", payload[0]) if kind is CAST else cell.hooks.on_message


async def plain_handle(cell: Cell, handler: Handler, kind: object, payload: Any) -> None:
    call: Call | None = None
    args: tuple[object, ...]
    kwargs: Mapping[str, object] = {}
    if isinstance(kind, Handler):
        args = payload
    elif kind is CALL:
        call = cast("Call", payload)
        args, kwargs = call.args, call.kwargs
    elif kind is CAST:
        _, args, kwargs = payload
    else:
        assert kind is INFO or kind is TICK
        args = (cast("Tick", payload).taken() if kind is TICK else payload,)
    cell.call = call
    try:
        result = handler.function(cell.actor, *args, **kwargs)
        if handler.is_async:
            result = await result
    except handler.declared as error:
        if call is not None:
            call.fail(error)
    else:
        if type(result) is COROUTINE:
            go_on(cell, cast("Any", result), handler, args, kwargs, call)
        elif call is not None and isinstance(result, Reply):
            answer_later(cell, call, cast("Reply[object]", result))
        elif call is not None:
            call.answer(result)
    cell.call = None
    cell.handled += 1


@contextmanager
def plain_functions() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MessagePaths, "call", plain_call)
        patch.setattr(MessagePaths, "cast_nowait", plain_cast_nowait)
        patch.setattr(MessagePaths, "send_nowait", plain_send_nowait)
        patch.setattr(KeyCast, "cast_nowait", plain_cast_by_key)
        patch.setattr(life, "serve", plain_serve)
        yield


# The programs


@attrs.frozen
class Step:
    """One thing that a sender does.

    Attributes:
        pause: How many seconds before it; None: not even a checkpoint.
        repeats: How often a message is sent, one right after the other (a call only once).
        duration: How many seconds an async handler takes.
        patience: After how many seconds a call is cancelled: if it still waits then, it is withdrawn.
    """

    operation: Operation = "call"
    form: Form = "sync"
    effect: Effect = "answer"
    pause: int | None = 0
    repeats: int = 1
    duration: int = 0
    patience: int | None = None


@attrs.frozen
class Program:
    """What all senders do, to one actor.

    Attributes:
        has_on_idle: Whether the actor has an `on_idle`: it waits for its messages in another way then.
        way: Where the messages are sent: to its reference, or to its name. With "key", `Registry.cast_nowait` sends
            the casts.
        batch: After how many messages the actor lets others run. A withdrawn call counts as a message in only one of
            the two ways, so this is short only where no call is withdrawn.
    """

    senders: tuple[tuple[Step, ...], ...]
    mailbox_size: int | None = None
    has_on_idle: bool = False
    way: Way = "reference"
    batch: int = hot_paths.BATCH
    seed: int = 0


def steps(*, patience: st.SearchStrategy[int | None]) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        operation=st.sampled_from(
            cast("list[Operation]", ["call", "cast_nowait", "send_nowait"] * 6 + ["cast by keyword", "look"] * 3)
            + cast("list[Operation]", ["stop", "cancel", "kill"])
        ),
        form=st.sampled_from(cast("list[Form]", ["sync", "sync", "async", "mixed"])),
        effect=st.sampled_from(
            cast(
                "list[Effect]", ["answer"] * 16 + ["note", "defer", "refuse"] * 4 + ["crash", "stop", "cancel", "kill"]
            )
        ),
        pause=st.sampled_from([None, None, 0, 0, 1, 2]),
        repeats=st.sampled_from([1, 1, 1, 2, 5]),
        duration=st.sampled_from([0, 0, 1, 2]),
        patience=patience,
    )


def programs(*, batch: int, patience: st.SearchStrategy[int | None]) -> st.SearchStrategy[Program]:
    return st.builds(
        Program,
        senders=st.lists(
            st.lists(steps(patience=patience), min_size=1, max_size=8).map(tuple), min_size=1, max_size=4
        ).map(tuple),
        mailbox_size=st.sampled_from([None, None, 1, 2, 3]),
        has_on_idle=st.booleans(),
        way=st.sampled_from(cast("list[Way]", ["reference", "name", "key"])),
        batch=st.just(batch),
        seed=st.integers(0, 3),
    )


class Refused(Exception):
    """A declared error."""


class Box(Actor):
    """What all senders send to. Its class is made anew for each run, with a table of handlers of its own."""

    log: list[object]

    def __init__(self) -> None:
        self.running: object = None

    def begin(self, number: int) -> None:
        self.log.append(("begins", number, trio.current_time(), self.running))
        self.running = number

    def end(self, number: int, effect: Effect) -> Any:
        self.running = None
        self.log.append(("ends", number, trio.current_time()))
        if effect == "refuse":
            raise Refused(number)
        if effect == "crash":
            raise ZeroDivisionError(number)
        if effect == "note":
            self.log.append(outcome(lambda: self.ref.cast_nowait(Box.sync, -number, "answer", 0)))
        elif effect == "stop":
            self.stop()
        elif effect == "cancel":
            self.ref.cancel()
        elif effect == "kill":
            self.ref.kill()
        elif effect == "defer":
            reply = Reply[int]()

            async def answer() -> None:
                await trio.sleep(1)
                reply.send(number)

            self.start_soon(answer)
            return reply
        return number

    @raises(Refused)
    def sync(self, number: int, effect: Effect, duration: int) -> Any:
        self.begin(number)
        return self.end(number, effect)

    @raises(Refused)
    async def slow(self, number: int, effect: Effect, duration: int) -> Any:
        self.begin(number)
        if duration:
            await trio.sleep(duration)
        return self.end(number, effect)

    @raises(Refused)
    def mixed(self, number: int, effect: Effect, duration: int) -> Any:
        async def go_on() -> Any:
            if duration:
                await trio.sleep(duration)
            return self.end(number, "answer" if effect == "defer" else effect)

        self.begin(number)
        return go_on()

    async def on_message(self, message: tuple[int, Effect, int]) -> None:
        number, effect, duration = message
        self.begin(number)
        if duration:
            await trio.sleep(duration)
        self.end(number, "answer" if effect == "refuse" else effect)


METHODS: dict[Form, Callable[..., Any]] = {"sync": Box.sync, "async": Box.slow, "mixed": Box.mixed}


def box_of(program: Program, log: list[object]) -> type[Box]:
    class Made(Box):
        mailbox_size = program.mailbox_size

    Made.log = log
    if program.has_on_idle:

        class Idle(Made):
            idle_timeout = 1.73  # never at the same time as a sender: Trio orders equal deadlines by chance

            async def on_idle(self) -> None:
                self.log.append(("idle", trio.current_time()))

        return Idle
    return Made


def outcome(function: Callable[[], object]) -> object:
    try:
        return "gives", function()
    except (ActorExited, MailboxFull) as error:
        return "raises", type(error).__name__, getattr(error, "was_sent", None)


class Unhandled(logging.Handler):
    """Keeps what the log says, without what is not the same in two runs."""

    def __init__(self, log: list[object]) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        if "unhandled" in str(record.msg):
            self.log.append(("log", cast("tuple[Any, ...]", record.args)[-1]))


def run(program: Program) -> list[object]:
    """All that could be seen of one run, in order."""
    log: list[object] = []

    async def main() -> None:
        names: Registry[str, None] = Registry("names")
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(box_of(program, log), name=names.via("box"), restart="temporary")
            address: Address[Any] = ref if program.way == "reference" else names.via("box")
            cast_to: Callable[..., None] = address.cast_nowait
            if program.way == "key":
                cast_to = partial(names.cast_nowait, "box")
            for at, sender in enumerate(program.senders):
                nursery.start_soon(send_all, 100 * (at + 1), sender, address, cast_to, ref)
            await trio.sleep(200)
            log.append(statistics(ref))
            ref.cancel()
            log.append((await ref.wait()).reason)

    async def send_all(
        number: int,
        sender: tuple[Step, ...],
        address: Address[Any],
        cast_to: Callable[..., None],
        ref: ActorRef[Any],
    ) -> None:
        for step in sender:
            if step.pause is not None:
                await trio.sleep(step.pause)
            if not ref.is_alive:
                return  # a name leads nowhere now
            if step.operation == "call":
                number += 1
                await call(number, step, address)
            elif step.operation in ("stop", "cancel", "kill"):
                ref._cell.stop() if step.operation == "stop" and ref._cell else getattr(ref, step.operation)()
            elif step.operation != "look":
                for _ in range(step.repeats):
                    number += 1
                    log.append(outcome(lambda: send(number, step, address, cast_to)))  # noqa: B023  # called at once
            log.append((number, trio.current_time(), statistics(ref)))

    async def call(number: int, step: Step, address: Address[Any]) -> None:
        with trio.move_on_after(float("inf") if step.patience is None else step.patience) as scope:
            try:
                answer = await address.call(METHODS[step.form], number, step.effect, step.duration)
            except (ActorExited, Refused) as error:
                log.append((number, "raises", type(error).__name__, getattr(error, "was_sent", None)))
            else:
                log.append((number, "gives", answer))
        log.append((number, "is cancelled", scope.cancelled_caught))

    def send(number: int, step: Step, address: Address[Any], cast_to: Callable[..., None]) -> None:
        if step.operation == "send_nowait":
            address.send_nowait((number, step.effect, step.duration))
        elif step.operation == "cast_nowait":
            cast_to(METHODS[step.form], number, step.effect, step.duration)
        else:
            cast_to(METHODS[step.form], number, effect=step.effect, duration=step.duration)

    scheduler: Any = trio._core._run  # Trio shows no way to have one schedule twice
    scheduler._r.seed(program.seed)
    handler = Unhandled(log)
    logger = logging.getLogger("trioreg")
    logger.addHandler(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
        patch.setattr(hot_paths, "BATCH", program.batch)
        try:
            trio.run(main, clock=MockClock(autojump_threshold=0))
        finally:
            logger.removeHandler(handler)
    return log


def statistics(ref: ActorRef[Any]) -> object:
    if not ref.is_alive:
        return "ended"
    seen = ref.statistics()
    return seen.queued, seen.peak, seen.handled, seen.calls_in_flight


def compare(program: Program) -> list[object]:
    written_out = run(program)
    with plain_functions():
        plain = run(program)
    assert written_out == plain
    return written_out


def about(subject: object, log: list[object]) -> list[Sequence[Any]]:
    """The entries of a log about one sender (before its first message: its number), or of one kind."""
    entries = [cast("Sequence[Any]", entry) for entry in log]
    return [entry for entry in entries if entry[0] == subject]


def handled(log: list[object]) -> list[object]:
    """The numbers of the messages whose handler has begun, in order."""
    return [entry[1] for entry in about("begins", log)]


# The tests


@given(programs(batch=hot_paths.BATCH, patience=st.sampled_from([None, None, 0, 1, 2])))
def test_the_hot_paths_do_what_the_plain_functions_do(program: Program) -> None:
    log = compare(program)
    event("a call is withdrawn or given up" if any("is cancelled" in str(e) and "True" in str(e) for e in log) else "-")


@given(programs(batch=2, patience=st.none()))
def test_the_hot_paths_let_other_tasks_run_as_often_as_the_plain_functions_do(program: Program) -> None:
    compare(program)


def test_casts_in_a_row_are_handled_in_order_and_counted() -> None:
    casts = Step("cast_nowait", pause=None, repeats=5)
    log = compare(Program(((casts, casts, Step("call", pause=None)),)))
    assert handled(log) == [*range(101, 112)]
    assert (111, "gives", 111) in log
    assert log[-2] == (0, 11, 11, 0)


def test_casts_in_a_row_let_other_tasks_run_after_each_batch() -> None:
    casts = (Step("cast_nowait", pause=None, repeats=9),)
    looks = (Step("look", pause=0),) * 9
    log = compare(Program((casts, looks), batch=2))
    seen = [entry[-1][2] for entry in about(200, log)]
    # The first one has woken the actor, and belongs to no batch.
    assert [*dict.fromkeys(seen)] == [0, 3, 5, 7, 9]


@pytest.mark.parametrize("size", [None, 2])
def test_a_withdrawn_call_is_not_handled_and_its_room_is_free(size: int | None) -> None:
    busy = (Step("cast_nowait", form="async", duration=9),)
    waits = (Step("call", pause=1, patience=1), Step("cast_nowait"), Step("cast_nowait"))
    log = compare(Program((busy, waits), mailbox_size=size))
    assert (201, "is cancelled", True) in log
    assert handled(log) == [101, 202, 203]


def test_casts_one_after_the_other_that_raise_a_declared_error_leave_the_actor_alive() -> None:
    refused = Step("cast_nowait", effect="refuse", pause=None, repeats=5)
    assert handled(compare(Program(((refused,),)))) == [101, 102, 103, 104, 105]


@pytest.mark.parametrize("effect", ["stop", "cancel", "kill", "crash"])
def test_casts_that_wait_are_handled_before_a_stop_and_not_before_any_other_end(effect: Effect) -> None:
    before, ends, after = (Step("cast_nowait", effect=e, pause=None) for e in ("answer", effect, "answer"))
    log = compare(Program(((before, ends, after, after),)))
    assert handled(log) == ([101, 102, 103, 104] if effect == "stop" else [101, 102])


@pytest.mark.parametrize("seed", range(4))
def test_a_call_to_an_actor_that_is_asked_to_stop_at_the_same_time_is_refused_or_answered(seed: int) -> None:
    senders = ((Step("call", pause=1),), (Step("stop", pause=1),))
    log = compare(Program(senders, seed=seed))
    assert {(101, "raises", "ActorExited", False), (101, "gives", 101)} & set(log)


class Pair(Actor):
    def two(self, first: object, second: object) -> None: ...


@pytest.mark.parametrize("is_plain", [False, True])
async def test_arguments_that_do_not_fit_are_refused_after_some_that_do(
    is_plain: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Pair)
        with plain_functions() if is_plain else nullcontext():
            for args in [(1,), (1, 2, 3)]:
                ref.cast_nowait(Pair.two, 1, 2)
                with pytest.raises(TypeError, match="two"):
                    ref.cast_nowait(Pair.two, *args)
                await ref.call(Pair.two, 1, 2)
                with pytest.raises(TypeError, match="two"):
                    await ref.call(Pair.two, *args)


# A new life


@pytest.mark.parametrize("is_function", [False, True])
async def test_a_life_that_is_made_at_once_is_what_its_constructors_make(is_function: bool) -> None:
    kind = type_of(None if is_function else Bounded)
    run, child = current_run(), cast("Any", object())
    ref = kind.reference(run, "Bounded")
    plain = Cell(ref, child, kind)
    ref._cell = plain
    made = new_life(kind.reference, run, "Bounded", child, kind)
    assert made.ref._number == ref._number + 1
    for one, other in ((plain, made), (plain.life, made.life), (plain.ref, made.ref)):
        assert type(one) is type(other)
        names = slots_of(one) - {"ref", "life", "_cell", "_number"}
        assert {name: getattr(one, name) for name in names} == {name: getattr(other, name) for name in names}
    assert made.ref._cell is made


async def test_a_blank_life_that_is_made_at_once_is_what_its_constructor_makes() -> None:
    kind = type_of(Bounded)
    run, child, home = current_run(), cast("Any", object()), cast("Any", object())
    ref = kind.reference(run, "Bounded")
    plain = PassingCell(ref, child, kind, home, "key", None)
    ref._cell = plain
    made = new_passing_life(kind.reference, run, "Bounded", child, kind, home, "key", None)
    assert type(made) is PassingCell
    names = slots_of(plain) - {"ref", "life", "waits"}
    assert {name: getattr(plain, name) for name in names} == {name: getattr(made, name) for name in names}
    assert made.ref._cell is made
    assert made.life.child is child


class Bounded(Actor):
    mailbox_size = 3


def slots_of(record: object) -> set[str]:
    names = {name for cls in type(record).__mro__ for name in getattr(cls, "__slots__", ())}
    return names - {"__weakref__"}


# An actor that is made without a call of its class


class Checked(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        made.is_checked = True
        return made


class ByMetaclass(Actor, metaclass=Checked):
    is_checked = False

    def look(self) -> bool:
        return self.is_checked


async def test_a_metaclass_that_makes_its_instances_itself_still_does() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(ByMetaclass)
        assert await ref.call(ByMetaclass.look)
        supervisor.stop()


class Returning(Actor):
    def __init__(self) -> None:
        return cast("Any", 3)  # type: ignore[no-any-return]


async def test_an_init_that_returns_something_is_an_error_as_in_any_class() -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=r"__init__\(\) should return None, not 'int'"):
            await supervisor.start_child(Returning)
        supervisor.stop()


async def test_a_class_without_an_init_takes_no_arguments() -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=r"Bounded\(\) takes no arguments"):
            await cast("Any", supervisor).start_child(Bounded, 3)
        supervisor.stop()


async def test_a_class_that_forbids_its_init_can_not_be_started() -> None:
    class Forbidden(Actor):
        __init__ = None  # pyright: ignore[reportAssignmentType]

    async with supervised() as supervisor:
        with pytest.raises(TypeError, match="'NoneType' object is not callable"):
            await supervisor.start_child(Forbidden)
        supervisor.stop()
