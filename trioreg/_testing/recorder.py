"""`Recorder`: an actor that stands in for another one, records what it is sent, and answers as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast, get_origin, overload

import trio
from trio.lowlevel import current_task

from .._actors import CALLERS_TURN, Actor, ActorRef, Reply, type_of
from .._runtime import current_actor, require_number, require_sync, shown_safely, sync_result
from .recorded import Recorded, Sent, arguments_of, difference, shown
from .stand_in import label_of_class, stand_in_for

if TYPE_CHECKING:
    from .._actors import Cell

A = TypeVar("A", bound=Actor)
P = ParamSpec("P")
R = TypeVar("R")


class NoAnswer(Exception):
    """A `Recorder` was called, and has no answer for that method. It is raised in the caller."""


class Recorder(Generic[A]):
    """An actor that stands in for another one: it records what it is sent, and answers as you tell it.

    Synopsis::

        mailer = Recorder(Mailer)
        mailer.on(Mailer.send).answer("queued")
        await supervisor.start_child(mailer.actor, name=services.via("mailer"))

        await shop.call(Shop.order, "tea")  # the shop calls Mailer.send

        mailer.assert_messages(sent(Mailer.send, "bob@example.org", "1 tea"))

    It has the methods of the class, with their signatures, and none of the code: no ``__init__`` either. Start
    `actor` like any other child: under a name, with a restart, in a `~trioreg.ChildSpec`. All its lives share what is
    recorded and what is to be answered.

    ==========================================  =====================================================
    ``mailer.on(Mailer.send)``                  a call of that method
    ==========================================  =====================================================
    ``.answer("queued")``                       gets that value
    ``.answer("queued", after=3)``              gets it 3 seconds later
    ``.fail(OSError("no network"))``            gets that error, and the stand-in lives on
    ``.answer_with(lambda to, text: ...)``      gets what the function returns
    ``.answer_each("a", "b", OSError())``       gets the next of these
    ``.never()``                                waits, until ``.release("late")``
    none of these                               gets `NoAnswer`
    ==========================================  =====================================================

    A cast or a send needs no answer. Type checkers refuse an answer, or an argument, of a wrong type. A Recorder is for
    one thread.

    Args:
        cls: The class of the actor that it stands in for. Of a generic class, also ``Agent[int]``.

    Raises:
        TypeError: ``cls`` is not a subclass of `~trioreg.Actor`, or it is a supervisor.
    """

    def __init__(self, cls: type[A], /) -> None:
        plain = cast("object", get_origin(cls) or cls)
        if not (isinstance(plain, type) and issubclass(plain, Actor)) or plain._trioreg_is_side_by_side:
            raise TypeError(f"cls must be a subclass of Actor, and no supervisor, not {shown_safely(cls)}")
        self._cls = cast("type[A]", plain)
        self._stand_in = stand_in_for(self._cls, self._take)
        self._messages: list[Recorded] = []
        self._answers: dict[str, _Answering] = {}
        self._waiting: dict[str, list[Reply[Any]]] = {}

    def __repr__(self) -> str:
        return f"<{self._stand_in.__qualname__}, {len(self._messages)} recorded>"

    @property
    def actor(self) -> Callable[..., A]:
        """What ``start_child`` and `~trioreg.ChildSpec` take: the stand-in's class.

        It takes the arguments of the real one, or any others, and makes nothing of them. So you can also put it in the
        place of the real class: ``monkeypatch.setattr(shop, "Mailer", mailer.actor)``. For `~trioreg.OnDemand`, pyright
        needs ``cast(type[Mailer], mailer.actor)``.
        """
        return self._stand_in

    @property
    def messages(self) -> tuple[Recorded, ...]:
        """All messages so far, in order. Not a checkpoint; the cost grows with their number."""
        return tuple(self._messages)

    @overload
    def on(self, method: Callable[Concatenate[A, P], Awaitable[Reply[R]]], /) -> Answers[P, R]: ...
    @overload
    def on(self, method: Callable[Concatenate[A, P], Awaitable[R]], /) -> Answers[P, R]: ...
    @overload
    def on(self, method: Callable[Concatenate[A, P], Reply[R]], /) -> Answers[P, R]: ...
    @overload
    def on(self, method: Callable[Concatenate[A, P], R], /) -> Answers[P, R]: ...
    def on(self, method: Callable[..., Any], /) -> Answers[..., Any]:
        """What calls of one method get, and which messages for it have come. Not a checkpoint; constant time.

        Args:
            method: A method of the class, as in ``Mailer.send``.

        Raises:
            TypeError: The class has no such method, or it can't be sent as a message.
        """
        with self._in_words_of_the_class():
            handler, _ = type_of(self._stand_in).handlers._make(method)
        return Answers(self, handler.name.rpartition(".")[2])

    def clear(self) -> None:
        """Forget the messages so far. The answers stay. Not a checkpoint; constant time."""
        self._messages.clear()

    def assert_messages(self, *expected: Sent) -> None:
        """Check that exactly these messages have come, in this order. Without arguments: none.

        Not a checkpoint; the cost grows with their number.

        If a message may still be on its way, wait before: ``await settled()``.

        Args:
            expected: The messages, each from `sent`.

        Raises:
            AssertionError: Other messages have come. It lists all, and marks each that is missing or too many.
            TypeError: An argument is not from `sent`, or the class has no such method, or its arguments do not fit.
        """
        __tracebackhide__ = True  # pytest shows the test, and not what is in here
        wanted = [self._wanted(each) for each in expected]
        got = [self._compared(each) for each in self._messages]
        if [what for _, what in got] != [what for _, what in wanted]:
            raise AssertionError(f"{self._title}: {difference(got, wanted, [*map(str, self._messages)])}")

    # What the stand-in does

    def _take(self, actor: Actor, name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        ref: ActorRef[Any] = actor.ref
        cell = ref._cell
        assert cell is not None
        is_call = cell.call is not None or cell.runs_in == CALLERS_TURN
        kind: Literal["call", "cast", "send"] = "call" if is_call else "send" if name == "on_message" else "cast"
        sender = _caller(cell) if is_call else None
        self._messages.append(Recorded(kind, name, args, kwargs, sender, trio.current_time(), ref))
        if not is_call:
            return None
        reply: Reply[Any] = Reply()
        answer = self._answers.get(name)
        try:
            if answer is None:
                raise NoAnswer(
                    f"{self._title} has no answer for {shown(name, args, kwargs)}: "
                    f"give one with .on({label_of_class(self._cls)}.{name}).answer(...)"
                )
            answer(actor, reply, args, kwargs)
        except Exception as error:
            reply.fail(error)
        return reply

    @property
    def _title(self) -> str:
        return self._stand_in.__qualname__

    @contextmanager
    def _in_words_of_the_class(self) -> Generator[None]:
        """In the block, an error about a method says ``Mailer.send``, and not ``Recorder[Mailer].send``."""
        try:
            yield
        except TypeError as error:
            raise TypeError(str(error).replace(self._title, label_of_class(self._cls))) from None

    # To compare messages

    def _compared(self, message: Recorded) -> tuple[str, object]:
        return self._as_compared(message.method, message.args, message.kwargs)

    def _wanted(self, expected: Sent) -> tuple[str, object]:
        if not isinstance(expected, Sent):
            raise TypeError(f"each argument must be from sent(...), not {shown_safely(expected)}")
        if getattr(expected.method, "__name__", None) == "on_message":
            return self._as_compared("on_message", expected.args, expected.kwargs)
        with self._in_words_of_the_class():
            handler = type_of(self._stand_in).handlers.find(expected.method, expected.args, expected.kwargs)
        return self._as_compared(handler.name.rpartition(".")[2], expected.args, expected.kwargs)

    def _as_compared(self, name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> tuple[str, object]:
        text = shown(name, args, kwargs)
        if name == "on_message":
            return text, (name, args)
        method: Any = getattr(self._stand_in, name)
        return text, (name, arguments_of(method.__signature__, args, kwargs))


_Answering = Callable[[Actor, "Reply[Any]", tuple[object, ...], Mapping[str, object]], None]


class Answers(Generic[P, R]):
    """What the calls of one method get, from `Recorder.on`. What you say last counts, for the calls from then on.

    Each of its methods takes constant time, if it does not say otherwise.
    """

    __slots__ = ("_name", "_recorder")

    def __init__(self, recorder: Recorder[Any], name: str) -> None:
        self._recorder = recorder
        self._name = name

    def __repr__(self) -> str:
        return f"<answers of {self._recorder._title} to {self._name}>"

    def answer(self, value: R, /, *, after: float = 0) -> None:
        """Each call gets this value. Not a checkpoint.

        Args:
            value: The value.
            after: How long the caller waits for it, in seconds. The stand-in takes other messages meanwhile.

        Raises:
            TypeError, ValueError: ``after`` is not a finite number of at least 0.
        """
        self._set_after(value, None, after)

    def fail(self, error: Exception, /, *, after: float = 0) -> None:
        """Each call gets this error, which is raised in the caller. The stand-in lives on. Not a checkpoint.

        To have the stand-in crash instead, use `crash`.

        Args:
            error: The error; it need not be declared with `~trioreg.raises`.
            after: As in `answer`.

        Raises:
            TypeError: ``error`` is not an instance of `Exception`; or as `answer`.
            ValueError: As `answer`.
        """
        if not isinstance(error, Exception):
            raise TypeError(f"error must be an instance of Exception, not {shown_safely(error)}")
        self._set_after(None, error, after)

    def answer_with(self, fn: Callable[P, R], /) -> None:
        """Each call gets what a function makes of its arguments. An error of it goes to the caller. Not a checkpoint.

        Args:
            fn: A sync function with the arguments of the method, without ``self``.

        Raises:
            TypeError: ``fn`` is not a sync function.
        """
        require_sync("fn", fn)

        def answer(actor: Actor, reply: Reply[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            reply.send(sync_result("fn", fn, fn(*args, **kwargs)))

        self._set(answer)

    def answer_each(self, *answers: R | Exception) -> None:
        """The next call gets the first of these, the call after that the second, and so on. Not a checkpoint.

        A call after the last one gets `NoAnswer`.

        Args:
            answers: The values. An instance of `Exception` is raised in the caller.
        """
        left = deque(answers)
        count = len(left)

        def answer(actor: Actor, reply: Reply[Any], args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
            if not left:
                text = shown(self._name, args, kwargs)
                raise NoAnswer(f"{self._recorder._title} has given all {count} answers before {text} came")
            _give(reply, left.popleft())

        self._set(answer)

    def never(self) -> None:
        """Each call waits, until `release`, or until the stand-in ends. Not a checkpoint."""
        waiting = self._recorder._waiting.setdefault(self._name, [])

        def answer(actor: Actor, reply: Reply[Any], args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
            waiting.append(reply)

        self._set(answer)

    def release(self, answer: R | Exception, /) -> int:
        """Answer all calls that wait because of `never`. Later calls wait again. Not a checkpoint.

        Args:
            answer: What they get. An instance of `Exception` is raised in the callers.

        Returns:
            How many calls waited. Those that were given up meanwhile count as well.
        """
        waiting = self._recorder._waiting.get(self._name, [])
        count = len(waiting)
        while waiting:
            _give(waiting.pop(0), answer)
        return count

    @property
    def messages(self) -> tuple[Recorded, ...]:
        """The messages for this method so far, in order. Not a checkpoint; the cost grows with the number of all."""
        return tuple(each for each in self._recorder._messages if each.method == self._name)

    def assert_sent(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Check that a message for this method has come with these arguments, once or more. Not a checkpoint.

        Raises:
            AssertionError: None has come. It lists all messages.
            TypeError: The arguments do not fit.
        """
        __tracebackhide__ = True  # pytest shows the test, and not what is in here
        recorder = self._recorder
        text, wanted = recorder._as_compared(self._name, args, kwargs)
        if not any(recorder._compared(each)[1] == wanted for each in recorder._messages):
            raise AssertionError(f"{recorder._title}: no message {text} has come; {_all(recorder)}")

    def assert_not_sent(self) -> None:
        """Check that no message for this method has come. Not a checkpoint.

        Raises:
            AssertionError: One has come. It lists all messages.
        """
        __tracebackhide__ = True  # pytest shows the test, and not what is in here
        if self.messages:
            recorder = self._recorder
            raise AssertionError(f"{recorder._title}: a message {self._name} has come; {_all(recorder)}")

    def _set_after(self, value: R | None, error: Exception | None, seconds: float) -> None:
        require_number("after", seconds)

        def answer(actor: Actor, reply: Reply[Any], args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
            give = partial(reply.send, value) if error is None else partial(reply.fail, error)
            if seconds:
                actor.start_soon(_later, seconds, give)
            else:
                give()

        self._set(answer)

    def _set(self, answer: _Answering) -> None:
        self._recorder._answers[self._name] = answer


async def _later(seconds: float, give: Callable[[], None]) -> None:
    await trio.sleep(seconds)
    give()


def _give(reply: Reply[Any], answer: object) -> None:
    if isinstance(answer, Exception):
        reply.fail(answer)
    else:
        reply.send(answer)


def _caller(cell: Cell) -> ActorRef[Any] | None:
    """The actor whose call runs now."""
    task = current_task() if cell.call is None else cell.call.task
    ref = None if task is None else task.context.get(current_actor)
    return cast("ActorRef[Any] | None", ref)


def _all(recorder: Recorder[Any]) -> str:
    messages = recorder._messages
    return (
        "nothing has come at all" if not messages else "\n".join(["what has come is:", *(f"  {m}" for m in messages)])
    )
