"""What a `Recorder` has recorded, what a test expects of it, and how the two differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

import attrs

from .._actors import Actor
from .._runtime import counted, shown_safely

if TYPE_CHECKING:
    import inspect
    from collections.abc import Iterable, Sequence

    from .._actors import ActorRef

A = TypeVar("A", bound=Actor)
P = ParamSpec("P")


@attrs.frozen(eq=False)
class Recorded:
    """One message that a `Recorder` got. ``str()`` of it is one line for people.

    Attributes:
        kind: ``"call"``, ``"cast"`` or ``"send"``. A publication is one of the last two.
        method: The name of the method, as in ``"send"``; ``"on_message"`` for an object that was sent.
        args, kwargs: Its arguments, as they were given.
        sender: The actor that called. None if a plain task did, and for messages that are no calls.
        at: When it came, as `trio.current_time`, in seconds.
        ref: The life of the stand-in that got it.
    """

    kind: Literal["call", "cast", "send"]
    method: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    sender: ActorRef[Any] | None
    at: float
    ref: ActorRef[Any]

    def __str__(self) -> str:
        sender = "" if self.sender is None else f", from {self.sender!r}"
        return f"{self.kind} {shown(self.method, self.args, self.kwargs)}{sender}"


@attrs.frozen(eq=False)
class Sent:
    """A message that a test expects, from `sent`."""

    method: Callable[..., object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def sent(method: Callable[Concatenate[A, P], object], /, *args: P.args, **kwargs: P.kwargs) -> Sent:
    """A message that a test expects, for `Recorder.assert_messages`. Type checkers check the arguments.

    ::

        flush = sent(Mailer.on_message, "flush")
        mailer.assert_messages(sent(Mailer.send, "bob", "hi"), flush)

    Not a checkpoint; constant time; safe from any thread.

    Args:
        method: A method of the actor's class; ``on_message`` for an object that is sent with ``ref.send(...)``.
        args, kwargs: The arguments that are expected. They are compared with ``==``. It makes no difference whether
            one is given by its place or by its name.
    """
    return Sent(method, args, kwargs)


def shown(name: str, args: Iterable[object], kwargs: Mapping[str, object]) -> str:
    """A message as text: ``send('bob', text='hi')``."""
    arguments = [*map(shown_safely, args), *(f"{key}={shown_safely(value)}" for key, value in kwargs.items())]
    return f"{name}({', '.join(arguments)})"


def arguments_of(signature: inspect.Signature, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """The arguments in a form in which it makes no difference how they were given."""
    bound = signature.bind(None, *args, **kwargs)
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def difference(got: Sequence[tuple[str, object]], expected: Sequence[tuple[str, object]], texts: Sequence[str]) -> str:
    """How the messages that came differ from those that were expected. Each is its text, and what is compared.

    Args:
        got: The messages that came.
        expected: The messages that were expected.
        texts: The lines for those that came.
    """
    lines = [f"{counted(len(expected), 'message')} expected, {len(got)} came (- expected, + came):"]
    numbers = _numbers([*got, *expected])
    matcher = SequenceMatcher(None, numbers[len(got) :], numbers[: len(got)], autojunk=False)
    for what, first, last, first_got, last_got in matcher.get_opcodes():
        if what == "equal":
            lines += [f"    {text}" for text in texts[first_got:last_got]]
            continue
        lines += [f"  - {text}" for text, _ in expected[first:last]]
        lines += [f"  + {text}" for text in texts[first_got:last_got]]
    return "\n".join(lines)


def _numbers(messages: Sequence[tuple[str, object]]) -> list[int]:
    """A number for each message. Equal messages, which need not be hashable, have the same number."""
    kinds: list[object] = []
    numbers: list[int] = []
    for _, what in messages:
        number = next((number for number, kind in enumerate(kinds) if kind == what), len(kinds))
        if number == len(kinds):
            kinds.append(what)
        numbers.append(number)
    return numbers
