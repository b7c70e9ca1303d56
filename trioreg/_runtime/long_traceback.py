"""The traceback of an error with very many errors behind it, cut to a readable length.

Each actor that waits for an actor that crashes may crash itself: one error for each, and each with all errors before it
as its causes. A log with every one of these tracebacks in full grows with the third power of their number.
"""

from __future__ import annotations

import traceback
from textwrap import indent
from typing import cast

LONGEST = 32
"""With more errors than that, the traceback is cut. Python shows the others in full."""

_ENDS = 5
"""How many errors of a chain are shown at its beginning, and at its end."""

_MEMBERS = 10
"""How many members of a group are shown, and how deep groups in groups."""


def cut_traceback(error: BaseException) -> str | None:
    """The traceback as text. None if it is short enough to be shown by Python.

    Of a chain, the first errors and the last are shown, as Python shows them; of a group, the first members.
    """
    return "\n".join(_Cut().lines(error, 0)) if _is_long(error) else None


def _is_long(error: BaseException) -> bool:
    seen: set[int] = set()
    todo = [error]
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if len(seen) > LONGEST:
            return True
        cause = _cause(each)
        if cause is not None:
            todo.append(cause)
        if isinstance(each, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", each).exceptions
    return False


def _cause(error: BaseException) -> BaseException | None:
    """The error before this one, if Python would show it."""
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


class _Cut:
    """One text. It shows each error once, and `LONGEST` at most of those in groups."""

    __slots__ = ("_left", "_seen")

    def __init__(self) -> None:
        self._left = LONGEST
        self._seen: set[int] = set()

    def lines(self, error: BaseException, depth: int) -> list[str]:
        chain = self._chain(error)
        lines: list[str] = []
        for at, each in enumerate(chain):
            if len(chain) > 2 * _ENDS and _ENDS <= at < len(chain) - _ENDS:
                if at == _ENDS:
                    lines += [f"... {len(chain) - 2 * _ENDS} errors between these two are left out ...", ""]
                continue
            lines += self._lines_of_one(each, depth)
            if at + 1 < len(chain):
                lines += ["", _between(each, chain[at + 1]), ""]
        return lines

    def _chain(self, error: BaseException) -> list[BaseException]:
        """The error, and before it what led to it: the first comes first, as in Python."""
        chain: list[BaseException] = []
        each: BaseException | None = error
        while each is not None and id(each) not in self._seen:
            self._seen.add(id(each))
            chain.append(each)
            each = _cause(each)
        return chain[::-1]

    def _lines_of_one(self, error: BaseException, depth: int) -> list[str]:
        lines: list[str] = []
        if error.__traceback__ is not None:
            lines += ["Traceback (most recent call last):", *_split(traceback.format_tb(error.__traceback__))]
        lines += _headline(error)
        if isinstance(error, BaseExceptionGroup):
            members = cast("BaseExceptionGroup[BaseException]", error).exceptions
            for number, member in enumerate(members, 1):
                if number > _MEMBERS or depth >= _MEMBERS or self._left <= 0:
                    lines.append(f"  ... {len(members) - number + 1} more members of the group are left out ...")
                    break
                self._left -= 1
                lines.append(f"  +---------------- {number} ----------------")
                lines += _split([indent("\n".join(self.lines(member, depth + 1)), "  | ", lambda _: True)])
        return lines


def _between(earlier: BaseException, later: BaseException) -> str:
    if later.__cause__ is earlier:
        return "The above exception was the direct cause of the following exception:"
    return "During handling of the above exception, another exception occurred:"


def _headline(error: BaseException) -> list[str]:
    """What the error says, with its notes. The functions of `traceback` for that look at the whole chain each time."""
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}.{cls.__qualname__}"
    try:
        text = str(error)
    except Exception as failure:
        text = f"<its str raises {type(failure).__name__}>"
    notes: object = getattr(error, "__notes__", ())
    shown = [note for note in cast("list[object]", notes) if isinstance(note, str)] if isinstance(notes, list) else []
    return _split([f"{name}: {text}" if text else name, *shown])


def _split(texts: list[str]) -> list[str]:
    return [line for text in texts for line in text.rstrip("\n").split("\n")]
