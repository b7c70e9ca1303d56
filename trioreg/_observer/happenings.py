"""What happened while somebody looked: starts, ends, crashes, restarts, and supervisors that gave up.

`Happenings` is an instrument with hooks for the lives of actors only, so messages take their usual way. A hook does
little: a program may restart thousands of actors a second. It keeps short texts and numbers, and no actor and no error.

Must never happen: a hook that formats a traceback, or shows a large object; a flood of starts that pushes a crash out.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, cast

from .._program import Instrument
from .._runtime import text_of
from .messages import Messages
from .texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._actors import ActorRef, Cell
    from .._runtime import Exit, RestartLimitExceeded, Run
    from .._supervision import Child

KEPT = 1000
"""How many happenings are kept, of starts and ends, and of all others."""

KEPT_GIVE_UPS = 100
"""How many supervisors that gave up are kept beside, for the tree."""

What: TypeAlias = Literal["crash", "exit", "start", "restart", "give_up"]


class Happening(TypedDict):
    """One happening.

    Attributes:
        number: They are numbered from 1 on.
        clock: When, as Unix time.
        what: What it was: ``"crash"``, ``"exit"`` (any other end), ``"start"``, ``"restart"`` or ``"give_up"``.
        path: The supervisor, as in ``"program/games"``; empty if that is not known.
        label: What the actor is called.
        kind: Its class, or its function.
        actor: Its number; None for ``"give_up"``.
        text: All that in a sentence.
    """

    number: int
    clock: float
    what: str
    path: str
    label: str
    kind: str
    actor: int | None
    text: str


class _Noted(NamedTuple):
    """A happening as it is kept: the sentence is made only if somebody reads it."""

    number: int
    clock: float
    at: float
    what: What
    path: str
    label: str
    kind: str
    actor: int | None
    detail: str


class Happenings(Instrument):
    """What happened in one run.

    Attributes:
        number: How many there were: the number of the last one.
        crashes, restarts, given_up: How many there were of these.
        messages: How many messages were handled.
    """

    def __init__(self, run: Run) -> None:
        self.messages: Messages = Messages()
        self.number: int = 0
        self.crashes: int = 0
        self.restarts: int = 0
        self.given_up: int = 0
        self._now = run.now
        self._token = run.token
        self._faults: deque[_Noted] = deque(maxlen=KEPT)
        self._lives: deque[_Noted] = deque(maxlen=KEPT)
        self._give_ups: deque[_Noted] = deque(maxlen=KEPT_GIVE_UPS)
        self._begins_again = 0
        self._texts = Texts()

    # The hooks

    def actor_starting(self, ref: ActorRef[Any], /) -> None:
        cell = ref._cell
        assert cell is not None  # it has not ended
        self.messages.began(cell)
        if ref._number != self._begins_again:  # else it is noted as a restart
            self._note("start", ref, cell, "")

    def restarted(self, ref: ActorRef[Any], restarts: int, /) -> None:
        self._begins_again = ref._number
        self.restarts += 1
        self._note("restart", ref, ref._cell, str(restarts))

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        cell = self.messages.ended(ref._number)
        if exit.error is None:
            self._note("exit", ref, cell, exit.reason)
        else:
            self.crashes += 1
            self._note("crash", ref, cell, shown_error(exit.error))

    def gave_up(self, supervisor: str, error: RestartLimitExceeded, /) -> None:
        self.given_up += 1
        self.number += 1
        noted = _Noted(self.number, time.time(), self._now(), "give_up", supervisor, supervisor, "", None, error._limit)
        self._faults.append(noted)
        self._give_ups.append(noted)

    def _note(self, what: What, ref: ActorRef[Any], cell: Cell | None, detail: str) -> None:
        number, kind, path = ref._number, ref._label, ""
        name = None
        if cell is not None:
            child = cast("Child", cell.life.child)
            path = child.parent.label
            name = child.spec.name
        label = _without_name(kind, number) if name is None else self._texts.name(name.key)
        self.number += 1
        noted = _Noted(self.number, time.time(), self._now(), what, path, label, kind, number, detail)
        (self._lives if what in ("start", "exit") else self._faults).append(noted)

    # What is asked

    def last(self, count: int, *, lives: bool = True) -> list[Happening]:
        """The last ones, the newest first. Without ``lives``, no starts, and of ends the crashes only."""
        newest = _newest(self._faults, count)
        if lives:
            newest = sorted([*newest, *_newest(self._lives, count)], reverse=True)[:count]
        return [_happening(noted) for noted in newest]

    def lately(self, seconds: float) -> dict[int, str]:
        """What happened last to each actor in the last seconds: ``"crash"`` or ``"restart"``, by its number."""
        since = self._now() - seconds
        found: dict[int, str] = {}
        for noted in reversed(self._faults):
            if noted.at < since:
                break
            if noted.actor is not None:
                found.setdefault(noted.actor, noted.what)
        return found

    def gave_up_lately(self, seconds: float) -> dict[str, tuple[int, float]]:
        """The supervisors that gave up in the last seconds, by their paths: the number, and how long ago it was."""
        now = self._now()
        return {noted.path: (noted.number, now - noted.at) for noted in self._give_ups if now - noted.at <= seconds}

    # Watching

    def pause(self) -> None:
        """Nobody watches any more. What happened is kept, for a page that is opened soon."""
        self.messages.forget(self._token)
        self._texts = Texts()

    def clear(self) -> None:
        """Begin anew."""
        self._faults.clear()
        self._lives.clear()
        self._give_ups.clear()
        self.crashes = self.restarts = self.given_up = 0
        self.messages.total = 0


def _newest(noted: Iterable[_Noted], count: int) -> list[_Noted]:
    found: list[_Noted] = []
    for each in reversed(cast("deque[_Noted]", noted)):
        if len(found) == count:
            break
        found.append(each)
    return found


def _without_name(kind: str, number: int | None) -> str:
    """What an actor without a name is called."""
    return f"{kind[:180]} #{number}"


def _happening(noted: _Noted) -> Happening:
    path, label, kind = (text_of(text) or "" for text in (noted.path, noted.label, noted.kind))
    match noted.what:
        case "crash":
            text = f"{label} crashed: {noted.detail}"
        case "exit":
            text = f"{label} ended: {noted.detail}"
        case "start":
            text = f"{label} started"
        case "restart":
            if noted.label == _without_name(noted.kind, noted.actor):
                text = f"{label} started as restart {noted.detail}"
            else:
                text = f"{label} restarted as #{noted.actor} (restart {noted.detail})"
        case _:
            text = f"{label} gave up: {noted.detail}"
    return Happening(
        number=noted.number,
        clock=noted.clock,
        what=noted.what,
        path=path,
        label=label,
        kind=kind,
        actor=noted.actor,
        text=text,
    )


_args = BaseException.__dict__["args"]


def shown_error(error: BaseException) -> str:
    """An error in one short line: its class, and its first argument if that is a plain text or a small number.

    No code of the user's runs, and the cost does not depend on the error.
    """
    args = cast("tuple[object, ...]", _args.__get__(error))
    kind = text_of(type(error).__qualname__) or ""
    first = args[0] if args else None
    if type(first) is str and first:
        return f"{kind}: {text_of(first)}"
    if (type(first) is int and -(2**63) < first < 2**63) or type(first) in (float, bool):
        return f"{kind}: {first}"
    return kind
