"""The vocabulary of the log: the loggers, the events, and the fields that every record has.

The event of a line that stands for a hook of `Instrument` is called as that hook. A field that a line does not have is
None. So a format string can use each field, and in JSON the same keys are there in every line.

A field is a plain str, int or float. It is made of what users wrote: names, ids and keys. It is short, and it is in one
line, whatever they are.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict, cast

if TYPE_CHECKING:
    import logging

LoggerName: TypeAlias = Literal[
    "trioreg.actors",
    "trioreg.observer",
    "trioreg.pool",
    "trioreg.program",
    "trioreg.registry",
    "trioreg.runtime",
    "trioreg.supervision",
    "trioreg.tasks",
    "trioreg.telemetry",
]
"""The wing that a line is about. (`trioreg._pubsub` writes no line.)"""

EventName: TypeAlias = Literal[
    # Hooks of `Instrument`
    "actor_starting",
    "actor_exited",
    "restarted",
    "gave_up",
    "message_left",
    # Supervisors
    "restarting",
    "child_dropped",
    "start_failed",
    "shutdown_timed_out",
    "block_waits",
    "connection_refused",
    "connection_closed",
    "shutting_down",
    # Actors, streams
    "handler_failed",
    "unexpected_message",
    "callback_failed",
    "failures_left",
    # Registries
    "event_lost",
    "listener_failed",
    "key_failed",
    "entry_lost",
    "release_failed",
    # The runtime
    "instrument_removed",
    "log_handler_failed",
    "late_call_failed",
    # Telemetry
    "telemetry_failed",
    # The observer
    "request_failed",
    "observer_failed",
    "observer_acted",
]


class Fields(TypedDict, total=False):
    """What a line says, as data. Text fields may be given as any object: the record has its text.

    Attributes:
        supervisor: The path of the supervisor, as in "program/storage".
        child_id: The id of its child.
        actor: The reference, as in "<Cart #5>".
        actor_name: The name in the actor's `ChildSpec`. (`name` is taken: a record has the name of its logger there.)
        exit: How the actor ended: the reason.
        restarts: How often the child has been restarted, this restart counted.
        seconds: How long.
        method: The handler, as in "Cart.add".
        registry: The name of the registry.
        key: The key in that registry.
        count: How many.
    """

    supervisor: object
    child_id: object
    actor: object
    actor_name: object
    exit: object
    restarts: int
    seconds: float | None
    method: object
    registry: object
    key: object
    count: int


MakeFields: TypeAlias = Callable[[], Fields]
"""Makes the fields of a line. It is called only if the line is written."""

NUMBERS = frozenset({"restarts", "seconds", "count"})
NAMES = tuple(Fields.__annotations__)
LONGEST = 200
"""The most characters that a text field has."""


def set_fields(record: logging.LogRecord, event: EventName, fields: Fields) -> None:
    """Give a record its fields."""
    # Not by `extra`, which raises if the program's own factory of records uses one of these names. A field that the
    # line does not have leaves that attribute as it is.
    attributes = vars(record)
    attributes["event_name"] = event
    for name in NAMES:
        value = fields.get(name)
        plain = _number(value) if name in NUMBERS else text_of(value)
        if plain is None:
            attributes.setdefault(name, None)
        else:
            attributes[name] = plain


def text_of(value: object) -> str | None:
    """A short text in one line, without characters that can't be printed. None for None. Never raises an `Exception`.

    A str is taken as it is, and of anything else the `repr`. (The methods of a subclass of str are not asked.)
    """
    if value is None:
        return None
    try:
        text = str.__str__(cast("str", value) if issubclass(type(value), str) else _LONG.repr(value))
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    if len(text) <= LONGEST and text.isprintable():
        return text
    # A line break in a name would let it write lines of its own into a log. Half of a surrogate pair can't be encoded.
    text = "".join(each if each.isprintable() else _escaped(each) for each in text[: LONGEST + 1])
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _number(value: object) -> float | None:
    if value is None or type(value) is int:
        return value
    try:
        number = float(cast("float", value))
    except Exception:
        return None
    return number if math.isfinite(number) else None  # JSON has no infinity


_LONG = reprlib.Repr()
_LONG.maxstring = _LONG.maxother = _LONG.maxlong = LONGEST
