"""One cast to every actor under a key: `Registry.cast_all`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, TypeVarTuple, overload

from trio.lowlevel import enable_ki_protection

from .._actors import cast_to_all
from .lookup import Lookup

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

OnFull: TypeAlias = Literal["raise", "drop"]


class GroupCast(Lookup[K, V]):
    """The method that casts to every actor under a key."""

    # A type checker can't have both ``**kwargs: P.kwargs`` and ``on_full``.
    @overload
    def cast_all(
        self, key: K, method: Callable[Concatenate[Any, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> int: ...
    @overload
    def cast_all(self, key: K, method: Callable[[Any, *Ts], object], /, *args: *Ts, on_full: OnFull = ...) -> int: ...
    @enable_ki_protection
    def cast_all(
        self, key: K, method: Callable[..., object], /, *args: object, on_full: object = "raise", **kwargs: object
    ) -> int:
        """Have every actor under a key run one of its methods, without waiting for the results.

        ::

            reached = rooms.cast_all("lobby", Session.write, "hello")

        Each actor gets it once, in the order of `lookup`, as by `~Address.cast_nowait`. An actor that is stopping takes
        no more messages: it is left out. If this raises, no actor got the message.

        Not a checkpoint. The cost grows with the entries for the key.

        Args:
            key: The key.
            method: A method that the classes of these actors have, sync or async.
            args, kwargs: Its arguments. Together with ``on_full=``, type checkers take positional arguments only.
            on_full: What happens if a bounded mailbox has no room: ``"raise"`` is a `MailboxFull`, ``"drop"`` leaves
                that actor out.

        Returns:
            The number of actors that the message was sent to.

        Raises:
            MailboxFull: The mailbox of one of the actors has no room, and ``on_full`` is ``"raise"``.
            TypeError: ``key`` is not hashable. Or an owner of the key is not an actor, or has no such method, or the
                arguments do not fit.
            ValueError: ``on_full`` is neither ``"raise"`` nor ``"drop"``.
            RuntimeError: You are in another thread than the actors' Trio run.
        """
        if on_full not in ("raise", "drop"):
            raise ValueError(f"on_full must be 'raise' or 'drop', not {on_full!r}")
        return cast_to_all(self.refs(key), method, args, kwargs, skip_full=on_full == "drop")
