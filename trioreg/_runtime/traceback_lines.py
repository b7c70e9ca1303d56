"""The lines of a traceback, without its frames: what may be kept of a crash.

A traceback refers to frames, and the frames to everything that the crashed code had in its variables. So an error that
is kept keeps the state of its actor. `keep_lines` replaces the frames of an error by empty ones, which have the same
file, line and function. The error is shown exactly as before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import Any, TypeAlias, cast

from .errors import ActorExited

_Position: TypeAlias = tuple[int, int, int, int]

_MARK = "__trioreg_keeps_no_frames__"
"""A name among the globals of an empty frame."""


def keep_lines(error: BaseException) -> None:
    """Let go of the frames of an error, and of all errors that belong to it. It stays the same object."""
    # The first ones first: an error without its frames shows that all errors behind it are done.
    for each in reversed([*_with_related(error)]):
        # By its method, not by assignment: an error may be frozen.
        each.with_traceback(_without_frames(each.__traceback__))
        if isinstance(each, AttributeError) and not isinstance(each.obj, type | ModuleType):
            with suppress(Exception):
                each.obj = cast("object", type(each.obj))  # for the suggestions; the object may be the actor itself


def _with_related(error: BaseException) -> Iterator[BaseException]:
    """An error, its causes and contexts, the members of a group, and the crash that an `ActorExited` tells of."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if _is_without_frames(each.__traceback__):
            continue
        yield each
        todo += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", each).exceptions
        if isinstance(each, ActorExited):
            todo.append(each.exit.error)


def _is_without_frames(traceback: TracebackType | None) -> bool:
    """Whether it comes from `_without_frames`. If the error was raised anew since, its first frame is a real one."""
    return traceback is not None and traceback.tb_frame.f_globals.get(_MARK) is True


def _without_frames(traceback: TracebackType | None) -> TracebackType | None:
    steps: list[TracebackType] = []
    while traceback is not None:
        steps.append(traceback)
        traceback = traceback.tb_next
    result: TracebackType | None = None
    for step in reversed(steps):
        code = step.tb_frame.f_code
        try:
            empty, instruction = _empty_code(code.co_filename, code.co_name, code.co_qualname, _position(step))
        except Exception:
            # Code that was generated may have positions that Python does not compile. The line alone, then.
            position = max(step.tb_lineno or 1, 1)
            empty, instruction = _empty_code(
                code.co_filename, code.co_name, code.co_qualname, (position, position, 0, 0)
            )
        # What a traceback needs to find the lines of a module that is in no file. Not more: globals are state, too.
        known = step.tb_frame.f_globals
        names: dict[str, Any] = {name: known[name] for name in ("__name__", "__loader__") if name in known}
        names[_MARK] = True
        # A generator that never runs has a frame, and that frame has no caller that it would refer to.
        frame = FunctionType(empty, names)().gi_frame
        result = TracebackType(result, frame, instruction, step.tb_lineno)
    return result


def _position(step: TracebackType) -> _Position:
    """Where an instruction stands: first and last line, first and last column."""
    positions = list(step.tb_frame.f_code.co_positions())
    at = step.tb_lasti // 2
    line, end_line, column, end_column = positions[at] if 0 <= at < len(positions) else (None,) * 4
    if line is None or end_line is None or column is None or end_column is None or line != step.tb_lineno:
        return step.tb_lineno, step.tb_lineno, 0, 0
    return line, end_line, column, end_column


@lru_cache(maxsize=1000)
def _empty_code(filename: str, name: str, qualified_name: str, position: _Position) -> tuple[CodeType, int]:
    """A function with nothing in it but one instruction at that position, and the offset of that instruction."""
    line, end_line, column, end_column = position
    where = {"lineno": line, "end_lineno": end_line, "col_offset": column, "end_col_offset": end_column}
    tree = ast.parse("def empty(): yield")
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            for attribute, value in where.items():
                setattr(node, attribute, value)
    module = compile(tree, filename, "exec")
    code = next(each for each in module.co_consts if isinstance(each, CodeType))
    code = code.replace(co_name=name, co_qualname=qualified_name)
    # Python may have been told to keep no columns (-X no_debug_ranges): then any instruction will do.
    return code, 2 * next((at for at, found in enumerate(code.co_positions()) if found == position), 0)
