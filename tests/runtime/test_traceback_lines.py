"""What is kept of a crash: the lines of its traceback, not the state of the code that raised."""

from __future__ import annotations

import ast
import gc
import traceback
import weakref
from typing import Any

import pytest

from trioreg._runtime import keep_lines


class State:
    """What a crashed actor had."""


def fail(depth: int, state: State) -> None:
    if depth:
        fail(depth - 1, state)
    raise (
        ValueError("deep")
    )  # fmt: skip


def typo(state: Any) -> None:
    state.no_such_name  # noqa: B018


def deep(state: State) -> None:
    fail(3, state)


def chain(state: State) -> None:
    try:
        fail(1, state)
    except ValueError as error:
        try:
            fail(0, state)
        except ValueError:
            raise KeyError("third") from error


def group(state: State) -> None:
    errors: list[Exception] = []
    for function in (chain, typo):
        try:
            function(state)
        except Exception as error:
            errors.append(error)
    try:
        raise ExceptionGroup("many", errors)
    finally:
        del errors


@pytest.mark.parametrize("function", [deep, typo, chain, group])
def test_an_error_without_its_frames_is_shown_as_before_and_keeps_no_state(function: Any) -> None:
    state = State()
    alive = weakref.ref(state)
    kept = Exception()
    try:
        function(state)
    except Exception as error:
        kept = error
    del state
    before = traceback.format_exception(kept)
    assert "__main__" not in before
    assert alive() is not None
    keep_lines(kept)
    gc.collect()
    assert alive() is None
    assert traceback.format_exception(kept) == before
    keep_lines(kept)
    assert traceback.format_exception(kept) == before


def test_an_error_of_generated_code_with_strange_positions_keeps_no_state() -> None:
    tree = ast.parse("def fail(state):\n    raise ValueError('generated')")
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt):
            node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = 7, 7, -1, -1
    made: dict[str, Any] = {}
    exec(compile(tree, "<generated>", "exec"), made)
    state = State()
    alive = weakref.ref(state)
    with pytest.raises(ValueError, match="generated") as caught:
        made["fail"](state)
    error = caught.value
    del state, caught
    keep_lines(error)
    gc.collect()
    assert alive() is None
    assert "<generated>" in "".join(traceback.format_exception(error))


def test_errors_that_refer_to_each_other_are_taken_once() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first
    keep_lines(first)


def test_an_error_of_code_whose_columns_end_before_they_begin_keeps_no_state() -> None:
    def fail(state: object) -> None:
        raise ValueError("moved")

    # Python's table of positions has an entry for each 8 instructions: line + 0, to line + 0, column 10, to column 2.
    count = len(fail.__code__.co_code) // 2
    lengths = [8] * (count // 8) + [count % 8] * (count % 8 > 0)
    table = b"".join(bytes([0x80 | 14 << 3 | length - 1, 0, 0, 10 + 1, 2 + 1]) for length in lengths)
    fail.__code__ = fail.__code__.replace(co_linetable=table)
    state = State()
    alive = weakref.ref(state)
    with pytest.raises(ValueError, match="moved") as caught:
        fail(state)
    error = caught.value
    del state, caught
    keep_lines(error)
    gc.collect()
    assert alive() is None
    assert ", in fail" in "".join(traceback.format_exception(error))
