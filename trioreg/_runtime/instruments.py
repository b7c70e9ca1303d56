"""The instruments of one Trio run: for each hook, the functions to call. It knows no actor.

`UNUSUAL` says whether a message has to take the long way. It is empty nearly always. While it is not, a run has an
instrument that sees messages or publications, or the garbage collector runs. So a program without instruments pays
nothing for them.

Must never happen: an instrument that disturbs the program. One that raises is removed, with an error in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .finalizers import UNUSUAL
from .log import SafeLogger
from .stack_room import require_room

logger = SafeLogger("trioreg.runtime")

NAME_HOOKS = frozenset({"registered", "unregistered"})
"""The hooks for which the registries have to tell of each change."""

MESSAGE_HOOKS = frozenset({"message_sent", "handling", "handled", "answered", "message_left"})
"""The hooks for which each message has to be watched on its way."""

LONG_WAY_HOOKS = MESSAGE_HOOKS | {"published"}
"""The hooks that the shortest ways of a message know nothing of."""

NewMessage: TypeAlias = Callable[..., Any]
"""Makes a `Message`, of which this wing knows nothing."""


class Installed:
    """An instrument, from the moment in which it is added to the moment in which it is removed.

    Attributes:
        instrument: The instrument.
        hooks: The functions of the hooks that it has.
        is_there: Whether it is to be told. False from its removal on, also if it is added again: the new one is told
            of no message that this one has seen begin.
    """

    __slots__ = ("hooks", "instrument", "is_there")

    def __init__(self, instrument: object, hooks: Mapping[str, Callable[..., object]]) -> None:
        self.instrument = instrument
        self.hooks = hooks
        self.is_there = True


Hooks: TypeAlias = dict[str, tuple[tuple[Installed, Callable[..., object]], ...]]
"""The functions to call for each hook, each with its instrument."""


class Instruments:
    """The instruments of one Trio run.

    Attributes:
        all: The instruments, in the order in which they were added.
        hooks: The functions of each hook that an instrument has. It is never changed, but replaced.
        see_names: Whether one of them has a hook for names.
        new_message: Makes what the hooks for messages get. None while no instrument has one of these hooks.
        received: The message that a function actor works on, by its cell.
    """

    __slots__ = ("_failed", "_maker", "all", "hooks", "new_message", "received", "see_names")

    def __init__(self, new_message: NewMessage) -> None:
        self._maker = new_message
        self._failed: list[tuple[Installed, str, BaseException]] = []
        self.all: dict[object, Installed] = {}
        self.hooks: Hooks = {}
        self.new_message: NewMessage | None = None
        self.see_names: bool = False
        self.received: dict[object, object] = {}

    def tell(self, hook: str, *args: object) -> None:
        """Call a hook of each instrument. Never raises."""
        if hook in self.hooks:
            self.tell_those(self.hooks, hook, *args)

    def tell_those(self, hooks: Hooks, hook: str, *args: object) -> None:
        """Call a hook of the instruments that were there when ``hooks`` was read, and still are. There must be one."""
        for installed, function in hooks[hook]:
            if installed.is_there:
                try:
                    function(*args)
                except BaseException as error:
                    installed.is_there = False
                    self._failed.append((installed, hook, error))
        if self._failed:
            try:  # noqa: SIM105  # no call that could fail outside of it
                self._remove_failed()
            except (MemoryError, RecursionError):
                pass  # the stack is full: next time

    def _remove_failed(self) -> None:
        require_room()
        while self._failed:
            installed, hook, error = self._failed.pop(0)
            instrument = installed.instrument
            if self.all.get(instrument) is installed:
                self._remove(instrument)
            text = "the instrument %r failed in %s(), and is removed"
            logger.report(error, "instrument_removed", text, instrument, hook)
            del error  # its traceback leads here

    def _add(self, instrument: object, hooks: Mapping[str, Callable[..., object]]) -> None:
        self.all[instrument] = Installed(instrument, hooks)
        self._update()

    def _remove(self, instrument: object) -> None:
        self.all.pop(instrument).is_there = False
        self._update()

    def _update(self) -> None:
        by_hook: Hooks = {}
        for installed in self.all.values():
            for hook, function in installed.hooks.items():
                by_hook[hook] = (*by_hook.get(hook, ()), (installed, function))
        self.hooks = by_hook
        self.see_names = not NAME_HOOKS.isdisjoint(by_hook)
        self.new_message = None if MESSAGE_HOOKS.isdisjoint(by_hook) else self._maker
        if self.new_message is None:
            self.received.clear()
        takes_long_way = not LONG_WAY_HOOKS.isdisjoint(by_hook)
        if takes_long_way and self not in UNUSUAL:
            UNUSUAL.append(self)
        elif not takes_long_way and self in UNUSUAL:
            UNUSUAL.remove(self)

    def end(self) -> None:
        """The run is over."""
        if self._failed:
            self._remove_failed()
        for installed in self.all.values():
            installed.is_there = False
        self.all.clear()
        self._update()
