"""`Recorder`: a stand-in that records what it is sent, and answers as it is told."""

from __future__ import annotations

import gc
import re
from abc import ABC, abstractmethod
from functools import wraps
from typing import Any, cast

import attrs
import pytest
import trio
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Agent,
    ChildSpec,
    DynamicSupervisor,
    OnDemand,
    Registry,
    Reply,
    open_on_demand,
    raises,
)
from trioreg.testing import NoAnswer, Recorder, crash, sent, settled


class Mailer(Actor):
    """What is stood in for: none of this code runs."""

    idle_timeout = 1
    own_turn = True
    state_of_all = "class attribute"
    smallest = min  # it has no signature, so it can't be sent
    Error = OSError

    def __init__(self, host: str) -> None:
        raise AssertionError("it runs")

    def send(self, to: str, text: str = "", *, urgent: bool = False) -> str:
        raise AssertionError("it runs")

    @raises(OSError)
    async def connect(self) -> int:
        raise AssertionError("it runs")

    def later(self) -> Reply[str]:
        raise AssertionError("it runs")

    @staticmethod
    def ping(text: str) -> str:
        raise AssertionError("it runs")

    @classmethod
    def version(cls) -> str:
        raise AssertionError("it runs")

    async def on_start(self) -> None:
        raise AssertionError("it runs")

    async def on_message(self, message: object) -> None:
        raise AssertionError("it runs")

    async def on_idle(self) -> None:
        raise AssertionError("it runs")


class Shop(Actor):
    """It calls the mailer by its name."""

    def __init__(self, names: Registry[str, None]) -> None:
        self.mailer = names.via("mailer", of=Mailer)

    async def order(self, what: str) -> str:
        return await self.mailer.call(Mailer.send, "bob", f"1 {what}")

    async def order_twice(self, what: str) -> None:
        await self.mailer.cast(Mailer.send, "bob", text=f"2 {what}")


class TestTheStandIn:
    async def test_stands_under_a_name_and_is_an_actor_of_the_class(self, autojump_clock: MockClock) -> None:
        names: Registry[str, None] = Registry("names")
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer("queued")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor, name=names.via("mailer"))
            shop = await supervisor.start_child(Shop, names)
            assert await shop.call(Shop.order, "tea") == "queued"
            await trio.sleep(10)
            assert ref.is_alive
            [message] = mailer.messages
            assert (message.kind, message.method, message.args) == ("call", "send", ("bob", "1 tea"))
            assert message.sender is shop
            assert message.ref is ref
            assert str(message) == f"call send('bob', '1 tea'), from {shop!r}"
            assert repr(ref).startswith("<Recorder[Mailer] #")

    async def test_a_message_to_several_stand_ins_is_no_call(self, autojump_clock: MockClock) -> None:
        names: Registry[str, None] = Registry("names", keys="duplicate")
        mailer = Recorder(Mailer)
        async with supervised() as supervisor:
            for _ in range(2):
                names.register("mailers", owner=await supervisor.start_child(mailer.actor))
            await wait_all_tasks_blocked()
            assert names.cast_all("mailers", Mailer.send, "bob", "1 tea") == 2
            await wait_all_tasks_blocked()
            assert [(message.kind, message.sender) for message in mailer.messages] == [("cast", None)] * 2

    async def test_has_the_methods_of_the_class_and_checks_their_arguments(self) -> None:
        mailer = Recorder(Mailer)
        ping, version = cast("Any", Mailer.ping), cast("Any", Mailer.version)  # they take no Mailer
        mailer.on(ping).answer("static")
        mailer.on(version).answer("class")
        mailer.on(Mailer.connect).answer(7)
        mailer.on(Mailer.later).answer("reply")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            assert await ref.call(ping, "x") == "static"
            assert await ref.call(version) == "class"
            assert await ref.call(Mailer.connect) == 7
            assert await ref.call(Mailer.later) == "reply"
            with pytest.raises(TypeError, match="missing a required argument: 'to'"):
                await ref.call(cast("Any", Mailer.send))
            assert ref.is_alive
            assert [each.method for each in mailer.messages] == ["ping", "version", "connect", "later"]

    async def test_records_casts_and_sends(self) -> None:
        mailer = Recorder(Mailer)
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            await ref.cast(Mailer.send, "bob")
            await ref.send({"plain": 1})
            await settled()
            assert [str(each) for each in mailer.messages] == ["cast send('bob')", "send on_message({'plain': 1})"]

    async def test_records_over_all_its_lives(self) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer("queued")
        async with supervising([ChildSpec(mailer.actor, id="mailer")]) as supervisor:
            for _ in range(2):
                ref = cast("ActorRef[Mailer]", supervisor.which_child("mailer").ref)
                assert await ref.call(Mailer.send, "bob") == "queued"
                crash(ref, OSError())
                await settled()
            assert len({each.ref for each in mailer.messages}) == 2

    async def test_takes_any_arguments_and_can_take_the_place_of_the_class(self) -> None:
        mailer = Recorder(Mailer)
        patched: Any = mailer.actor
        assert patched.Error is OSError
        keyed: OnDemand[str, Mailer] = OnDemand("keyed", patched)
        mailer.on(patched.send).answer("queued")
        async with supervised() as supervisor, open_on_demand(keyed):
            assert await keyed.via("a").call(Mailer.send, "ann") == "queued"
            ref = await supervisor.start_child(patched, "smtp.example.org")
            assert await ref.call(patched.send, "bob") == "queued"
            mailer.assert_messages(sent(Mailer.send, "ann"), sent(Mailer.send, "bob"))

    async def test_has_no_code_that_could_be_called_as_a_function(self) -> None:
        patched: Any = Recorder(Mailer).actor

        class Caller(Actor):
            def ping(self) -> str:
                return cast("str", patched.ping("x"))

        error = r"^a stand-in has no code, so (ping|version)\(\) can't be called as a function: send it as a message$"
        with pytest.raises(TypeError, match=error):
            patched.version()
        with pytest.raises(RuntimeError, match=r"^this Recorder\[Mailer\] was not started by a supervisor"):
            patched("smtp.example.org").send("bob")
        async with supervised() as supervisor:
            caller = await supervisor.start_child(Caller, restart="temporary")
            with pytest.raises(ActorExited) as caught:
                await caller.call(Caller.ping)
            assert re.search(error, str(caught.value.__cause__))

    async def test_of_other_kinds_of_classes(self) -> None:
        def decorated(function: Any) -> Any:
            @wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            return call

        @attrs.frozen
        class Frozen(Actor):
            size: int

            @decorated
            def double(self, by: int) -> int:
                raise AssertionError("it runs")

        class WithNew(Actor):
            def __new__(cls, size: int) -> Any:
                raise AssertionError("it runs")

            def _private(self) -> int:
                raise AssertionError("it runs")

        async with supervised() as supervisor:
            frozen = Recorder(Frozen)
            frozen.on(Frozen.double).answer(4)
            assert await (await supervisor.start_child(frozen.actor)).call(Frozen.double, 2) == 4
            new = Recorder(WithNew)
            new.on(WithNew._private).answer(4)
            assert await (await supervisor.start_child(new.actor)).call(WithNew._private) == 4
            agent = Recorder(Agent[int])
            get: Any = Agent[int].get
            agent.on(get).answer(4)
            ref = await supervisor.start_child(agent.actor)
            assert await ref.call(Agent[int].get, lambda n: n) == 4

    async def test_runs_no_special_method_of_the_class(self) -> None:
        ran: list[str] = []

        class Noisy(Actor):
            def __init__(self) -> None:
                self.connection = 1

            def __init_subclass__(cls, *, table: str) -> None:
                ran.append("__init_subclass__")

            def __del__(self) -> None:
                ran.append("__del__")

            def __repr__(self) -> str:
                return str(self.connection)

            def __eq__(self, other: object) -> bool:
                return self.connection == other

            def __getattr__(self, name: str) -> object:
                return getattr(self.connection, name)

            def send(self, to: str) -> str:
                raise AssertionError("it runs")

        noisy = Recorder(Noisy)
        noisy.on(Noisy.send).answer("queued")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(noisy.actor)
            assert await ref.call(Noisy.send, "bob") == "queued"
            cell: Any = ref._cell
            actor: Any = cell.actor
            assert repr(actor).startswith("<")
            assert actor == actor != ref
            assert len({actor}) == 1
            with pytest.raises(AttributeError, match=r"^Recorder\[Noisy\] has no attribute 'connection'$"):
                actor.connection  # noqa: B018
            del actor, cell
            await ref.stop()
        gc.collect()
        assert ran == []

    async def test_of_an_abstract_class_needs_no_more_than_its_methods(self) -> None:
        class Abstract(Actor, ABC):
            @property
            @abstractmethod
            def host(self) -> str: ...

            @abstractmethod
            def send(self, to: str) -> str: ...

        recorder = Recorder(Abstract)  # type: ignore[type-abstract]
        recorder.on(Abstract.send).answer("queued")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(recorder.actor)
            assert await ref.call(Abstract.send, "bob") == "queued"

    async def test_of_a_stand_in(self) -> None:
        outer = Recorder(cast("type[Mailer]", Recorder(Mailer).actor))
        outer.on(Mailer.send).answer("queued")
        async with supervised() as supervisor:
            assert await (await supervisor.start_child(outer.actor)).call(Mailer.send, "bob") == "queued"

    async def test_of_a_class_in_a_function_has_a_readable_name(self) -> None:
        class Local(Actor):
            def send(self) -> None: ...

        local = Recorder(Local)
        async with supervised() as supervisor:
            ref = await supervisor.start_child(local.actor)
            assert repr(ref).startswith("<Recorder[Local] #")
            with pytest.raises(NoAnswer, match=r"^Recorder\[Local\] has .*: give one with \.on\(Local\.send\)\.answer"):
                await ref.call(Local.send)

    @pytest.mark.parametrize("cls", ["Mailer", Registry, DynamicSupervisor, None])
    def test_of_what_is_no_actor_class_is_refused(self, cls: object) -> None:
        with pytest.raises(TypeError, match=r"^cls must be a subclass of Actor, and no supervisor, not "):
            Recorder(cast("Any", cls))

    def test_answers_only_for_methods_of_the_class(self) -> None:
        mailer = Recorder(Mailer)
        with pytest.raises(TypeError, match=r"Shop\.order is not a method of Mailer: pass Mailer\.<method>"):
            mailer.on(cast("Any", Shop.order))
        with pytest.raises(TypeError, match=r"'send' is not a method of Mailer: pass Mailer\.<method>"):
            mailer.assert_messages(sent(cast("Any", "send"), "bob"))
        with pytest.raises(TypeError, match=r"on_message can't be sent as a message: use ref\.send\(message\)"):
            mailer.on(Mailer.on_message)


class TestAnswers:
    async def test_an_error_goes_to_the_caller_and_the_stand_in_lives_on(self) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).fail(OSError("no network"))
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            for _ in range(2):
                with pytest.raises(OSError, match="no network"):
                    await ref.call(Mailer.send, "bob")
            assert ref.is_alive

    async def test_a_function_makes_the_answer_or_the_error(self) -> None:
        def answer(to: str, text: str = "", *, urgent: bool = False) -> str:
            if urgent:
                raise OSError("not today")
            return f"{to}: {text}"

        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer_with(answer)
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            assert await ref.call(Mailer.send, "bob", "hi") == "bob: hi"
            with pytest.raises(OSError, match="not today"):
                await ref.call(Mailer.send, "bob", urgent=True)

    async def test_a_sequence_is_used_up(self) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer_each("one", OSError("two"))
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            assert await ref.call(Mailer.send, "bob") == "one"
            with pytest.raises(OSError, match="two"):
                await ref.call(Mailer.send, "bob")
            with pytest.raises(
                NoAnswer, match=r"^Recorder\[Mailer\] has given all 2 answers before send\('eve'\) came$"
            ):
                await ref.call(Mailer.send, "eve")

    async def test_an_answer_may_come_later_and_other_calls_do_not_wait(self, autojump_clock: MockClock) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer("late", after=3)
        mailer.on(Mailer.connect).fail(OSError("late"), after=2)
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(mailer.actor)

            @nursery.start_soon
            async def send() -> None:
                assert await ref.call(Mailer.send, "bob") == "late"
                assert trio.current_time() == 3

            with pytest.raises(OSError, match="late"):
                await ref.call(Mailer.connect)
            assert trio.current_time() == 2

    async def test_an_answer_that_never_comes_can_be_released(self, autojump_clock: MockClock) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).never()
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(mailer.actor)
            with trio.move_on_after(100) as scope:
                await ref.call(Mailer.send, "eve")
            assert scope.cancelled_caught

            @nursery.start_soon
            async def send() -> None:
                assert await ref.call(Mailer.send, "bob") == "at last"

            await settled()
            assert mailer.on(Mailer.send).release("at last") == 2
            assert mailer.on(Mailer.send).release(OSError()) == 0

    async def test_a_caller_that_waits_learns_of_the_end(self) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).never()
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(mailer.actor, restart="temporary")

            @nursery.start_soon
            async def send() -> None:
                with pytest.raises(ActorExited):
                    await ref.call(Mailer.send, "bob")

            await settled()
            crash(ref, OSError())

    async def test_without_an_answer_the_caller_is_told_what_to_write(self) -> None:
        mailer = Recorder(Mailer)
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            with pytest.raises(NoAnswer) as caught:
                await ref.call(Mailer.send, "bob", urgent=True)
            assert str(caught.value) == (
                "Recorder[Mailer] has no answer for send('bob', urgent=True): "
                "give one with .on(Mailer.send).answer(...)"
            )
            assert ref.is_alive

    async def test_the_last_one_counts(self) -> None:
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer("one")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            assert await ref.call(Mailer.send, "bob") == "one"
            mailer.on(Mailer.send).answer("two")
            assert await ref.call(Mailer.send, "bob") == "two"

    def test_what_can_be_no_answer_is_refused(self) -> None:
        on = Recorder(Mailer).on(Mailer.send)

        async def answer(to: str, text: str = "", *, urgent: bool = False) -> str:
            return ""

        with pytest.raises(TypeError, match=r"^error must be an instance of Exception, not 'no'$"):
            on.fail(cast("Any", "no"))
        with pytest.raises(TypeError, match=r"^fn must be a sync function"):
            on.answer_with(cast("Any", answer))
        with pytest.raises(ValueError, match=r"^after must be at least 0 and finite, not -1$"):
            on.answer("", after=-1)


class TestAssertions:
    async def test_the_messages_are_compared_in_order_however_arguments_are_given(self) -> None:
        names: Registry[str, None] = Registry("names")
        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer("queued")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor, name=names.via("mailer"))
            shop = await supervisor.start_child(Shop, names)
            mailer.assert_messages()
            await shop.call(Shop.order, "tea")
            await shop.call(Shop.order_twice, "milk")
            await ref.send("flush")
            await settled()
            mailer.assert_messages(
                sent(Mailer.send, to="bob", text="1 tea", urgent=False),
                sent(Mailer.send, "bob", "2 milk"),
                sent(Mailer.on_message, "flush"),
            )
            mailer.clear()
            mailer.assert_messages()

    async def test_a_difference_is_shown_line_by_line(self) -> None:
        mailer = Recorder(Mailer)
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            for to in ("ann", "bob", "eve"):
                await ref.cast(Mailer.send, to)
            await settled()
        with pytest.raises(AssertionError) as caught:
            mailer.assert_messages(
                sent(Mailer.send, "ann"), sent(Mailer.send, "eve"), sent(Mailer.connect), sent(Mailer.send, "zoe")
            )
        assert str(caught.value).splitlines() == [
            "Recorder[Mailer]: 4 messages expected, 3 came (- expected, + came):",
            "    cast send('ann')",
            "  + cast send('bob')",
            "    cast send('eve')",
            "  - connect()",
            "  - send('zoe')",
        ]

    async def test_of_one_method(self) -> None:
        mailer = Recorder(Mailer)
        on = mailer.on(Mailer.send)
        on.assert_not_sent()
        with pytest.raises(AssertionError, match=r"no message send\('bob'\) has come; nothing has come at all$"):
            on.assert_sent("bob")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(mailer.actor)
            await ref.cast(Mailer.send, "bob", "hi")
            await ref.cast(Mailer.connect)
            await settled()
        on.assert_sent("bob", text="hi")
        assert [each.args for each in on.messages] == [("bob", "hi")]
        with pytest.raises(AssertionError) as caught:
            on.assert_not_sent()
        assert str(caught.value).splitlines() == [
            "Recorder[Mailer]: a message send has come; what has come is:",
            "  cast send('bob', 'hi')",
            "  cast connect()",
        ]
        with pytest.raises(AssertionError, match=r"no message send\('bob'\) has come; what has come is:"):
            on.assert_sent("bob")

    def test_wrong_expectations_are_refused(self) -> None:
        mailer = Recorder(Mailer)
        with pytest.raises(TypeError, match=r"^each argument must be from sent\(\.\.\.\), not 'send'$"):
            mailer.assert_messages(cast("Any", "send"))
        with pytest.raises(TypeError, match="missing a required argument"):
            mailer.assert_messages(sent(cast("Any", Mailer.send)))
        with pytest.raises(TypeError, match=r"Shop\.order"):
            mailer.assert_messages(sent(Shop.order, "tea"))


def test_its_texts_say_what_it_is() -> None:
    mailer = Recorder(Mailer)
    assert repr(mailer) == "<Recorder[Mailer], 0 recorded>"
    assert repr(mailer.on(Mailer.send)) == "<answers of Recorder[Mailer] to send>"
    assert re.fullmatch(r"Recorder\[Mailer\]", cast("type", mailer.actor).__name__)
