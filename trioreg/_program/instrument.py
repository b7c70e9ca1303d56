"""What watches a running program: `Instrument`, in the manner of Trio's own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from .._actors import Message
from .._runtime import current_run, install, uninstall

if TYPE_CHECKING:
    from .._actors import ActorRef, WhyLeft
    from .._registry import Registered, Unregistered
    from .._runtime import Exit, RestartLimitExceeded


class Instrument:
    """Watches a program: override the hooks that you need. The idea is Trio's own `trio.abc.Instrument`.

    ::

        class Slow(trioreg.Instrument):
            def handled(self, message, value, error):
                seconds = trio.current_time() - message.began_at
                if seconds > 0.1:
                    print(f"{message} took {seconds:.1f} seconds")

        trioreg.add_instrument(Slow())

    A hook is a plain function. It is called in the middle of the runtime's work, so it must be short, and must not
    change what it watches: it may count, write a line, or put something into a queue. If it raises, the instrument is
    removed, and the error is in the log.

    A hook that you do not override is not called. A program without instruments pays nothing for them. While one has a
    hook for messages or publications, each message takes a longer way.

    **In pairs.** An actor gives one `actor_starting`, then at most one `actor_started`, then one `actor_exited`. A
    message gives one `message_sent`, then either `handling` and `handled`, or `message_left`. A call that was begun
    also gives one `answered`. An instrument sees the messages that are sent while it is installed. It also sees
    `message_left` of those that were sent before.
    """

    def actor_starting(self, ref: ActorRef[Any], /) -> None:
        """An actor has its name, and is about to run its ``__init__``."""

    def actor_started(self, ref: ActorRef[Any], /) -> None:
        """An actor has started: ``start_child`` is about to return."""

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        """An actor has ended, and its names are gone, or the next life has them. Also if it has never started."""

    def restarted(self, ref: ActorRef[Any], restarts: int, /) -> None:
        """A supervisor begins the next life of a child. `actor_starting` of that life comes right after it.

        Args:
            ref: The new life.
            restarts: How often that child has been restarted.
        """

    def gave_up(self, supervisor: str, error: RestartLimitExceeded, /) -> None:
        """A supervisor had too many restarts. It ends, and its errors leave it.

        Args:
            supervisor: Its path, as in ``"program/games"``.
            error: Which child, and which limit.
        """

    def message_sent(self, message: Message, /) -> None:
        """A message goes into a mailbox, or waits for room there. In the context of its sender."""

    def handling(self, message: Message, /) -> None:
        """An actor begins with a message. In the context of the actor, so what you set there the handler sees."""

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        """The handler is done. In the context of the actor.

        Args:
            message: The message.
            value: What the handler returned. A `Reply` is answered later. None for a function actor.
            error: What it raised: an error that it declares, a crash, or ``trio.Cancelled`` if the actor was ended.
        """

    def answered(self, message: Message, value: object, error: BaseException | None, /) -> None:
        """The caller of a call has its answer, or waits no longer. Right after `handled` as a rule; for a `Reply`, when
        that is sent. In the context of the code that answers.

        Args:
            message: The message. Its kind is ``"call"``.
            value: The answer.
            error: What the caller gets instead: a declared error, `ActorExited`, `NoReply`, or ``trio.Cancelled`` if it
                was cancelled. A cancelled caller may come before `handled`: the handler goes on.
        """

    def message_left(self, message: Message, why: WhyLeft, /) -> None:
        """This message will never be handled: it is a dead letter.

        Args:
            message: The message.
            why: ``"exited"``: its actor has ended, or has left the topic. ``"withdrawn"``: its sender was cancelled
                while it waited. ``"dropped"``: the ``buffer`` of the subscription was full.
        """

    def registered(self, event: Registered[Any, Any], /) -> None:
        """A name was registered, in any registry of the program. A subscription of a `PubSub` is a name, too."""

    def unregistered(self, event: Unregistered[Any, Any], /) -> None:
        """A name is gone."""

    def published(self, pubsub: str, topic: Hashable, message: object, count: int, /) -> None:
        """A message was published.

        Args:
            pubsub: The name of the `PubSub`.
            topic: The topic.
            message: The message.
            count: How many subscriptions it reached.
        """


HOOKS = tuple(name for name in vars(Instrument) if not name.startswith("_"))


def hooks_of(instrument: Instrument) -> dict[str, Callable[..., object]]:
    """The hooks that an instrument has of its own."""
    if not isinstance(instrument, Instrument):
        raise TypeError(f"instrument must be an instance of trioreg.Instrument, not {instrument!r}")
    return {
        name: getattr(instrument, name)
        for name in HOOKS
        if getattr(getattr(instrument, name), "__func__", None) is not getattr(Instrument, name)
    }


def add_instrument(instrument: Instrument) -> None:
    """Have an instrument watch the current Trio run, from now on. If it does already, nothing happens.

    It ends with the run. Not a checkpoint. The cost grows with the registries of the run, if it has a hook for names.

    Raises:
        TypeError: It is not an instance of `Instrument`.
        RuntimeError: You are not inside of a Trio run.
    """
    install(current_run(), instrument, hooks_of(instrument), Message)


def remove_instrument(instrument: Instrument) -> None:
    """Have an instrument watch the current Trio run no more. Not a checkpoint; constant time.

    Raises:
        KeyError: It is not installed.
        RuntimeError: You are not inside of a Trio run.
    """
    uninstall(current_run(), instrument)
