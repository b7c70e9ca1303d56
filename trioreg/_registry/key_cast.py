"""One cast to the actor under a unique key, with no address in between: `Registry.cast_nowait`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from trio.lowlevel import enable_ki_protection, reschedule

from .._runtime import UNUSUAL, WOKEN, finish_waking
from .core import RegistryCore

if TYPE_CHECKING:
    from .._actors import Address

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = ParamSpec("P")


class KeyCast(RegistryCore[K, V]):
    """The method that casts to the one actor under a key."""

    if TYPE_CHECKING:

        def _make_via(self, key: K, value: Any, wait: bool, of: None) -> Address[Any]: ...

    @enable_ki_protection
    def cast_nowait(
        self, key: K, method: Callable[Concatenate[Any, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Have the actor under a unique key run one of its methods, without waiting for the result.

        ::

            agents.cast_nowait("James Bond", SecretAgent.echo, "hello")

        Does what ``agents.via(key).cast_nowait(method, ...)`` does, and makes no address for it. It costs what a
        cast to a kept address costs. Use it on a hot path where each cast goes to another name. Not a checkpoint;
        constant time.

        Args:
            key: The name of the actor.
            method: A method of the actor's class (or of a base class), sync or async.
            args, kwargs: Its arguments.

        Raises:
            NotRegistered: No owner has the key.
            MailboxFull: The mailbox is bounded and has no room.
            ActorExited: The actor is ending.
            TypeError: ``key`` is not hashable. Or its owner is not an actor, or has no such method, or the arguments do
                not fit.
            ValueError: The keys of this registry are not unique.
            RuntimeError: You are in another thread than the actor's Trio run.
        """
        # `MessagePaths.cast_nowait`, written out, for what is usual. `Via` does the rest.
        table: Any = self._sole
        cell: Any
        handler: Any
        try:
            cell = table[key][0]._cell
            inbox = cell.inbox
            is_open = inbox is not None or cell.is_open
            handler = cell.handlers.by_count[len(args)][method] if is_open and not kwargs else None
        except (LookupError, TypeError, AttributeError):
            cell = handler = inbox = None
        if handler is not None and not UNUSUAL and get_ident() == cell.thread:
            if inbox:  # messages wait, so the actor is not idle
                inbox.append(handler)
                try:
                    inbox.append(args)
                except BaseException:
                    inbox.pop()
                    raise
                return
            task = cell.taker
            if task is not None and task.custom_sleep_data is cell:
                cell.kind = handler
                cell.payload = args
                # `wake`, written out.
                task.custom_sleep_data = WOKEN
                try:
                    reschedule(task, WOKEN)
                except BaseException:
                    if task.custom_sleep_data is WOKEN:
                        task.custom_sleep_data = cell
                        cell.kind = cell.payload = None
                        raise
                    finish_waking(task)
                return
        self._require_unique("cast_nowait")
        self._make_via(key, None, False, None).cast_nowait(method, *args, **kwargs)
